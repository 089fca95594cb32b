"""The tables of a sweep: each output with the worst that was seen of it and where, then what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from lossproof.core.command_line import command
from lossproof.core.observation import Observation
from lossproof.running.session import Ended
from lossproof.running.sweeping.sweep_summary import SweepSummary, SweptOutput
from lossproof.views.shown_names import shown_names
from lossproof.views.terminal import console
from lossproof.views.time_table import time_table

_SHOWN = 20


@dataclass
class SweepTables:
    """A sink that prints a sweep on standard output when it is over; ``quiet`` leaves the failures.

    ``place`` are the options that find a call of some rows again, by that call; None where nothing keeps it.
    ``unbegun`` says how many chunks were not begun for want of time.
    """

    quiet: bool
    place: Callable[[Observation], Mapping[str, object] | None]
    unbegun: Callable[[], int]
    summary: SweepSummary = field(default_factory=SweepSummary)

    def add(self, o: Observation) -> None:
        """Count one observation."""
        self.summary.add(o)

    def close(self, run: Ended) -> None:
        """Print."""
        out, names = console(), shown_names(run.header)
        if not self.quiet:
            out.print(_outputs(self.summary, names))
        for part in self._failures(names):
            out.print(part)
        if not self.quiet:
            _print_rest(out, run, names)
            left = self.unbegun()
            if left:
                out.print(f"{left} chunks were not begun: the time was up; --resume goes on with a record")

    def _failures(self, names: Mapping[str, str]) -> Iterator[RenderableType]:
        several, kept = self.summary.smallest, self.summary.bins
        if several:
            yield "[bold]Smallest failing rows[/]"
        for o in several[:_SHOWN]:
            yield escape(f"  {names.get(o.target, o.target)}: {o.message}")
            place = self.place(o)
            line = "--keep FOLDER or --record FILE keeps it" if place is None else _explain(o, place)
            yield escape(f"    {line}")
        if len(several) > _SHOWN:
            yield f"  ... and {len(several) - _SHOWN} more; --record FILE keeps them all"
        if kept:
            yield f"[bold]Bins with failures[/]: {len(kept) + self.summary.more}"
        for o in kept[:_SHOWN]:
            yield escape(f"  {command('explain', o.id, o.target)}")
        if len(kept) + self.summary.more > _SHOWN:
            yield f"  ... and {len(kept) + self.summary.more - _SHOWN} more; --record FILE keeps them all"


def _explain(o: Observation, place: Mapping[str, object]) -> str:
    return command("explain", o.id, o.target, **place)


def _print_rest(out: Console, run: Ended, names: Mapping[str, str]) -> None:
    for (target, note), (n, first) in sorted(run.summary.notes.items()):
        out.print(escape(f"  {names.get(target, target)}: {n} outputs, first of {first}: {note}"))
    for (target, reason), n in sorted(run.summary.unsupported.items()):
        out.print(escape(f"  {names.get(target, target)}: {n} outputs not given: {reason}"))
    for part in time_table(run.clock, names):
        out.print(part)


def _outputs(summary: SweepSummary, names: Mapping[str, str]) -> Table:
    table = Table(title="Outputs swept", title_justify="left")
    several = len({kind for _, kind, *_ in summary.outputs}) > 1
    for name in ("target", *(["kind"] if several else []), "op", "dtype", "output"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", "worst share", "at", "worst ulp", "at", "failing bins"):
        table.add_column(name, justify="right", no_wrap=True)
    for (target, kind, op, dtype, output), found in summary.outputs.items():
        failing = f"[bold red]{found.failing} of {found.calls}[/]" if found.failing else "0"
        kinds = [kind] if several else []
        table.add_row(escape(names.get(target, target)), *kinds, op, dtype, output, *_numbers(found, dtype), failing)
    return table


def _numbers(found: SweptOutput, dtype: str) -> tuple[str, ...]:
    return (
        str(found.rows),
        f"{found.share:.3g}",
        _at(found, dtype, found.share_at if found.share else None),
        f"{found.ulp:.3g}",
        _at(found, dtype, found.ulp_at if found.ulp else None),
    )


def _at(found: SweptOutput, dtype: str, bin: int | None) -> str:
    """The inputs of a bin."""
    if bin is None:
        return ""
    low, high = found.kind.span(dtype, bin)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
