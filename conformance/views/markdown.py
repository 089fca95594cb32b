"""Text from elsewhere in Markdown: nothing of it is markup."""

from __future__ import annotations

import re

# What Markdown or HTML would take for markup.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def literal(value: str) -> str:
    """A text in one line, as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))
