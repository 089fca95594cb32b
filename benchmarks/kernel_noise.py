"""What noise does to times of kernels: how far measurements of the same kernels are apart on this machine, as it is.

    python benchmarks/kernel_noise.py [TARGET ...] [--times 8]

Each time fresh processes are asked for all kernels. Prints for each target the largest ratio of two times of a kernel,
in copies, among those long enough to be compared, and of which one, the ratio that 99 of 100 pairs keep below, and what
a measurement takes. A ratio that ``lossproof diff`` would take for a slower kernel ends it with exit code 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations

from rich.console import Console
from rich.table import Table

from lossproof.records.slowdowns import FACTOR, FLOOR, KernelTime, SecondsByKernel, kernel_times
from lossproof.running.session_options import DeckOptions
from lossproof.running.timed_kernels import timed
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.target import Target

Measured = dict[str, dict[str, dict[str, float]]]


def measure(names: Sequence[str]) -> tuple[Measured, dict[str, float]]:
    """The times of all kernels in fresh processes, and the processor seconds that it took, both by target."""
    targets = selection.choose_targets(names, Processes())
    try:
        before = {t.name: taken(t) for t in targets}
        return timed(targets, DeckOptions().kernels), {t.name: taken(t) - before[t.name] for t in targets}
    finally:
        selection.close(targets)


def taken(target: Target) -> float:
    """The processor seconds of a target's process so far."""
    return (target.player.processor_seconds() or 0.0) if target.player else 0.0


def ratios(several: Iterable[SecondsByKernel]) -> list[tuple[float, str]]:
    """The ratios of any two measurements of a kernel, the largest first, each with its kernel."""

    def found() -> Iterator[tuple[float, str]]:
        by_kernel = [{_kernel(t): t for t in kernel_times(one)} for one in several]
        for before, after in permutations(by_kernel, 2):
            common = ((k, before[k], after[k]) for k in before.keys() & after.keys())
            yield from ((b.copies / a.copies, k) for k, a, b in common if b.seconds >= FLOOR)

    return sorted(found(), reverse=True)


def _kernel(t: KernelTime) -> str:
    return f"{t.op} {t.dtype} {t.shape} {t.output}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=["numpy"], metavar="TARGET")
    parser.add_argument("--times", type=int, default=8)
    options = parser.parse_args()
    runs = [measure(options.targets) for _ in range(options.times)]
    table = Table(title=f"{options.times} measurements of each kernel, in copies: any two of one, as a ratio")
    for column in ("target", "pairs", "largest", "of", "99 of 100 below", "processor seconds"):
        table.add_column(column, justify="left" if column in ("target", "of") else "right")
    worst = 0.0
    for name in runs[0][0]:
        found = ratios(times[name] for times, _ in runs if name in times)
        worst = max(worst, found[0][0])
        seconds = sum(cost[name] for _, cost in runs) / len(runs)
        table.add_row(
            name,
            str(len(found)),
            f"{found[0][0]:.2f}",
            found[0][1],
            f"{found[len(found) // 100][0]:.2f}",
            f"{seconds:.1f}",
        )
    Console().print(table)
    if worst >= FACTOR:
        raise SystemExit(f"a ratio of {worst:.1f} passes for a slower kernel, which begins at {FACTOR:g}")


if __name__ == "__main__":
    main()
