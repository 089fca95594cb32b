"""The cells of the coverage matrix: all that there are, and those that a problem fills. Pure, of one problem alone."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import LAYOUTS, LOSSES, OUTPUTS, REDUCTIONS, Problem
from lossproof.cases.coverage.covering_shapes import ALL_RANKS
from lossproof.cases.coverage.sentinels import SENTINEL_CLASSES, SENTINELS
from lossproof.cases.forms.laid_inputs import OF_ONE_AXIS, OF_TWO_AXES
from lossproof.core.call import LABEL_DTYPES, rows_first

# A table, and a cell of it in words.
CoverageCell = tuple[str, str]
TABLES = {
    "axes": "Class axis, by rank",
    "singletons": "Another axis of length 1, by rank",
    "classes": "Number of classes",
    "rows": "Number of rows",
    "special": "Values in a row of more than 1024 classes",
    "sentinels": "Label that is ignored, reduction and weights",
    "layouts": "Arrays that lie otherwise in memory",
    "options": "Options and outputs",
}
# Around powers of two and beyond, where kernels change, a band is a number or three.
CLASS_BANDS = (
    *("1", "2", "3-8", "9-16", "17-32", "33-64", "65-128", "129-256", "257-512", "513-1022", "1023-1025"),
    *("1026-2046", "2047-2049", "2050-4095", "4096", "8192", "16384", "32768", "65535-65537", "70000"),
    *("131073", "151936", "262144"),
)
ROW_BANDS = ("0", "1", "2-8", "9-64", "65-512", "513-4095", "4096", "4097", "5000", "8193", "65537", "131073")
_WIDE, _TILE = 1024, 8
SPECIAL = ("-inf in the first tile", "-inf", "+inf", "NaN", "label in the last tile")
# The arrays that have a layout alone; the logits and the cotangent have one together.
ARRAYS_LAID = ("x", "target", "weight", "cotangent")
OPTIONS = (
    *(f"reduction {name}" for name in REDUCTIONS),
    *("index targets", "probability targets", "smoothing", "weights", "ignore_index", "no option of these"),
    *("value alone", "wider output", "factor on the logits"),
    *(name for name in OUTPUTS if name != "value" and TABLE[name].repeats is None),
    *(f"labels of {name}" for name in LABEL_DTYPES),
)


def sentinel_name(label: int, k: int) -> str:
    """Name an ignored label: the classes next to the end by their place among ``k``, extremes by their type."""
    sides = np.iinfo(np.int64)
    named = {int(sides.min): "int64 min", int(sides.max): "int64 max", k: "K"}
    return "K-1" if label == k - 1 > 0 else named.get(label, str(label))


def all_cells() -> Iterator[CoverageCell]:
    """Every cell of every table, in order."""
    for rank in ALL_RANKS:
        yield from (("axes", _axis(rank, axis)) for axis in range(rank))
        yield from (("singletons", _place(rank, axis)) for axis in range(rank if rank > 1 else 0))
    yield from (("classes", band) for band in CLASS_BANDS)
    yield from (("rows", band) for band in ROW_BANDS)
    yield from (("special", name) for name in SPECIAL)
    for label, reduction, weighted in itertools.product(SENTINELS, REDUCTIONS, (False, True)):
        yield "sentinels", _sentinel(sentinel_name(label, SENTINEL_CLASSES), reduction, weighted=weighted)
    yield from (("layouts", _layout("", layout)) for layout in LAYOUTS[1:])
    for name in ARRAYS_LAID:
        layouts = OF_ONE_AXIS if name in ("target", "weight") else OF_TWO_AXES
        yield from (("layouts", _layout(name, layout)) for layout in layouts)
    yield from (("options", name) for name in OPTIONS)


def cells(p: Problem) -> Iterator[CoverageCell]:
    """Yield the cells that a problem fills."""
    axis, k = p.axis % p.x.ndim, p.x.shape[p.axis]
    yield "axes", _axis(p.x.ndim, axis)
    yield from (("singletons", _place(p.x.ndim, i)) for i, n in enumerate(p.x.shape) if n == 1 and i != axis)
    rows = int(np.prod(p.row_shape))
    yield from (("classes", band) for band in _bands(k, CLASS_BANDS))
    yield from (("rows", band) for band in _bands(rows, ROW_BANDS))
    if k > _WIDE:
        yield from (("special", name) for name in _special(p))
    if p.ignore_index is not None and p.target is not None and np.any(p.target == p.ignore_index):
        name = sentinel_name(p.ignore_index, k)
        yield "sentinels", _sentinel(name, p.reduction, weighted=p.weight is not None)
    if p.layout != LAYOUTS[0]:
        yield "layouts", _layout(p.laid, p.layout)
    yield from (("options", name) for name in _options(p))


def _axis(rank: int, axis: int) -> str:
    return f"rank {rank}, axis {axis}"


def _place(rank: int, place: int) -> str:
    return f"rank {rank}, axis {place} of length 1"


def _sentinel(name: str, reduction: str, *, weighted: bool) -> str:
    return f"{name}, {reduction}{', weights' * weighted}"


def _layout(name: str, layout: str) -> str:
    return f"{name or 'x and cotangent'} {layout}"


@functools.cache
def _bands(n: int, bands: tuple[str, ...]) -> tuple[str, ...]:
    ends = {band: band.partition("-") for band in bands}
    return tuple(band for band, (first, _, last) in ends.items() if int(first) <= n <= int(last or first))


def _special(p: Problem) -> Iterator[str]:
    x = rows_first(p.x, p.axis)
    hidden = np.isneginf(x)
    found = (hidden[:, :_TILE].all(1) & ~hidden.all(1), hidden, np.isposinf(x), np.isnan(x))
    yield from (name for name, which in zip(SPECIAL, found, strict=False) if which.any())
    if p.is_loss and p.target is not None:
        last = x.shape[1] - _TILE
        q = rows_first(p.target, p.axis)[:, last:] > 0 if p.has_probability_target else p.target >= last
        if q.any():
            yield SPECIAL[-1]


def _options(p: Problem) -> Iterator[str]:
    used = {
        "smoothing": p.label_smoothing > 0,
        "weights": p.weight is not None,
        "ignore_index": p.ignore_index is not None,
    }
    if p.is_loss and p.target is not None:
        yield f"reduction {p.reduction}"
        yield "probability targets" if p.has_probability_target else "index targets"
        yield from (name for name, is_used in used.items() if is_used)
        if not any(used.values()):
            yield "no option of these"
        if not p.has_probability_target:
            yield f"labels of {p.target.dtype.name}"
    yield from (name for name in p.want if name != "value")
    if p.want == ("value",):
        yield "value alone"
    if p.out_dtype is not None:
        yield "wider output"
    if p.scale != 1.0:
        yield "factor on the logits"


def concerns(op: str, cell: CoverageCell) -> bool:
    """Tell whether an op can have a cell at all: labels, weights and reductions are of losses alone."""
    table, name = cell
    of_losses = table == "sentinels" or name.startswith(("target ", "weight ", "label", "reduction", "index", "no opt"))
    return op in LOSSES or not (of_losses or name in ("probability targets", "smoothing", "weights", "ignore_index"))
