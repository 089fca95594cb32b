"""What a run costs that has run before, and what parts of one cost together: processor time of whole processes.

    python benchmarks/again.py [TARGET] [--deck smoke] [--shards 8]

Prints, in one run: a run without the cache of judgements, one that fills it, one that finds everything in it, and all
shards of the run without the cache, each as seconds (user and system, the targets' processes included) and as a ratio
to the first. The ratio of the largest shard to a fair share says how evenly they are divided.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def seconds(*arguments: str, cache: str) -> float:
    """The processor time of one command. Raises CalledProcessError where it could not be carried out."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {k: v for k, v in os.environ.items() if k != "LOSSPROOF_NO_CACHE"} | {"LOSSPROOF_CACHE": cache}
    command = [sys.executable, "-m", "lossproof", "run", *arguments, "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"{taken:.1f} s: {' '.join(arguments)}", file=sys.stderr, flush=True)
    return taken


def measure(target: str, deck: str, shards: int) -> tuple[dict[str, float], Sequence[float]]:
    """Seconds of each kind of run, and of each shard."""
    asked = (target, "--deck", deck)
    with tempfile.TemporaryDirectory(prefix="lossproof-") as folder:
        record = os.path.join(folder, "r.jsonl")
        # What Numba compiles is kept in the same folder, and no part of what is compared.
        seconds(target, "--deck", "smoke", "--no-cache", cache=folder)
        kept = ("--record", record, "--overwrite")
        whole = seconds(*asked, *kept, "--no-cache", cache=folder)
        cold = seconds(*asked, *kept, cache=folder)
        cached = seconds(*asked, *kept, cache=folder)
        numbers = range(1, shards + 1)
        parts = [seconds(*asked, *kept, "--no-cache", "--shard", f"{i}/{shards}", cache=folder) for i in numbers]
    return {"no cache": whole, "cold": cold, "cached": cached, f"{shards} shards": sum(parts)}, parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", default="numpy")
    parser.add_argument("--deck", default="default")
    parser.add_argument("--shards", type=int, default=8)
    options = parser.parse_args()
    found, parts = measure(options.target, options.deck, options.shards)
    table = Table(title=f"{options.target}, deck {options.deck}: processor seconds")
    for column in ("run", "seconds", "ratio"):
        table.add_column(column, justify="left" if column == "run" else "right")
    whole = found["no cache"]
    for name, taken in found.items():
        table.add_row(name, f"{taken:.1f}", f"{taken / whole:.2f}")
    table.add_row("cached / cold", "", f"{found['cached'] / found['cold']:.2f}")
    table.add_row("largest shard / fair share", f"{max(parts):.1f}", f"{max(parts) * len(parts) / sum(parts):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
