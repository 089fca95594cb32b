"""The matrix of verdicts: a row for each op and dtype, a column for each target that was run, or two where records are
compared, before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lossproof.core.observation import FAILING, VERDICTS
from lossproof.running.summary import Cell, CellKey, Summary


@dataclass(frozen=True)
class Column:
    """A column of the matrix: the cells of a target in a summary, with ``side`` before or after, if there are two.

    What is concluded of all dtypes and modes of its ``adapter`` together is in the column, too, where that name is none
    of a target that was run.
    """

    target: str
    side: str
    cells: Mapping[CellKey, Cell]
    own: str
    adapter: str = ""

    def cell(self, op: str, dtype: str) -> Cell | None:
        """Return the cell of an op and a dtype; None where nothing was judged."""
        return self.cells.get((self.own, op, dtype)) or self.cells.get((self.adapter, op, dtype))


def columns(
    summary: Summary,
    targets: Sequence[str],
    earlier: Summary | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    adapters: Mapping[str, str] = MappingProxyType({}),
) -> list[Column]:
    """List the columns of those targets of which anything was judged.

    ``pairs`` are names before and after, ``adapters`` the names of the adapters of targets.
    """
    shared = {t: name for t, name in adapters.items() if name not in adapters}
    run = [t for t in targets if any(key[0] == t for key in summary.cells) and t not in shared.values()]
    if earlier is None:
        return [Column(t, "", summary.cells, t, shared.get(t, "")) for t in run]
    before = {after: name for name, after in pairs}
    return [
        column
        for t in run
        for column in (
            Column(t, "before", earlier.cells, before.get(t, t), shared.get(t, "")),
            Column(t, "after", summary.cells, t, shared.get(t, "")),
        )
    ]


def matrix(several: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the matrix: each an op and a dtype with a cell for each column."""
    keys = {key[1:] for column in several for key in column.cells if key[0] in (column.own, column.adapter)}
    for op, dtype in sorted(keys):
        cells = [_cell(column, column.cell(op, dtype)) for column in several]
        yield {"op": op, "dtype": dtype, "cells": cells}


def _cell(column: Column, cell: Cell | None) -> dict[str, Any]:
    counts = [(v, cell.verdicts[v]) for v in VERDICTS if cell.verdicts[v]] if cell else []
    profile = ""
    if cell and cell.declared:
        profile = cell.declared if cell.met == cell.declared else f"{cell.declared}, met {cell.met or 'none'}"
    over = bool(cell and cell.share > 1)
    return {
        "target": column.target,
        "verdicts": counts,
        "total": sum(n for _, n in counts),
        "title": ", ".join(f"{n} {v}" for v, n in counts),
        "worst": _worst(cell.share) if cell and cell.declared else "",
        # Where nothing fails that no waiver explains, what is beyond the bound is a known deviation.
        "over": over and any(v in FAILING and v != "unexpected_pass" for v, _ in counts),
        "known": over and not any(v in FAILING and v != "unexpected_pass" for v, _ in counts),
        "profile": profile,
    }


def _worst(share: float) -> str:
    return f"{share:.3g} \N{MULTIPLICATION SIGN}" if math.isfinite(share) else "∞"
