"""Clauses of the specification that ledgers speak of."""

from __future__ import annotations

MODES = "modes"
# Whether small results keep relative accuracy: a grade (docs/bounds.md, section 9).
TAIL = "tail"
RELATIVE, ABSOLUTE = "relative", "absolute"
# How the memory that a giant loss takes grows: a grade (docs/giant.md).
MEMORY = "memory"


# Overflow depends on the format, flushing is recorded as found, label dtypes are the caller's, grades are none.
EXEMPT = frozenset({"7", "9", "12", "determinism", "batch", TAIL, MEMORY})
