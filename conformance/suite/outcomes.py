"""Observations become the outcome of a subtest: passed, failed, an expected failure, or a warning."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pytest

from lossproof.core.case_id import is_of_implementation
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book, fails, verdict


def reason(book: Book, o: Observation) -> str:
    """The reason of the waiver that speaks of an observation."""
    w = book.named(o.waiver)
    return f"{w.name}: {w.reason} ({w.issue})"


def conclude(book: Book, outputs: Sequence[Observation], *, strict: bool) -> None:
    """End the subtest that some observations are about. Under ``strict`` an unexpected pass fails."""
    __tracebackhide__ = True
    bad = [o for o in outputs if fails(o)]
    if bad:
        pytest.fail("\n".join(f"{o.id} {o.output}: {o.message}\n    {_hint(o)}" for o in bad), pytrace=False)
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


def _hint(o: Observation) -> str:
    verb = "repro" if is_of_implementation(o.id) else "explain"
    return f"lossproof {verb} {o.id} --target {o.target}"
