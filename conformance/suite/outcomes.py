"""Observations become the outcome of a subtest: passed, failed, an expected failure, or a warning."""

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


def conclude(book: Book, outputs: Sequence[Observation], *, strict: bool, place: Mapping[str, object]) -> None:
    """End the subtest that some observations are about. Under ``strict`` an unexpected pass fails.

    ``place`` are the options that find the deck of their cases.
    """
    __tracebackhide__ = True
    bad = [o for o in outputs if fails(o)]
    if bad:
        hints = [f"{o.id} {o.output}: {o.message}\n    {showing_command(o.id, o.target, place)}" for o in bad]
        pytest.fail("\n".join(hints), pytrace=False)
    for o in outputs:
        if verdict(o) == "unexpected_pass":
            w = book.named(o.waiver)
            text = f"{o.id} {o.output} passes on {o.target}, waiver {w.name} expects all to deviate ({w.source})"
            if strict and book.is_seen(w):
                pytest.fail(text, pytrace=False)
            warnings.warn(text, stacklevel=2)
    waived = [o for o in outputs if verdict(o) == "waived"]
    if waived:
        pytest.xfail(reason(book, waived[0]))
