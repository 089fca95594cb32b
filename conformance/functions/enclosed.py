"""Certified values and bounds for a caller's own inputs, and the judgement of an answer to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import MEANS, Outcome, Problem, Tensor
from lossproof.core.batch import flat
from lossproof.core.call import Call, rows_back
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.observation import FAILING, Observation
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared, default_profile, known_profile
from lossproof.core.variant import Variant
from lossproof.functions.own_inputs import OWN, exact_numbers, own_problem
from lossproof.judging.judge import judge_stack
from lossproof.judging.observe import observe
from lossproof.truth.truth import Truth, truth

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Enclosed:
    """The exact result of one output, enclosed, with the error that a correct implementation may make.

    ``name`` is ``value``, ``vjp`` (the gradient with respect to the logits) or another output, ``dtype`` the dtype that
    it has. ``lower`` and ``upper`` are float64 arrays of its shape between which each exact entry lies, ``allowed`` the
    largest error of each entry. Where a special value is required (docs/specification.md, section 4), both ends are
    that value and nothing is allowed; other answers that are accepted there are known to ``check``.
    """

    name: str
    dtype: str
    lower: Floats
    upper: Floats
    allowed: Floats
    _question: _OwnQuestion = field(repr=False)

    def check(self, got: Any) -> None:
        """Raise AssertionError where an answer is outside the bound, with the worst entry: exact, observed, and the
        share of the bound.

        ``got`` is an array or a tensor of the output's shape. Its numbers must be numbers of ``dtype``, whatever it is
        held in. Raises :class:`UsageError` for what is no array.
        """
        __tracebackhide__ = True
        message = self._question.complaint(self, got)
        if message:
            raise AssertionError(message)

    def share(self, got: Any) -> float:
        """Return the worst error of an answer as a share of the allowed error: at most 1 for a correct one, infinite
        for a special value that is not accepted, and for another shape or dtype."""
        return self._question.observed(self, exact_numbers(got, self.name)).share


@dataclass(frozen=True)
class _OwnQuestion:
    """The question that enclosures answer: a call, its truth, and how answers are judged."""

    call: Call
    exact: Truth
    declared: Declared

    def observed(self, e: Enclosed, given: Tensor) -> Observation:
        shape = self.call.problem.shape_of(e.name)
        kind = e.dtype if given.data.shape != shape or FORMATS[e.dtype].holds(given.data) else given.dtype
        outcome = Outcome({e.name: Tensor(given.data, kind)})
        (found,) = observe([self.call], self.exact, [outcome], "", self.declared, outputs=(e.name,))
        return found

    def complaint(self, e: Enclosed, got: Any) -> str:
        given = exact_numbers(got, e.name)
        found = self.observed(e, given)
        if found.verdict not in FAILING:
            return ""
        if found.got is None:
            is_wide = given.data.shape == self.call.problem.shape_of(e.name)
            hint = f", nor are its numbers those of {e.dtype}; enclose(..., out_dtype=) is for a wider result"
            return found.message + hint * is_wide
        bound = self.exact.allowed(self.declared.profile, online=self.declared.online).outputs[e.name]
        stacked = flat(given.data, self.call.problem).reshape(bound.shape)
        ok = judge_stack(self.exact.expected[e.name], bound, stacked, self.exact.batch.format_of(e.name)).entries
        return f"{found.message}; {max(1, int((~ok).sum()))} of {ok.size} entries outside"


@dataclass(frozen=True, eq=False)
class Enclosures(Mapping[str, Enclosed]):
    """The enclosures of all outputs that were asked for, by name: ``e.value``, ``e.vjp``, ``e["jvp"]``."""

    outputs: Mapping[str, Enclosed]

    @property
    def value(self) -> Enclosed:
        """The value."""
        return self["value"]

    @property
    def vjp(self) -> Enclosed:
        """The gradient with respect to the logits, for the cotangent."""
        return self["vjp"]

    def check(self, value: Any = None, vjp: Any = None, **others: Any) -> None:
        """Judge a value, a gradient, and other outputs by their names; see ``Enclosed.check`` for what is raised."""
        __tracebackhide__ = True
        given = {name: got for name, got in {"value": value, "vjp": vjp, **others}.items() if got is not None}
        if not given:
            raise UsageError(f"check was given nothing; expected some of {', '.join(self.outputs)}")
        messages = [self[name]._question.complaint(self[name], got) for name, got in given.items()]
        if any(messages):
            raise AssertionError("\n".join(filter(None, messages)))

    def __getitem__(self, name: str) -> Enclosed:
        if name not in self.outputs:
            known_names("output", [name], list(TABLE))
            needs = [n for n in TABLE[name].takes if n] or ["a target of probabilities"]
            raise UsageError(f"{name} was not asked for; give enclose {', '.join(needs)}")
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


def enclose(
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
    profile: str | None = None,
    online: bool = False,
    mean: str = "mean",
) -> Enclosures:
    """Enclose the exact result for a caller's own inputs, with the error that a correct implementation may make.

    ``logits`` (log-probabilities of nll_loss), ``target`` (integer labels, or probabilities of the shape of the
    logits), ``weight`` (one for each class), ``cotangent``, ``tangent`` and ``target_tangent`` are NumPy arrays,
    tensors of PyTorch, JAX or TensorFlow, or lists; their numbers are taken exactly. ``axis`` is the class axis, by
    default the last: losses of PyTorch have it at 1. ``dtype`` is the one in which the implementation gets them, by
    default that of the logits; ``out_dtype`` is a wider one of its result.

    Of a loss the value and the gradient are enclosed, for a ``cotangent`` of 1 unless another is given (a number, or an
    array of the shape of the value), and with probabilities the gradient with respect to them. Of softmax and
    log_softmax the gradient is enclosed if there is a ``cotangent``. ``tangent`` asks for the JVP and the second
    derivative, ``target_tangent`` for those along the probabilities.

    ``variant`` encloses what a training loss adds to the op (docs/variants.md): ``lossproof.Variant(z_loss=1e-4,
    softcap=30.0)``. Of one with ``sample_weight=True`` the weights of the rows are ``sample_weight``, an array of the
    shape of the logits without their class axis. It has a value and a gradient.

    ``profile`` is the error profile, W (internals in float32 at least), N (every step may be rounded to 16 bits) or F
    (a fast exponential): by default W, and N in 16 bits. ``online`` says that partial sums are rescaled when the
    running maximum grows, ``mean`` what the reduction mean is where it does not divide by the weights of the labels
    (``mean_over_rows``, ``mean_over_kept``).

    Raises :class:`UsageError` for inputs without a result (a label out of range, shapes that do not fit, numbers that
    the dtype does not have), and for unknown names.
    """
    p = own_problem(
        op,
        logits,
        target,
        weight=weight,
        cotangent=cotangent,
        tangent=tangent,
        target_tangent=target_tangent,
        axis=axis,
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        dtype=dtype,
        out_dtype=out_dtype,
        variant=variant,
        sample_weight=sample_weight,
    )
    known_names("mean", [mean], MEANS)
    if profile is not None:
        known_profile(profile, p.result_dtype)
    declared = Declared(profile or default_profile(p.result_dtype), online, mean)
    exact = truth([solved_by(p, mean)])
    question = _OwnQuestion(Call(p, OWN), exact, declared)
    return Enclosures({name: _enclosed(name, question) for name in p.want})


def _enclosed(name: str, question: _OwnQuestion) -> Enclosed:
    p, expected = question.call.problem, question.exact.expected[name]
    bound = question.exact.allowed(question.declared.profile, online=question.declared.online).outputs[name]
    mid, slack = expected.exact.mid, expected.exact.rad + np.abs(expected.exact.low)
    exact = (slack == 0) | ~np.isfinite(mid)
    with np.errstate(all="ignore"):
        lower = np.where(exact, mid, np.nextafter(mid - slack, -np.inf))
        upper = np.where(exact, mid, np.nextafter(mid + slack, np.inf))
    allowed = np.where(expected.strict, 0.0, bound)
    lower, upper, allowed = (_own_shape(a[0], p, name) for a in (lower, upper, allowed))
    return Enclosed(name, p.dtype_of(name), lower, upper, allowed, question)


def _own_shape(a: Floats, p: Problem, name: str) -> Floats:
    shape = p.shape_of(name)
    return rows_back(a, shape, p.axis) if shape == p.x.shape and a.ndim == 2 else a.reshape(shape)
