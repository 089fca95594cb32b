"""The two engines against each other: what the compiled pass says of answers, and what the arrays say.

    python benchmarks/agree.py [--seeds 5] [--elements 1e7] [--perturbed]

Calls of the default deck of each seed, then calls that exploration draws until they have so many elements, are put to
NumPy's adapter and judged twice. Verdict, conventions, profile, bits and every other field must be the same, shares to
six digits or within a millionth of the bound. With ``--perturbed`` every third answer is off by what float16 rounds.
Exit code 1 where they differ.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from rich.console import Console

from lossproof.adapters.protocol import DTYPES, Outcome
from lossproof.cases.catalogue import select
from lossproof.cases.explore.calls import calls
from lossproof.cases.explore.search import search
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.operations import OPERATIONS
from lossproof.judging.fused.compiler import missing
from lossproof.running import group_judge
from lossproof.running.answers import CallGroup, GroupAnswers, ask_group
from lossproof.running.loop import groups
from lossproof.running.timing import Clock
from lossproof.targets.target import Target, parse_target

# In these the two may differ: an entry's place among equals, and what belongs to it.
_OF_AN_ENTRY = ("index", "got", "exact", "allowed", "share", "ulp", "message")
_SAME = 1e-6


def judged(group: CallGroup, target: Target, answers: GroupAnswers, *, compiled: bool) -> list[Observation]:
    with mock.patch.object(group_judge, "missing", missing if compiled else lambda: "not wanted"):
        return group_judge.judged(group, [target], [answers], Clock())[0]


def differ(one: Observation, other: Observation) -> list[str]:
    """The fields in which two observations of one answer differ by more than roundings."""
    found = [
        f.name
        for f in fields(Observation)
        if f.name not in _OF_AN_ENTRY and getattr(one, f.name) != getattr(other, f.name)
    ]
    if not math.isclose(one.share, other.share, rel_tol=_SAME, abs_tol=_SAME):
        found.append("share")
    return found


def off(outcome: Outcome) -> Outcome:
    return replace(outcome, outputs={k: replace(t, data=t.data * (1 + 2.0**-11)) for k, t in outcome.outputs.items()})


def drawn(op: str, elements: int) -> Iterator[Call]:
    """Calls as exploration draws them, until they have so many elements."""
    found: list[Call] = []

    def play(data: st.DataObject) -> None:
        found.append(data.draw(calls(op, DTYPES), label="call"))

    left, seed = elements, 0
    while left > 0:
        search(play, examples=100, at=seed, shrink=False)
        left -= sum(call.outline.x.size for call in found)
        yield from found
        found.clear()
        seed += 1


class Comparison:
    """The counts of a comparison, and the first calls that differ."""

    def __init__(self, target: Target, *, perturbed: bool) -> None:
        self.target, self.perturbed = target, perturbed
        self.outputs, self.elements, self.calls = 0, 0, 0
        self.wrong: list[str] = []
        self.seconds = {True: 0.0, False: 0.0}

    @np.errstate(all="ignore")
    def compare(self, several: Sequence[Call]) -> None:
        group = CallGroup(tuple(several))
        answers = ask_group(self.target, group)
        self.calls += 1
        if self.perturbed and self.calls % 3 == 0 and answers.hearing is None:
            answers = replace(answers, outcomes=tuple(off(o) for o in answers.outcomes))
        found = []
        for compiled in (True, False):
            start = time.process_time()
            found.append(judged(group, self.target, answers, compiled=compiled))
            self.seconds[compiled] += time.process_time() - start
        self.elements += sum(c.outline.x.size for c in several)
        for one, other in zip(*found, strict=True):
            self.outputs += 1
            fields_ = differ(one, other)
            if fields_:
                self.wrong.append(f"{one.id} {one.output}: {', '.join(fields_)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--elements", type=float, default=1e7)
    parser.add_argument("--perturbed", action="store_true")
    options = parser.parse_args()
    if missing():
        raise SystemExit(f"there is nothing to compare: {missing()}")
    console, target = Console(width=160), parse_target("numpy")
    comparison = Comparison(target, perturbed=options.perturbed)
    for seed in range(options.seeds):
        for several in groups(select(seed=seed)):
            comparison.compare(several)
        console.print(f"seed {seed}: {comparison.outputs} outputs so far, {len(comparison.wrong)} differ")
    explored = comparison.elements
    for op in OPERATIONS:
        for call in drawn(op, int(options.elements / len(OPERATIONS))):
            comparison.compare([call])
    explored = comparison.elements - explored
    for line in comparison.wrong[:20]:
        console.print(line, markup=False)
    ratio = comparison.seconds[False] / comparison.seconds[True]
    console.print(
        f"{comparison.outputs} outputs, {explored} elements of explored calls, {len(comparison.wrong)} differ; "
        f"arrays take {ratio:.1f} times the compiled pass, with what it leaves to them"
    )
    return int(bool(comparison.wrong))


if __name__ == "__main__":
    raise SystemExit(main())
