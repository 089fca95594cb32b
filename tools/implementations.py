"""The tables of implementations in README.md, from what adapters say of themselves: entry points, extras, docstrings.

Those that the board of the day calls nonconforming have a table of their own. ``python -m tools.implementations``
writes both. Nothing is imported, so it takes no framework.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lossproof.targets.exec_command import own_programs
from lossproof.views.board.standings import NONCONFORMING

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
COMMAND = "python -m tools.implementations"
_PART = re.compile(r"(<!-- implementations:[^\n]*-->\n).*?(<!-- end -->)", re.S)


def declared(root: Path = ROOT) -> Iterator[tuple[str, str, str]]:
    """Each adapter: its name as a target, its first sentence about itself, and the extra that brings what it needs."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, place in project["entry-points"]["lossproof.adapters"].items():
        module = place.partition(":")[0].removeprefix("lossproof.").replace(".", "/")
        said = ast.get_docstring(ast.parse((root / f"{module}.py").read_text(encoding="utf-8"))) or ""
        yield name, first_sentence(said), name if name in project["optional-dependencies"] else ""
    for name, command in own_programs().items():
        path = root / "adapters" / "javascript" / f"{name}.mjs"
        assert command.endswith(path.name), f"{command}: its first comment is not found"
        yield name, first_sentence(path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("// ")), ""


def first_sentence(text: str) -> str:
    """The first sentence of a text as a cell of a table: on one line and without its last dot."""
    first = re.split(r"\.(?=\s|$)", " ".join(text.split("\n\n")[0].split()), maxsplit=1)[0]
    return first.replace("``", "`").replace("|", "\\|")


def nonconforming(root: Path = ROOT) -> list[str]:
    """The targets, modes and devices that the board of the day calls nonconforming, in its order."""
    board = json.loads((root / "docs" / "board" / "board.json").read_text(encoding="utf-8"))
    return [i["name"] for i in board["implementations"] if i["standing"] == NONCONFORMING]


def tables(root: Path = ROOT) -> str:
    """The rows in Markdown, and what is nonconforming apart from them."""
    known, others = list(declared(root)), nonconforming(root)
    apart = [row for row in known if row[0] in others]
    of_modes = [f"`{name}`" for name in others if name not in [row[0] for row in apart]]
    text = _rows(row for row in known if row not in apart)
    if others:
        text += "\nThese are judged, but *nonconforming*: more than a fifth of their cases are "
        text += "[known deviations](docs/findings.md).\n"
    if apart:
        text += "\n" + _rows(apart)
    if of_modes:
        said = f"So are these modes and devices of the others: {', '.join(of_modes)}."
        text += "\n" + textwrap.fill(said, 120, break_on_hyphens=False) + "\n"
    return text


def _rows(rows: Iterable[tuple[str, str, str]]) -> str:
    """A table in Markdown."""
    lines = [f"| `{name}` | {said} | {f'`.[{extra}]`' if extra else ''} |" for name, said, extra in rows]
    return "\n".join(["| target | what is judged | comes with |", "|---|---|---|", *lines]) + "\n"


def renewed(text: str, root: Path = ROOT) -> str:
    """A page with the tables of today between its marks."""
    return _PART.sub(lambda m: m[1] + tables(root) + m[2], text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{README.name}: {sum(1 for _ in declared())} implementations")
