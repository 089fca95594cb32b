"""Exploration: hypothesis draws calls, from the deck's families and from free extremes, with options drawn freely.

Families are the same code as in the deck; only the Picker differs. Its bits come from ``st.binary``, which is fast
and shrinks to zeros, so that a failure shrinks to plain numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lossproof.adapters.protocol import Problem
from lossproof.call import Call
from lossproof.deck import CUBE, WORKED
from lossproof.families import FAMILIES, Family
from lossproof.floats import F64, FORMATS, Format
from lossproof.ops import OPS, value_shape

T = TypeVar("T")
# The deck's small shapes (a compiler has seen them), and smaller ones for shrinking.
SHAPES: tuple[tuple[int, ...], ...] = ((1, 2), WORKED, (3, 5), CUBE, (2, 1))
FREE = "free"
_IGNORED = (-100, -1, 255, 0)


class HypothesisPicker:
    """A Picker whose choices hypothesis draws, shrinks and replays."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, lo: int, hi: int) -> int:
        """An integer in ``[lo, hi]``."""
        return self._draw(st.integers(lo, hi))

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return self._draw(st.sampled_from(options))

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """``n``-bit unsigned integers, n at most 32."""
        width = 1 if n <= 8 else 2 if n <= 16 else 4
        size = int(np.prod(shape)) * width
        raw = np.frombuffer(self._draw(st.binary(min_size=size, max_size=size)), dtype=f"<u{width}")
        return (raw.astype(np.int64) & ((1 << n) - 1)).reshape(shape)


def free(pick: HypothesisPicker, fmt: Format, n: int, k: int) -> F64:
    """Arbitrary values of the format: any bit pattern, and its extremes more often than chance has them."""
    table = np.array(
        [0.0, 1.0, -1.0, fmt.max, -fmt.max, fmt.min_normal, fmt.min_subnormal, -0.0, np.inf, -np.inf, np.nan]
    )
    which = pick.bits(5, (n, k))
    pattern = _patterns(pick, fmt, (n, k)) if pick.integer(0, 1) else pick.bits(8, (n, k)) / 4.0
    return np.where((which > 0) & (which <= len(table)), table[np.clip(which - 1, 0, len(table) - 1)], pattern)


def _patterns(pick: HypothesisPicker, fmt: Format, shape: tuple[int, ...]) -> F64:
    """Uniformly drawn bit patterns of the format, widened to float64."""
    low = pick.bits(min(fmt.bits, 32), shape)
    if fmt.name == "float16":
        return low.astype(np.uint16).view(np.float16).astype(np.float64)
    if fmt.name == "bfloat16":
        return (low.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    if fmt.name == "float32":
        return low.astype(np.uint32).view(np.float32).astype(np.float64)
    high = pick.bits(32, shape)
    return (high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)).view(np.float64).copy()


@st.composite
def calls(draw: st.DrawFn, op: str, dtypes: Sequence[str] = tuple(FORMATS)) -> Call:
    """A valid call of an op."""
    pick = HypothesisPicker(draw)
    fmt = FORMATS[pick.choice(dtypes)]
    shape = pick.choice(SHAPES)
    axis = pick.choice((-1, *range(len(shape) - 1)))
    k = shape[axis]
    n = int(np.prod(shape)) // k
    names = [
        FREE,
        *(f.name for f in FAMILIES.values() if f.needs(n, k) and (op != "nll_loss" or f.log_probs or k == 1)),
    ]
    name = pick.choice(names)
    with np.errstate(all="ignore"):
        rows = fmt.round(free(pick, fmt, n, k) if name == FREE else FAMILIES[name].make(pick, fmt, n, k))
    if op == "nll_loss":
        rows = -np.abs(rows)
    options = _loss_options(pick, op, fmt, FAMILIES.get(name), rows) if op in ("nll_loss", "cross_entropy") else {}
    problem = _shaped(op, fmt.name, rows, shape, axis, options)
    if pick.integer(0, 3) and _judgeable(problem):
        cotangent = _moderate(pick, fmt, value_shape(problem)) if pick.integer(0, 1) else np.ones(value_shape(problem))
        problem = Problem(**{**problem.__dict__, "cotangent": cotangent})
    return Call(problem, name, "explored")


def _loss_options(pick: HypothesisPicker, op: str, fmt: Format, family: Family | None, rows: F64) -> dict[str, Any]:
    """Targets and options of a loss, in the rows' layout."""
    n, k = rows.shape
    known = OPS[op].options
    out: dict[str, Any] = {"reduction": pick.choice(("none", "sum", "mean"))}
    if pick.integer(0, 1):
        out["weight"] = np.abs(_moderate(pick, fmt, (k,)))
    if "label_smoothing" in known and pick.integer(0, 1):
        out["label_smoothing"] = pick.choice((0.1, 0.5, 2.0**-10, 1.0, 0.3))
    if "probability" in OPS[op].targets and pick.integer(0, 2) == 2:
        return out | {"target": _probabilities(pick, n, k)}
    labels = pick.bits(16, (n,)) * k >> 16
    if family is not None and family.labels == "unmasked":
        labels = np.where(np.isneginf(rows[np.arange(n), labels]), np.argmax(rows, axis=1), labels)
    if pick.integer(0, 1):
        out["ignore_index"] = pick.choice(_IGNORED)
        labels = np.where(pick.bits(2, (n,)) == 1, out["ignore_index"], labels)
    return out | {"target": labels}


def _probabilities(pick: HypothesisPicker, n: int, k: int) -> F64:
    """Multiples of 1/128: one-hot, with sum exactly 1, or with any sum."""
    kind = pick.choice(("one-hot", "normalised", "any"))
    if kind == "any":
        return pick.bits(7, (n, k)) / 128.0
    if kind == "one-hot":
        return (np.arange(k) == pick.bits(16, (n, 1)) * k >> 16).astype(np.float64)
    cuts = np.sort(pick.bits(7, (n, k - 1)), axis=1)
    return np.diff(cuts, axis=1, prepend=0, append=128) / 128.0


def _judgeable(p: Problem) -> bool:
    """Whether a gradient has one exact value: targets that do not sum to 1 leave a choice (SPEC section 3)."""
    if not p.has_probability_target:
        return True
    # sanity check: has_probability_target says so
    assert p.target is not None
    return bool(np.all(p.target.sum(axis=p.axis) == 1.0))


def _moderate(pick: HypothesisPicker, fmt: Format, shape: tuple[int, ...]) -> F64:
    """0, or numbers of a few bits between 1/16 and 8, of both signs: no product with them is subnormal by itself."""
    size = (pick.bits(4, shape)) * np.ldexp(1.0, pick.bits(2, shape) - 4)
    return fmt.round(np.where(pick.bits(1, shape) == 1, -size, size))


def _shaped(op: str, dtype: str, rows: F64, shape: tuple[int, ...], axis: int, options: dict[str, Any]) -> Problem:
    """The problem of a shape and class axis whose flattened rows are given."""
    at = axis % len(shape)
    rest = shape[:at] + shape[at + 1 :]

    def placed(a: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(a.reshape(*rest, rows.shape[1]), -1, at))

    target = options.get("target")
    if target is not None:
        options = options | {"target": placed(target) if target.ndim == 2 else target.reshape(rest)}
    return Problem(op=op, dtype=dtype, x=placed(rows), axis=axis, **options)
