"""The table of all implementations: its rows and cells in the words that the board shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lossproof.core.clauses import ABSOLUTE, RELATIVE, TAIL
from lossproof.core.formats import FORMATS
from lossproof.views.board.badge import badge_text
from lossproof.views.board.condensed import CondensedCell
from lossproof.views.board.release_history import failing
from lossproof.views.board.standings import ABSENT, DEVIATES, FAILS, WORDS, Board, Standing, cell_standing

METRICS = (
    ("verdict", "verdicts"),
    ("share", "worst share"),
    ("ulp", "worst ULP"),
    ("profile", "profile"),
    ("tail", "tail"),
)
SHORT_DTYPES: Mapping[str, str] = {name: name.replace("float", "f") for name in FORMATS}
_NOTHING = "\N{EN DASH}"
_SIGNS = {FAILS: "✗", DEVIATES: "◐"}


def matrix_rows(board: Board) -> Iterator[dict[str, Any]]:
    """Yield a row for each target, with a cell for each op and dtype."""
    for s in board.standings:
        cells = [
            {"op": op, "first": i == 0, **_cell(s, op, dtype)}
            for op, dtypes in board.columns
            for i, dtype in enumerate(dtypes)
        ]
        mode = str(s.record.target.get("mode", ""))
        said = mode not in ("eager", "") and f"+{mode}" not in s.name
        says = badge_text(s)
        yield {
            "slug": s.slug,
            "name": s.name,
            "version": s.record.version,
            "beside": [
                *([mode] if said else []),
                *([] if s.record.deck_size == "default" else [s.record.deck_size]),
            ],
            "standing": s.verdict,
            "says": says,
            "text": f"{s.name} {s.record.version} {says} {WORDS[s.verdict]}".lower(),
            "cells": cells,
        }


def share_text(share: float) -> str:
    """Return a share of the bound as tables show it, rounded down: what is within the bound never reads as 1."""
    if not math.isfinite(share):
        return "∞"
    if share >= 10:
        return f"{share:.2g}"
    return f"{max(math.floor(share * 100) / 100, 0.01):.2f}" if share else "0"


def ulp_text(ulp: float) -> str:
    """Return an error in units in the last place as tables show it."""
    if ulp >= 10_000:
        return f"{ulp:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{ulp:.0f}" if ulp >= 10 else f"{ulp:.2g}"


def profile_text(cell: CondensedCell) -> str:
    """Return the declared profile, and the one that is met where that is another."""
    if not cell.declared or cell.met == cell.declared:
        return cell.declared
    return f"{cell.declared} → {cell.met or 'none'}"


def _cell(s: Standing, op: str, dtype: str) -> dict[str, Any]:
    cell = s.cells.get((op, dtype))
    standing = cell_standing(cell)
    where = f"{s.name}, {op} in {dtype}"
    if cell is None or standing == ABSENT:
        metrics = [(kind, _NOTHING, "") for kind, _ in METRICS]
        return {"standing": standing, "title": f"{where}: not offered", "metrics": metrics}
    n = failing(cell) if standing == FAILS else cell.verdicts.get("waived", 0)
    sign = f"{_SIGNS[standing]} {n}" if standing in _SIGNS else "✓"
    counts = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in cell.verdicts.items())
    metrics = [
        ("verdict", sign, ""),
        ("share", share_text(cell.share_passed), ""),
        ("ulp", ulp_text(cell.ulp), ""),
        ("profile", profile_text(cell) or _NOTHING, ""),
        ("tail", _tail(s, op, dtype), ""),
    ]
    return {"standing": standing, "title": f"{where}: {counts}", "metrics": metrics}


def _tail(s: Standing, op: str, dtype: str) -> str:
    shown = [grade for c in s.record.conventions if (c.clause, c.op) == (TAIL, op) for grade in c.shown.get(dtype, ())]
    if not shown:
        return _NOTHING
    return "abs." if ABSOLUTE in shown else "rel." if RELATIVE in shown else shown[0]
