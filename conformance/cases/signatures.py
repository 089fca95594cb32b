"""The signatures of the deck: what a compiler sees of a call, crossed.

The options of the losses are factors: reduction, kind of target, smoothing, weights, ignore_index, and the place (shape
and class axis). The rows of :data:`CROSSED` contain every combination of any three of them that makes sense; a test
counts. They were found once with the library covertable and are kept as data, because another release of it would find
other rows and so make another deck. All 48 combinations of the options alone are in :func:`combinations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lossproof.adapters.protocol import DTYPES, REDUCTIONS
from lossproof.cases.call_maker import Sig

ShapeAndAxis = tuple[tuple[int, ...], int]

WORKED, CUBE, WIDE, LONG = (2, 4), (1, 17, 24), (4, 1000), (4096, 2)
# Four shapes, seven class counts: the axes of the cube have 1, 17 and 24 classes, the others are read both ways.
PLACES: dict[str, ShapeAndAxis] = {
    "worked": (WORKED, 1),
    "cube": (CUBE, 1),
    "last": (CUBE, 2),
    "wide": (WIDE, 1),
    "long": (LONG, 1),
}
# Of each place: reduction and the letters of ``Sig.uses``.
CROSSED: dict[str, tuple[str, ...]] = {
    "worked": ("mean s", "mean wi", "none swi", "sum i", "mean q", "none q", "sum qsw"),
    "cube": ("mean i", "none s", "none i", "sum swi", "mean qsw", "none qw", "sum q"),
    "last": ("mean si", "none swi", "sum w", "sum i", "mean qw", "none q", "sum qs"),
    "wide": ("mean swi", "none wi", "sum", "sum si", "mean q", "none qs", "sum qw"),
    "long": ("mean i", "none w", "none i", "sum swi", "mean qsw", "none qs", "sum q"),
}
# The plain loss, where each target should have it, and other class axes.
_PLAIN = {"worked": ("mean", "none", "mean w", "mean swi"), "wide": ("mean", "mean s"), "long": ("mean",)}
_FIRST_AXIS: dict[tuple[int, ...], tuple[str, ...]] = {
    WORKED: ("mean s", "none qw"),
    CUBE: ("none sw", "mean qsw"),
    WIDE: ("mean", "mean s"),
}
# Every combination of two, and the plain ones, where log-probabilities make a difference.
_NLL: dict[str, tuple[str, ...]] = {
    "worked": ("mean wi", "none", "sum w", "mean", "none i"),
    "cube": ("none wi", "sum i", "mean w"),
    "long": ("mean i", "none w", "sum", "sum wi", "mean"),
}
# Directions for the JVP and second derivatives, gradients with respect to targets, targets of any sum.
SECOND = (
    Sig("softmax", uses="t"),
    Sig("log_softmax", uses="t"),
    Sig("nll_loss", "mean", "wt"),
    Sig("cross_entropy", "mean", "wit"),
    Sig("cross_entropy", "none", "st"),
    Sig("cross_entropy", "mean", "uswtdm"),
    Sig("cross_entropy", "none", "udm"),
    Sig("cross_entropy", "sum", "qwtd"),
)


def _losses(op: str, rows: Iterable[str], axis: int) -> Iterator[Sig]:
    for row in rows:
        reduction, _, uses = row.partition(" ")
        yield Sig(op, reduction, uses, axis)


def _softmax(axis: int) -> tuple[Sig, ...]:
    return (Sig("softmax", axis=axis), Sig("log_softmax", axis=axis))


def _menu() -> dict[tuple[int, ...], tuple[Sig, ...]]:
    found: dict[tuple[int, ...], list[Sig]] = {}
    for name, (shape, axis) in PLACES.items():
        sigs = found.setdefault(shape, [])
        sigs += _softmax(axis) if shape != LONG else ()
        sigs += _losses("nll_loss", _NLL.get(name, ()), axis)
        sigs += _losses("cross_entropy", (*_PLAIN.get(name, ()), *CROSSED[name]), axis)
    for shape, rows in _FIRST_AXIS.items():
        found[shape] += [*_softmax(0), *_losses("cross_entropy", rows, 0)]
    return {shape: tuple(sigs) for shape, sigs in found.items()}


MENU = _menu()
# What targets that compile dearly get: of each shape every fourth signature, from this position on; of those in other
# dtypes than float32 every second one, which in bfloat16 are the others of them.
_CORE_FROM = {WORKED: 1, CUBE: 0, WIDE: 1, LONG: 3}
_ALL_CORE, _OTHERS = "float32", "bfloat16"
_SMOKE: dict[tuple[int, ...], tuple[Sig, ...]] = {
    WORKED: (
        *_softmax(1),
        *_losses("nll_loss", ("mean wi",), 1),
        *_losses("cross_entropy", ("mean", "none", "mean s", "mean swi", "mean q", "mean qsw"), 1),
    ),
    CUBE: (
        *_softmax(1),
        *_losses("nll_loss", ("mean wi",), 1),
        *_losses("cross_entropy", ("mean s", "mean swi"), 1),
        Sig("log_softmax", axis=2),
        *_losses("cross_entropy", ("mean swi",), 2),
        *_losses("cross_entropy", ("none sw",), 0),
    ),
}
SMOKE: dict[tuple[tuple[int, ...], str], tuple[Sig, ...]] = {
    (WORKED, "float32"): _SMOKE[WORKED],
    (CUBE, "float32"): _SMOKE[CUBE],
    (WORKED, "float16"): _SMOKE[WORKED][:-1],
}


def is_core(shape: tuple[int, ...], dtype: str, position: int) -> bool:
    """Whether a signature, by its position among those of its shape, is for targets that compile dearly, too."""
    turn, rest = divmod(position, 4)
    mine = (turn + (shape == WORKED) + (dtype == _OTHERS)) % 2 == 1
    return rest == _CORE_FROM[shape] and (dtype == _ALL_CORE or mine)


def is_full(dtype: str, position: int) -> bool:
    """Whether a signature, by its position among those of its shape, is for targets that compile: in float32 each is,
    in the others by turns every second, so that each is in one of them."""
    return dtype == _ALL_CORE or (position + DTYPES.index(dtype)) % 2 == 1


def combinations() -> tuple[Sig, ...]:
    """Every combination of the losses' options, 12 of nll_loss and 36 of cross_entropy."""
    letters = [s + w for s in ("", "s") for w in ("", "w")]
    uses = {
        "nll_loss": [w + i for w in ("", "w") for i in ("", "i")],
        "cross_entropy": [sw + i for sw in letters for i in ("", "i")] + ["q" + sw for sw in letters],
    }
    return tuple(Sig(op, reduction, u) for op, many in uses.items() for u in many for reduction in REDUCTIONS)


def moved(sig: Sig, axis: int) -> Sig:
    """The signature with another class axis."""
    return replace(sig, axis=axis)
