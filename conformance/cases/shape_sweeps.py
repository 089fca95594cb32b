"""Sweeps over shapes, for targets where a new shape costs nothing: widths, ranks and axes, layouts, extreme sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lossproof.adapters.protocol import LAYOUTS, Problem
from lossproof.cases.call_maker import Sig, make_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import SeededPicker
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

# Every width up to two cache lines of a vector unit, around every power of two, and odd ones that no warp divides.
WIDTHS = sorted({*range(1, 67), *(2**e + d for e in range(3, 11) for d in (-1, 0, 1)), *range(73, 1100, 37), 545, 1001})
# Where kernels change: blocks and warps end here.
_EDGES = frozenset(2**e + d for e in range(5, 11) for d in (-1, 0, 1))
# All dims distinct, square, and rich in singletons.
RANKS: tuple[tuple[int, ...], ...] = (
    *((5,), (3, 5), (3, 3), (2, 3, 5), (3, 3, 3), (1, 5, 1), (2, 3, 4, 5), (1, 3, 1, 2, 4), (2, 1, 3, 5, 4)),
)
_OPS = (
    Sig("softmax"),
    Sig("log_softmax"),
    Sig("cross_entropy", "none", "s"),
    Sig("cross_entropy", "mean", "wi"),
    Sig("nll_loss", "mean", "w"),
)
_HUGE_CLASSES, _HUGE_ROWS = 70_000, 100_000
_LANES = 16


def sweeps(dtype: str, seed: int, ops: frozenset[str], families: frozenset[str], version: int) -> Iterator[Call]:
    """All sweeps of a dtype: every width with one op or two, every rank and axis with three, every layout with four."""

    def call(name: str, sig: Sig, shape: tuple[int, ...]) -> Iterator[Call]:
        f = FAMILIES[name]
        k = shape[sig.axis]
        if sig.op in ops and name in families and f.needs(int(np.prod(shape)) // k, k):
            key = f"{version}/{seed}/sweep/{name}/{shape}/{sig}"
            provenance = f"seed {seed}"
            yield make_call(SeededPicker(key), f, sig, shape, FORMATS[dtype], provenance=provenance, tier="free")

    turn = list(FORMATS).index(dtype)
    for i, width in enumerate(WIDTHS):
        # One or several rows, and the four ops, by turns: each width meets all of them over the dtypes.
        rows = 1 if (i + turn) % 2 else 3
        sig = _OPS[(i // 2 + turn) % 4]
        yield from call("hot" if width > 1 else "single", sig, (rows, width))
        if width in _EDGES:
            for other in _OPS[:2]:
                yield from call("ordinary", other, (4 - rows, width))
        if width > _LANES:
            yield from call("late_peak", _OPS[(i // 2 + turn) % 2], (rows, width))
    for i, shape in enumerate(RANKS):
        for axis in range(len(shape)):
            for sig in (*_OPS[:2], _OPS[2 + (i + axis + turn) % 3]):
                moved = Sig(sig.op, sig.reduction, sig.uses, axis)
                yield from call("ordinary" if shape[axis] > 1 else "single", moved, shape)
    for layout in LAYOUTS[1:]:
        for sig in (*_OPS[:3], Sig("cross_entropy", "none", "q")):
            yield from call("hot", Sig(sig.op, sig.reduction, sig.uses, 1, layout), (3, 5, 4))
    yield from _extreme(call, dtype)
    if "ordinary" in families:
        yield from (c for c in _empty(dtype) if c.problem.op in ops)


def _extreme(call, dtype: str) -> Iterator[Call]:  # type: ignore[no-untyped-def]
    """Class and row counts past the finite and the integer range of float16 and the integers of bfloat16."""
    if not FORMATS[dtype].is_narrow:
        return
    classes, rows = (1, _HUGE_CLASSES), (_HUGE_ROWS, 2)
    losses = (Sig("cross_entropy", "mean"), Sig("cross_entropy", "none", "s"), Sig("cross_entropy", "none", "qs"))
    for sig in (Sig("softmax"), Sig("log_softmax"), *losses):
        yield from call("equal", sig, classes)
        yield from call("wide", sig, classes)
    for sig in (Sig("cross_entropy", "mean"), Sig("cross_entropy", "none"), Sig("cross_entropy", "mean", "w")):
        yield from call("long_batch", sig, rows)
    yield from call("long_batch", Sig("nll_loss", "mean"), rows)


def _empty(dtype: str) -> Iterator[Call]:
    """A batch without rows (SPEC section 4, clause 10)."""
    for op in ("cross_entropy", "nll_loss"):
        for reduction in ("none", "sum", "mean"):
            shape = (0,) if reduction == "none" else ()
            problem = Problem(
                op, dtype, np.zeros((0, 4)), np.zeros(0, np.int64), cotangent=np.ones(shape), reduction=reduction
            )
            yield Call(problem, "ordinary", "no rows", tier="free")
    for op in ("softmax", "log_softmax"):
        yield Call(Problem(op, dtype, np.zeros((0, 4)), cotangent=np.zeros((0, 4))), "ordinary", "no rows", tier="free")
