"""Texts that files can hold: what is read as JSON has no half of a surrogate pair, and what is written has none.

A string of JSON, a name of a file and a message of an exception may hold one in Python; UTF-8 has no bytes for it.
"""

from __future__ import annotations

import json
from typing import Any


def parsed_json(text: str | bytes) -> Any:
    """Parse a text of JSON, bytes as UTF-8.

    Raises ValueError, in one line, for what is no JSON, is nested more deeply than the parser follows, or holds half of
    a surrogate pair, which nothing could print or write again.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        found = json.loads(text)
        if not text.isascii() or "\\ud" in text or "\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(f"it holds {half!r}, which is half of a surrogate pair and no character") from None
    return found


def whole_text(text: str) -> str:
    """Return a text with each half of a surrogate pair escaped, as a terminal shows it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
