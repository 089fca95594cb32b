"""The record of kills is put to the test: recorded calls to mutants, and the whole deck to controls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.running.convention_ledger import alike
from lossproof.running.loop import groups
from tests.mutants.kit.mutant import Mutant

from .kill import Key, Matrix, distinct, gather, goes_everywhere, label_of, made_for, merged, reference, takes, unlike
from .outcomes import Asked
from .play import play
from .processes import in_processes
from .record import YARDSTICK, Record, chosen, troubles, witness_troubles
from .search import LARGE, is_put, known, matrix

# Parts that the jobs are divided into; with a few for each process the last one to end is short.
_PARTS = 100
# So many times as often it is the turn of a mutant that a clause allows.
_OFTENER = 2
_SPECIAL = frozenset(name for name, f in FAMILIES.items() if not f.regular)


@dataclass(frozen=True)
class _Job:
    calls: Sequence[Call]
    asked: Asked
    mutants: Mapping[str, Mutant]


def recorded(
    mutants: Mapping[str, Mutant],
    calls: Iterable[Call],
    record: Record,
    *,
    processes: int = 0,
    controls: bool = True,
    turns: int = 1,
    ordinary: Iterable[Key] = (),
) -> Matrix:
    """(mutant id, dtype) -> what becomes of it by the calls that are recorded.

    Controls, and mutants that a clause allows, are put to every call, unless ``controls`` is false. Of several
    ``turns`` each takes one, and those that are allowed a few, and all small calls with special values: what differs
    of them from their parents is looked for.
    Witnesses, and those of ``ordinary``, are put to all ordinary calls; where a mutant need not be killed it is put to
    one call.
    """
    everyone = {*record.witnesses.values(), *ordinary}
    jobs = _jobs(mutants, list(calls), record, controls=controls, turns=turns, ordinary=everyone)
    return merged(in_processes(_play, _parts(jobs), lambda part: sum(map(_cost, part)), processes))


def _play(part: Sequence[_Job]) -> Matrix:
    result: Matrix = {}
    for job in part:
        gather(result, play(job.calls, job.asked, job.mutants))
    return result


def _parts(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """Jobs in their order, in parts of about equal cost: what becomes of all mutants in one travels between processes
    together, which for each job alone takes as long as some jobs."""
    most = sum(map(_cost, jobs)) / _PARTS
    parts: list[list[_Job]] = []
    cost = most
    for job in jobs:
        if cost >= most:
            parts.append([])
            cost = 0.0
        parts[-1].append(job)
        cost += _cost(job)
    return parts


def _cost(job: _Job) -> int:
    return sum(len(numbers) for numbers in job.asked.values()) * (job.calls[0].outline.x.size + 1000)


def _jobs(
    mutants: Mapping[str, Mutant],
    calls: Sequence[Call],
    record: Record,
    *,
    controls: bool,
    turns: int,
    ordinary: set[Key],
) -> list[_Job]:
    everywhere: dict[Key, list[Mutant]] = {}
    by_reference: dict[tuple[str, str, str], dict[str, None]] = {}
    below: dict[Key, list[Mutant]] = {}
    for m in mutants.values():
        for dtype in m.dtypes:
            if goes_everywhere(m):
                everywhere.setdefault((m.op, dtype), []).append(m)
            elif dtype not in m.expect:
                below.setdefault((m.op, dtype), []).append(m)
            for r in record.of((m.id, dtype)):
                # A convention is shown by the same call in other dtypes, too.
                for other in m.dtypes if label_of(r) == CONVENTION else (dtype,):
                    by_reference.setdefault((m.op, other, r), {})[m.id] = None
    witnesses: dict[Key, list[Mutant]] = {}
    for name, dtype in sorted(ordinary):
        if name in mutants:
            witnesses.setdefault((mutants[name].op, dtype), []).append(mutants[name])
    jobs, all_known = [], known(mutants.values())
    for number, group in enumerate(groups(calls)):
        p = group[0].outline
        place = (p.op, p.dtype)
        asked: dict[str, dict[int, None]] = {}
        # Most of what clauses allow is allowed of few calls, small ones with special values: those are left to no turn.
        special = p.x.size <= LARGE and any(call.family in _SPECIAL for call in group)
        for turn, m in enumerate(everywhere.get(place, ()), number) if controls else ():
            is_turn = turn % (-(-turns // _OFTENER) if m.allowed else turns) == 0 or (special and bool(m.allowed))
            if is_turn and takes(m, p) and is_put(m, group):
                asked[m.id] = dict.fromkeys(range(len(group)))
        for m in [m for m in below.get(place, ()) if takes(m, p)]:
            asked.setdefault(m.id, {})[0] = None
            below[place].remove(m)
        for i, call in enumerate(group):
            names = [*by_reference.get((*place, reference(call)), ())]
            if not call.is_check:
                names += by_reference.get((*place, f"{CONVENTION} {alike(call)}"), ())
            if call.family == YARDSTICK:
                names += [m.id for m in witnesses.get(place, ()) if takes(m, p)]
            for name in names:
                # What remembers calls is asked as in a search.
                numbers = range(len(group)) if mutants[name].restart else (i,)
                asked.setdefault(name, {}).update(dict.fromkeys(numbers))
        if asked:
            jobs.append(_Job(group, {name: sorted(numbers) for name, numbers in asked.items()}, all_known))
    return jobs


@dataclass(frozen=True)
class Verified:
    """What the record says, and what is true: what became of mutants by recorded calls, or by a search where these do
    not kill as the record says; what does not hold of it, by mutant."""

    kills: Matrix
    troubles: Mapping[str, str]


def verified(
    mutants: Mapping[str, Mutant], calls: Sequence[Call], record: Record, *, processes: int = 0, turns: int = 1
) -> Verified:
    """Put the record to the test. For mutants of which it does not hold the whole deck says what is true."""
    kills = recorded(mutants, calls, record, processes=processes, turns=turns)
    found = troubles(mutants, record, kills)
    if found:
        kills |= matrix({name: mutants[name] for name in found}, calls, processes=processes)
    return Verified(kills, found)


def renewed(mutants: Mapping[str, Mutant], calls: Sequence[Call], record: Record, *, processes: int = 0) -> Record:
    """The record with what holds of it, and what a search finds for the rest. What is not found is left out."""
    wrong = {m.id: m for m in mutants.values() if m.expect}
    kills = recorded(wrong, calls, record, processes=processes, controls=False)
    again = {name: wrong[name] for name in troubles(wrong, record, kills)}
    found = matrix(again, calls, processes=processes, apart=True) if again else {}
    killers: dict[str, dict[str, list[str]]] = {}
    for m in wrong.values():
        for key in ((m.id, dtype) for dtype in m.expect):
            of = list(record.of(key))
            if m.id in again:
                of = chosen(m, found[key], unlike(m.id, found)) if key in found else []
            if of:
                killers.setdefault(m.id, {})[key[1]] = of
    lacking = witness_troubles(wrong, record, kills)
    witnesses = {family: key for family, key in record.witnesses.items() if family not in lacking}
    for widely in (False, True):
        families = [family for family in lacking if family not in witnesses]
        if not families:
            break
        # What was found on the way is asked first.
        known_kills = matrix(wrong, calls, processes=processes) if widely else {**kills, **found}
        for family, key, killer in _witnesses(wrong, calls, families, known_kills, processes):
            witnesses[family] = key
            of = killers.setdefault(key[0], {}).setdefault(key[1], [])
            if killer not in of:
                of.append(killer)
    return Record(killers, witnesses)


def _witnesses(
    mutants: Mapping[str, Mutant], calls: Sequence[Call], families: Sequence[str], kills: Matrix, processes: int
) -> Iterator[tuple[str, Key, str]]:
    """For each family, if there is any, the first mutant that it kills and no ordinary call does, and what kills it."""
    candidates = {family: keys for family, keys in distinct(mutants, kills).items() if family in families}
    asked = {key for keys in candidates.values() for key in keys}
    said = recorded(mutants, calls, Record(), processes=processes, controls=False, ordinary=asked)
    for family, keys in candidates.items():
        own = [key for key in keys if key not in said or YARDSTICK not in said[key].families]
        own.sort(key=lambda key: family not in made_for(mutants[key[0]]))
        for key in own[:1]:
            yield family, key, next(r for r in kills[key].killers if label_of(r) == family)
