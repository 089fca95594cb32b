"""A mistake of the user's is told in characters that a terminal shows."""

from __future__ import annotations

import pickle

import pytest

from lossproof.core.errors import UsageError


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("unknown op 'été'", "unknown op 'été'"),
        ("a\ufeffb", "a\\ufeffb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\ud800\u2028\x00", "\\ud800\\u2028\\x00"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_what_is_quoted_is_escaped(said: str, shown: str) -> None:
    assert str(UsageError(said)) == shown
    assert str(pickle.loads(pickle.dumps(UsageError(said)))) == shown
