"""The coverage matrix as tables for a person, and as one object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from lossproof.cases.coverage.cells import TABLES, CoverageCell, all_cells
from lossproof.cases.coverage.matrix import Coverage


def coverage_tables(found: Coverage) -> Iterator[Table]:
    """Yield one table for each axis of the matrix: a line for each cell, a number for each op and dtype.

    A bar stands where there is nothing to ask, a 0 in red where there is and it is not asked.
    """
    for name, title in TABLES.items():
        table = Table(title=title, title_justify="left")
        table.add_column("cell", no_wrap=True)
        for op in found.ops:
            table.add_column(
                f"{op}\n{' '.join(d.replace('float', 'f').rjust(5) for d in found.capabilities.dtypes)}", no_wrap=True
            )
        for cell in (cell for cell in all_cells() if cell[0] == name):
            numbers = [" ".join(_number(found, cell, op, d) for d in found.capabilities.dtypes) for op in found.ops]
            table.add_row(cell[1], *numbers)
        yield table


def _number(found: Coverage, cell: CoverageCell, op: str, dtype: str) -> str:
    n = found.counts[cell, op, dtype]
    if n:
        return str(n).rjust(5)
    return "[dim]    -[/]" if found.reason(cell, op, dtype) else "[bold red]    0[/]"


def coverage_object(found: Coverage, target: str) -> dict[str, Any]:
    """Return all counts by table, cell, op and dtype, the reasons of what need not be asked, and what is empty."""
    tables: dict[str, dict[str, dict[str, dict[str, int]]]] = {name: {} for name in TABLES}
    reasons: list[dict[str, str]] = []
    for cell in all_cells():
        table, name = cell
        by_op = tables[table].setdefault(name, {})
        for op in found.ops:
            by_op[op] = {d: found.counts[cell, op, d] for d in found.capabilities.dtypes}
            for dtype in found.capabilities.dtypes:
                if reason := found.reason(cell, op, dtype):
                    reasons.append({"table": table, "cell": name, "op": op, "dtype": dtype, "reason": reason})
    return {
        "lossproof": "coverage",
        "schema": 1,
        "target": target,
        "compile_cost": found.capabilities.compile_cost,
        "tables": tables,
        "not_asked_for": reasons,
        "empty": list(found.empty()),
    }
