"""The functions of a framework as templates of its program text, and the losses composed of them, line by line.

A template is formatted by name: ``{a}`` stands for a tensor (``{x}`` in the softmaxes), ``{axis}``, ``{k}`` and ``{t}``
for an axis, a number of classes and the name of a dtype, ``{c}``, ``{a}`` and ``{b}`` for what ``where`` chooses by and
from, ``{mode}`` for the mode.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from . import compose, source
from .protocol import Problem

_NUMPY = {
    "cast": "{a}.astype(NP.{t})",
    "to_last": "NP.moveaxis({a}, {axis}, -1)",
    "one_hot": "(NP.arange({k}) == {a}[..., None])",
    "where": "NP.where({c}, {a}, {b})",
    "sum_last": "NP.sum({a}, axis=-1)",
    "sum": "NP.sum({a})",
    "mean": "NP.mean({a})",
}


def numpy_like(module: str, **others: str) -> Dict[str, str]:
    """Return the templates of a module that names its functions as NumPy does; ``others`` are those that differ.

    ``cast``, ``to_last`` (a class axis becomes the last one), ``one_hot`` (labels become rows of truth values),
    ``where``, ``sum_last``, ``sum`` (over everything) and ``mean``.
    """
    return {**{name: text.replace("NP.", module + ".") for name, text in _NUMPY.items()}, **others}


def loss(p: Problem, functions: Mapping[str, str], mode: str, *, select_used: bool = True) -> List[str]:
    """Write the body of a function of ``x``, ``target`` and ``weight`` that composes and returns the loss of a problem.

    ``functions`` are templates: those of ``numpy_like``, and ``log_softmax`` for a cross-entropy.
    """
    trace = source.Trace()
    x, target, weight = (source.Symbol(name) for name in ("x", "target", "weight"))
    return trace.returning(
        compose.loss(_namespace(trace, functions, mode), p, x, target, weight, select_used=select_used)
    )


def _namespace(trace: source.Trace, functions: Mapping[str, str], mode: str) -> compose.Namespace:
    """Return functions that write what is done with symbols, by templates."""

    def emit(name: str, **given: Any) -> source.Symbol:
        return trace.emit("%s", functions[name].format(mode=mode, **{k: source.text(a) for k, a in given.items()}))

    return compose.Namespace(
        cast=lambda a, dtype: emit("cast", a=a, t=dtype),
        to_last=lambda a, axis: a if axis == -1 else emit("to_last", a=a, axis=axis),
        softmax=lambda x, axis: emit("softmax", x=x, axis=axis),
        log_softmax=lambda x, axis: emit("log_softmax", x=x, axis=axis),
        one_hot=lambda labels, k: emit("one_hot", a=labels, k=k),
        where=lambda c, a, b: emit("where", c=c, a=a, b=b),
        sum=lambda a, last: emit("sum_last" if last else "sum", a=a),
        mean=lambda a: emit("mean", a=a),
    )
