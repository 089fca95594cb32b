"""The inputs of a caller, arrays or tensors of a framework, as a problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.protocol import DTYPES, Problem, Tensor
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.operations import OPERATIONS, validate
from lossproof.core.variant import Variant, varied
from lossproof.functions.frameworks import FRAMEWORKS, imported, tensors

# The family of calls of a caller's own, in ids and messages.
OWN = "own"


def exact_numbers(a: Any, what: str) -> Tensor:
    """Return the exact numbers of an array, a tensor of a framework, a number or a list, widened to float64, and its
    dtype.

    Raises :class:`UsageError` for what is none.
    """
    for framework in FRAMEWORKS[1:]:
        if imported(framework) and tensors(framework).is_tensor(a):
            found = tensors(framework).pulled(a)
            return Tensor(np.asarray(found.data), found.dtype.rpartition(".")[2])
    try:
        array = np.asarray(a)
        if array.dtype.kind == "c":
            raise TypeError("complex numbers have no order")
        return Tensor(array.astype(np.float64), array.dtype.name)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} is a {type(a).__name__}; expected an array or a tensor ({error})") from None


def own_problem(
    op: str,
    logits: Any,
    target: Any = None,
    *,
    weight: Any = None,
    cotangent: Any = None,
    tangent: Any = None,
    target_tangent: Any = None,
    axis: int = -1,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    dtype: str | None = None,
    out_dtype: str | None = None,
    variant: Variant | None = None,
    sample_weight: Any = None,
) -> Problem:
    """Return the problem of a caller's inputs; ``lossproof.enclose`` says what they are and what it raises."""
    known_names("op", [op], list(OPERATIONS))
    x = exact_numbers(logits, "logits")
    if dtype is None and x.dtype not in DTYPES:
        raise UsageError(f"logits have dtype {x.dtype}; expected one of {', '.join(DTYPES)}, or say which: dtype=")
    known_names("dtype", [d for d in (dtype, out_dtype) if d is not None], DTYPES)
    dtype = dtype or x.dtype
    if variant is not None and not isinstance(variant, Variant):
        raise UsageError(f"variant is a {type(variant).__name__}; expected a lossproof.Variant")
    if (sample_weight is not None) != (variant is not None and variant.sample_weight):
        raise UsageError("weights of rows are those of variant=Variant(sample_weight=True); give both or neither")
    given = {"weight": weight, "tangent": tangent, "target_tangent": target_tangent, "sample_weight": sample_weight}
    arrays: dict[str, Any] = {name: None if a is None else exact_numbers(a, name).data for name, a in given.items()}
    p = Problem(
        op,
        dtype,
        x.data,
        target=None if target is None else _target(target),
        axis=axis,
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=float(label_smoothing),
        out_dtype=out_dtype,
        **arrays,
    )
    for name in ("tangent", "target_tangent"):
        a = arrays[name]
        if a is not None and (a.shape != x.data.shape or not FORMATS[p.dtype_of_input(name)].holds(a)):
            raise UsageError(f"{name} has shape {a.shape}; expected {x.data.shape}, and numbers of {dtype}")
    p = p if variant is None else varied(variant, p)
    _hint_at_axis(p)
    # What is wrong with the logits is said before the shape of the value is asked for.
    validate(p)
    return with_cotangent(p, cotangent)


def with_cotangent(p: Problem, cotangent: Any) -> Problem:
    """Return a problem with the gradient that comes from above; of a loss, 1 for each of its values if there is none.

    Raises :class:`UsageError` for one of another shape.
    """
    shape = p.shape_of("value")
    if cotangent is None and not p.is_loss:
        return p
    given = np.ones(()) if cotangent is None else exact_numbers(cotangent, "cotangent").data
    full = np.broadcast_to(given, shape).copy() if not given.ndim else given
    is_core = p.out_dtype is None and not p.variant_parts
    made = replace(p, cotangent=full, wrt_target=p.has_probability_target and is_core)
    validate(made)
    return made


def _hint_at_axis(p: Problem) -> None:
    """Raise :class:`UsageError` for labels that fit another class axis alone: losses of PyTorch have it at 1."""
    if p.target is None or p.has_probability_target or not p.is_loss or not -p.x.ndim <= p.axis < p.x.ndim:
        return
    fitting = [i for i in range(p.x.ndim) if p.x.shape[:i] + p.x.shape[i + 1 :] == p.target.shape]
    if fitting and p.axis % p.x.ndim not in fitting:
        raise UsageError(
            f"target has shape {p.target.shape}, which fits logits of shape {p.x.shape} with the class axis "
            f"{fitting[0]}; say axis={fitting[0]}"
        )


def _target(target: Any) -> np.ndarray:
    """Labels as integers, probabilities as numbers."""
    found = exact_numbers(target, "target")
    if found.dtype in DTYPES:
        return found.data
    if not found.dtype.startswith(("int", "uint")):
        raise UsageError(f"target has dtype {found.dtype}; expected integer labels or probabilities")
    return found.data.astype(np.int64)
