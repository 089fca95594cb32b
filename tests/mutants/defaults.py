"""Mutants whose arguments have other defaults than the documented ones: right wherever everything is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .kit.entries import SIBLING, bug, loss_bug
from .kit.loss_steps import NLL, Loss
from .kit.mutant import Mutant
from .kit.softmax_steps import PLAIN, Array, Function, over_rows, over_rows_vjp, vjp_log_softmax, vjp_softmax

_SOURCE = SIBLING + "tinygrad-ignore-index-minus-one-sentinel"
_AXIS = frozenset({"axis"})
_LOSS = frozenset({"axis", "weight", "ignore_index", "reduction"})


def _unsaid(right: Function, wrong: Callable[..., Array]) -> Function:
    """Another function where no axis is given."""
    return lambda *arrays, **options: (right if "axis" in options else wrong)(*arrays, **options)


def _presumed(of: Function, **presumed: Any) -> Function:
    """The function with other defaults than its own."""
    return lambda *arrays, **options: of(*arrays, **{**presumed, **options})


_P, _Y = over_rows(PLAIN.p), over_rows(PLAIN.y)
_GRAD = over_rows_vjp(lambda x, v: vjp_softmax(PLAIN.p(x), v))
_LOG_GRAD = over_rows_vjp(lambda x, v: vjp_log_softmax(PLAIN.p(x), v))


def _defaulting(mutant: Mutant, defaults: frozenset[str]) -> Mutant:
    return replace(mutant, defaults=defaults)


_PRESUMED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("sum by default", "the reduction is the sum where none is given", {"reduction": "sum"}),
    ("class 0 ignored by default", "0 is ignored as padding where nothing is said", {"ignore_index": 0}),
    ("smoothing by default", "labels are smoothed where nothing is said", {"label_smoothing": 0.1}),
)
MUTANTS: tuple[Mutant, ...] = (
    _defaulting(
        bug("softmax", "the first axis by default", "axis=0 where none is given", _SOURCE, _presumed(_P, axis=0)), _AXIS
    ),
    _defaulting(
        bug(
            "softmax",
            "gradient along the first axis by default",
            "axis=0 where none is given, in the gradient alone",
            _SOURCE,
            grad=_presumed(_GRAD, axis=0),
        ),
        _AXIS,
    ),
    _defaulting(
        bug(
            "log_softmax",
            "softmax by default",
            "the overload without an axis calls the other function",
            _SOURCE,
            _unsaid(_Y, _P),
            _LOG_GRAD,
        ),
        _AXIS,
    ),
    *(
        _defaulting(
            loss_bug(
                name, why, _SOURCE, of, op=op, value=_presumed(of.value, **wrong), grad=_presumed(of.grad, **wrong)
            ),
            _LOSS | ({"label_smoothing"} if op == "cross_entropy" else frozenset()),
        )
        for op, of in (("nll_loss", NLL), ("cross_entropy", Loss()))
        for name, why, wrong in _PRESUMED
        if op == "cross_entropy" or "label_smoothing" not in wrong
    ),
)
