"""Wide rows, where kernels, tiles and integers of few bits change: what a loop loses that ends early, a maximum of the
first block, a tile of nothing but -inf, a special value or a label in the last tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.drawn import drawn
from lossproof.cases.family import LN2
from lossproof.cases.picker import Picker
from lossproof.cases.sizes.repeated_draws import repeated_bell, repeated_cotangent
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS, Format

# Around powers of two, where kernels change, and beyond them, where bands of kernels have begun that were wrong.
_WIDE = (1023, 1024, 1025, 1281, 2047, 2048, 2049, 4096, 4098, 8192, 8193, 16384, 32768)
# Past 16 bits one neighbour of the power of two for each op, by turns, then vocabularies and two more powers.
_PAST_16_BITS = (65535, 65536, 65537)
_WIDEST = (70_000, 131_073, 151_936, 262_144)
_GRADIENTS = 131_000
# Classes at -inf before the first finite logit, and classes in the row: a warp, a block, several tiles.
TILES = ((8, 1025), (32, 1500), (512, 2048), (1024, 4097), (4096, 8193), (16384, 20_001), (16384, 16_400), (1024, 5121))
# A warp's worth of classes, and a tile's, of which one is NaN and all others are -inf.
_NAN_TILES = ((32, 1500), (1024, 4097))
_SPECIAL_WIDTHS = (2049, 8193, 65537)
_MISALIGNED = (1025, 4096, 16384)
# Beyond every exponential range: a maximum that does not see it makes exp overflow.
_PEAK = 720.0
_REDUCTIONS = ("none", "mean", "sum")
_Logits = Callable[[Picker, int, int], F64]


def wide_row_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: every op on every width, its logits by turns; they go where a new shape costs nothing.

    Several rows as long as that is cheap. An odd width puts rows at addresses of every alignment.
    """
    turn = DTYPES.index(dtype)
    for i, op in enumerate(OPS):
        widths = (*_WIDE, _PAST_16_BITS[(turn + i) % 3], *_WIDEST)
        for j, k in enumerate(widths):
            n = 3 if k <= 8193 else 2 if k < 2**16 else 1
            family, logits = _MASSES[(i + j + turn) % 3]
            # The gradient of the widest in every second dtype: value and gradient cost as much again.
            alone = k > _GRADIENTS and (i + j + turn) % 2 == 1
            uses = (i + j + turn) % 4
            yield from _drawn(part, dtype, op, family, (n, k), logits, "wide row", uses=uses, gradient=not alone)
    for hidden, k in TILES:
        for op in OPS[:2] if turn % 2 else (*OPS[:2], "cross_entropy"):
            says = f"wide row, {hidden} classes at -inf first"
            yield from _drawn(part, dtype, op, "late_start", (2, k), _late_start(hidden), says)
    for i, k in enumerate(_SPECIAL_WIDTHS):
        for j, op in enumerate(OPS):
            family, value = (("nan_row", np.nan), ("positive_infinity", np.inf))[(i + j + turn) % 2]
            if op != "nll_loss" or family == "nan_row":
                says = f"wide row, {value} in the last tile"
                yield from _drawn(part, dtype, op, family, (2, k), _special(value), says)
            if family != "nan_row":
                # A kernel may be for one dtype alone; and one class is left over where classes are taken by eights.
                yield from _drawn(part, dtype, op, "nan_row", (2, k), _special_last, "wide row, nan in the last class")
    for hidden, k in _NAN_TILES:
        for op in (*OPS[:2], "cross_entropy"):
            says = f"wide row, nan among {hidden} classes at -inf"
            yield from _drawn(part, dtype, op, "nan_row", (2, k), _late_start_with_nan(hidden), says)
    for k in _MISALIGNED:
        for op in OPS[:2]:
            yield from _drawn(part, dtype, op, "last_class", (2, k), _last, "wide row", layout="offset")


def _level(k: int) -> float:
    """The logit of one class that outweighs ``k`` others."""
    return k.bit_length() * LN2 + 2


def _last(pick: Picker, n: int, k: int) -> F64:
    """Most of the sum in the last class."""
    x = repeated_bell(pick, (n, k))
    x[:, -1] += _level(k)
    return x


