"""Where the time of a run goes: bare framework calls, oracle, judge, the rest.

    python benchmarks/overhead.py [TARGET ...] [--deck smoke]

"Framework" is the time inside the adapters' ``evaluate``: conversion, the framework's own function, its gradient, and
pulling the result back. Compare shares within one run only; machines are noisy.
"""

from __future__ import annotations

import argparse
import time

from rich.console import Console
from rich.table import Table

from lossproof.cases.deck import DECKS, deck_calls
from lossproof.running.loop import run
from lossproof.running.timing import Clock
from lossproof.targets.target import installed, parse_target


def measure(name: str, deck: str) -> tuple[float, float, float, float, float, int]:
    """Seconds of import, framework, oracle, judge and in total (without the import), and the number of calls."""
    start = time.perf_counter()
    target = parse_target(name)
    imported = time.perf_counter() - start
    start, clock = time.perf_counter(), Clock()
    calls = deck_calls(deck)
    for _ in run([target], calls, clock):
        pass
    total = time.perf_counter() - start
    return imported, sum(clock.targets.values()), clock.oracle, clock.judge, total, len(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--deck", choices=list(DECKS), default="smoke")
    options = parser.parse_args()
    table = Table(title=f"deck {options.deck}, seconds (share of the run)")
    for column in ("target", "import", "framework", "oracle", "judge", "rest", "total", "calls"):
        table.add_column(column, justify="left" if column == "target" else "right")
    for name in options.targets or [t.name for t in installed()]:
        imported, framework, oracle, judge, total, calls = measure(name, options.deck)
        parts = (framework, oracle, judge, total - framework - oracle - judge)
        table.add_row(
            name, f"{imported:.2f}", *(f"{p:.2f} ({p / total:.0%})" for p in parts), f"{total:.2f}", str(calls)
        )
    Console().print(table)


if __name__ == "__main__":
    main()
