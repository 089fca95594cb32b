"""Everything that is put to targets, in order: the deck's calls, relations made from them, and error calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from lossproof import transforms as tr
from lossproof.adapters.protocol import Problem
from lossproof.call import Call
from lossproof.checks import ERROR, RELATION, Check, select
from lossproof.deck import VERSION, build
from lossproof.error_calls import error_checks
from lossproof.families import FAMILIES
from lossproof.picker import SeededPicker
from lossproof.relations import RELATIONS, Relation

KINDS = (RELATION, ERROR)
# Relations are about structure, not size: the deck's small shapes are enough.
_ELEMENTS = 1000


def checks(
    *,
    profile: str = "default",
    seed: int = 0,
    ops: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    families: Iterable[str] | None = None,
) -> list[Call]:
    """Value calls, relations and error calls of a profile. Raises :class:`UsageError` for an unknown name.

    ``families`` are names of the deck's families, ``relation`` and ``error``; all by default.
    """
    ops, dtypes = (tuple(given) if given is not None else None for given in (ops, dtypes))
    wanted = tuple(families or ())
    plain = [f for f in wanted if f not in KINDS]
    found: list[Call] = []
    deck: list[Call] | None = None
    if not wanted or RELATION in wanted:
        # Relations are drawn from the whole deck of an op and dtype, so that filters do not change them.
        deck = build(profile=profile, seed=seed, ops=ops, dtypes=dtypes)
    if not wanted:
        found += deck or []
    elif plain or deck is None:
        found += build(profile=profile, seed=seed, ops=ops, dtypes=dtypes, families=plain) if plain else []
    if deck is not None:
        found += relation_checks(deck, profile=profile, seed=seed)
    if not wanted or ERROR in wanted:
        smoke = profile == "smoke"
        found += error_checks(ops=ops, dtypes=("float32",) if smoke and not dtypes else dtypes)
    return select(found, wanted)


def digest(calls: Iterable[Call]) -> str:
    """sha256 of the ids, which contain the digests of all inputs; of value calls alone it is the deck's digest."""
    h = hashlib.sha256(f"deck {VERSION}".encode())
    for call in calls:
        h.update(call.id.encode() + b"\n")
    return h.hexdigest()


def relation_checks(deck: Sequence[Call], *, profile: str = "default", seed: int = 0) -> list[Check]:
    """A sample: one instance of each relation and variant for each op and dtype, from finite calls of small shape.

    A profile that is not ``default`` gets float32 only, and every third layout.
    """
    by: dict[tuple[str, str], list[Problem]] = {}
    for call in deck:
        p = call.problem
        family = FAMILIES.get(call.family)
        if p.x.size <= _ELEMENTS and p.x.ndim > 1 and (family is None or family.regular) and tr.finite(tr.bare(p)):
            by.setdefault((p.op, p.dtype), []).append(tr.bare(p))
    found: dict[str, Check] = {}
    dtypes = {dtype for _, dtype in by}
    for (op, dtype), problems in by.items():
        if profile == "smoke" and dtype != "float32" and "float32" in dtypes:
            continue
        for r in RELATIONS.values():
            for variant in r.variants if op in r.ops else ():
                check = _instance(r, variant, problems, seed)
                if check is not None:
                    found.setdefault(check.id, check)
    return list(found.values())


def _instance(r: Relation, variant: str, problems: Sequence[Problem], seed: int) -> Check | None:
    first = problems[0]
    pick = SeededPicker(f"{VERSION}/{seed}/{RELATION}/{r.name}/{variant}/{first.op}/{first.dtype}")
    start = pick.integer(0, len(problems) - 1)
    for i in range(len(problems)):
        plan = r.plan(problems[(start + i) % len(problems)], pick, variant)
        if plan is None:
            continue
        base, *others = plan.problems
        return Check(
            base,
            RELATION,
            r.says,
            name=f"{r.name}-{variant}" if r.name == "layout" else r.name,
            others=tuple(Call(q, RELATION) for q in others),
            outputs=tuple(name for name in plan.outputs if name in base.want),
            judge=plan.judged(),
            follow=plan.follow,
            reshapes=r.reshapes,
            watched=r.watched,
            layout=others[0].layout if r.name == "layout" else "contiguous",
        )
    return None
