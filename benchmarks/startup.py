"""What it costs to begin, beside an older commit: help, targets, decks, a small run. Processor seconds and peak memory.

    python benchmarks/startup.py BASE [--rounds 5] [--limit RATIO]

BASE is a commit of this repository, which is checked out in a temporary folder. Both sides run the same commands in
turns, in one environment; the least of each counts, and what says something is the ratio. With ``--limit`` a ratio
above it is exit code 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
_DECK = "from lossproof.cases.catalogue import select; [call.id for call in select({!r})]"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "import lossproof": ("-c", "import lossproof"),
    "lossproof --help": ("-m", "lossproof", "--help"),
    "lossproof targets": ("-m", "lossproof", "targets"),
    "smoke deck": ("-c", _DECK.format("smoke")),
    "default deck": ("-c", _DECK.format("default")),
    "run numpy --deck smoke": ("-m", "lossproof", "run", "numpy", "--deck", "smoke", "--quiet"),
}


@dataclass(frozen=True)
class Cost:
    """The cost of one process with its children: processor seconds (user and system), and its peak memory in MB."""

    seconds: float
    memory: float


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A folder with a commit of this repository, and its links for the import path."""
    with tempfile.TemporaryDirectory(prefix="lossproof-") as made:
        folder = Path(made) / "base"
        subprocess.run(
            ["git", "worktree", "add", "--detach", folder, commit], cwd=ROOT, check=True, capture_output=True
        )
        try:
            yield folder
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=True)


def links(folder: Path) -> Path:
    """The folder of links of a checkout, renewed."""
    done = subprocess.run(
        [sys.executable, folder / "tools" / "backend.py"], capture_output=True, text=True, check=True, cwd=folder
    )
    return Path(done.stdout.strip())


def cost(path: Path, arguments: tuple[str, ...]) -> Cost:
    """Run a command of the package on a path. Raises SystemExit where it could not be carried out."""
    environment = {**os.environ, "PYTHONPATH": str(path), "LOSSPROOF_NO_CACHE": "1"}
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(arguments)} on {path}: exit code {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def least(several: list[Cost]) -> Cost:
    """The least seconds and the least memory of several runs."""
    return Cost(min(c.seconds for c in several), min(c.memory for c in several))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="The commit to compare with.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, help="The largest ratio of seconds that is no failure.")
    options = parser.parse_args()
    table = Table(title=f"against {options.base}, least of {options.rounds}")
    for column in ("", "base s", "now s", "ratio", "base MB", "now MB"):
        table.add_column(column, justify="right" if column else "left")
    worst = 0.0
    with checkout(options.base) as folder:
        sides = (links(folder), links(ROOT))
        for name, arguments in COMMANDS.items():
            for path in sides:
                cost(path, arguments)  # what is compiled is compiled
            rounds = [[cost(path, arguments) for path in sides] for _ in range(options.rounds)]
            base, now = (least(list(costs)) for costs in zip(*rounds, strict=True))
            ratio = now.seconds / base.seconds
            worst = max(worst, ratio)
            seconds = (f"{base.seconds:.2f}", f"{now.seconds:.2f}", f"{ratio:.2f}")
            table.add_row(name, *seconds, f"{base.memory:.0f}", f"{now.memory:.0f}")
    Console(width=120).print(table)
    if options.limit is not None and worst > options.limit:
        raise SystemExit(f"a ratio of {worst:.2f} is above {options.limit:g}")


if __name__ == "__main__":
    main()
