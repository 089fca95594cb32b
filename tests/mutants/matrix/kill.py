"""Run mutants against a deck: truth is computed once for each group of calls and shared by all of them."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import FAILING, Observation
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.check import Check, Exact
from lossproof.judging.check import play as play_check
from lossproof.running.convention_ledger import Ledger
from lossproof.running.group_judge import truths_of
from lossproof.running.loop import groups
from tests.mutants.kit.mutant import Mutant

from .fast_judging import Found, Memo, answers, found
from .registry import collect

T = TypeVar("T")
S = TypeVar("S", covariant=True)
Job = tuple[Sequence[Call], Sequence[str]]
# Elements of a call that is played last, calls that are enough to kill a mutant, and groups of an op and dtype that are
# played before it is asked which mutants need more.
_LARGE, _ENOUGH, _FIRST = 10_000, 2, 1
# Families whose large calls go to every control.
_FOR_CONTROLS = frozenset({"equal", "wide", "long_batch"})
# What a forked worker inherits: judges of checks are closures, which no queue carries.
_jobs: list[Job] = []
Seen = dict[tuple[str, str, str, str], dict[str, str]]


@dataclass
class Kill:
    """What the deck makes of one mutant in one dtype: outputs judged and failing, failing calls by family.

    ``worst`` is the largest share of the bound, infinite where a special value is wrong; ``message`` belongs to it.
    ``seen`` are the conventions shown, ``differing`` counts outputs that differ from the parent's in any bit, ``calls``
    those that fail in any output.
    """

    judged: int = 0
    failing: int = 0
    worst: float = 0.0
    message: str = ""
    families: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=dict)
    differing: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    @property
    def killed(self) -> bool:
        """Whether any output failed."""
        return self.failing > 0

    def add(self, other: Kill) -> None:
        """Merge the result of another part of the deck."""
        if other.worst >= self.worst and other.message:
            self.message = other.message
        self.judged += other.judged
        self.failing += other.failing
        self.worst = max(self.worst, other.worst)
        self.families.update(other.families)
        self.seen |= other.seen
        self.differing.update(other.differing)
        self.calls += other.calls

    def note(self, f: Found, ledger: Ledger) -> None:
        """Take note of one output."""
        self.judged += 1
        ledger.add(f.call, Observation(f.call.id, f.output, ledger.adapter, "pass", conventions=f.conventions))
        if f.failed:
            self.failing += 1
            self.families[f.call.family] += 1
            if f.share >= self.worst:
                self.message = f.message
        self.worst = max(self.worst, f.share)


Matrix = dict[tuple[str, str], Kill]


def takes(mutant: Mutant, p: Problem) -> bool:
    """Whether a call is within a mutant's options; the engine would only count it as unsupported."""
    if p.op != mutant.op or p.dtype not in mutant.dtypes:
        return False
    if not p.is_loss:
        return True
    kind = "probability" if p.has_probability_target else "index"
    used = {
        "weight": p.weight is not None,
        "ignore_index": p.ignore_index is not None,
        "label_smoothing": p.label_smoothing > 0,
        "reduction": p.reduction != "mean",
    }
    return kind in mutant.targets and all(name in mutant.options for name, is_used in used.items() if is_used)


def matrix(
    mutants: Mapping[str, Mutant], calls: Iterable[Call], *, processes: int = 2, every_call: bool = False
) -> Matrix:
    """(mutant id, dtype) -> what became of it. Mutants that no call applies to are absent.

    Controls, and mutants that a clause allows, are put to every call. Others are until two calls and the families made
    for them have killed them, ordinary sizes first; where they need not be killed, until one is judged. Those that live
    on in a dtype, and all with ``every_call``, are put to all calls of ordinary size: a convention that is not the same
    in every dtype kills in all of them.
    """
    calls = list(calls)
    result: Matrix = {}
    for played in _rounds(calls):
        jobs = []
        for group in played:
            p = group[0].problem
            some = [m.id for m in mutants.values() if takes(m, p) and _needs(m, group, result, every_call=every_call)]
            if some:
                jobs.append((group, some))
        result = _gathered([result, *_played(jobs, processes)])
    _unequal_conventions(result)
    alive = {m.id: m for m in mutants.values() if any(_lives(m, d, result) for d in m.expect)}
    if alive and not every_call:
        result |= matrix(alive, calls, processes=processes, every_call=True)
    return result


def _lives(mutant: Mutant, dtype: str, result: Matrix) -> bool:
    """Whether a mutant was put to calls of a dtype and is not killed there."""
    kill = result.get((mutant.id, dtype))
    return kill is not None and not kill.killed


