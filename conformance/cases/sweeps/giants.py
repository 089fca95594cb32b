"""Giant calls: small problems spread over tensors beyond the limits of 32-bit indices, grids and float32 counts.

Each case takes the limit that it is to pass as a number, so that a test passes a small one in milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import DTYPES, LOSSES, OPS, REDUCTIONS, Giant, Problem
from lossproof.cases.picker import SeededPicker, bell
from lossproof.core.call import Call
from lossproof.core.case_id import parts_of
from lossproof.core.errors import UsageError
from lossproof.core.formats import BFLOAT16, F64, FLOAT32, FORMATS
from lossproof.core.names import known_names

# Rows that differ, primes: a row that is taken for another one some power of two away is a different one.
_FEW, _MANY = 17, 1021
_CLASSES = 8
# What the families of giant calls begin with.
FAMILY = "giant-"
# What all other classes hold: its exponential rounds to 0 in every format (docs/bounds.md, section 3).
FAR_BELOW = -(2.0**14)
_IGNORED = -100
# The smallest shape that growth is measured from, and by how much rows and classes grow.
_GROWTH_ROWS, _GROWTH_CLASSES, _STEPS = 17, 21, (1, 4, 16)
# Classes somewhere, besides those at the limits.
_ANYWHERE = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits that giant tensors are to pass.

    ``elements``  what an index of 32 bits with a sign does not reach
    ``far``       what one without a sign does not
    ``grid``      the blocks that some grids have at most
    ``exact``     the integers that float32 counts
    ``growth``    the factor of the shapes that growth is measured on (docs/giant.md says why it is what it is)
    """

    elements: int = 2**31
    far: int = 2**32
    grid: int = 65_535
    exact: int = 2**24
    growth: int = 32


LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class GiantCase:
    """A case of the giant tier.

    ``says`` in one sentence what it is after. ``rows`` and ``classes`` follow from the limits, and so do the
    ``places`` of the classes that count, None where all do. ``differing`` rows are repeated. Losses have the
    ``reduction``. What has the same small shape as another one of this name has a ``seed`` of its own.
    """

    name: str
    says: str
    dtypes: tuple[str, ...]
    rows: Callable[[Limits], int]
    classes: Callable[[Limits], int]
    differing: int
    reduction: str = "none"
    places: Callable[[Limits], Sequence[int]] | None = None
    ignored: bool = False
    seed: str = ""


@dataclass(frozen=True)
class GiantCall:
    """A giant call: the ``call`` of the small problem, whose exact result it has, and how that is spread.

    ``copies`` is how often each row occurs in a mean; 1 where nothing is reduced.
    """

    case: GiantCase
    call: Call
    giant: Giant
    copies: int


def _multiple(n: int, beyond: int) -> int:
    """The smallest n 2^e above a number, so that every row counts as much in a mean."""
    copies = 1
    while n * copies <= beyond:
        copies *= 2
    return n * copies


def _around(*limits: int) -> list[int]:
    return [place + step for place in limits for step in (-1, 0, 1, 3)]


