"""Parts of the manual that are made from the program itself: its command line, its Python interface, its records."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import lossproof
from lossproof import adapters
from lossproof.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 100


def command_line() -> str:
    """What every command prints with --help, groups before their commands."""
    return "\n".join(_of_command(cli, "lossproof"))


def _of_command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path, terminal_width=_WIDTH, max_content_width=_WIDTH)
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _of_command(inner, f"{path} {name}")


def python_interface() -> str:
    """Signatures and docstrings of every public name."""
    parts = []
    for module in (lossproof, adapters):
        parts.append(f"## {module.__name__}\n")
        parts += [_of_name(module.__name__, name, getattr(module, name)) for name in sorted(module.__all__)]
    return "\n".join(parts)


def _of_name(module: str, name: str, thing: Any) -> str:
    if not callable(thing):
        return f"### {module}.{name}\n\n```python\n{name} = {thing!r}\n```\n"
    try:
        signature = str(inspect.signature(thing)).replace("<factory>", "...")
    except (TypeError, ValueError):
        signature = "(...)"
    text = f"### {module}.{name}\n\n```python\n{name}{signature}\n```\n\n```text\n{inspect.getdoc(thing) or ''}\n```\n"
    if inspect.isclass(thing):
        methods = [(n, m) for n, m in vars(thing).items() if not n.startswith("_") and (m.__doc__ or "").strip()]
        text += "".join(f"\n- `{n}`: {_first(m)}" for n, m in methods if callable(m) or isinstance(m, property)) + "\n"
    return text


def _first(member: Any) -> str:
    doc = inspect.cleandoc(member.__doc__)
    return " ".join(re.split(r"\n\n", doc)[0].split()).replace("``", "`")


def record_fields() -> str:
    """The tables of the lines of a record, from its schema."""
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    parts = [schema["description"]]
    for name, part in schema["$defs"].items():
        if "properties" not in part:
            continue
        parts.append(f"## {part.get('title', name)}\n\n{part.get('description', '')}\n")
        parts.append("| field | is | says |\n|---|---|---|")
        required = part.get("required", ())
        for field, value in part["properties"].items():
            kind = _kind(value) + ("" if field in required else ", optional")
            parts.append(f"| `{field}` | {kind} | {_cell(value.get('description', ''))} |")
        parts.append("")
    return "\n".join(parts)


def _kind(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if "enum" in value:
        return _cell(", ".join(f"`{v}`" for v in value["enum"]))
    if "const" in value:
        return f"`{value['const']}`"
    kind = value.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS: Mapping[str, Callable[[], str]] = {
    "command_line": command_line,
    "python_interface": python_interface,
    "record_fields": record_fields,
}