def _ladder(pick: Picker, n: int, k: int) -> F64:
    """The sum in the classes on both sides of every power of two, and more of it in the last one."""
    x = repeated_bell(pick, (n, k))
    ends = 2 ** np.arange(3, k.bit_length())
    x[:, np.unique(np.minimum([*(ends - 1), *ends, k - 1], k - 1))] += _level(k)
    x[:, -1] += 2.0
    return x


def _peak(pick: Picker, n: int, k: int) -> F64:
    """One class far ahead in the last half."""
    x = repeated_bell(pick, (n, k))
    x[np.arange(n), k - 1 - (pick.bits(16, (n,)) * (k // 2) >> 16)] += _PEAK
    return x


# Families that are in the deck for less wide rows, too.
_MASSES: tuple[tuple[str, _Logits], ...] = (("last_class", _last), ("hot", _ladder), ("late_peak", _peak))


def _late_start(hidden: int) -> _Logits:
    """Nothing but -inf in the first classes; in the second row in all but the last ``hidden`` ones."""

    def logits(pick: Picker, n: int, k: int) -> F64:
        x = repeated_bell(pick, (n, k))
        x[0, :hidden] = -np.inf
        x[1, : max(k - hidden, 1)] = -np.inf
        return x

    return logits


def _special(value: float) -> _Logits:
    """One such value in the last tile, in the second row."""

    def logits(pick: Picker, n: int, k: int) -> F64:
        x = repeated_bell(pick, (n, k))
        x[1, k - 1 - pick.integer(0, 7)] = value
        return x

    return logits


def _special_last(pick: Picker, n: int, k: int) -> F64:
    """NaN in the last class of the second row."""
    x = repeated_bell(pick, (n, k))
    x[1, -1] = np.nan
    return x


def _late_start_with_nan(hidden: int) -> _Logits:
    """Nothing but -inf in the first classes, and a NaN among them in the first row."""

    def logits(pick: Picker, n: int, k: int) -> F64:
        x = repeated_bell(pick, (n, k))
        x[:, :hidden] = -np.inf
        x[0, pick.integer(1, hidden - 2)] = np.nan
        return x

    return logits


def _drawn(
    part: DeckPart,
    dtype: str,
    op: str,
    family: str,
    shape: tuple[int, int],
    logits: _Logits,
    says: str,
    **options: Any,
) -> Iterator[Call]:
    """One call, if the part keeps it."""
    if part.keeps(op, family, dtype, shape):
        yield drawn(part, partial(_call, part, dtype, op, family, shape, logits, says, **options))


def _call(
    part: DeckPart,
    dtype: str,
    op: str,
    family: str,
    shape: tuple[int, int],
    logits: _Logits,
    says: str,
    *,
    uses: int = 0,
    layout: str = "contiguous",
    gradient: bool = True,
) -> Call:
    pick, fmt = part.picker("wide row", op, family, shape, uses, layout), FORMATS[dtype]
    x = fmt.round(logits(pick, *shape))
    if op == "nll_loss":
        x = -np.abs(x)
    given = _loss(pick, fmt, op, x, uses) if op in LOSSES else {"cotangent": repeated_cotangent(pick, fmt, shape)}
    problem = Problem(op, dtype, x, layout=layout, **given if gradient else {**given, "cotangent": None})
    return Call(problem, family, f"{part.provenance}, {says}", tier="free")


def _loss(pick: Picker, fmt: Format, op: str, x: F64, uses: int) -> dict[str, NDArray[np.generic] | str | float]:
    """Targets and options of a loss, by turns: plain, weighted, smoothed, probabilities."""
    n, k = x.shape
    labels = np.minimum(k // 2 + (pick.bits(16, (n,)) * (k // 2) >> 16), k - 1)
    # Every second row's label is in the last tile, a finite one.
    labels[::2] = k - 1
    reduction = _REDUCTIONS[pick.integer(0, 2)]
    given: dict[str, NDArray[np.generic] | str | float] = {"target": labels, "reduction": reduction}
    given["cotangent"] = repeated_cotangent(pick, fmt, (n,)) if reduction == "none" else np.ones(())
    if uses == 1:
        given["weight"] = np.resize(np.array([1.0, 0.5, 2.0, 1.5, 0.75]), k)
    elif uses == 2 and op == "cross_entropy":
        given["label_smoothing"] = 0.1
    elif uses == 3 and op == "cross_entropy":
        q = np.zeros((n, k))
        q[:, 0], q[np.arange(n), labels], q[:, k // 2] = 0.25, 0.5, 0.25
        given["target"] = q
    return given
