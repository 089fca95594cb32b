"""``python -m tests.mutants``: the kill matrix. Exit code 1 if a mutant survives or a control is killed.

F: the verdict is fail. D: a clause allows it, and only the difference from its parent shows it (in grade, convention or
bits). Mutants are put to the calls that are recorded as killing them, controls to the whole deck. ``--record`` writes
the record and the pages made of it: what holds stays, and for other mutants the deck is searched. ``--search`` puts the
deck to all of them, until they are killed, and compares the record; kills that hang on one call are listed, with
``--seeds 3`` those of three decks. ``--every-call`` counts all that kill a mutant.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossproof.cases.catalogue import select
from tests.spec import table as coverage
from tests.spec.registry import CLAUSES

from .kit.mutant import Mutant
from .matrix import table
from .matrix.kill import Kill, Matrix, distinct, goes_everywhere, verdicts, weak
from .matrix.record import COMMAND, PATH, Record, read, text, troubles, witness_troubles
from .matrix.registry import collect
from .matrix.search import matrix
from .matrix.verify import recorded, renewed


def main() -> int:
    """Put mutants and controls to the default deck and print what became of each."""
    options = _options()
    start = time.perf_counter()
    mutants, deck, record = collect(), select(), read()
    console = Console(width=None if sys.stdout.isatty() else 180)
    if options.record:
        record = renewed(mutants, deck, Record() if options.afresh else record)
        _write(mutants, record)
    kills = recorded(mutants, deck, record, controls=not (options.record or options.search))
    wrong = [f"{name}: {line}; run {COMMAND}" for name, line in troubles(mutants, record, kills).items()]
    wrong += [f"{line}; run {COMMAND}" for line in witness_troubles(mutants, record, kills).values()]
    if options.search:
        kills = matrix(mutants, deck, every_call=options.every_call)
        needed = ", ".join(f"{family} {len(keys)}" for family, keys in distinct(mutants, kills).items() if keys)
        console.print(f"families that kill what ordinary does not: {needed}")
    shown = {m.id: m for m in mutants.values() if not (options.record and goes_everywhere(m))}
    console.print(_table(shown, kills))
    wrong += verdicts(shown, kills)
    _print_weak(console, weak(mutants, kills), 0)
    for seed in range(1, options.seeds):
        again = matrix(mutants, select(seed=seed), every_call=options.every_call)
        wrong += [f"seed {seed}: {line}" for line in verdicts(mutants, again)]
        _print_weak(console, weak(mutants, again), seed)
    controls = sum(m.kind == "control" for m in shown.values())
    took = time.perf_counter() - start
    console.print(f"{len(shown) - controls} mutants, {controls} controls, {len(deck)} calls, {took:.0f} s")
    for line in wrong:
        console.print(f"[bold red]{escape(line)}[/]")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="The kill matrix.")
    parser.add_argument("--record", action="store_true", help="renew the record of kills and the pages made of it")
    parser.add_argument("--afresh", action="store_true", help="with --record: keep nothing of the record")
    parser.add_argument("--search", action="store_true", help="put the whole deck to all mutants")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="search the decks of the seeds 0 to N - 1")
    parser.add_argument("--every-call", action="store_true", help="search with all calls of ordinary size")
    options = parser.parse_args()
    options.search |= options.every_call or options.seeds > 1
    if options.afresh and not options.record:
        parser.error("--afresh is about the record; add --record")
    if options.search and options.record:
        parser.error(
            "--record writes what a search finds where it is needed; leave out --search, --seeds, --every-call"
        )
    return options


def _write(mutants: dict[str, Mutant], record: Record) -> None:
    for path, content in (
        (PATH, text(record)),
        (table.PATH, table.render(mutants, record)),
        (coverage.PATH, coverage.render(CLAUSES, record)),
    ):
        path.write_text(content, encoding="utf-8")


def _print_weak(console: Console, found: dict[str, str], seed: int) -> None:
    """List the kills of a deck that hang on one call."""
    console.print(f"kills that hang on one call, seed {seed}: {len(found) or 'none'}")
    for name, id in found.items():
        console.print(f"  {name}: {id}", markup=False, soft_wrap=True)


def _table(mutants: Mapping[str, Mutant], found: Matrix) -> Table:
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