def _rounds(calls: Iterable[Call]) -> Iterator[list[Sequence[Call]]]:
    """Groups in the order of the deck, in rounds that grow: what one has killed is not put to the next. Large ones are
    the last round."""
    rounds: dict[int, list[Sequence[Call]]] = {}
    large: list[Sequence[Call]] = []
    before: Counter[tuple[str, str]] = Counter()
    for group in groups(calls):
        p = group[0].problem
        if p.x.size > _LARGE:
            large.append(group)
            continue
        rounds.setdefault((before[p.op, p.dtype] // _FIRST + 1).bit_length(), []).append(group)
        before[p.op, p.dtype] += 1
    yield from (rounds[number] for number in sorted(rounds))
    yield large


def _needs(mutant: Mutant, group: Sequence[Call], result: Matrix, *, every_call: bool) -> bool:
    """Whether calls could say something of a mutant that the others have not."""
    p, families = group[0].problem, {call.family for call in group}
    seen, large = result.get((mutant.id, p.dtype)), p.x.size > _LARGE
    if mutant.kind == "control" and large:
        # Controls that go over the classes one by one take seconds for a wide row; parents do not.
        return mutant.id == mutant.reference or bool(families & _FOR_CONTROLS)
    if mutant.kind == "control" or mutant.allowed or seen is None or (every_call and not large):
        return True
    if p.dtype not in mutant.expect:
        return not seen.judged
    missing = set(mutant.family.split(", ")) - set(seen.families)
    return seen.calls < _ENOUGH or bool(families & missing)


def _played(jobs: Sequence[Job], processes: int) -> list[Matrix]:
    """What becomes of the jobs, in their order."""
    if processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        return [_play(job) for job in jobs]
    _jobs[:] = jobs
    # The dearest first: the last ones to come should be short.
    order = sorted(range(len(jobs)), key=lambda i: _cost(jobs[i]), reverse=True)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        found = dict(watched(pool.imap_unordered(_play_number, order), _spent))
    return [found[i] for i in range(len(jobs))]


class Results(Protocol[S]):
    """Results that come one by one, such as those of a pool."""

    def next(self, timeout: float) -> S:
        """Return the next one; TimeoutError of multiprocessing if there is none yet, StopIteration at the end."""
        ...


def watched(
    parts: Results[T], spent: Callable[[], float], *, idle: float = 900.0, busy: float = 3600.0, tick: float = 5.0
) -> Iterator[T]:
    """What processes give, unless they hang. Raises :class:`TimeoutError` then.

    Whether they do is not a matter of the clock alone, which neighbours on a machine slow down: between two results
    they have spent ``busy`` seconds of processor time, or none for ``idle`` seconds.
    """
    start = moved = spent()
    last = time.monotonic()
    while True:
        try:
            part = parts.next(tick)
        except StopIteration:
            return
        except multiprocessing.TimeoutError:
            now = spent()
            if now > moved:
                moved, last = now, time.monotonic()
            if now - start > busy or time.monotonic() - last > idle:
                raise TimeoutError(f"no result after {now - start:.0f} s of processor time") from None
            continue
        start = moved = spent()
        last = time.monotonic()
        yield part


def _spent() -> float:
    """Seconds of processor time of this process's children; those of the clock where the system does not say."""
    if not os.path.isdir("/proc/self"):
        return time.monotonic()
    total = 0
    for child in multiprocessing.active_children():
        try:
            fields = Path(f"/proc/{child.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def weak(mutants: Mapping[str, Mutant], matrix: Matrix) -> dict[str, str]:
    """Mutants whose kill hangs on one call in all dtypes together, with what it says."""
    found: dict[str, Kill] = {}
    for (name, _), kill in matrix.items():
        if mutants[name].kind == "mutant" and not mutants[name].allowed:
            found.setdefault(name, Kill()).add(kill)
    return {name: kill.message for name, kill in found.items() if kill.calls == 1}


def distinct(mutants: Mapping[str, Mutant], matrix: Matrix) -> dict[str, list[str]]:
    """Family -> the mutants that it kills and ``ordinary`` does not, in some dtype.

    Mutants that take weights or ignore_index are left out: these options are drawn anew for each call, so that it may
    be they and not the logits that make the difference; not so for the family that the mutant was made for.
    """
    result: dict[str, set[str]] = {name: set() for name in FAMILIES}
    for (name, _), kill in matrix.items():
        mutant = mutants[name]
        by_chance = {"weight", "ignore_index"} & mutant.options
        if mutant.kind == "mutant" and "ordinary" not in kill.families:
            for family in kill.families:
                if not by_chance or family in mutant.family.split(", "):
                    result.setdefault(family, set()).add(name)
    return {family: sorted(names) for family, names in result.items()}


def _gathered(parts: Iterable[Matrix]) -> Matrix:
    result: Matrix = {}
    for part in parts:
        for key, kill in part.items():
            result.setdefault(key, Kill()).add(kill)
    return result


def _unequal_conventions(result: Matrix) -> None:
    """A convention that is not the same in all dtypes fails in each of them."""
    ledgers: dict[str, Ledger] = {}
    for (name, _), kill in result.items():
        ledger = ledgers.setdefault(name, Ledger(name))
        for key, shown in kill.seen.items():
            ledger.seen.setdefault(key, {}).update(shown)
    for (name, _), kill in result.items():
        for o in ledgers[name].verdicts():
            if o.verdict in FAILING:
                kill.add(Kill(1, 1, 0.0, o.message, Counter([CONVENTION])))
                kill.message = kill.message or o.message


def _cost(job: Job) -> int:
    return len(job[1]) * sum(c.problem.x.size + 1000 for c in job[0])


def _play_number(i: int) -> tuple[int, Matrix]:
    return i, _play(_jobs[i])


def _begun(name: str) -> Mutant:
    """A mutant that remembers nothing: which jobs a process has done before is left to chance."""
    mutant = collect()[name]
    if mutant.restart:
        mutant.restart()
    return mutant


def _play(job: Job) -> Matrix:
    calls, ids = job
    if isinstance(calls[0], Check):
        return _play_check(calls[0], ids)
    problems = [c.problem for c in calls]
    dtype = problems[0].dtype
    truths = truths_of(problems, {collect()[name].mean for name in ids})
    memos: dict[Declared, Memo] = {}
    result: Matrix = {}
    for name in ids:
        mutant = _begun(name)
        exact = truths[mutant.mean]
        declared = Declared(mutant.profiles.get(dtype, default_profile(dtype)), mutant.online, mutant.mean)
        kill, ledger = result.setdefault((name, dtype), Kill()), Ledger(name)
        failing = set()
        memo = memos.setdefault(declared, {})
        for f in found(calls, exact, answers(mutant.adapter(), problems), declared, memo):
            kill.note(f, ledger)
            failing |= {f.call.id} if f.failed else set()
        kill.calls = len(failing)
        kill.seen = ledger.seen
        if mutant.allowed:
            kill.differing.update(_difference(mutant, calls))
    return result


def _difference(mutant: Mutant, calls: Sequence[Call]) -> Counter[str]:
    """Families of the calls on which a mutant and its parent differ: in any bit of what both offer, or in kind."""
    problems = [c.problem for c in calls]
    sides = [answers(m.adapter(), problems) for m in (mutant, collect()[mutant.reference])]
    result: Counter[str] = Counter()
    for call, mine, parents in zip(calls, *sides, strict=True):
        result[call.family] += _unlike([mine], [parents])
    return +result


def _play_check(check: Check, ids: Sequence[str]) -> Matrix:
    """Relations and error calls judge themselves."""
    exact, result = Exact(), {}
    dtype, label = check.problem.dtype, f"{check.family} {check.name}"
    for name in ids:
        mutant = _begun(name)
        hearing = play_check(check, mutant.target(), exact)
        kill = Kill()
        for o in check.judge(hearing):
            if o.verdict == "unsupported":
                continue
            bad = o.verdict in FAILING
            kill.add(Kill(1, int(bad), o.share if bad else 0.0, o.message, Counter([label] if bad else [])))
        kill.calls = int(kill.killed)
        if mutant.allowed:
            parent = play_check(check, collect()[mutant.reference].target(), exact)
            kill.differing[label] += _unlike(hearing.outcomes, parent.outcomes)
            kill.differing = +kill.differing
        result[name, dtype] = kill
    return result


def _unlike(mine: Sequence[Outcome], parents: Sequence[Outcome]) -> bool:
    """Whether any outcome differs in kind, or any value in its bits."""
    return any(
        (a.error, dict(a.failures)) != (b.error, dict(b.failures))
        or any(
            not np.array_equal(a.outputs[name].data, b.outputs[name].data, equal_nan=True)
            for name in set(a.outputs) & set(b.outputs)
        )
        for a, b in zip(mine, parents, strict=False)
    )
