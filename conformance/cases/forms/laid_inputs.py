"""Laid inputs: one array of a call lies in memory as a slice, a step, a mirror image or a repeated number does.

The layouts of :mod:`~lossproof.cases.shape_sweeps` are those of logits and cotangent together, as an operation before
the loss leaves them. Here labels, probabilities, weights, cotangents and logits have one alone, so that a kernel that
reads any of them as if it were dense has nothing else to be wrong about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import LOSSES, OPS, Problem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.picker import Picker, bell
from lossproof.cases.signatures import WHOLE_IN
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS, Format

_ROWS, _CLASSES = 5, 4
_SHAPE = (_ROWS, _CLASSES)
# What can be told from a dense array: arrays of one axis have no order and no gaps.
OF_ONE_AXIS = ("stepped", "reversed", "offset", "expanded")
OF_TWO_AXES = ("transposed", "stepped", "reversed", "expanded", "offset", "gapped")
_FAMILY = "hot"


def laid_calls(dtype: str, part: DeckPart) -> Iterator[Call]:
    """Draw the calls of a dtype: each array of each op in each layout, the reductions by turns."""
    fmt = FORMATS[dtype]
    for number, (op, name, layout) in enumerate(_places()):
        turned = name == "cotangent" and layout == "expanded" and part.keeps(op, _FAMILY, dtype, _SHAPE[::-1], axis=0)
        plain = part.keeps(op, _FAMILY, dtype, _SHAPE)
        if not (plain or turned):
            continue
        # Targets that compile get them in one dtype, those that compile dearly one op of each.
        tier = "free" if dtype != WHOLE_IN else "core" if op == _core_op(name, layout) else "full"
        pick = part.picker("laid", op, name, layout)
        p = _problem(pick, fmt, op, "target" if name == "q" else name, layout, number)
        if name == "q":
            q = np.full(_SHAPE, 1 / _CLASSES) if layout == "expanded" else _probabilities(pick)
            p = replace(p, target=q, weight=None if number % 2 else p.weight)
        if plain:
            yield Call(p, _FAMILY, part.provenance, tier=tier)
        if turned:
            yield Call(_classes_first(p), _FAMILY, part.provenance, tier="free")


def _places() -> Iterator[tuple[str, str, str]]:
    """Every op, array and layout; ``q`` are targets that are probabilities."""
    for op in OPS:
        names = ("x", "cotangent", *(("target", "weight") if op in LOSSES else ()))
        for name in (*names, *(("q",) if op == "cross_entropy" else ())):
            for layout in OF_TWO_AXES if name in ("x", "q") or op not in LOSSES else OF_ONE_AXIS:
                yield op, name, layout


def _core_op(name: str, layout: str) -> str:
    """One of the ops that have an array in a layout, by turns."""
    several = [op for op, *place in _places() if place == [name, layout]]
    return several[OF_TWO_AXES.index(layout) % len(several)]


def _problem(pick: Picker, fmt: Format, op: str, name: str, layout: str, turn: int) -> Problem:
    """A problem in which all rows, classes, labels and weights differ, but for what ``expanded`` repeats."""
    x = fmt.round(bell(pick, _SHAPE) * 4)
    x = -np.abs(x) if op == "nll_loss" else x
    # A cotangent of rows has a layout; the number of a sum or a mean has none.
    reduction = ("none", "sum", "mean")[turn % 3] if name != "cotangent" else "none"
    rows = _SHAPE if op not in LOSSES else (_ROWS,) if reduction == "none" else ()
    arrays: dict[str, np.ndarray] = {"x": x, "cotangent": fmt.round(1 + np.abs(bell(pick, rows)))}
    if op in LOSSES:
        # Neighbours differ, and so do entries that are two apart.
        arrays["target"] = (np.arange(_ROWS) + pick.integer(0, _CLASSES - 1)) % _CLASSES
        arrays["weight"] = 0.5 + np.arange(_CLASSES) + pick.integer(0, 1)
    arrays[name] = _constant(arrays[name], layout)
    if name == "x" and layout == "expanded":
        arrays["x"] = np.repeat(x[:1], _ROWS, axis=0)
    return Problem(op, fmt.name, reduction=reduction, layout=layout, laid=name, **arrays)  # type: ignore[arg-type]


def _classes_first(p: Problem) -> Problem:
    """The same with the class axis first."""
    # sanity check: a call of a cotangent has one
    assert p.cotangent is not None
    return replace(p, x=p.x.T.copy(), axis=0, cotangent=p.cotangent if p.is_loss else p.cotangent.T.copy())


def _constant(a: np.ndarray, layout: str) -> np.ndarray:
    """One number throughout where ``expanded`` is to repeat it, as the cotangent is that a sum sends back."""
    return np.full_like(a, a.flat[1]) if layout == "expanded" else a


def _probabilities(pick: Picker) -> F64:
    """Rows of quarters that sum to 1, each class with another one in each row."""
    row = np.array([0.5, 0.25, 0.25, 0.0])
    return np.stack([np.roll(row, i + pick.integer(0, 3)) for i in range(_ROWS)])
