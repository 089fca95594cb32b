"""Clauses of the specification that ledgers speak of."""

from __future__ import annotations

MODES = "modes"


# Overflow depends on the format, flushing is recorded as found, label dtypes are the caller's.
EXEMPT = frozenset({"7", "9", "12", "determinism", "batch"})
