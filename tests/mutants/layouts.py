"""Mutants that take strides, offsets or repeated rows for something else: right for contiguous arrays only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kit.clause_kit import of_rows
from .kit.entries import DENSE, INDEX, SIBLING, bug, loss_bug
from .kit.loss_steps import NLL, Loss
from .kit.mutant import Mutant
from .kit.softmax_steps import PLAIN, Array, Function, over_rows, over_rows_vjp, vjp_log_softmax, vjp_softmax, wide


def by_storage(f: Callable[[Array], Array]) -> Function:
    """Rows are read from the storage as if the class axis were last."""

    def value(x: Array, *, axis: int = -1) -> Array:
        moved = np.moveaxis(x, axis, -1)
        return np.moveaxis(over_rows(f)(np.ascontiguousarray(x).reshape(moved.shape)), -1, axis)

    return value


def _vjp_by_storage(x: Array, cotangent: Array, *, axis: int = -1) -> Array:
    p = over_rows(PLAIN.p)(x, axis=axis)
    moved = np.moveaxis(p, axis, -1).shape
    with np.errstate(all="ignore"):
        v = np.moveaxis(cotangent, axis, -1).astype(wide(x.dtype))
        out = vjp_softmax(np.ascontiguousarray(p).reshape(moved).astype(v.dtype), v)
        return np.moveaxis(out.astype(x.dtype), -1, axis)


def _unmoved(x: Array, *, axis: int = -1) -> Array:
    p = over_rows(PLAIN.p)(x, axis=axis)
    return np.ascontiguousarray(np.moveaxis(p, axis, -1)).reshape(x.shape)


def _column_major(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x, axis=axis).ravel(order="F").reshape(x.shape)


READS = "burn-softmax-noncontiguous (tracel-ai/burn#4815)"
BACKWARD = "torch-softmax-backward-noncontiguous-output (pytorch/pytorch#139740)"
Misread = Callable[[Array], Array]


def _buffer(a: Array) -> Array:
    """All memory that an array was cut from, in order."""
    owner: Any = a
    # Arrays made by strides hang from a holder, which has a base as well.
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    return np.ravel(owner)


def from_buffer(a: Array) -> Array:
    """The first entries of the buffer, as if the array were all of it."""
    memory = _buffer(a)
    return memory[: a.size].reshape(a.shape) if memory.size >= a.size else a


def without_sign(a: Array) -> Array:
    """Negative strides read forwards."""
    return a[tuple(slice(None, None, -1 if s < 0 else 1) for s in a.strides)]


def without_offset(a: Array) -> Array:
    """A view that starts inside its buffer, read from the buffer's start."""
    return from_buffer(a) if a.flags.c_contiguous else a


def without_step(a: Array) -> Array:
    """Every second entry, read as neighbours."""
    return from_buffer(a) if a.ndim and a.strides[-1] == 2 * a.itemsize else a


def without_order(a: Array) -> Array:
    """Column-major arrays read row by row."""
    return from_buffer(a) if a.flags.f_contiguous and not a.flags.c_contiguous else a


def without_gap(a: Array) -> Array:
    """Rows with room between them, read as if each began where the one before ends."""
    gaps = a.ndim > 1 and a.strides[-1] == a.itemsize and a.strides[-2] > a.shape[-1] * a.itemsize
    return from_buffer(a) if gaps else a


def beyond_one(a: Array) -> Array:
    """One number of stride 0, read as an array: what lies behind it in memory is garbage."""
    if a.size < 2 or any(a.strides):
        return a
    out = np.full(a.shape, np.nan, a.dtype)
    out.flat[0] = a.flat[0]
    return out


def _repeated(x: Array) -> bool:
    return any(s == 0 and n > 1 for s, n in zip(x.strides, x.shape, strict=True))


def _reading(f: Function, misread: Misread) -> Function:
    return lambda x, **options: f(misread(x), **options)


def _reading_upstream(f: Function, misread: Misread) -> Function:
    return lambda x, v, **options: f(x, misread(v), **options)


def _reading_option(f: Function, name: str) -> Function:
    """The function with one of its options read from the start of its buffer."""

    def wrong(*arrays: Array, **options: Any) -> Array:
        given = options.get(name)
        return f(*arrays, **options if given is None else {**options, name: from_buffer(given)})

    return wrong


def _summed(f: Function) -> Function:
    """The gradient of repeated rows, written to the one row that they share."""

    def grad(x: Array, v: Array, *, axis: int = -1, **options: Any) -> Array:
        g = f(x, v, axis=axis, **options)
        if not _repeated(x):
            return g
        at = tuple(i for i, s in enumerate(x.strides) if s == 0)
        return np.broadcast_to(g.sum(axis=at, keepdims=True), g.shape).astype(g.dtype)

    return grad


_FORWARD = {
    "strides ignored": ("the kernel reads the buffer from its start, whatever the strides", from_buffer),
    "negative strides read forwards": ("the sign of a stride is lost", without_sign),
    "storage offset ignored": ("a view that starts inside its buffer is read from the buffer's start", without_offset),
    "step ignored": ("every second entry is read as if they were neighbours", without_step),
    "column order ignored": ("a column-major array is read row by row", without_order),
    "gap between rows ignored": ("a slice of a wider array is read as if its rows were neighbours", without_gap),
}


_ROWS = {"softmax": (PLAIN.p, vjp_softmax), "log_softmax": (PLAIN.y, vjp_log_softmax)}
_LOSS = Loss()
_LOSSES = {"nll_loss": NLL, "cross_entropy": _LOSS}
_READ_ON = "the gradient of a sum is one number for all entries, which a kernel reads as an array"


