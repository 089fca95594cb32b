"""Exploration draws calls by hypothesis (shapes, logits, options) and climbs on the share of the bound."""

from __future__ import annotations

from importlib.util import find_spec


def what_is_missing() -> str:
    """Say what exploration needs and how to get it; nothing where it is there.

    Hypothesis is an extra: its plugin for pytest would cost every other project in the same environment a second.
    """
    if find_spec("hypothesis") is not None:
        return ""
    return "exploration needs the package hypothesis; pip install 'lossproof[explore]'"
