"""Everything that is put to targets, in order: the deck's calls, calls made by hand where clauses meet, relations made
from the deck, and error calls."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence

from lossproof.adapters.protocol import DTYPES, OPS, Problem
from lossproof.cases import transforms as tr
from lossproof.cases.clause_calls import special_calls
from lossproof.cases.deck import DECKS, VERSION, deck_calls
from lossproof.cases.error_cases import error_checks
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import SeededPicker
from lossproof.cases.relation import Relation
from lossproof.cases.relations import RELATIONS
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR, RELATION
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.operations import OPERATIONS
from lossproof.judging.check import Check

CHECK_KINDS = (RELATION, ERROR)
# Relations are about structure, not size: the deck's small shapes are enough.
_ELEMENTS = 1000
_ALL_IN = "float32"


def all_calls(
    *,
    deck: str = "default",
    seed: int = 0,
    ops: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    families: Iterable[str] | None = None,
) -> list[Call]:
    """Value calls, relations and error calls of a deck. Raises :class:`UsageError` for an unknown name.

    ``families`` are names of the deck's families, ``relation`` and ``error``; all by default.
    """
    ops, dtypes = (tuple(given) if given is not None else None for given in (ops, dtypes))
    wanted = tuple(families or ())
    values = [name for name in wanted if name not in CHECK_KINDS]
    found: list[Call] = []
    by_hand = special_calls(ops=ops, dtypes=dtypes, families=values or None) if deck != "smoke" else []
    if values:
        found += [*deck_calls(deck=deck, seed=seed, ops=ops, dtypes=dtypes, families=values), *by_hand]
    if not wanted or RELATION in wanted:
        # Relations are drawn from all calls of an op and dtype, so that filters change none of them.
        drawn = deck_calls(deck=deck, seed=seed, ops=ops, dtypes=dtypes)
        found += [*((*drawn, *by_hand) if not wanted else ()), *relation_checks(drawn, deck=deck, seed=seed)]
    if not wanted or ERROR in wanted:
        found += error_checks(ops=ops, dtypes=(dtypes or ("float32",)) if deck == "smoke" else dtypes)
    return found


def relation_checks(drawn: Sequence[Call], *, deck: str = "default", seed: int = 0) -> list[Check]:
    """A sample: one instance of each relation and variant for each op and dtype, from finite calls of small shape.

    They are made from the calls ``drawn`` of the deck. The smoke deck gets the first variants, in float32 where it
    has that.
    """
    by: dict[tuple[str, str], list[Problem]] = {}
    compiled = {signature(call.problem) for call in drawn if call.tier in ("core", "full")}
    for call in drawn:
        p = call.problem
        family = FAMILIES.get(call.family)
        regular = (family is None or family.regular) and call.tier != "free"
        if regular and p.x.size <= _ELEMENTS and tr.lively(tr.bare(p)):
            by.setdefault((p.op, p.dtype), []).append(tr.bare(p))
    found: dict[str, Check] = {}
    smoke = deck == "smoke"
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


def _instance(
    r: Relation, variant: str, problems: Sequence[Problem], seed: int, compiled: Collection[Hashable]
) -> Check | None:
    first = problems[0]
    pick = SeededPicker(f"{VERSION}/{seed}/{RELATION}/{r.name}/{variant}/{first.op}/{first.dtype}")
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


def select(deck: str, seed: int, ops: Sequence[str], dtypes: Sequence[str], families: Sequence[str]) -> list[Call]:
    """A deck with its relations and error calls; every name checked, with a suggestion for those that are unknown."""
    known_names("deck", [deck], list(DECKS))
    known_names("op", ops, list(OPERATIONS))
    known_names("dtype", dtypes, list(FORMATS))
    known_names("family", families, [*FAMILIES, "golden", *CHECK_KINDS])
    calls = all_calls(deck=deck, seed=seed, ops=ops or None, dtypes=dtypes or None, families=families or None)
    if not calls:
        raise UsageError(f"the {deck} deck has no call of that op, dtype and family; leave out one of the filters")
    return calls