def _strided(when: Callable[[Array], bool], wrong: Function) -> Function:
    """Another function for arrays that lie in memory in a certain way."""
    right = over_rows(PLAIN.p)
    return lambda x, *, axis=-1: wrong(x, axis=axis) if x.size and when(x) else right(x, axis=axis)


def _larger(x: Array, *, axis: int = -1) -> Array:
    return (over_rows(PLAIN.p)(x, axis=axis) * x.dtype.type(1.5)).astype(x.dtype)


def _in_storage_order(x: Array, *, axis: int = -1) -> Array:
    return over_rows(PLAIN.p)(x.ravel(order="K").reshape(x.shape), axis=axis)


def _steps(x: Array) -> tuple[int, ...]:
    return tuple(s for s, n in zip(x.strides, x.shape, strict=True) if n > 1)


def _dense_memory(x: Array) -> bool:
    return bool(x.flags.c_contiguous or x.flags.f_contiguous)


MUTANTS: tuple[Mutant, ...] = (
    bug(
        "softmax",
        "storage rows normalised",
        "a transposed input is read as if it were contiguous",
        "burn-softmax-noncontiguous (tracel-ai/burn#4815), mlx-softmax-slice-wrong (ml-explore/mlx#657)",
        by_storage(PLAIN.p),
    ),
    bug(
        "softmax",
        "backward reads storage",
        "the backward pass indexes a strided output as if it were contiguous",
        "torch-softmax-backward-noncontiguous-output (pytorch/pytorch#139740)",
        grad=_vjp_by_storage,
    ),
    bug(
        "softmax",
        "result written in storage order",
        "out is filled as if the class axis were last",
        "torch-softmax-out-noncontiguous",
        _unmoved,
    ),
    bug(
        "softmax",
        "result in column order",
        "out has the strides of the other order",
        "sibling of torch-softmax-out-noncontiguous",
        _column_major,
    ),
    *(
        bug(op, name, why, READS, _reading(over_rows(f), misread))
        for op, (f, _) in _ROWS.items()
        for name, (why, misread) in _FORWARD.items()
    ),
    *(
        loss_bug(name, why, SIBLING + READS, _LOSS, value=_reading(_LOSS.value, misread))
        for name, (why, misread) in _FORWARD.items()
    ),
    *(
        bug(
            op,
            "strides of the cotangent ignored",
            "the backward kernel reads the cotangent's buffer from its start",
            BACKWARD,
            grad=_reading_upstream(over_rows_vjp(lambda x, v, rule=rule: rule(PLAIN.p(x), v)), from_buffer),  # type: ignore[misc]
        )
        for op, (_, rule) in _ROWS.items()
    ),
    loss_bug(
        "strides of the cotangent ignored",
        "the backward kernel reads the cotangent's buffer from its start",
        SIBLING + BACKWARD,
        _LOSS,
        grad=_reading_upstream(_LOSS.grad, from_buffer),
    ),
    *(
        bug(
            op,
            "cotangent of stride 0 read on",
            _READ_ON,
            SIBLING + BACKWARD,
            grad=_reading_upstream(over_rows_vjp(lambda x, v, rule=rule: rule(PLAIN.p(x), v)), beyond_one),  # type: ignore[misc]
        )
        for op, (_, rule) in _ROWS.items()
    ),
    *(
        loss_bug(
            "cotangent of stride 0 read on",
            _READ_ON,
            SIBLING + BACKWARD,
            of,
            op=op,
            grad=_reading_upstream(of.grad, beyond_one),
        )
        for op, of in _LOSSES.items()
    ),
    *(
        loss_bug(
            f"strides of the {words} ignored",
            f"the kernel reads the buffer of the {words} from its start",
            SIBLING + READS,
            _LOSSES[op],
            op=op,
            targets=targets,
            value=_reading_option(_LOSSES[op].value, name),
            grad=_reading_option(_LOSSES[op].grad, name),
        )
        for op, words, name, targets in (
            ("nll_loss", "labels", "target", INDEX),
            ("nll_loss", "weights", "weight", INDEX),
            ("cross_entropy", "labels", "target", INDEX),
            ("cross_entropy", "weights", "weight", (*INDEX, *DENSE)),
            ("cross_entropy", "probabilities", "target", DENSE),
        )
    ),
    *(
        bug(
            op,
            "gradient of repeated rows summed",
            "rows that share memory (stride 0) share their gradient, too",
            SIBLING + BACKWARD,
            grad=_summed(over_rows_vjp(lambda x, v, rule=rule: rule(PLAIN.p(x), v))),  # type: ignore[misc]
        )
        for op, (_, rule) in _ROWS.items()
    ),
    of_rows(
        "softmax",
        "5-layout-transposed",
        "transposed inputs read in storage order",
        "the strides are not looked at",
        value=_strided(lambda x: x.flags.f_contiguous and not x.flags.c_contiguous, _in_storage_order),
    ),
    of_rows(
        "softmax",
        "5-layout-sliced",
        "wrong for inputs with gaps",
        "a kernel for strides that are not dense",
        value=_strided(lambda x: not _dense_memory(x) and min(_steps(x), default=1) > 0, _larger),
    ),
    of_rows(
        "softmax",
        "5-layout-strided",
        "wrong for negative strides",
        "strides are taken for unsigned numbers",
        value=_strided(lambda x: min(_steps(x), default=1) < 0, _larger),
    ),
    of_rows(
        "softmax",
        "5-layout-expanded",
        "wrong for strides of 0",
        "a kernel for broadcast inputs",
        value=_strided(lambda x: 0 in _steps(x), _larger),
    ),
    of_rows(
        "softmax",
        "5-layout-misaligned",
        "wrong for misaligned inputs",
        "vector loads from addresses that are no multiple of 16",
        value=_strided(lambda x: x.flags.c_contiguous and x.__array_interface__["data"][0] % 16 != 0, _larger),
    ),
)
