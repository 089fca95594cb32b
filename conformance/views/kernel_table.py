"""The times of kernels as a table: of each op and shape value and gradient by dtype, in times of a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from lossproof.adapters.protocol import DTYPES
from lossproof.records.slowdowns import SecondsByKernel, kernel_times
from lossproof.views.section import Section

_TITLE = "Kernels: value / value and gradient, in times of a copy of the logits"


def kernel_section(recorded: Mapping[str, SecondsByKernel], names: Mapping[str, str]) -> Section:
    """Make the table of some targets, with ``names`` in place of theirs; it has no rows where nothing was timed."""
    cells: dict[tuple[str, str, str], dict[str, dict[str, float]]] = {}
    for target, times in recorded.items():
        for t in kernel_times(times):
            where = names.get(target, target), t.op, t.shape
            cells.setdefault(where, {}).setdefault(t.dtype, {})[t.output] = t.copies
    dtypes = [dtype for dtype in DTYPES if any(dtype in cell for cell in cells.values())]
    rows = tuple((*where, *(_cell(cell.get(dtype, {})) for dtype in dtypes)) for where, cell in cells.items())
    return Section(_TITLE, ("target", "op", "shape", *dtypes), rows)


def kernel_table(recorded: Mapping[str, SecondsByKernel], names: Mapping[str, str]) -> Iterator[RenderableType]:
    """Yield the table for a terminal, if there is anything in it."""
    section = kernel_section(recorded, names)
    if not section.rows:
        return
    table = Table(title=section.title, title_justify="left")
    for column in section.columns:
        table.add_column(column, justify="right" if column in DTYPES else "left", no_wrap=column not in DTYPES)
    for row in section.rows:
        table.add_row(*map(escape, row))
    yield table


def _cell(copies: Mapping[str, float]) -> str:
    return " / ".join(f"{copies[output]:.3g}" for output in ("value", "vjp") if output in copies)
