"""How much faster two workers sweep than one: wall and processor seconds, in pairs.

    python -m benchmarks.sweep_workers [--pairs N] [--workers N] [--target TARGET] [--chunks A-B] [--cluster]

Each pair sweeps the same chunks of ``gaps32`` of softmax with one worker and with so many, by processes of its own or,
with ``--cluster``, by those of a cluster of dask.distributed on this machine that is there before. What workers need to
start is not counted. The wall says what somebody waits, on cores that nobody else uses; the processor seconds say what
the same work costs more when it is divided: as many workers on cores of their own are as
many times as fast as that leaves them.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lossproof.cases.sweeps.chunks import Chunk, Part, parse_range
from lossproof.cli.malloc_options import spare_memory
from lossproof.running.session_options import Execution, Rules
from lossproof.running.sweeping.scheduled import Scheduled
from lossproof.running.sweeping.sweep_workers import Workers
from lossproof.running.timing import Clock


@dataclass(frozen=True)
class Taken:
    """The seconds that a chunk took: of the wall, and of the processors of engine and target."""

    wall: float
    processor: float


def taken(target: str, chunks: list[Chunk], workers: int, address: str) -> Taken:
    """Sweep chunks, and say what each of them took on average. Two for each worker come first, and are not counted."""
    clock, lost = Clock(), dict[str, str]()
    shared = (Execution(), Rules(), clock, lost)
    player: Any = Scheduled(address, [target], *shared) if address else Workers([target], workers, *shared)
    first, rest = chunks[: 2 * workers], chunks[2 * workers :]
    try:
        for _ in player.play(iter(first)):
            pass
        start, before = time.perf_counter(), _processor(clock)
        for _ in player.play(iter(rest)):
            pass
        end = time.perf_counter()
    finally:
        player.close()
    if lost:
        raise SystemExit(f"chunks were lost: {lost}")
    return Taken((end - start) / len(rest), (_processor(clock) - before) / len(rest))


def _processor(clock: Clock) -> float:
    return sum(clock.phases.values()) + sum(clock.processor.values())


@contextmanager
def cluster(workers: int, *, wanted: bool) -> Iterator[str]:
    """The address of a cluster with so many workers on this machine; nothing where none is wanted."""
    if not wanted:
        yield ""
        return
    distributed = importlib.import_module("distributed")
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as there:
        yield there.scheduler_address


def main() -> None:
    """Sweep in pairs, and print each, and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--target", default="numpy")
    parser.add_argument("--chunks", default="992-1023")
    parser.add_argument("--cluster", action="store_true")
    options = parser.parse_args()
    spare_memory()
    first, last = parse_range(options.chunks)
    chunks = Part(kind="gaps32", ops=("softmax",), dtypes=("float32",), first=first, last=last).chunks()
    ratios: list[tuple[float, float]] = []
    for number in range(options.pairs):
        found = []
        for workers in (1, options.workers):
            with cluster(workers, wanted=options.cluster) as address:
                found.append(taken(options.target, list(chunks), workers, address))
        one, several = found
        ratio = (one.wall / several.wall, options.workers * one.processor / several.processor)
        ratios.append(ratio)
        print(
            f"pair {number + 1}: wall {one.wall:.2f} and {several.wall:.2f} s, {ratio[0]:.2f} times;"
            f" processor {one.processor:.2f} and {several.processor:.2f} s, {ratio[1]:.2f} times",
            flush=True,
        )
    wall, processor = (statistics.median(several) for several in zip(*ratios, strict=True))
    print(f"{options.workers} workers are {wall:.2f} times one by the wall, {processor:.2f} times by the processor")


if __name__ == "__main__":
    main()
