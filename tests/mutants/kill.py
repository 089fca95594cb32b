"""Run mutants against a deck: truth is computed once for each group of calls and shared by all of them."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Problem
from lossproof.call import Call
from lossproof.families import FAMILIES
from lossproof.judge import FAILING
from lossproof.run import groups, run

from .mutant import Mutant
from .registry import collect


@dataclass
class Kill:
    """What the deck makes of one mutant in one dtype: outputs judged and failing, failing calls by family.

    ``worst`` is the largest share of the bound, infinite where a special value is wrong; ``message`` belongs to it.
    """

    judged: int = 0
    failing: int = 0
    worst: float = 0.0
    message: str = ""
    families: Counter[str] = field(default_factory=Counter)

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


Matrix = dict[tuple[str, str], Kill]


def takes(mutant: Mutant, p: Problem) -> bool:
    """Whether a call is within a mutant's options; the engine would only count it as unsupported."""
    if (p.op, p.dtype in mutant.dtypes) != (mutant.op, True):
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


def matrix(mutants: Mapping[str, Mutant], calls: Iterable[Call], *, processes: int = 2) -> Matrix:
    """(mutant id, dtype) -> what became of it. Mutants that no call applies to are absent."""
    jobs = [(group, [m.id for m in mutants.values() if takes(m, group[0].problem)]) for group in groups(calls)]
    jobs = sorted((job for job in jobs if job[1]), key=_cost, reverse=True)
    if processes == 1 or "fork" not in multiprocessing.get_all_start_methods():
        return _merged(map(_play, jobs))
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return _merged(pool.imap_unordered(_play, jobs))


def distinct(mutants: Mapping[str, Mutant], matrix: Matrix) -> dict[str, list[str]]:
    """Family -> the mutants that it kills and ``ordinary`` does not, in some dtype.

    Mutants that take weights or ignore_index are left out: these options are drawn anew for each call, so that it may
    be they and not the logits that make the difference.
    """
    found: dict[str, set[str]] = {name: set() for name in FAMILIES}
    for (name, _), kill in matrix.items():
        mutant = mutants[name]
        by_chance = mutant.kind == "control" or {"weight", "ignore_index"} & mutant.options
        if not by_chance and "ordinary" not in kill.families:
            for family in kill.families:
                found.setdefault(family, set()).add(name)
    return {family: sorted(names) for family, names in found.items()}


def _merged(parts: Iterable[Matrix]) -> Matrix:
    result: Matrix = {}
    for part in parts:
        for key, kill in part.items():
            result.setdefault(key, Kill()).add(kill)
    return result


def _cost(job: tuple[Sequence[Call], Sequence[str]]) -> int:
    return len(job[1]) * sum(c.problem.x.size + 1000 for c in job[0])


def _play(job: tuple[Sequence[Call], Sequence[str]]) -> Matrix:
    calls, ids = job
    known = collect()
    by_id = {c.id: c for c in calls}
    result: Matrix = {}
    for o in run([known[i].target() for i in ids], calls):
        call = by_id[o.id]
        kill = result.setdefault((o.target, call.problem.dtype), Kill())
        if o.verdict == "unsupported":
            continue
        kill.judged += 1
        if o.verdict in FAILING:
            kill.failing += 1
            kill.families[call.family] += 1
            if o.share >= kill.worst:
                kill.message = o.message
        kill.worst = max(kill.worst, o.share)
    return result
