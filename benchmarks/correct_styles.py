"""Correct implementations of fourteen styles against the bounds, in numbers: no entry may be outside.

    python benchmarks/correct_styles.py [--entries 1e8] [--seed 0]

Logits, cotangents, weights and targets have all the bits that their format has. The table has the largest share of the
bound of each style and dtype; the exit code is 1 if one is above 1. A failure is a step of the implementation that is
not covered, or one that a derivation in docs/bounds.md lacks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

# The styles are the tests' own controls.
sys.path.insert(0, str(Path(__file__).parents[1]))

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import flat
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.judging.judge import judge_stack
from lossproof.truth.truth import truth
from tests.mutants.kit.mutant import Mutant
from tests.mutants.kit.styles import STYLES
from tests.mutants.matrix.kill import takes
from tests.mutants.styles import controls

DTYPES = ("float32", "bfloat16", "float16")
CLASSES = (2, 3, 4, 5, 7, 8, 16, 17, 33, 64, 100, 257, 1000)
SIZES = (0.25, 1.0, 4.0, 12.0, 40.0)
OFFSETS = (0.0, 0.0, 30.0, -300.0, 2000.0)
_ENTRIES_AT_ONCE = 1 << 15


@dataclass
class Tally:
    """What became of one style and dtype: entries judged, those outside, and the largest share."""

    entries: int = 0
    outside: int = 0
    share: float = 0.0
    worst: str = ""


def full(random: np.random.Generator, fmt: Format, shape: tuple[int, ...]) -> F64:
    """Numbers of unit scale with uniformly drawn bits of the format."""
    return fmt.round(random.standard_normal(shape))


def problems(random: np.random.Generator, dtype: str) -> Iterator[Problem]:
    """One draw of logits under each op and kind of target, without end."""
    fmt = FORMATS[dtype]
    while True:
        k = int(random.choice(CLASSES))
        n = _ENTRIES_AT_ONCE // k
        x = fmt.round(full(random, fmt, (n, k)) * random.choice(SIZES) + random.choice(OFFSETS))
        v = full(random, fmt, (n, k))
        for op in ("softmax", "log_softmax"):
            yield Problem(op, dtype, x, cotangent=v)
        labels = random.integers(0, k, n)
        weight = fmt.round(np.exp2(random.uniform(-4, 3, k)))
        eps = float(random.choice((0.0, 0.1, 1 / 3, random.uniform())))
        g = full(random, fmt, (n,))
        cast = Problem("cross_entropy", dtype, x, labels, cotangent=g, reduction="none")
        yield cast
        yield Problem("cross_entropy", dtype, x, labels, cotangent=np.array(float(fmt.round(g)[0])))
        yield Problem("cross_entropy", dtype, x, labels, weight, g, reduction="none", label_smoothing=eps)
        q = random.dirichlet(np.full(k, random.choice((0.1, 1.0, 10.0))), n)
        # Clause 9: entries of the targets are 0 or far above the underflow range.
        q = fmt.round(np.where(q < 2.0**-12, 0.0, q))
        yield Problem("cross_entropy", dtype, x, q, weight, g, reduction="none", label_smoothing=eps)


def judge(p: Problem, several: list[Mutant], tallies: dict[tuple[str, str], Tally]) -> int:
    """Put a problem to the styles that take it; the number of entries judged."""
    exact, judged = truth([p]), 0
    for style in several:
        if not takes(style, p):
            continue
        outcome = style.adapter().evaluate(p, "cpu", "eager")
        bounds = exact.allowed(style.profiles[p.dtype], online=style.online).outputs
        for name in ("value", "vjp"):
            got = flat(outcome[name].data, p).reshape(exact.expected[name].exact.mid.shape)
            found = judge_stack(exact.expected[name], bounds[name], got, exact.batch.fmt)
            tally = tallies[style.name, p.dtype]
            tally.entries += got.size
            tally.outside += int((~found.entries).sum())
            if found.share[0] > tally.share:
                tally.share = float(found.share[0])
                at = np.unravel_index(int(found.worst[0]), got.shape)
                row = p.x.reshape(-1, p.x.shape[-1])[at[1]] if p.x.shape[-1] <= 8 and len(at) == 3 else "..."
                tally.worst = f"{p.op} {p.reduction if p.is_loss else ''} {name}, K = {p.x.shape[-1]}, {row}"
            judged += got.size
    return judged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=float, default=1e8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start, total = time.perf_counter(), 0
    several = [control for style in STYLES for control in controls(style, loss=True)]
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    sources = [problems(np.random.default_rng((options.seed, i)), dtype) for i, dtype in enumerate(DTYPES)]
    while total < options.entries:
        for source in sources:
            total += judge(next(source), several, tallies)
    table = Table("style", *(f"{dtype}: {what}" for dtype in DTYPES for what in ("entries", "outside", "worst share")))
    for style in STYLES:
        cells = [tallies[style.name, dtype] for dtype in DTYPES]
        row = [text for t in cells for text in (f"{t.entries:.3g}", str(t.outside), f"{t.share:.3f}")]
        table.add_row(style.name, *row)
    console = Console(width=200)
    console.print(table)
    for (name, dtype), tally in tallies.items():
        if tally.outside:
            console.print(f"{name} in {dtype}: {tally.share:.4g} times the bound in {tally.worst}")
    console.print(f"{total:.3g} entries, {time.perf_counter() - start:.0f} s")
    return int(any(tally.outside for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