GIANT_CASES: dict[str, GiantCase] = {
    case.name: case
    for case in (
        GiantCase(
            name="grid",
            says="more rows than a grid of 65 535 blocks has",
            dtypes=DTYPES,
            rows=lambda at: at.grid + 3,
            classes=lambda at: _CLASSES,
            differing=_FEW,
        ),
        GiantCase(
            name="labels",
            says="labels above 2^24, which float32 does not hold",
            dtypes=(FLOAT32.name, BFLOAT16.name),
            rows=lambda at: 3,
            classes=lambda at: at.exact + 8,
            differing=3,
            places=lambda at: _around(at.exact),
        ),
        GiantCase(
            name="counts",
            says="a mean over more than 2^24 rows, half of them ignored: counts in float32 stagnate",
            dtypes=(FLOAT32.name, BFLOAT16.name),
            rows=lambda at: _multiple(_MANY, 2 * at.exact),
            classes=lambda at: 2,
            differing=_MANY,
            reduction="mean",
            ignored=True,
        ),
        GiantCase(
            name="elements",
            says="2^31 + 8 elements in rows of 8: an index of 32 bits with a sign overflows",
            dtypes=(BFLOAT16.name,),
            rows=lambda at: at.elements // _CLASSES + 1,
            classes=lambda at: _CLASSES,
            differing=_FEW,
        ),
        GiantCase(
            name="classes",
            says="a row of 2^31 + 8 classes, those at the limits far above all others",
            dtypes=(BFLOAT16.name,),
            rows=lambda at: 1,
            classes=lambda at: at.elements + 8,
            differing=1,
            places=lambda at: _around(at.exact, at.elements),
        ),
        GiantCase(
            name="far",
            says="2^32 + 8 elements in rows of 8: an index of 32 bits without a sign overflows",
            dtypes=(BFLOAT16.name,),
            rows=lambda at: at.far // _CLASSES + 1,
            classes=lambda at: _CLASSES,
            differing=_FEW,
        ),
        GiantCase(
            name="rows",
            says="a mean over more than 2^31 rows: the denominator is beyond 32 bits",
            dtypes=(BFLOAT16.name,),
            rows=lambda at: _multiple(_FEW, at.elements),
            classes=lambda at: 2,
            differing=_FEW,
            reduction="mean",
        ),
    )
}


def _growth(rows: int, classes: int) -> GiantCase:
    return GiantCase(
        name="growth",
        says="how memory grows with rows and with classes",
        dtypes=(FLOAT32.name, BFLOAT16.name),
        rows=lambda at: _GROWTH_ROWS * rows * at.growth,
        classes=lambda at: _GROWTH_CLASSES * classes * at.growth,
        differing=_FEW,
        reduction="mean",
        seed=f"/{rows}x{classes}",
    )


# Each step grows in one of two ways, from a corner; the largest comes last.
GROWTH_CASES: tuple[GiantCase, ...] = tuple(
    _growth(rows, classes)
    for rows, classes in sorted(itertools.product(_STEPS, repeat=2), key=lambda step: step[0] * step[1])
    if _STEPS[-1] in (rows, classes) or rows == classes == _STEPS[0]
)
GROWTH_FAMILY = f"{FAMILY}{GROWTH_CASES[0].name}"

# The shapes of a case are put to an op one after the other; those of smaller tensors come first.
_SHAPES: dict[str, tuple[GiantCase, ...]] = {
    name: GROWTH_CASES if name == GROWTH_CASES[0].name else (GIANT_CASES[name],)
    for name in ("grid", "labels", GROWTH_CASES[0].name, "counts", "elements", "classes", "far", "rows")
}


def giant_calls(
    cases: Sequence[str] = (), ops: Sequence[str] = (), dtypes: Sequence[str] = (), limits: Limits = LIMITS
) -> list[GiantCall]:
    """Make the calls of some cases, ops and dtypes (all where there are none), the smaller tensors first.

    Raises :class:`UsageError` for unknown names, with the nearest known one, and where nothing is left.
    """
    known_names("giant case", cases, list(_SHAPES))
    known_names("op", ops, OPS)
    known_names("dtype", dtypes, DTYPES)
    found = list(_calls(cases, ops, dtypes, limits))
    if not found:
        offered = "; ".join(f"{name}: {', '.join(several[0].dtypes)}" for name, several in _SHAPES.items())
        raise UsageError(f"no giant case is left; expected dtypes that a case has ({offered})")
    return found


def _calls(cases: Sequence[str], ops: Sequence[str], dtypes: Sequence[str], limits: Limits) -> Iterator[GiantCall]:
    for name, several in _SHAPES.items():
        first = several[0]
        for dtype, op in itertools.product(first.dtypes, OPS):
            if (
                (not cases or name in cases)
                and (not ops or op in ops)
                and (not dtypes or dtype in dtypes)
                and (op in LOSSES or first.reduction == "none")
            ):
                yield from (giant_call(case, op, dtype, limits) for case in several)


