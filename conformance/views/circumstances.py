"""The circumstances of a run, as its record says them: what pages and summaries put at their top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def circumstances(header: Mapping[str, Any]) -> list[str]:
    """Return the versions and the processor of a run whose record has this header, as far as it says."""
    versions = {
        f"{name} {version}"
        for facts in header.get("targets", {}).values()
        for name, version in facts.get("versions", {}).items()
    }
    suite = [f"lossproof {header['suite']}"] if header.get("suite") else []
    processor = str((header.get("cpu") or {}).get("model") or "")
    return [text for text in (", ".join([*suite, *sorted(versions)]), processor) if text]


def asked(header: Mapping[str, Any]) -> str:
    """Return the deck of a run whose record has this header."""
    deck = header.get("deck", {})
    return f"deck {deck.get('size')} (version {deck.get('version')}, seed {deck.get('seed')})"
