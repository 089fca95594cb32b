"""The table of giant calls: the shape, the verdict and the memory of each output, then what fails."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table

from lossproof.cases.sweeps.giants import FAMILY
from lossproof.core.clauses import MEMORY
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.session import Ended
from lossproof.views.shown_names import shown_names
from lossproof.views.terminal import console
from lossproof.views.time_table import time_table

_COLUMNS = ("target", "case", "op", "dtype", "rows x classes", "output", "verdict", "share", "memory", "grade")
_NAMES = frozenset({"target", "case", "op", "dtype", "output"})


@dataclass
class GiantTables:
    """A sink that prints giant calls on standard output when they are over; ``quiet`` leaves the failures."""

    quiet: bool
    found: list[Observation] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        """Keep one observation."""
        self.found.append(o)

    def close(self, run: Ended) -> None:
        """Print."""
        out, names = console(), shown_names(run.header)
        if not self.quiet:
            table = Table(title="Giant calls", title_justify="left")
            for name in _COLUMNS:
                table.add_column(name, no_wrap=name in _NAMES)
            for o in self.found:
                case = o.case
                table.add_row(
                    escape(names.get(o.target, o.target)),
                    case.family.removeprefix(FAMILY),
                    case.op,
                    case.dtype,
                    f"{o.rows} x {o.classes}",
                    o.output,
                    f"[bold red]{o.verdict}[/]" if fails(o) else o.verdict,
                    f"{o.share:.3g}" if o.verdict in ("pass", "convention", "suspect", "fail") else "",
                    o.note,
                    o.conventions.get(MEMORY, ""),
                )
            out.print(table)
        for o in self.found:
            if fails(o):
                out.print(escape(f"  {names.get(o.target, o.target)}: {o.message}"))
        if not self.quiet:
            for part in time_table(run.clock, names):
                out.print(part)
