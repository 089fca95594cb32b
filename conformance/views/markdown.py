"""Texts from elsewhere are put into Markdown here: nothing of them is markup."""

from __future__ import annotations

import re

# What Markdown or HTML would take for markup.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def literal(value: str) -> str:
    """Escape a text so that Markdown shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))


def code(value: str) -> str:
    """Write a text in one line of code, between more backticks than it has in a row."""
    text = " ".join(value.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"
