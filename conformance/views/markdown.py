"""Texts from elsewhere are put into Markdown here: nothing of them is markup."""

from __future__ import annotations

import re

# What Markdown or HTML would take for markup.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def literal(value: str) -> str:
    """Escape a text so that Markdown shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))
