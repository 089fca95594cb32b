"""Commands in documents are commands: their names, options and values are those of the program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lossproof.cli.main import cli
from tests.support.pages import ROOT, blocks

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_INLINE = re.compile(r"`(lossproof [^`]+)`")
_INDENTED = re.compile(r"^    (lossproof .*)$", re.M)
# Words for what a reader puts in their place: a number, a list.
_PLACES = {"H": "1", "N": "1", "K/N": "1/2", "I/N": "1/2"}


def written(text: str) -> Iterator[str]:
    """The commands of a page: of blocks for a shell, of indented lines, and those in a sentence."""
    for block in blocks(text):
        if block.language in ("sh", "console", "bash", "yaml"):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from re.findall(r"(?:^|&& |\$ |run: )(lossproof [^&|>#]*)", line.strip())
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    yield from _INDENTED.findall(prose)
    yield from (" ".join(m.split()) for m in _INLINE.findall(prose))


def wrong(command: str) -> str:
    """What the program has against a command; empty if nothing. Nothing is run."""
    words = [_PLACES.get(word, word) for word in shlex.split(command)[1:] if word not in ("...", "\u2026")]
    words = [word.removesuffix("...") for word in words if not word.startswith("[")]
    if not words or any(word in ("-h", "--help", "--version", "COMMAND") for word in words):
        return ""
    found: click.Command = cli
    context = click.Context(cli, info_name="lossproof")
    while isinstance(found, click.Group) and words:
        inner = found.get_command(context, words[0])
        if inner is None:
            return f"no such command: {words[0]}"
        found, words = inner, words[1:]
    try:
        with found.make_context(found.name, list(words), parent=context):
            return ""
    except (click.MissingParameter, click.BadOptionUsage):
        # A sentence names a command without its arguments, and an option without its value.
        return ""
    except click.UsageError as error:
        return error.format_message()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_are_those_of_the_program(page: Path) -> None:
    found = [f"{command}: {said}" for command in written(page.read_text(encoding="utf-8")) if (said := wrong(command))]
    assert not found, "\n".join(found)


def test_what_is_no_command_is_seen() -> None:
    assert wrong("lossproof nun numpy") == "no such command: nun"
    assert "--recrod" in wrong("lossproof run numpy --recrod x.jsonl")
    assert "--seed" in wrong("lossproof run numpy --seed many")
    assert wrong("lossproof run numpy --record x.jsonl --seed 3") == ""
    page = "    lossproof a\n\n`lossproof b`\n\n```sh\nx && lossproof c && y\n```\n```console\n$ lossproof d | e\n```\n"
    assert list(written(page)) == ["lossproof c ", "lossproof d ", "lossproof a", "lossproof b"]


def from_an_index(text: str) -> list[str]:
    """The lines that install lossproof by its name alone, which an index would have to have."""
    found = []
    for line in text.splitlines():
        value = re.match(r"\s*(?:#\s*)?(?:LOSSPROOF|lossproof): (.*)", line)
        installed = re.search(r"\bpip3? install ([^&;#]*)", line)
        words = re.sub(r"[\"'`]", " ", (value or installed or [""] * 2)[1]).split()
        named = [i for i, word in enumerate(words) if re.fullmatch(r"lossproof(\[.*\])?([=<>~!].*)?", word)]
        found += [line for i in named if words[i + 1 : i + 2] != ["@"]]
    return found


def test_what_no_index_has_is_installed_from_where_it_is() -> None:
    pages = [*PAGES, *sorted((ROOT / "docs" / "ci").glob("*.yml")), *sorted((ROOT / "examples").rglob("*.md"))]
    assert {page.name: found for page in pages if (found := from_an_index(page.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "line", ["pip install lossproof", "  run: pip install 'lossproof[report]==0.2.0' x", "LOSSPROOF: lossproof"]
)
def test_an_install_from_an_index_is_seen(line: str) -> None:
    assert from_an_index(line) == [line]


def test_installs_from_elsewhere_are_none() -> None:
    for line in (
        "pip install '.[fast]'",
        'pip install "$LOSSPROOF"',
        "lossproof: lossproof[report] @ git+https://a/b@T",
    ):
        assert from_an_index(line) == []
