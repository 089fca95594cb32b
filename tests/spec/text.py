"""The text of the specification: where quotations are, and which words belong to none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PATH = Path(__file__).parents[2] / "docs" / "specification.md"
GAP = " ... "


def sections() -> str:
    """Sections 2 to 5."""
    text = PATH.read_text(encoding="utf-8")
    return text[text.index("## 2. ") : text.index("## 6. ")]


def spans(text: str, quote: str) -> list[tuple[int, int]]:
    """Where the parts of a quotation are: the first part occurs once, the others follow it on the same line.

    Raises :class:`ValueError` with the part that is missing or ambiguous.
    """
    first, *rest = quote.split(GAP)
    if text.count(first) != 1:
        raise ValueError(f"{first!r} occurs {text.count(first)} times")
    at = text.index(first)
    found = [(at, at + len(first))]
    line = text.find("\n", at)
    for part in rest:
        at = text.find(part, found[-1][1], line)
        if at < 0:
            raise ValueError(f"{part!r} does not follow {first!r}")
        found.append((at, at + len(part)))
    return found


def unquoted(text: str, quotes: Iterable[str]) -> list[str]:
    """Runs of words that no quotation covers; list numbers, **must**, **may** and markup aside."""
    covered = bytearray(len(text))
    for quote in quotes:
        for start, end in spans(text, quote):
            covered[start:end] = b"\1" * (end - start)
    rest = "".join("\n" if c else ch for c, ch in zip(covered, text, strict=True))
    rest = re.sub(r"^\d+\. |\*\*(must|may)\*\*", "", rest, flags=re.M)
    return [part.strip() for part in rest.split("\n") if re.search(r"\w", part)]
