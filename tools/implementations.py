"""The table of implementations in README.md, from what adapters say of themselves: entry points, extras, docstrings.

``python -m tools.implementations`` writes it. Nothing is imported, so it takes no framework.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from lossproof.targets.exec_command import own_programs

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


def table(root: Path = ROOT) -> str:
    """The rows in Markdown."""
    rows = ["| target | what is judged | comes with |", "|---|---|---|"]
    for name, said, extra in declared(root):
        rows.append(f"| `{name}` | {said} | {f'`.[{extra}]`' if extra else ''} |")
    return "\n".join(rows) + "\n"


def renewed(text: str, root: Path = ROOT) -> str:
    """A page with the table of today between its marks."""
    return _PART.sub(lambda m: m[1] + table(root) + m[2], text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{README.name}: {sum(1 for _ in declared())} implementations")
