"""The site: all files of the board as texts, and writing them into a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from lossproof import __version__
from lossproof.core.errors import UsageError
from lossproof.core.json_text import whole_text
from lossproof.views.board.badge import badge_svg, badge_text
from lossproof.views.board.board_json import board_object
from lossproof.views.board.condensed import Condensed
from lossproof.views.board.convention_titles import GRADES, convention_title
from lossproof.views.board.findings import known_findings
from lossproof.views.board.history_plot import history_svg
from lossproof.views.board.pages import (
    clause_slug,
    convention_cards,
    convention_values,
    finding_cards,
    finding_values,
    implementation_values,
)
from lossproof.views.board.release_history import count_text
from lossproof.views.board.standings import Board, board_of, slug
from lossproof.views.board.standings_table import METRICS, SHORT_DTYPES, matrix_rows
from lossproof.views.html.page import embedded, needed

JSON_FILE = "board.json"
_TEMPLATES = "lossproof.views.board"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#1f4fbf"/>'
    '<path fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" '
    'd="M5 5c1 10 5 13 14 13M9 11l3 3 6-7"/></svg>\n'
)


def board_files(records: Iterable[Condensed], *, address: str = "") -> dict[str, str]:
    """Return every file of the board by its path, as text. ``address`` is where it will be, if that is known.

    Raises :class:`UsageError` without records, without the packages that it takes (extra ``report``), and where two
    targets would have one page.
    """
    needed()
    board = board_of(records)
    if not board.standings:
        raise UsageError("the board has no record; expected at least one")
    files = dict(_pages(board, _renderer(board), address))
    for s in board.standings:
        files[f"badges/{s.slug}.svg"] = badge_svg(s)
    files["search.js"] = f"window.LOSSPROOF_BOARD = {embedded(list(_index(board)))};\n"
    files[JSON_FILE] = json.dumps(board_object(board), ensure_ascii=False, indent=1) + "\n"
    files |= {name: _shipped(name) for name in ("board.css", "board.js")}
    files["icon.svg"] = _ICON
    return files


def write_board(records: Iterable[Condensed], folder: str | Path, *, address: str = "") -> Sequence[Path]:
    """Write the board into a folder, which is made, and return what was written.

    Pages of an earlier board that are no longer there are deleted; nothing else in the folder is touched. Raises
    :class:`UsageError` where it cannot be written, and as :func:`board_files` does.
    """
    files, there = board_files(records, address=address), Path(folder)
    try:
        for kept in ("implementations", "conventions", "findings", "badges"):
            for old in (there / kept).glob("*.*"):
                if old.suffix in (".html", ".svg") and f"{kept}/{old.name}" not in files:
                    old.unlink()
        for name, text in files.items():
            path = there / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(whole_text(text), "utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}") from None
    return [there / name for name in files]


def _renderer(board: Board) -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(_shipped)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count_text"] = count_text
    return partial(_render, environment, {"date": board.date, "suite": __version__})


def _render(environment: Any, common: Mapping[str, Any], template: str, path: str, title: str, **values: Any) -> str:
    up = "../" * path.count("/")
    here = PurePosixPath(path).parts[0] if "/" in path else "board"
    return str(
        environment.get_template(f"{template}.html").render(
            **common, title=f"{title} · lossproof", description=title, up=up, here=here, **values
        )
    )


def _shipped(name: str) -> str:
    return resources.files(_TEMPLATES).joinpath(name).read_text("utf-8")


def _pages(board: Board, render: Any, address: str) -> Iterator[tuple[str, str]]:
    from markupsafe import Markup

    def made(path: str, template: str, title: str, **values: Any) -> tuple[str, str]:
        return path, render(template, path, title, **values)

    cards = convention_cards(board)
    yield made(
        "index.html", "index", "Conformance of softmax and cross-entropy",
        rows=list(matrix_rows(board)), columns=board.columns, metrics=METRICS, short=SHORT_DTYPES,
        judged=f"{sum(s.judged for s in board.standings):,}", findings=len(known_findings()),
        conventions=len(cards), choices=[c for c in cards if not c["is_grade"]],
    )  # fmt: skip
    for s in board.standings:
        values = implementation_values(s, address)
        history = Markup(history_svg(s.releases)) if len(s.releases) > 1 else ""
        title = f"{s.name} {s.record.version}: {badge_text(s)}"
        yield made(f"implementations/{s.slug}.html", "implementation", title, history=history, **values)
    parts = [
        ("What is left to each implementation", "choices", [c for c in cards if not c["is_grade"]]),
        ("Grades", "grades", [c for c in cards if c["is_grade"]]),
    ]
    yield made("conventions/index.html", "conventions", "Conventions", parts=[p for p in parts if p[2]])
    for clause in board.conventions:
        path = f"conventions/{clause_slug(clause)}.html"
        yield made(path, "convention", convention_title(clause), **convention_values(board, clause))
    yield made("findings/index.html", "findings", "Findings", found=finding_cards(board))
    for name, f in known_findings().items():
        yield made(f"findings/{slug(name)}.html", "finding", name, **finding_values(board, f))


def _index(board: Board) -> Iterator[tuple[str, str, str, str]]:
    """What the search looks through: title, kind, address, and further words."""
    for s in board.standings:
        yield s.name, f"implementation, {badge_text(s)}", f"implementations/{s.slug}.html", s.record.version
    for clause in board.conventions:
        kind = "convention" if clause.isdigit() else "grade"
        address = f"conventions/{clause_slug(clause)}.html"
        yield convention_title(clause), kind, address, f"clause {clause} {GRADES.get(clause, '')}"
    for name, f in known_findings().items():
        yield name, "finding", f"findings/{slug(name)}.html", " ".join([*f.story[:1], f.upstream])
