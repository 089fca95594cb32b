"""What it costs to compare two large records: seconds, CPU seconds and peak memory of ``lossproof diff``.

    python benchmarks/diff.py [--observations N] [--folder FOLDER]

The records are made up, of the length of real ones. The budget is 30 s and 500 MB for 10^6 observations. ``some`` has
other bits in one of ten and a failure in one of a thousand, ``moved`` other bits everywhere, ``decks`` shares half of
its cases with the first record, ``order`` has them in another order nearby. A record takes about 300 bytes for each
observation.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lossproof.core.observation import Observation
from lossproof.records.record import Writer

Vary = Callable[[int, Observation], Observation]
FAMILIES = ("ordinary", "confident", "offset", "spread", "masked", "nan_row", "long_batch")
OPS = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
DTYPES = ("float64", "float32", "bfloat16", "float16")


def observations(n: int, *, start: int = 0) -> Iterator[tuple[int, Observation]]:
    """Two outputs for each case, on one target; the same numbers for the same place."""
    for i in range(start, start + n):
        case, output = divmod(i, 2)
        draw = random.Random(case)
        share = draw.random()
        name = f"{OPS[case % 4]}/{DTYPES[case // 4 % 4]}/{FAMILIES[case // 16 % 7]}/s1x17x24-mean-ls0.1-w-ig-100"
        got = draw.random()
        yield (
            i,
            Observation(
                f"{name}/{case:08x}",
                ("value", "vjp")[output],
                "torch",
                "pass",
                share,
                10 * share,
                (0, 3, 14),
                got,
                (got - 1e-9, got + 1e-9),
                3e-7,
                profile="W",
                met="W",
                bits=f"{draw.getrandbits(64):016x}",
                seconds=random.random() / 1000,
            ),
        )


def same(i: int, o: Observation) -> Observation:
    return o


def some(i: int, o: Observation) -> Observation:
    """One in ten has other bits, one in a thousand fails."""
    if i % 1000 == 0:
        return replace(o, verdict="fail", met="", message=f"{o.id}: value got 1.0 at [0], exact in [2, 2]", share=9.0)
    return moved(i, o) if i % 10 == 0 else o


def moved(i: int, o: Observation) -> Observation:
    return replace(o, bits=o.bits[::-1], share=o.share * 0.9, ulp=o.ulp * 0.9)


def write(path: Path, items: Iterator[tuple[int, Observation]], vary: Vary) -> None:
    deck = {"digest": path.stem.partition("-")[0], "size": "made up"}
    described = {"torch": {"adapter": "torch", "device": "cpu", "mode": "eager", "versions": {"torch": "2"}}}
    with Writer(path, {"suite": "0", "deck": deck, "targets": described}) as writer:
        for i, o in items:
            writer.write(vary(i, o))
        writer.end({"seconds": 0.0})


def shuffled(items: Iterator[tuple[int, Observation]], window: int = 1000) -> Iterator[tuple[int, Observation]]:
    """Neighbours in another order."""
    held: list[tuple[int, Observation]] = []
    for item in items:
        held.append(item)
        if len(held) == window:
            yield from reversed(held)
            held = []
    yield from reversed(held)


def measure(before: Path, after: Path) -> tuple[float, float, float, str]:
    """Seconds, CPU seconds, peak MB, and the last line of a comparison in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "lossproof", "diff", str(before), str(after)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    # sanity check: there is a pipe
    assert process.stdout is not None
    out = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=10**6)
    parser.add_argument("--folder", type=Path, help="Keep the records here.")
    options = parser.parse_args()
    n = options.observations
    table = Table(title=f"lossproof diff, {n} observations")
    for column in ("records", "seconds", "CPU seconds", "peak MB", "last line"):
        table.add_column(column, justify="left" if column in ("records", "last line") else "right")
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        before = folder / "first-before.jsonl"
        write(before, observations(n), same)
        for name, items, vary in (
            ("first-same", observations(n), same),
            ("first-some", observations(n), some),
            ("first-moved", observations(n), moved),
            ("first-order", shuffled(observations(n)), same),
            ("second-decks", observations(n, start=n // 4 * 2), some),
        ):
            after = folder / f"{name}.jsonl"
            write(after, items, vary)
            seconds, cpu, memory, last = measure(before, after)
            table.add_row(name.partition("-")[2], f"{seconds:.1f}", f"{cpu:.1f}", f"{memory:.0f}", last)
            after.unlink()
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
