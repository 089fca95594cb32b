"""The growth of the memory of a loss with rows and with classes, from what shapes of two sizes of either have taken.

A loss that keeps anything for each logit keeps a byte of it at least. What grows with rows or with classes alone, or
not at all, cancels between four shapes (docs/giant.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lossproof.core.clauses import BY_ELEMENTS, BY_ROWS, MEMORY
from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation

# The least that can be kept of a logit.
_BYTE = 1.0
_ANSWERED = ("pass", "convention", "suspect")
# In which a gradient may be returned.
_RETURNED = "vjp"


@dataclass
class MemoryGrowth:
    """A ledger of the bytes that the shapes of growth have taken so far, by rows and classes, for each target, op,
    dtype and output."""

    taken: dict[tuple[str, str, str, str], dict[tuple[int, int], int]] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Take note of an observation, if there was an answer and its memory was measured."""
        if o.verdict in _ANSWERED and o.memory is not None and o.rows is not None and o.classes is not None:
            case = o.case
            shapes = self.taken.setdefault((o.target, case.op, case.dtype, o.output), {})
            shapes[o.rows, o.classes] = o.memory

    def graded(self, o: Observation, promised: str = "") -> Observation:
        """Return the observation of the largest shape with the grade, as far as there is one. A loss that promised
        O(N) and keeps something for each logit fails."""
        case = o.case
        taken = self.taken.get((o.target, case.op, case.dtype, o.output), {})
        kept = kept_bytes(taken, FORMATS[case.dtype].bits // 8 if o.output == _RETURNED else 0)
        if kept is None:
            return o
        grade = BY_ROWS if kept < _BYTE / 2 else BY_ELEMENTS
        text = f"{max(0.0, kept):.2f} bytes kept for each logit"
        found = replace(o, conventions=o.conventions | {MEMORY: grade}, note=f"{o.note}, {text}")
        if promised != BY_ROWS or grade == BY_ROWS or o.verdict not in _ANSWERED:
            return found
        sizes = "; ".join(f"{n} x {k}: {taken[n, k] / 2**20:.1f} MiB" for n, k in sorted(taken))
        beside = " and its gradient" if o.output == _RETURNED else ""
        what = f"{case.op}({case.dtype}): {o.output} takes memory of {BY_ELEMENTS} beyond its inputs{beside}"
        message = f"{what}, where {BY_ROWS} is declared: {text} ({sizes})"
        return replace(found, verdict="fail", message=message)


def kept_bytes(taken: Mapping[tuple[int, int], int], returned: int) -> float | None:
    """Return the bytes that are kept for each logit, without those that are ``returned``; None where a shape is
    missing."""
    rows, classes = sorted({n for n, _ in taken}), sorted({k for _, k in taken})
    corners = [(n, k) for n in (rows[0], rows[-1]) for k in (classes[0], classes[-1])] if taken else []
    if len(set(corners)) < 4 or not all(corner in taken for corner in corners):
        return None
    least, wide, tall, largest = (taken[corner] for corner in corners)
    logits = (rows[-1] - rows[0]) * (classes[-1] - classes[0])
    return (largest - wide - tall + least) / logits - returned
