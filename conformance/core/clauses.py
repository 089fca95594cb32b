"""Clauses of the specification that ledgers speak of."""

from __future__ import annotations

MODES = "modes"
# Whether small results keep relative accuracy: a grade (docs/bounds.md, section 9).
TAIL = "tail"
RELATIVE, ABSOLUTE = "relative", "absolute"
# How the memory that a loss takes beyond its inputs and its gradient grows: a grade (docs/giant.md).
MEMORY = "memory"
BY_ROWS, BY_ELEMENTS = "O(N)", "O(N K)"


# Overflow depends on the format, flushing is recorded as found, label dtypes are the caller's, grades are none.
EXEMPT = frozenset({"7", "9", "12", "determinism", "batch", TAIL, MEMORY})