def giant_of_id(id: str) -> GiantCall | None:
    """Make the giant call with an id again; None for an id of none."""
    parts = parts_of(id)
    if len(parts) < 3:
        return None
    op, dtype, family = parts[:3]
    several = _SHAPES.get(family.removeprefix(FAMILY), ())
    if op not in OPS or dtype not in DTYPES or not several:
        return None
    # Of functions growth is asked in a reduction that they take.
    asked = (giant_call(case, op, dtype, LIMITS, r) for case in several for r in (case.reduction, *REDUCTIONS))
    return next((found for found in asked if found.call.id == id), None)


def giant_call(
    case: GiantCase, op: str, dtype: str, limits: Limits = LIMITS, reduction: str | None = None
) -> GiantCall:
    """Make the call of an op in a dtype: the same numbers everywhere. A loss may have another ``reduction``."""
    case = case if reduction is None else replace(case, reduction=reduction)
    pick = SeededPicker(f"giant/{case.name}{case.seed}/{op}/{dtype}")
    rows, classes = case.rows(limits), case.classes(limits)
    places = np.zeros(0, dtype=np.int64)
    if case.places is not None:
        anywhere = (pick.integer(0, classes - 1) for _ in range(_ANYWHERE))
        wanted = {0, 1, classes - 2, classes - 1, *case.places(limits), *anywhere}
        places = np.array(sorted(p for p in wanted if 0 <= p < classes), dtype=np.int64)
    k = len(places) or classes
    x = _numbers(pick, dtype, (case.differing, k)) * 2
    cotangent = _numbers(pick, dtype, (case.differing, k) if op not in LOSSES else (case.differing,))
    copies = 1
    if op in LOSSES and case.reduction != "none":
        copies = rows // case.differing
        cotangent = np.array(1.0)
    if op == "nll_loss":
        x = -np.abs(x)
    labels = _labels(pick, case, places, k) if op in LOSSES else None
    if places.size:
        # The class that stands for all others.
        x = np.concatenate([x, np.full((len(x), 1), FAR_BELOW)], axis=1)
        if op not in LOSSES:
            cotangent = np.concatenate([cotangent, np.zeros((len(x), 1))], axis=1)
    problem = Problem(
        op,
        dtype,
        x,
        target=labels,
        cotangent=cotangent,
        reduction=case.reduction if op in LOSSES else "mean",
        ignore_index=_IGNORED if case.ignored and op in LOSSES else None,
    )
    says = f"lossproof giant TARGET --case {case.name} --op {op} --dtype {dtype}: {rows} rows, these over and over"
    says += f", of {classes} classes, all others as the last one" if places.size else f", of {classes} classes"
    call = Call(problem, f"{FAMILY}{case.name}", says, random_order=True)
    # Of the mean of all rows, each of which occurs so many times: the share of a row in the gradient is the same.
    asked = replace(problem, cotangent=np.asarray(cotangent * copies)) if copies > 1 else problem
    return GiantCall(case, call, Giant(asked, rows, classes, places), copies)


def _numbers(pick: SeededPicker, dtype: str, shape: tuple[int, ...]) -> F64:
    """Numbers of unit scale with all the bits of a format."""
    return FORMATS[dtype].round(bell(pick, shape) + pick.bits(32, shape) * 2.0**-33 + pick.bits(32, shape) * 2.0**-60)


def _labels(pick: SeededPicker, case: GiantCase, places: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The labels of the rows; of far classes the last odd ones, which float32 does not hold."""
    if places.size:
        odd = [i for i, place in enumerate(places) if place % 2]
        return np.array([odd[-1 - row % len(odd)] for row in range(case.differing)], dtype=np.int64)
    labels = np.array([pick.integer(0, k - 1) for _ in range(case.differing)], dtype=np.int64)
    if case.ignored:
        labels[::2] = _IGNORED
    return labels
