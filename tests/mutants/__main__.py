"""``python -m tests.mutants``: the kill matrix. Exit code 1 if a mutant survives or a control is killed.

F: the verdict is fail. D: a clause allows it, and only the difference from its parent shows it (in grade, convention or
bits). ``--table`` writes docs/mutants.md as well. Kills that hang on one call are listed: ``--seeds 3`` puts three
decks, and lists those of each. A mutant that is killed is asked no more: ``--every-call`` counts all that kill it.
"""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossproof.cases.catalogue import select

from .kit.mutant import Mutant
from .matrix.kill import Kill, Matrix, distinct, matrix, weak
from .matrix.registry import collect
from .matrix.table import PATH, render


def main() -> int:
    """Run every mutant and control against the default deck and print what became of each."""
    options = _options()
    start = time.perf_counter()
    mutants, deck = collect(), select()
    found = matrix(mutants, deck, every_call=options.every_call)
    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(_table(mutants, found))
    if options.table:
        # The test that holds the page makes it of the same calls.
        PATH.write_text(render(mutants, found), encoding="utf-8")
    apart = distinct(mutants, found)
    needed = ", ".join(f"{family} {len(names)}" for family, names in apart.items() if names)
    console.print(f"families that kill what ordinary does not: {needed}")
    idle = ", ".join(family for family, names in apart.items() if not names and family != "ordinary")
    console.print(f"families that do not: {idle or 'none'}")
    wrong = verdicts(mutants, found)
    _print_weak(console, weak(mutants, found), 0)
    for seed in range(1, options.seeds):
        again = matrix(mutants, select(seed=seed), every_call=options.every_call)
        wrong += [f"seed {seed}: {line}" for line in verdicts(mutants, again)]
        _print_weak(console, weak(mutants, again), seed)
    controls = sum(m.kind == "control" for m in mutants.values())
    took = time.perf_counter() - start
    console.print(f"{len(mutants) - controls} mutants, {controls} controls, {len(deck)} calls, {took:.0f} s")
    for line in wrong:
        console.print(f"[bold red]{escape(line)}[/]")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="The kill matrix.")
    parser.add_argument("--table", action="store_true", help="write docs/mutants.md")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="put the decks of the seeds 0 to N - 1")
    parser.add_argument("--every-call", action="store_true", help="put all calls of ordinary size to every mutant")
    options = parser.parse_args()
    if options.table and options.every_call:
        parser.error("--table is about the calls that kill a mutant first; leave out --every-call")
    return options


def _print_weak(console: Console, found: dict[str, str], seed: int) -> None:
    """List the kills of a deck that hang on one call."""
    console.print(f"kills that hang on one call, seed {seed}: {len(found) or 'none'}")
    for name, id in found.items():
        console.print(f"  {name}: {id}", markup=False, soft_wrap=True)


def verdicts(mutants: dict[str, Mutant], found: Matrix) -> list[str]:
    """Everything that is not as expected, in words."""
    lines = []
    for m in mutants.values():
        for dtype in m.dtypes:
            kill = found.get((m.id, dtype), Kill())
            if not kill.judged:
                lines.append(f"{m.id} {dtype}: no call of the deck applies")
            elif m.kind == "control" and kill.killed:
                lines.append(f"{m.id} {dtype}: a control is killed: {kill.message}")
            elif m.allowed and kill.killed:
                lines.append(f"{m.id} {dtype}: is killed although {m.allowed} allows it: {kill.message}")
            elif dtype in m.expect and not kill.killed:
                lines.append(f"{m.id} {dtype}: survives, worst {kill.worst:.3g} of the bound in {kill.judged} outputs")
        if m.allowed and not any(found[m.id, dtype].differing for dtype in m.dtypes if (m.id, dtype) in found):
            lines.append(f"{m.id}: cannot be told from its parent {m.reference}")
    return lines


def _table(mutants: dict[str, Mutant], found: Matrix) -> Table:
    table = Table("mutant", "dtype", "result", "failing", "worst", "families (failing calls)", box=None, pad_edge=False)
    for m in mutants.values():
        for dtype in m.dtypes:
            kill = found.get((m.id, dtype), Kill())
            table.add_row(
                escape(m.id),
                dtype,
                _result(m, dtype, kill),
                f"{kill.failing}/{kill.judged}",
                f"{kill.worst:.3g}",
                ", ".join(f"{name} {n}" for name, n in kill.families.most_common(4)),
            )
    return table


def _result(m: Mutant, dtype: str, kill: Kill) -> str:
    if m.kind == "control":
        return "[bold red]control killed[/]" if kill.killed else "[green]untouched[/]"
    if kill.killed:
        return "[green]F[/]"
    if m.allowed:
        return f"[cyan]D: {escape(m.allowed)}[/]"
    if dtype in m.expect:
        return "[bold red]SURVIVED[/]"
    return "below rounding"


if __name__ == "__main__":
    sys.exit(main())
