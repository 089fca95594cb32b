"""The operations of the specification as data, and the validation of problems against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import ARRAYS, DTYPES, LAYOUTS, REDUCTIONS, VARIANT_PARTS, Problem
from lossproof.core.errors import UsageError
from lossproof.core.formats import FLOAT64, FORMATS
from lossproof.core.products import SMALLEST


@dataclass(frozen=True)
class Op:
    """An op: what it takes (specification, section 2).

    ``name``     the op
    ``input``    ``logits`` or ``log_probs``
    ``targets``  kinds of targets: ``index``, ``probability``; none for ops that are no loss
    ``options``  fields of a problem that it takes
    ``extras``   fields that it takes only where an implementation says so
    ``variants`` what its variants may add, of ``VARIANT_PARTS``
    """

    name: str
    input: str
    targets: tuple[str, ...]
    options: frozenset[str]
    extras: frozenset[str] = frozenset()
    variants: tuple[str, ...] = ()


# What variants of any op of logits may add.
_OF_LOGITS = ("softcap", "logit_scale")

OPERATIONS: Mapping[str, Op] = {
    op.name: op
    for op in (
        Op("softmax", "logits", (), frozenset({"axis"}), frozenset({"out_dtype", "scale"}), _OF_LOGITS),
        Op("log_softmax", "logits", (), frozenset({"axis"}), frozenset({"out_dtype", "scale"}), _OF_LOGITS),
        Op(
            "nll_loss",
            "log_probs",
            ("index",),
            frozenset({"axis", "weight", "ignore_index", "reduction"}),
            frozenset({"out_dtype"}),
        ),
        Op(
            "cross_entropy",
            "logits",
            ("index", "probability"),
            frozenset({"axis", "weight", "ignore_index", "reduction", "label_smoothing"}),
            extras=frozenset({"out_dtype", "scale"}),
            variants=VARIANT_PARTS,
        ),
    )
}


def solved_by(p: Problem, mean: str) -> Problem:
    """The problem that a target solves whose reduction ``mean`` of index targets is the one named (specification,
    section 2)."""
    has_one_mean = p.has_probability_target and p.sample_weight is None
    return p if p.reduction != "mean" or not p.is_loss or has_one_mean else replace(p, reduction=mean)


def validate(p: Problem) -> None:
    """Raise :class:`UsageError` unless the problem is one that the specification defines a result for."""
    _one_of("op", p.op, tuple(OPERATIONS))
    _one_of("dtype", p.dtype, DTYPES)
    _one_of("reduction", p.reduction, REDUCTIONS)
    if not p.x.ndim >= 1 or not -p.x.ndim <= p.axis < p.x.ndim:
        raise UsageError(
            f"axis {p.axis} is outside logits of shape {p.x.shape}; expected -{p.x.ndim} to {p.x.ndim - 1}"
        )
    axis = p.axis % p.x.ndim
    k = p.x.shape[axis]
    rows = p.row_shape
    if k == 0:
        raise UsageError(
            f"logits of shape {p.x.shape} have K = 0 classes on axis {p.axis}; expected at least one class"
        )
    if p.is_loss:
        _validate_target(p, rows, k)
    elif p.target is not None or p.weight is not None or p.label_smoothing:
        raise UsageError(f"{p.op} takes no target, weight or label_smoothing; remove them or use cross_entropy")
    if p.op == "nll_loss" and (p.label_smoothing or p.has_probability_target):
        raise UsageError("nll_loss takes class indices and no label_smoothing; use cross_entropy for these options")
    if not 0.0 <= p.label_smoothing <= 1.0:
        raise UsageError(f"label_smoothing is {p.label_smoothing}; expected a number from 0 to 1")
    _validate_layout(p)
    _validate_omit(p)
    _validate_out_dtype(p)
    _validate_scale(p)
    validate_variant(p, rows)
    _shape("weight", p.weight, (k,))
    _shape("cotangent", p.cotangent, p.shape_of("value"))
    for name in ("x", "target", "weight", "cotangent"):
        a = getattr(p, name)
        dtype = p.dtype_of_input(name)
        if a is not None and a.dtype.kind == "f" and not FORMATS[dtype].holds(a):
            raise UsageError(f"{name} holds values that {dtype} cannot represent; round it to {dtype} first")


def validate_variant(p: Problem, rows: tuple[int, ...]) -> None:
    """Raise :class:`UsageError` unless what a variant adds to the op is defined (docs/variants.md)."""
    if not p.variant_parts:
        return
    check_parts(p.op, p.variant_parts)
    if p.scale != 1.0 or p.tangent is not None or p.target_tangent is not None:
        raise UsageError("a variant has a value and a gradient; remove scale and the tangents")
    if not (p.z_loss >= 0 and np.isfinite(p.z_loss)):
        raise UsageError(f"z_loss is {p.z_loss}; expected a number from 0")
    if not (p.softcap >= 0 and np.isfinite(p.softcap)):
        raise UsageError(f"softcap is {p.softcap}; expected a number above 0, or 0 for none")
    if p.logit_scale == 0 or not np.isfinite(p.logit_scale):
        raise UsageError(f"logit_scale is {p.logit_scale}; expected a finite number that is not 0")
    validate_constants(p)
    _shape("sample_weight", p.sample_weight, rows)
    a = p.sample_weight
    if a is not None and not (np.isfinite(a).all() and FORMATS[p.result_dtype].holds(a)):
        raise UsageError(f"sample_weight holds values that {p.result_dtype} cannot represent; round it first")
    fmt = FORMATS[p.dtype]
    with np.errstate(over="ignore"):
        beyond = np.isfinite(p.x) & ~np.isfinite(fmt.round(p.x * p.logit_scale))
    if not p.softcap and bool(beyond.any()):
        raise UsageError(f"logit_scale times x overflows {p.dtype}; choose smaller numbers")


def check_parts(op: str, parts: Sequence[str]) -> None:
    """Raise :class:`UsageError` for parts of a variant that an op does not have."""
    known = OPERATIONS[op].variants
    unknown = [part for part in parts if part not in known]
    if unknown:
        text = f"expected some of {', '.join(known)}" if known else "it has no variants"
        raise UsageError(f"{op} has no variant with {', '.join(unknown)}; {text}")


def validate_constants(p: Problem) -> None:
    """Raise :class:`UsageError` unless the constants of a variant are within the range of its dtype, and the cap is not
    below its normal numbers (docs/variants.md, section 3)."""
    fmt = FORMATS[p.dtype]
    for part in ("z_loss", "softcap", "logit_scale"):
        a = abs(getattr(p, part))
        if a > fmt.max or (part == "softcap" and 0 < a < fmt.min_normal):
            raise UsageError(
                f"{part} is {getattr(p, part):g}, which is beyond the normal numbers of {p.dtype}; leave that dtype "
                "out, or choose another number"
            )


def may_omit(p: Problem) -> bool:
    """Say whether the arguments of a problem have their defaults, and so may be left out: the last axis, the mean, no
    ``ignore_index`` and no smoothing."""
    last = p.axis % p.x.ndim == p.x.ndim - 1
    return last and p.reduction == "mean" and p.ignore_index is None and not p.label_smoothing


def _validate_omit(p: Problem) -> None:
    if p.omit and not may_omit(p):
        raise UsageError("omit is for a call of defaults; expected the last axis, mean, no ignore_index, no smoothing")


def _validate_layout(p: Problem) -> None:
    _one_of("layout", p.layout, LAYOUTS)
    if not p.laid:
        return
    _one_of("laid", p.laid, ARRAYS)
    a = getattr(p, p.laid)
    if a is None or not a.ndim or p.layout == "contiguous":
        raise UsageError(f"laid is {p.laid!r}; expected an array of the call that has an axis, and a layout for it")


def _validate_out_dtype(p: Problem) -> None:
    if p.out_dtype is None:
        return
    _one_of("out_dtype", p.out_dtype, DTYPES)
    if p.is_loss and (p.tangent is not None or p.wrt_target or p.target_tangent is not None):
        raise UsageError(f"{p.op} of a wider dtype has a value and a gradient; remove the tangents and wrt_target")
    if FORMATS[p.out_dtype].bits <= FORMATS[p.dtype].bits:
        raise UsageError(f"out_dtype {p.out_dtype} is not wider than {p.dtype}; expected float32 or float64")


def _validate_scale(p: Problem) -> None:
    if p.scale == 1.0:
        return
    if p.cotangent is not None or p.tangent is not None or p.target_tangent is not None:
        raise UsageError(f"scale {p.scale} is for values only; remove the cotangent and the tangents")
    fmt = FORMATS[p.dtype]
    if not np.isfinite(p.scale) or p.scale == 0 or not fmt.holds(np.array(p.scale)):
        raise UsageError(f"scale {p.scale} is 0 or no number of {p.dtype}; round it to {p.dtype} first")
    with np.errstate(over="ignore", under="ignore"):
        made = np.abs(p.x * p.scale)
    if fmt == FLOAT64 and np.any((p.x != 0) & (made < SMALLEST)):
        raise UsageError(f"scale {p.scale} times x is below {SMALLEST:.3g}; choose larger numbers")


def _validate_target(p: Problem, rows: tuple[int, ...], k: int) -> None:
    if p.target is None:
        raise UsageError(
            f"{p.op} needs a target; expected class indices of shape {rows} or probabilities of shape {p.x.shape}"
        )
    if p.has_probability_target:
        _shape("target", p.target, p.x.shape)
        return
    _shape("target", p.target, rows)
    kept = p.target != p.ignore_index if p.ignore_index is not None else np.ones(p.target.shape, dtype=bool)
    bad = p.target[kept & ((p.target < 0) | (p.target >= k))]
    if bad.size:
        hint = "correct it, or pass it as ignore_index"
        raise UsageError(f"label {int(bad[0])} is out of range; expected 0 to {k - 1} for K = {k} classes: {hint}")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"unknown {what} {value!r}; expected one of {', '.join(known)}")


def _shape(what: str, a: np.ndarray | None, expected: tuple[int, ...]) -> None:
    if a is not None and a.shape != expected:
        raise UsageError(f"{what} has shape {a.shape}; expected {expected}")
