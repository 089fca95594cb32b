"""Observations become outcomes: a text that fails the item once, or a subtest that passes, warns or is to fail."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import pytest

from lossproof.core.command_line import showing_command
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book, fails, verdict


def reason(book: Book, o: Observation) -> str:
    """The reason of the waiver that speaks of an observation."""
    w = book.named(o.waiver)
    return f"{w.name}: {w.reason} ({w.issue})"


def failure(book: Book, outputs: Sequence[Observation], *, strict: bool, place: Mapping[str, object]) -> str:
    """Say what is wrong with some observations; nothing, where nothing is. Under ``strict`` an unexpected pass fails.

    ``place`` are the options that find the deck of their cases.
    """
    bad = [o for o in outputs if fails(o)]
    lines = [f"{o.id} {o.output}: {o.message}\n    {showing_command(o.id, o.target, place)}" for o in bad]
    if strict:
        stale = (o for o in outputs if _passes_unexpectedly(o) and book.is_seen(book.named(o.waiver)))
        lines += [_unexpected(book, o) for o in stale]
    return "\n".join(lines)


def conclude(book: Book, outputs: Sequence[Observation]) -> None:
    """End the subtest that some observations are about, none of which fails."""
    for o in outputs:
        if _passes_unexpectedly(o):
            warnings.warn(_unexpected(book, o), stacklevel=2)
    waived = [o for o in outputs if verdict(o) == "waived"]
    if waived:
        pytest.xfail(reason(book, waived[0]))


def _passes_unexpectedly(o: Observation) -> bool:
    return verdict(o) == "unexpected_pass"


def _unexpected(book: Book, o: Observation) -> str:
    w = book.named(o.waiver)
    return f"{o.id} {o.output} passes on {o.target}, waiver {w.name} expects all to deviate ({w.source})"
