"""The signatures of the deck, as tables: what a compiler sees of a call, crossed.

The options of the losses are factors: reduction, kind of target, smoothing, weights, ignore_index, and the place (shape
and class axis). The rows of :data:`CROSSED` contain every combination of any three of them that makes sense; a test
counts. They were found once with the library covertable and are kept as data, because another release of it would find
other rows and so make another deck. All 48 combinations of the options alone are in :func:`combinations`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lossproof.adapters.protocol import DTYPES, REDUCTIONS
from lossproof.cases.signature import NOTHING, Signature, Uses

Shape = tuple[int, ...]
# Shape and class axis.
ShapeAndAxis = tuple[Shape, int]
# Reduction and options of a loss.
Row = tuple[str, Uses]

PROBABILITIES, ANY_SUM, SMOOTHING, WEIGHT = Uses.PROBABILITIES, Uses.ANY_SUM, Uses.SMOOTHING, Uses.WEIGHT
IGNORE_INDEX, TANGENT = Uses.IGNORE_INDEX, Uses.TANGENT
TARGET_GRADIENT, TARGET_TANGENT = Uses.TARGET_GRADIENT, Uses.TARGET_TANGENT

WORKED, CUBE, WIDE, LONG = (2, 4), (1, 17, 24), (4, 1000), (4096, 2)
# Four shapes, seven class counts: the axes of the cube have 1, 17 and 24 classes, the others are read both ways.
PLACES: dict[str, ShapeAndAxis] = {
    "worked": (WORKED, 1),
    "cube": (CUBE, 1),
    "last": (CUBE, 2),
    "wide": (WIDE, 1),
    "long": (LONG, 1),
}
# The covering array of cross_entropy, by place.
CROSSED: dict[str, tuple[Row, ...]] = {
    "worked": (
        ("mean", SMOOTHING),
        ("mean", WEIGHT | IGNORE_INDEX),
        ("none", SMOOTHING | WEIGHT | IGNORE_INDEX),
        ("sum", IGNORE_INDEX),
        ("mean", PROBABILITIES),
        ("none", PROBABILITIES),
        ("sum", PROBABILITIES | SMOOTHING | WEIGHT),
    ),
    "cube": (
        ("mean", IGNORE_INDEX),
        ("none", SMOOTHING),
        ("none", IGNORE_INDEX),
        ("sum", SMOOTHING | WEIGHT | IGNORE_INDEX),
        ("mean", PROBABILITIES | SMOOTHING | WEIGHT),
        ("none", PROBABILITIES | WEIGHT),
        ("sum", PROBABILITIES),
    ),
    "last": (
        ("mean", SMOOTHING | IGNORE_INDEX),
        ("none", SMOOTHING | WEIGHT | IGNORE_INDEX),
        ("sum", WEIGHT),
        ("sum", IGNORE_INDEX),
        ("mean", PROBABILITIES | WEIGHT),
        ("none", PROBABILITIES),
        ("sum", PROBABILITIES | SMOOTHING),
    ),
    "wide": (
        ("mean", SMOOTHING | WEIGHT | IGNORE_INDEX),
        ("none", WEIGHT | IGNORE_INDEX),
        ("sum", NOTHING),
        ("sum", SMOOTHING | IGNORE_INDEX),
        ("mean", PROBABILITIES),
        ("none", PROBABILITIES | SMOOTHING),
        ("sum", PROBABILITIES | WEIGHT),
    ),
    "long": (
        ("mean", IGNORE_INDEX),
        ("none", WEIGHT),
        ("none", IGNORE_INDEX),
        ("sum", SMOOTHING | WEIGHT | IGNORE_INDEX),
        ("mean", PROBABILITIES | SMOOTHING | WEIGHT),
        ("none", PROBABILITIES | SMOOTHING),
        ("sum", PROBABILITIES),
    ),
}
# The plain loss of cross_entropy, where each target should have it.
_PLAIN: dict[str, tuple[Row, ...]] = {
    "worked": (
        ("mean", NOTHING),
        ("none", NOTHING),
        ("mean", WEIGHT),
        ("mean", SMOOTHING | WEIGHT | IGNORE_INDEX),
    ),
    "wide": (("mean", NOTHING), ("mean", SMOOTHING)),
    "long": (("mean", NOTHING),),
}
# Rows of cross_entropy with the class axis first.
_FIRST_AXIS: dict[Shape, tuple[Row, ...]] = {
    WORKED: (("mean", SMOOTHING), ("none", PROBABILITIES | WEIGHT)),
    CUBE: (("none", SMOOTHING | WEIGHT), ("mean", PROBABILITIES | SMOOTHING | WEIGHT)),
    WIDE: (("mean", NOTHING), ("mean", SMOOTHING)),
}
# Every combination of two factors of nll_loss, and the plain ones, where log-probabilities make a difference.
_NLL: dict[str, tuple[Row, ...]] = {
    "worked": (
        ("mean", WEIGHT | IGNORE_INDEX),
        ("none", NOTHING),
        ("sum", WEIGHT),
        ("mean", NOTHING),
        ("none", IGNORE_INDEX),
    ),
    "cube": (("none", WEIGHT | IGNORE_INDEX), ("sum", IGNORE_INDEX), ("mean", WEIGHT)),
    "long": (
        ("mean", IGNORE_INDEX),
        ("none", WEIGHT),
        ("sum", NOTHING),
        ("sum", WEIGHT | IGNORE_INDEX),
        ("mean", NOTHING),
    ),
}
# Directions for the JVP and second derivatives, gradients with respect to targets, targets of any sum.
SECOND = (
    Signature("softmax", uses=TANGENT),
    Signature("log_softmax", uses=TANGENT),
    Signature("nll_loss", "mean", WEIGHT | TANGENT),
    Signature("cross_entropy", "mean", WEIGHT | IGNORE_INDEX | TANGENT),
    Signature("cross_entropy", "none", SMOOTHING | TANGENT),
    Signature("cross_entropy", "mean", ANY_SUM | SMOOTHING | WEIGHT | TANGENT | TARGET_GRADIENT | TARGET_TANGENT),
    Signature("cross_entropy", "none", ANY_SUM | TARGET_GRADIENT | TARGET_TANGENT),
    Signature("cross_entropy", "sum", PROBABILITIES | WEIGHT | TANGENT | TARGET_GRADIENT),
)


def _losses(op: str, rows: Iterable[Row], axis: int) -> Iterator[Signature]:
    for reduction, uses in rows:
        yield Signature(op, reduction, uses, axis)


def _softmax(axis: int) -> tuple[Signature, ...]:
    return (Signature("softmax", axis=axis), Signature("log_softmax", axis=axis))


def _menu() -> dict[Shape, tuple[Signature, ...]]:
    found: dict[Shape, list[Signature]] = {}
    for name, (shape, axis) in PLACES.items():
        signatures = found.setdefault(shape, [])
        signatures += _softmax(axis) if shape != LONG else ()
        signatures += _losses("nll_loss", _NLL.get(name, ()), axis)
        signatures += _losses("cross_entropy", (*_PLAIN.get(name, ()), *CROSSED[name]), axis)
    for shape, rows in _FIRST_AXIS.items():
        found[shape] += [*_softmax(0), *_losses("cross_entropy", rows, 0)]
    return {shape: tuple(signatures) for shape, signatures in found.items()}


# The signatures of the default deck, by shape; those of the smoke deck, by shape and dtype.
MENU = _menu()
_SMOKE: dict[Shape, tuple[Signature, ...]] = {
    WORKED: (
        *_softmax(1),
        Signature("nll_loss", "mean", WEIGHT | IGNORE_INDEX, 1),
        Signature("cross_entropy", "mean", NOTHING, 1),
        Signature("cross_entropy", "none", NOTHING, 1),
        Signature("cross_entropy", "mean", SMOOTHING, 1),
        Signature("cross_entropy", "mean", SMOOTHING | WEIGHT | IGNORE_INDEX, 1),
        Signature("cross_entropy", "mean", PROBABILITIES, 1),
        Signature("cross_entropy", "mean", PROBABILITIES | SMOOTHING | WEIGHT, 1),
    ),
    CUBE: (
        *_softmax(1),
        Signature("nll_loss", "mean", WEIGHT | IGNORE_INDEX, 1),
        Signature("cross_entropy", "mean", SMOOTHING, 1),
        Signature("cross_entropy", "mean", SMOOTHING | WEIGHT | IGNORE_INDEX, 1),
        Signature("log_softmax", axis=2),
        Signature("cross_entropy", "mean", SMOOTHING | WEIGHT | IGNORE_INDEX, 2),
        Signature("cross_entropy", "none", SMOOTHING | WEIGHT, 0),
    ),
}
# In two formats the ops alone and the losses with the most options: each format more costs who compiles seconds.
_SMOKE_FLOAT64 = (
    *_softmax(1),
    Signature("cross_entropy", "mean", SMOOTHING | WEIGHT | IGNORE_INDEX, 1),
    Signature("nll_loss", "mean", WEIGHT | IGNORE_INDEX, 1),
)
_SMOKE_BFLOAT16 = (
    *_SMOKE_FLOAT64,
    Signature("cross_entropy", "mean", PROBABILITIES, 1),
    Signature("cross_entropy", "none", NOTHING, 1),
)
SMOKE: dict[tuple[Shape, str], tuple[Signature, ...]] = {
    (WORKED, "float32"): _SMOKE[WORKED],
    (CUBE, "float32"): _SMOKE[CUBE],
    (WORKED, "float16"): _SMOKE[WORKED][:-1],
    (WORKED, "float64"): _SMOKE_FLOAT64,
    (WORKED, "bfloat16"): _SMOKE_BFLOAT16,
}
# Targets that compile cheaply get every signature in this dtype, those that compile dearly every fourth one of each
# shape, from the position in the second table on.
WHOLE_IN = "float32"
_FIRST_CORE: dict[Shape, int] = {WORKED: 1, CUBE: 0, WIDE: 1, LONG: 3}
_CORE_STEP = 4
# In other dtypes targets that compile dearly get every second one of those; in this dtype the ones that others leave.
_COMPLEMENT_IN = "bfloat16"


def is_core(shape: Shape, dtype: str, position: int) -> bool:
    """Say whether targets that compile dearly get a signature, by its position among those of its shape."""
    turn, rest = divmod(position, _CORE_STEP)
    if rest != _FIRST_CORE[shape]:
        return False
    # The worked shape takes even turns where the other shapes take odd ones, so that no dtype has only either.
    takes_odd_turns = (shape == WORKED) == (dtype == _COMPLEMENT_IN)
    return dtype == WHOLE_IN or (turn % 2 == 1) == takes_odd_turns


def is_full(dtype: str, position: int) -> bool:
    """Say whether targets that compile cheaply get a signature, by its position among those of its shape.

    They get each one in float32, and every second one by turns in the other dtypes, so that each is in one of these.
    """
    return dtype == WHOLE_IN or (position + DTYPES.index(dtype)) % 2 == 1


def combinations() -> tuple[Signature, ...]:
    """Return every combination of the losses' options: 12 of nll_loss and 36 of cross_entropy."""
    labels = _all_of(WEIGHT, IGNORE_INDEX)
    smoothed = _all_of(SMOOTHING, WEIGHT, IGNORE_INDEX)
    probabilities = [PROBABILITIES | uses for uses in _all_of(SMOOTHING, WEIGHT)]
    options = {"nll_loss": labels, "cross_entropy": [*smoothed, *probabilities]}
    return tuple(
        Signature(op, reduction, uses) for op, many in options.items() for uses in many for reduction in REDUCTIONS
    )


def _all_of(*options: Uses) -> list[Uses]:
    """Every set of some options; the last one changes first."""
    found = []
    for chosen in itertools.product((False, True), repeat=len(options)):
        uses = NOTHING
        for option in itertools.compress(options, chosen):
            uses |= option
        found.append(uses)
    return found


def at_axis(signature: Signature, axis: int) -> Signature:
    """Return the signature with another class axis."""
    return replace(signature, axis=axis)
