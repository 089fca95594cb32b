"""The table of releases in docs/board.md, from the condensed records of the board.

``python -m tools.board_releases`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lossproof.views.board.condensed import Condensed, condensed_files, read_condensed
from lossproof.views.board.release_history import by_release, newest, same_deck_releases

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "board.md"
RECORDS = ROOT / "docs" / "board" / "records"
COMMAND = "python -m tools.board_releases"
_PART = re.compile(r"(<!-- releases:[^\n]*-->\n).*?(<!-- end -->)", re.S)


def table(records: Sequence[Condensed]) -> str:
    """How many implementations there are, by the deck of their newest release, and those with a history."""
    known = by_release(records)
    decks = [newest(several).deck_size for several in known.values()]
    counted = ", ".join(f"{decks.count(deck)} by the {deck} deck" for deck in sorted(set(decks)))
    rows = [
        f"{len(known)} implementations, their newest release judged {counted}; {len(records)} records.",
        "",
        "| implementation | releases in its history |",
        "|---|---|",
    ]
    for name, several in known.items():
        history = [c.version for c in same_deck_releases(several)]
        if len(history) > 1:
            rows.append(f"| `{name}` | {', '.join(history)} |")
    return "\n".join(rows) + "\n"


def renewed(text: str, folder: Path = RECORDS) -> str:
    """A page with the table of today between its marks."""
    records = [read_condensed(path) for path in condensed_files([str(folder)])]
    return _PART.sub(lambda m: m[1] + table(records) + m[2], text)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE.name} has the releases of today")
