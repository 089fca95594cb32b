"""The catalogue of everything that is put to targets, in order: drawn calls, calls made by hand where clauses meet,
relations made from the drawn ones, and error calls. :func:`select` is the entrance."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases import transforms as tr
from lossproof.cases.clause_calls import clause_calls
from lossproof.cases.deck import DECKS, deck_calls
from lossproof.cases.deck_part import DRAWN, DeckPart
from lossproof.cases.error_cases import error_checks
from lossproof.cases.families import FAMILIES
from lossproof.cases.relation import Relation
from lossproof.cases.relations import RELATIONS
from lossproof.cases.signatures import MENU
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR, RELATION
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.judging.check import Check

CHECK_KINDS = (RELATION, ERROR)
# Relations are about structure, not size: the deck's small shapes are enough.
_ELEMENTS = 1000
_ALL_IN = "float32"


@np.errstate(all="ignore")
def select(
    deck: str = "default",
    seed: int = 0,
    ops: Collection[str] = (),
    dtypes: Collection[str] = (),
    families: Collection[str] = (),
) -> list[Call]:
    """Select what is put to targets: drawn calls, calls made by hand, relations, error calls.

    ``families`` are names of the deck's families, ``golden``, ``relation`` and ``error``; an empty filter keeps all.
    Raises :class:`UsageError` for an unknown name, with the nearest known one, and for filters that leave nothing.
    """
    check_names(deck, ops, dtypes, families)
    smoke = deck == "smoke"
    whole = DeckPart(seed=seed, ops=frozenset(ops or OPS), dtypes=frozenset(dtypes or DTYPES))
    part = whole if not families else replace(whole, families=frozenset(families) - {*CHECK_KINDS})
    found: list[Call] = []
    drawn: list[Call] = []
    if part.families:
        drawn = deck_calls(deck, part)
        found += [*drawn, *(clause_calls(part) if not smoke else ())]
    if not families or RELATION in families:
        # Relations are made from all drawn calls of an op and dtype, so that filters change none of them.
        found += relation_checks(drawn if part is whole else deck_calls(deck, whole), seed=seed, smoke=smoke)
    if not families or ERROR in families:
        found += error_checks(replace(whole, dtypes=dtypes or ("float32",)) if smoke else whole)
    if not found:
        raise UsageError(f"the {deck} deck has no call of that op, dtype and family; leave out one of the filters")
    return [call.at_tier("core") for call in found] if DECKS[deck].to_all else found


def check_names(
    deck: str, ops: Collection[str] = (), dtypes: Collection[str] = (), families: Collection[str] = ()
) -> None:
    """Raise :class:`UsageError` for a name that a selection does not know, with the nearest known one."""
    known_names("deck", [deck], list(DECKS))
    known_names("op", ops, OPS)
    known_names("dtype", dtypes, DTYPES)
    known_names("family", families, [*DRAWN, *CHECK_KINDS])


def relation_checks(calls: Sequence[Call], *, seed: int = 0, smoke: bool = False) -> list[Check]:
    """Make one instance of each relation and variant for each op and dtype, from finite calls of small shape.

    The smoke deck gets the first variants, in float32 where it has that.
    """
    by: dict[tuple[str, str], list[Problem]] = {}
    compiled = {signature(call.outline) for call in calls if call.tier in ("core", "full")}
    for call in calls:
        p = call.outline
        family = FAMILIES.get(call.family)
        # What relations shift and scale exactly has few bits.
        regular = (family is None or (family.regular and not family.full)) and _is_of_menu(call)
        # One row has no batch to be taken apart.
        if regular and p.x.ndim > 1 and p.x.size <= _ELEMENTS and tr.has_distinct_classes(call.problem):
            by.setdefault((p.op, p.dtype), []).append(tr.first_order(call.problem))
    found: dict[str, Check] = {}
    dtypes = {dtype for _, dtype in by}
    for (op, dtype), problems in by.items():
        if smoke and dtype != "float32" and "float32" in dtypes:
            continue
        phase = OPS.index(op) + DTYPES.index(dtype)
        for r in RELATIONS.values():
            variants = r.variants[:1] if smoke else r.variants
            for i, variant in enumerate(variants if op in r.ops else ()):
                check = _instance(r, variant, problems, seed, compiled) if (i + phase) % r.every == 0 or smoke else None
                if check is not None:
                    found.setdefault(check.id, check)
    return list(found.values())


def _is_of_menu(call: Call) -> bool:
    """Tell whether a call is one of the deck's own shapes and programs; relations start there."""
    p = call.outline
    return call.tier != "free" and p.x.shape in MENU and (p.is_loss or p.out_dtype is None)


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
