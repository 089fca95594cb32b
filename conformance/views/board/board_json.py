"""The board as one JSON object, for programs (docs/board.schema.json)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lossproof import __version__
from lossproof.records.record import json_ready
from lossproof.views.board.badge import badge_text
from lossproof.views.board.convention_titles import convention_title
from lossproof.views.board.findings import known_findings
from lossproof.views.board.pages import clause_slug
from lossproof.views.board.standings import Board, Standing, cell_standing, slug

_FORMAT = 1


def board_object(board: Board) -> dict[str, Any]:
    """Return everything that the board shows; numbers that are not finite are texts."""
    made: dict[str, Any] = json_ready(
        {
            "lossproof": "board",
            "format": _FORMAT,
            "suite": __version__,
            "date": board.date,
            "implementations": [_implementation(s) for s in board.standings],
            "conventions": [
                {
                    "clause": clause,
                    "title": convention_title(clause),
                    "page": f"conventions/{clause_slug(clause)}.html",
                    "shown": [
                        {"op": op, "output": output, "implementations": by_target}
                        for (op, output), by_target in found.items()
                    ],
                }
                for clause, found in board.conventions.items()
            ],
            "findings": [
                {
                    "name": f.name,
                    "page": f"findings/{slug(f.name)}.html",
                    "story": " ".join(f.story),
                    "upstream": f.upstream,
                    "clauses": f.clauses,
                    "waivers": [w.name for w in f.waivers],
                    "program": f.program_file,
                    "shown_by": board.showing(f.name),
                }
                for f in known_findings().values()
            ],
        }
    )
    return made


def _implementation(s: Standing) -> dict[str, Any]:
    c = s.record
    return {
        "name": s.name,
        "package": c.package,
        "version": c.version,
        "date": c.date,
        "deck": c.deck_size,
        "standing": s.verdict,
        "says": badge_text(s),
        "page": f"implementations/{s.slug}.html",
        "badge": f"badges/{s.slug}.svg",
        "complete": c.complete,
        "machine": c.machine,
        "cases": c.cases,
        "cases_waived": c.cases_waived,
        "outputs": s.judged,
        "unexplained_failures": s.failed,
        "findings": s.findings,
        "cells": [{"standing": cell_standing(cell), **asdict(cell)} for cell in s.cells.values()],
        "releases": [
            {"version": r.version, "date": r.date, "deviating": sum(w.count for w in r.waived)} for r in s.releases
        ],
        "changes": [asdict(change) for change in s.changes],
    }
