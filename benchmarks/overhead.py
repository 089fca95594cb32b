"""What judging costs beside what is judged: processor time of whole runs, and of the bare calls of the same deck.

    python -m benchmarks.overhead [TARGET ...] [--deck smoke]

"Bare" is a process that imports the framework and puts the same calls to the adapter (conversion, the framework's own
function, its gradient, and pulling the result back), and judges and records nothing; drawing the calls is not counted.
A "run" has all of it: pipes, truth, bounds, judge and record, without the cache of judgements; "cached" is one that
finds every judgement there. Seconds are those of user and system of all processes; ratios are those of one benchmark.
Of several targets the last row is one run of them all, beside the sum of their bare calls. What a framework compiles is
in its bare calls, and a run that is cached finds some of it compiled already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.again import seconds
from lossproof.cases.catalogue import select
from lossproof.cases.deck import DECKS
from lossproof.running.answers import ask_group
from lossproof.running.loop import schedule, stacked
from lossproof.targets.target import installed, parse_target


@np.errstate(all="ignore")
def bare(name: str, deck: str) -> tuple[float, float, int]:
    """Seconds of the import and of the calls of a target in this process, and how many calls there are."""
    start = time.process_time()
    target = parse_target(name)
    imported, taken, count = time.process_time() - start, 0.0, 0
    for unit in schedule([target], stacked(select(deck=deck))):
        several = [call.problem for call in unit.group.calls if not call.is_check]
        start = time.process_time()
        ask_group(target, unit.group)
        taken += time.process_time() - start
        count += len(several) or 1
    return imported, taken, count


def apart(name: str, deck: str) -> tuple[float, float, int]:
    """What :func:`bare` finds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.overhead", name, "--deck", deck, "--bare"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported, taken, count = done.stdout.split()[-3:]
    return float(imported), float(taken), int(count)


def runs(names: Sequence[str], deck: str) -> tuple[float, float]:
    """Seconds of a run of targets that finds nothing judged before, and of one that finds everything."""
    with tempfile.TemporaryDirectory(prefix="lossproof-") as folder:
        asked = (*names, "--deck", deck, "--record", os.path.join(folder, "r.jsonl"), "--overwrite")
        # What is compiled once, and is kept, is compiled before.
        seconds("numpy", "--deck", "smoke", cache=folder)
        run = seconds(*asked, "--no-cache", cache=folder)
        seconds(*asked, cache=folder)
        return run, seconds(*asked, cache=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--deck", choices=list(DECKS), default="smoke")
    parser.add_argument("--together", action="store_true", help="Only the row of all targets in one run.")
    parser.add_argument("--bare", action="store_true", help="Print the three numbers of one target, measured here.")
    options = parser.parse_args()
    if options.bare:
        print(*bare(options.targets[0], options.deck))
        return
    table = Table(title=f"deck {options.deck}: processor seconds, and ratios to the bare calls with their import")
    for column in ("target", "calls", "import", "bare calls", "run", "cached", "run / bare", "cached / bare"):
        table.add_column(column, justify="left" if column == "target" else "right")
    names = options.targets or [t.name for t in installed()]
    each = {name: apart(name, options.deck) for name in names}
    together = {" ".join(names): tuple(map(sum, zip(*each.values(), strict=True)))} if len(names) > 1 else {}
    for several, (imported, taken, count) in {**({} if options.together else each), **together}.items():
        run, cached = runs(several.split(), options.deck)
        whole = imported + taken
        figures = (imported, taken, run, cached)
        shown = several if several in each else f"all {len(names)}"
        table.add_row(shown, str(count), *(f"{f:.1f}" for f in figures), f"{run / whole:.2f}", f"{cached / whole:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
