"""False alarms: judge very many elements of implementations that are right, and count.

    python benchmarks/soak.py [TARGET ...] [--elements 1e8] [--cell 1e5]

Every family is put to every op in float32 and float64 on batches of thousands of rows, seed after seed, until every
(op, dtype, family) cell has ``--cell`` elements on each target and all targets together have ``--elements``. A failure
that no waiver explains ends the run with exit code 1; so does a cell that stays too small.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from lossproof.adapters.protocol import Problem
from lossproof.cases.call_maker import make_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import SeededPicker
from lossproof.cases.signature import Signature, Uses
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS
from lossproof.records.waivers import waivers_in_force
from lossproof.running.loop import run
from lossproof.targets.target import installed, parse_target

DTYPES = ("float64", "float32")
SIGNATURES = {
    "softmax": (Signature("softmax"),),
    "log_softmax": (Signature("log_softmax"),),
    "nll_loss": (Signature("nll_loss", "mean", Uses.WEIGHT | Uses.IGNORE_INDEX), Signature("nll_loss", "none")),
    "cross_entropy": (
        Signature("cross_entropy", "mean", Uses.WEIGHT | Uses.IGNORE_INDEX),
        Signature("cross_entropy", "none", Uses.SMOOTHING | Uses.WEIGHT),
        Signature("cross_entropy", "mean", Uses.PROBABILITIES | Uses.SMOOTHING),
        Signature("cross_entropy", "sum", Uses.SMOOTHING | Uses.IGNORE_INDEX),
    ),
}
SHAPES = ((4096, 4), (16384, 1), (1024, 17), (32, 1000), (4096, 2))


Cell = tuple[str, str, str]


def possible(op: str, family: str) -> bool:
    """Whether a family has a meaning for an op."""
    return FAMILIES[family].labels != "ignored" or any(Uses.IGNORE_INDEX in sig.uses for sig in SIGNATURES[op])


def calls(round_: int, cells: set[Cell]) -> Iterator[Call]:
    """One round: for each cell that wants more the next signature, on every shape that suits the family."""
    for op, sigs in SIGNATURES.items():
        for dtype in DTYPES:
            for shape in SHAPES:
                for f in FAMILIES.values():
                    sig = sigs[round_ % len(sigs)]
                    fits = f.needs(*shape) and (f.labels != "ignored" or Uses.IGNORE_INDEX in sig.uses)
                    if fits and (op, dtype, f.name) in cells:
                        key = f"soak/{round_}/{f.name}/{shape}/{sig.key}"
                        yield make_call(SeededPicker(key), f, sig, shape=shape, fmt=FORMATS[dtype], provenance="soak")


def elements(p: Problem, output: str) -> int:
    """How many entries of an output are judged."""
    return int(np.prod(p.shape_of(output)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--elements", type=float, default=1e8)
    parser.add_argument("--cell", type=float, default=1e5)
    parser.add_argument("--rounds", type=int, default=64)
    options = parser.parse_args()
    targets = [parse_target(name) for name in options.targets] or installed()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    bad: list[str] = []
    cells = {(op, dtype, f) for op in OPERATIONS for dtype in DTYPES for f in FAMILIES if possible(op, f)}
    wanting = cells
    for round_ in range(options.rounds):
        batch = list(calls(round_, wanting))
        known = {c.id: c for c in batch}
        for o in map(waivers_in_force(targets).mark, run(targets, batch)):
            verdicts[o.target, "waived" if o.waiver else o.verdict] += 1
            call = known.get(o.id)
            if call is not None:
                counts[o.target, call.problem.op, call.problem.dtype, call.family] += elements(call.problem, o.output)
            if o.verdict == "fail" and not o.waiver:
                bad.append(f"{o.target}: {o.message}")
        total = sum(counts.values())
        least = min(counts[t.name, op, dtype, f] for t in targets for op, dtype, f in cells)
        print(f"round {round_ + 1}: {total:.3g} elements, smallest cell {least:.3g}, {len(bad)} failures", flush=True)
        if total >= options.elements:
            wanting = {c for c in cells if min(counts[t.name, *c] for t in targets) < options.cell}
            if not wanting:
                break
    table = Table(title="elements judged")
    for column in ("target", "op", "dtype", "elements", "smallest cell"):
        table.add_column(column)
    for t in targets:
        for op in OPERATIONS:
            for dtype in DTYPES:
                row = [counts[t.name, op, dtype, f] for f in FAMILIES if possible(op, f)]
                table.add_row(t.name, op, dtype, f"{sum(row):,}", f"{min(row):,}")
    Console().print(table)
    print(dict(verdicts))
    print("\n".join(bad[:20]))
    print(f"{total:,} elements, smallest cell {least:,}, {len(bad)} failures")
    return 1 if bad or total < options.elements or least < options.cell else 0


if __name__ == "__main__":
    sys.exit(main())
