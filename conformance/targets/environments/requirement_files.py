"""Requirement files as pip reads them, as far as an isolated environment can follow: requirements, comments, hashes,
continued lines, and further files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lossproof.core.errors import UsageError

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s+--hash[= ]\S+")
_FURTHER = re.compile(r"(?:-r|--requirement)[= ]?\s*(\S.*)$")


def read_requirements(path: str | Path) -> list[str]:
    """Read the requirements of a file.

    Raises :class:`UsageError` for a line with another option, and for a file that cannot be read.
    """
    return list(_requirements(Path(path).expanduser(), ()))


def _requirements(path: Path, above: tuple[Path, ...]) -> Iterator[str]:
    if path in above:
        raise UsageError(f"{path} has itself among its further files")
    for number, line in _lines(path):
        further = _FURTHER.match(line)
        if further:
            yield from _requirements(path.parent / further[1], (*above, path))
        elif line.startswith("-"):
            raise UsageError(
                f"{path}: line {number} has {line.split()[0]!r}; expected requirements only: what is said to the "
                "installer belongs into the configuration of pip (pip config set)"
            )
        else:
            yield _HASH.sub("", line).strip()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, continued ones as one, each with the number of its end."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read requirements {path}: {getattr(error, 'strerror', None) or error}") from None
    begun = ""
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        line = begun + _COMMENT.sub("", raw)
        begun = line[:-1] + " " if line.endswith("\\") else ""
        if line.strip() and not begun:
            yield number, line.strip()
