"""The catalogue of everything that is put to targets, in order: drawn calls, calls made by hand where clauses meet,
relations made from the drawn ones, and error calls. :func:`select` is the entrance."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases import transforms as tr
from lossproof.cases.clause_calls import clause_calls
from lossproof.cases.deck import DECKS, deck_calls
from lossproof.cases.deck_part import DRAWN, DeckPart, Strand
from lossproof.cases.error_cases import error_checks
from lossproof.cases.families import FAMILIES
from lossproof.cases.known_calls import KnownCalls, Memory, WrongMemoryError
from lossproof.cases.relation import Relation
from lossproof.cases.relations import RELATIONS
from lossproof.cases.shard import Census, Division, Only, Related, divided
from lossproof.cases.variant_calls import variant_calls
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR, RELATION
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.core.variant import Variant
from lossproof.judging.check import Check

CHECK_KINDS = (RELATION, ERROR)
_ALL_IN = "float32"


@np.errstate(all="ignore")
def select(
    deck: str = "default",
    seed: int = 0,
    ops: Collection[str] = (),
    dtypes: Collection[str] = (),
    families: Collection[str] = (),
    *,
    division: Division | None = None,
    index: int = 1,
    memory: Memory | None = None,
) -> list[Call]:
    """Select what is put to targets: drawn calls, calls made by hand, relations, error calls.

    ``families`` are names of the deck's families, ``golden``, ``relation`` and ``error``; an empty filter keeps all.
    Of a ``division`` (see :func:`divide`) the part ``index`` is made, in the order of the whole, and nothing else is
    drawn. Of large calls that a ``memory`` knows no numbers are drawn before they are asked for.

    Raises :class:`UsageError` for an unknown name, with the nearest known one, and for filters that leave
    nothing.
    """
    check_names(deck, ops, dtypes, families)
    whole, part = _parts(seed, ops, dtypes, families)
    smoke, pairs = deck == "smoke", frozenset(_pairs(whole))
    if division is not None:
        part, pairs = replace(part, strands=division.strands_of(index)), pairs & division.checks_of(index)
    found: list[Call] = []
    drawn: list[Call] = []
    if part.families:
        drawn = deck_calls(deck, part) if memory is None else _remembered(deck, part, memory)
        found += [*drawn, *(clause_calls(part) if not smoke else ())]
    if not families or RELATION in families:
        related = Related(_in_smoke(pairs, whole) if smoke else pairs)
        # Relations are made from all drawn calls of an op and dtype, so that filters change none of them.
        has_all = part.families == whole.families and (division is None or division.has_all(related, index))
        start = drawn if has_all else deck_calls(deck, replace(whole, strands=related))
        found += relation_checks(start, seed=seed, smoke=smoke, related=related)
    if not families or ERROR in families:
        found += error_checks(replace(whole, dtypes=dtypes or (_ALL_IN,)) if smoke else whole, pairs)
    if not found and division is None:
        raise _nothing(deck)
    return [call.at_tier("core") for call in found] if DECKS[deck].to_all else found


def _remembered(deck: str, part: DeckPart, memory: Memory) -> list[Call]:
    """The calls of a part of a deck, with what the memory has of it; what it has not it is told."""
    filters = [sorted(part.ops), sorted(part.dtypes), sorted(part.families)]
    strands = sorted(part.strands.strands) if isinstance(part.strands, Only) else []
    name = f"{deck} deck, seed {part.seed}, {filters}, {strands}"
    known = KnownCalls.read(memory.recall(name))
    try:
        calls = deck_calls(deck, replace(part, known=known))
    except WrongMemoryError as error:
        memory.distrust(f"{name}: {error}")
        known = KnownCalls()
        calls = deck_calls(deck, replace(part, known=known))
    if known.is_new:
        memory.remember(name, known.text)
    memory.count(known.taken)
    return calls


def select_variant(
    op: str, dtypes: Collection[str], variant: Variant, *, deck: str = "default", seed: int = 0
) -> list[Call]:
    """Select what is put to a function of a variant: calls of its own, and the relations that hold whatever is added to
    an op. Raises :class:`UsageError` as :func:`lossproof.cases.variant_calls.variant_calls` does.
    """
    calls = variant_calls(op, dtypes, variant, deck=deck, seed=seed)
    own = Related(shapes={call.outline.x.shape for call in calls})
    checks = relation_checks(calls, seed=seed, smoke=deck == "smoke", related=own)
    return [*calls, *(check.at_tier("core") for check in checks)]


def divide(
    of: int,
    deck: str = "default",
    seed: int = 0,
    ops: Collection[str] = (),
    dtypes: Collection[str] = (),
    families: Collection[str] = (),
    along: Iterable[Call] = (),
) -> Division:
    """Divide what :func:`select` selects into parts of equal cost, with the calls that are put ``along``. Nothing is
    drawn.

    Raises :class:`UsageError` for an unknown name, with the nearest known one, and for filters that leave nothing.
    """
    check_names(deck, ops, dtypes, families)
    whole, part = _parts(seed, ops, dtypes, families)
    census = Census()
    if part.families:
        counted = replace(part, strands=census)
        for made in (deck_calls(deck, counted), clause_calls(counted)):
            # sanity check: what is counted is not drawn
            assert not made
    for call in along:
        census.takes(Strand.of(call.outline), call.family)
    has_checks = not families or not {*CHECK_KINDS}.isdisjoint(families)
    if not (census.costs or has_checks):
        raise _nothing(deck)
    return divided(census.costs, _pairs(whole) if has_checks else (), of)


def _pairs(part: DeckPart) -> list[tuple[str, str]]:
    """Every op and dtype of a part, in order."""
    return [(op, dtype) for dtype in DTYPES for op in OPS if op in part.ops and dtype in part.dtypes]


def _nothing(deck: str) -> UsageError:
    return UsageError(f"the {deck} deck has no call of that op, dtype and family; leave out one of the filters")


def _parts(
    seed: int, ops: Collection[str], dtypes: Collection[str], families: Collection[str]
) -> tuple[DeckPart, DeckPart]:
    """The part of a deck of some ops and dtypes, and that of some families in it."""
    whole = DeckPart(seed=seed, ops=frozenset(ops or OPS), dtypes=frozenset(dtypes or DTYPES))
    return whole, whole if not families else replace(whole, families=frozenset(families) - {*CHECK_KINDS})


def _in_smoke(pairs: Collection[tuple[str, str]], whole: DeckPart) -> frozenset[tuple[str, str]]:
    """Those ops and dtypes whose relations the smoke deck has: the ones in float32, where it has that."""
    return frozenset(pair for pair in pairs if pair[1] == _ALL_IN or _ALL_IN not in whole.dtypes)


def check_names(
    deck: str, ops: Collection[str] = (), dtypes: Collection[str] = (), families: Collection[str] = ()
) -> None:
    """Raise :class:`UsageError` for a name that a selection does not know, with the nearest known one."""
    known_names("deck", [deck], list(DECKS))
    known_names("op", ops, OPS)
    known_names("dtype", dtypes, DTYPES)
    known_names("family", families, [*DRAWN, *CHECK_KINDS])


def relation_checks(
    calls: Iterable[Call], *, seed: int = 0, smoke: bool = False, related: Related | None = None
) -> list[Check]:
    """Make one instance of each relation and variant for each op and dtype, from finite calls of small shape: from
    those of the ``related`` strands.

    The smoke deck gets the first variants.
    """
    related = related or Related()
    by: dict[tuple[str, str], list[Problem]] = {}
    compiled: dict[tuple[str, str], set[Hashable]] = {}
    for call in calls:
        p = call.outline
        if not related.takes(Strand.of(p), call.family):
            continue
        if call.tier in ("core", "full"):
            compiled.setdefault((p.op, p.dtype), set()).add(signature(p))
        family = FAMILIES.get(call.family)
        # What relations shift and scale exactly has few bits.
        regular = (family is None or (family.regular and not family.full)) and _is_of_menu(call)
        if regular and tr.has_distinct_classes(call.problem):
            by.setdefault((p.op, p.dtype), []).append(tr.first_order(call.problem))
    found: dict[str, Check] = {}
    for (op, dtype), problems in by.items():
        phase = OPS.index(op) + DTYPES.index(dtype)
        for r in RELATIONS.values():
            if problems[0].variant_parts and not r.with_parts:
                continue
            variants = r.variants[:1] if smoke else r.variants
            for i, variant in enumerate(variants if op in r.ops else ()):
                if (i + phase) % r.every == 0 or smoke:
                    check = _instance(r, variant, problems, seed, compiled.get((op, dtype), ()))
                    found.update({} if check is None or check.id in found else {check.id: check})
    return list(found.values())


def _is_of_menu(call: Call) -> bool:
    """Tell whether a call is one of the deck's own programs; relations start there."""
    p = call.outline
    return call.tier != "free" and (p.is_loss or p.out_dtype is None)


def _instance(
    r: Relation, variant: str, problems: Sequence[Problem], seed: int, compiled: Collection[Hashable]
) -> Check | None:
    first = problems[0]
    pick = DeckPart(seed=seed).picker(RELATION, r.name, variant, first.op, first.dtype)
    start = pick.integer(0, len(problems) - 1)
    for i in range(len(problems)):
        plan = r.plan(problems[(start + i) % len(problems)], pick, variant)
        if plan is None:
            continue
        base, *others = plan.problems
        # What the deck compiles anyhow, and in one dtype everything of the deck's shapes.
        cheap = not r.reshapes and (base.dtype == _ALL_IN or all(signature(q) in compiled for q in plan.problems))
        return Check(
            base,
            RELATION,
            r.says,
            name=f"{r.name}-{variant}" if r.name == "layout" else r.name,
            others=tuple(Call(q, RELATION) for q in others),
            outputs=tuple(name for name in plan.outputs if name in base.want),
            judge=plan.judged(),
            follow=plan.follow,
            tier="full" if cheap else "free",
            watched=r.watched,
        )
    return None
