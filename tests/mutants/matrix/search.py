"""The search for what kills each mutant: the deck in its order, until a mutant is killed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lossproof.core.call import Call
from lossproof.running.loop import groups
from tests.mutants.kit.mutant import Mutant

from .kill import Matrix, gather, goes_everywhere, label_of, made_for, merged, takes
from .play import play
from .processes import in_processes
from .registry import collect

# Elements of a call that is played last, calls and labels that are enough to kill a mutant, and groups of values that
# are played before the checks.
LARGE, _ENOUGH, _LABELS, _FIRST = 10_000, 2, 2, 32
# Families whose large calls go to every control.
_ROWS = "long_batch"
_FOR_CONTROLS = frozenset({"equal", "wide", _ROWS})


def matrix(
    mutants: Mapping[str, Mutant],
    calls: Iterable[Call],
    *,
    processes: int = 0,
    every_call: bool = False,
    apart: bool = False,
) -> Matrix:
    """(mutant id, dtype) -> what became of it. Mutants that no call applies to are absent.

    Controls, and mutants that a clause allows, are put to every call. Others are until two calls and the families made
    for them have killed them, with ``apart`` until two of different labels have, ordinary sizes first; where they need
    not be killed, until one is judged. Those that live on in a dtype, and all with ``every_call``, are put to all calls
    of ordinary size: a convention that is not the same in every dtype kills in all of them.
    """
    calls = list(calls)
    result = merged(in_processes(_play, _shares(mutants, calls, _Until(every_call, apart)), _cost, processes))
    alive = {m.id: m for m in mutants.values() if any(_lives(m, d, result) for d in m.expect)}
    if alive and not every_call:
        result |= matrix(alive, calls, processes=processes, every_call=True)
    return result


def _lives(mutant: Mutant, dtype: str, result: Matrix) -> bool:
    """Whether a mutant was put to calls of a dtype and is not killed there."""
    kill = result.get((mutant.id, dtype))
    return kill is not None and not kill.killed


@dataclass(frozen=True)
class _Until:
    """How long mutants are asked."""

    every_call: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Share:
    """Of one op and dtype the calls in groups, large ones last, and the mutants that take some of them.

    What becomes of a mutant in one op and dtype depends on no other, so that each is a process's own: it puts no group
    to a mutant that the one before has killed.
    """

    groups: Sequence[Sequence[Call]]
    mutants: Sequence[Mutant]
    until: _Until


def _shares(mutants: Mapping[str, Mutant], calls: Iterable[Call], until: _Until) -> list[Share]:
    values: dict[tuple[str, str], list[Sequence[Call]]] = {}
    checks: dict[tuple[str, str], list[Sequence[Call]]] = {}
    large: dict[tuple[str, str], list[Sequence[Call]]] = {}
    for group in groups(calls):
        p = group[0].outline
        kind = large if p.x.size > LARGE else checks if group[0].is_check else values
        kind.setdefault((p.op, p.dtype), []).append(group)
    result = []
    for key in {**values, **checks, **large}:
        op, dtype = key
        several = values.get(key, [])
        # What is wrong for the first shapes dies there, and most of the rest of relations or of bad arguments.
        ordered = [*several[:_FIRST], *checks.get(key, []), *several[_FIRST:], *large.get(key, [])]
        some = [m for m in mutants.values() if m.op == op and dtype in m.dtypes]
        if some:
            result.append(Share(ordered, some, until))
    return result


def _cost(share: Share) -> int:
    return len(share.mutants) * len(share.groups)


def _play(share: Share) -> Matrix:
    result: Matrix = {}
    for group in share.groups:
        p = group[0].outline
        some = [m for m in share.mutants if takes(m, p) and _needs(m, group, result, share.until)]
        if some:
            gather(result, play(group, {m.id: range(len(group)) for m in some}, known(some)))
    return result


def known(mutants: Iterable[Mutant]) -> dict[str, Mutant]:
    """Mutants and controls by id, those given in the place of those of the same id."""
    return {**collect(), **{m.id: m for m in mutants}}


def _needs(mutant: Mutant, group: Sequence[Call], result: Matrix, until: _Until) -> bool:
    """Whether calls could say something of a mutant that the others have not."""
    p, families = group[0].outline, {call.family for call in group}
    if goes_everywhere(mutant):
        return is_put(mutant, group)
    seen, large = result.get((mutant.id, p.dtype)), p.x.size > LARGE
    if seen is None or (until.every_call and not large):
        return True
    if p.dtype not in mutant.expect:
        return not seen.judged
    if seen.calls < _ENOUGH or families & (set(made_for(mutant)) - set(seen.families)):
        return True
    return until.apart and not large and len({label_of(r) for r in seen.killers}) < _LABELS


def is_put(mutant: Mutant, group: Sequence[Call]) -> bool:
    """Whether a group is put to one that goes everywhere."""
    p = group[0].outline
    if mutant.kind == "control" and p.x.size > LARGE:
        # Controls that go over the classes one by one take seconds for a wide row; parents do not. Of rows that are not
        # added up each is as it is in a small batch: what is said of many is said of the parent.
        added = p.is_loss and p.reduction != "none"
        put = [call for call in group if call.family in _FOR_CONTROLS and (added or call.family != _ROWS)]
        return mutant.id == mutant.reference or bool(put)
    return True
