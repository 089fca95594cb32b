"""Pages that are played: their files are written, their commands run, and what they print is compared with the page.

A block ``python title="FILE"``, of any language, is a file. In a block ``console`` a line that begins with ``$`` is a
command for a shell, and the lines below are what it prints on standard output, of which ``...`` leaves something out.
``$ echo $?`` after a command is its exit code. Everything happens in one folder, from the top of the page to its end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^ *```", re.M | re.S)
_TITLE = re.compile(r'title="([^"]+)"')
# Figures of accuracy, seconds and counts of bits are those of one machine: libraries choose kernels by the processor.
_OWN = re.compile(
    r"(?<![\w/])-?\d+\.\d+(?:e[+-]?\d+)?(?![\w.])|(?<![\w/])-?\d+e[+-]\d+|\b\d+(?= unchanged)|\b\d+(?= differ)"
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the rest of that line, its text, and the line of the page on which it begins."""

    language: str
    more: str
    text: str
    line: int


@dataclass(frozen=True)
class Played:
    """A command of a page, what it is said to print, what it printed, and its exit code."""

    command: str
    expected: str
    printed: str
    code: int

    @property
    def is_as_written(self) -> bool:
        """Say whether the page is right."""
        return matches(self.expected, self.printed)

    def __str__(self) -> str:
        return f"$ {self.command}\nthe page says:\n{self.expected}\nit prints (exit code {self.code}):\n{self.printed}"


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, without their indentation."""
    return [
        Block(m[2], m[3].strip(), re.sub(f"^{m[1]}", "", m[4], flags=re.M), text.count("\n", 0, m.start()) + 1)
        for m in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a block ``console``, each with what it prints."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = f"{command[:-1].rstrip()} {more.strip().removeprefix('>').strip()}"
        yield command, printed


def play(text: str, folder: Path, *, timeout: float = 900) -> Iterator[Played]:
    """Play a page in an empty folder, command by command."""
    (folder / ".bin").mkdir()
    for name, start in {"lossproof": "-P -m lossproof", "python": ""}.items():
        program = folder / ".bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder / '.bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    environment.pop("GITHUB_STEP_SUMMARY", None)
    code = 0
    for block in blocks(text):
        title = _TITLE.search(block.more)
        if title:
            path = folder / title[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, expected in commands(block):
                if command == "echo $?":
                    yield Played(command, expected, f"{code}\n", code)
                    continue
                done = subprocess.run(
                    command, shell=True, executable="/bin/bash", cwd=folder, env=environment,
                    capture_output=True, text=True, timeout=timeout, check=False,
                )  # fmt: skip
                code = done.returncode
                # What went wrong is on standard error.
                yield Played(command, expected, done.stdout or (done.stderr if code == 2 else ""), code)


def matches(expected: str, printed: str) -> bool:
    """Whether a text is what a page says, but for what ``...`` leaves out, for space and for figures of one machine."""
    parts = [re.escape(_plain(part)) for part in expected.split("...")]
    return bool(re.fullmatch(".*".join(parts), _plain(printed), re.S))


def _plain(text: str) -> str:
    """A text without space, and with # for figures of one machine."""
    return "".join(_OWN.sub("#", text).split())
