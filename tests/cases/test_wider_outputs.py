"""Output dtypes wider than the input's: truth and bound of the wide format, one rounding more in the gradient."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.cases.deck_part import WHOLE_DECK
from lossproof.cases.forms.wider_losses import wider_loss_calls
from lossproof.cases.wider_outputs import WIDER, wider_output_calls
from lossproof.core.call import from_json
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.observation import FAILING
from lossproof.core.operations import validate
from lossproof.running.loop import run
from lossproof.targets.target import Target, load_adapter
from lossproof.truth.bounds.allowed import rounded_back
from lossproof.truth.truth import truth
from tests.support.thinned import WHOLE

CALLS = {dtype: list(wider_output_calls(dtype, WHOLE_DECK)) for dtype in FORMATS}
ALL = [c for calls in CALLS.values() for c in calls]
Array = np.ndarray
pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
Convert = Callable[[Array, Any], Array]


def p_of(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def y_of(x: Array) -> Array:
    d = x - x.max(axis=-1, keepdims=True)
    return np.asarray(d - np.log(np.exp(d).sum(axis=-1, keepdims=True)))


def along(f: Callable[..., Array], axis: int, *arrays: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.moveaxis(f(*(np.moveaxis(a, axis, -1) for a in arrays)), -1, axis)


def vjp_of(op: str, x: Array, v: Array) -> Array:
    p = p_of(x)
    inner = (p * v).sum(axis=-1, keepdims=True) if op == "softmax" else v.sum(axis=-1, keepdims=True)
    return np.asarray(p * (v - inner) if op == "softmax" else v - p * inner)


def judged(op: str, convert: Convert, into: Convert, **how: Any) -> list[str]:
    """The failing outputs of a softmax or log-softmax that converts its input and its result in some way."""
    f = p_of if op == "softmax" else y_of

    def value(x: Array, *, axis: int, out_dtype: Any) -> Array:
        return into(along(f, axis, convert(x, out_dtype)), out_dtype)

    def grad(x: Array, cotangent: Array, *, axis: int, out_dtype: Any) -> Array:
        v = how.get("cotangent", lambda v: v)(cotangent)
        rule = lambda a, b: vjp_of(op, a, b)  # noqa: E731
        return along(rule, axis, convert(x, out_dtype), v.astype(out_dtype)).astype(how.get("back", x.dtype))

    calls = [c for c in ALL if c.problem.op == op and c.problem.dtype in how.get("dtypes", ("float16", "float32"))]
    report = check_implementation(
        value, op=op, grad=grad, calls=calls, options={"axis", "out_dtype"}, dtypes=("float16", "float32")
    )
    return [o.output for o in report.failures if "/all/" not in o.id]


def first(x: Array, dtype: Any) -> Array:
    return x.astype(dtype)


def as_is(x: Array, dtype: Any) -> Array:
    return x


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_correct_implementations_pass(op: str) -> None:
    assert judged(op, first, first) == []


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_mutants_fail(op: str) -> None:
    """out_dtype ignored; computed narrow, then cast; the cotangent narrowed first; the gradient left wide."""
    some: dict[str, Any] = {} if WHOLE else {"dtypes": ("float16",)}
    assert set(judged(op, first, lambda a, dtype: a.astype(np.float16), **some)) == {"value"}
    assert "value" in judged(op, as_is, first, **some)
    assert set(judged(op, first, first, cotangent=lambda v: v.astype(np.float16), **some)) == {"vjp"}
    assert set(judged(op, first, first, back=np.float64, **some)) == {"vjp"}


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_adapters(name: str) -> None:
    try:
        target = Target(load_adapter(name))
    except UsageError as error:
        pytest.skip(str(error))
    found = list(run([target], ALL))
    assert not [o.message for o in found if o.verdict in FAILING]
    answered = {o.verdict for o in found} - {"unsupported"}
    assert bool(answered) == ("softmax" in target.capabilities.out_dtypes)


LOSSES = [c for dtype in FORMATS for c in wider_loss_calls(dtype, WHOLE_DECK)]


def judged_loss(narrow: Convert = first, into: Convert = first, back: Any = None) -> set[str]:
    """The failing outputs of a cross-entropy of labels that converts its logits and its result in some way."""

    def parts(x: Array, target: Array, out_dtype: Any) -> tuple[Array, Array]:
        rows = narrow(x, out_dtype)
        return y_of(rows), np.eye(x.shape[-1])[target]

    def value(x: Array, *, target: Array, out_dtype: Any) -> Array:
        with np.errstate(all="ignore"):
            y, hot = parts(x, target, out_dtype)
            return into(np.asarray(-np.where(hot > 0, y, 0).sum(axis=-1).mean()), out_dtype)

    def grad(x: Array, cotangent: Array, *, target: Array, out_dtype: Any) -> Array:
        with np.errstate(all="ignore"):
            y, hot = parts(x, target, out_dtype)
            return ((np.exp(y) - hot) * cotangent / len(x)).astype(back or x.dtype)

    report = check_implementation(
        value,
        op="cross_entropy",
        grad=grad,
        calls=LOSSES,
        options={"out_dtype"},
        targets=("index",),
        dtypes=("float16", "float32"),
    )
    assert report.counts
    return {o.output for o in report.failures if "/all/" not in o.id}


def test_a_loss_in_a_wider_dtype() -> None:
    assert judged_loss() == set()
    assert judged_loss(into=lambda a, dtype: a.astype(np.float16)) == {"value"}
    assert "value" in judged_loss(narrow=as_is)
    assert judged_loss(back=np.float64) == {"vjp"}


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_losses_of_adapters(name: str) -> None:
    """100 equal logits give 4.60517019 in float32 and 4.59375 in bfloat16."""
    try:
        target = Target(load_adapter(name))
    except UsageError as error:
        pytest.skip(str(error))
    chosen = LOSSES if name != "jax" else [c for c in LOSSES if c.tier == "full" or c.family == "equal"]
    found = list(run([target], chosen))
    assert not [o.message for o in found if o.verdict in FAILING]
    assert {o.case.op for o in found if o.verdict != "unsupported"} >= {"cross_entropy"}
    equal = next(c.problem for c in LOSSES if c.family == "equal" and c.problem.dtype == "bfloat16")
    (outcome,) = target.play([equal])
    np.testing.assert_allclose(outcome.outputs["value"].data, [4.60517019] * 2, rtol=1e-7)
    assert outcome.outputs["value"].dtype == "float32"
    assert outcome.outputs["vjp"].dtype == "bfloat16"


def test_losses_have_numbers_that_the_narrow_format_lacks() -> None:
    for dtype in WIDER:
        problems = [c.problem for c in LOSSES if c.problem.dtype == dtype]
        for p in problems:
            validate(p)
        fmt = FORMATS[dtype]
        assert any(p.weight is not None and not fmt.holds(p.weight) for p in problems)
        assert any(p.has_probability_target and not fmt.holds(np.asarray(p.target)) for p in problems)
        assert {p.op for p in problems} == {"nll_loss", "cross_entropy"}


def test_every_pair_has_both_ops_both_sorts_of_axis_and_valid_problems() -> None:
    assert {d for d, calls in CALLS.items() if calls} == set(WIDER)
    for dtype in WIDER:
        problems = [c.problem for c in CALLS[dtype]]
        assert {p.op for p in problems} == {"softmax", "log_softmax"}
        assert {p.axis % p.x.ndim == p.x.ndim - 1 for p in problems} == {True, False}
        assert {p.out_dtype for p in problems} == {WIDER[dtype]}
        for p in problems:
            validate(p)
        assert not all(FORMATS[dtype].holds(p.cotangent) for p in problems if p.cotangent is not None)
    assert len({c.id for c in ALL}) == len(ALL)


def test_json_and_ids() -> None:
    for call in ALL:
        back = from_json(json.loads(json.dumps(call.to_json())))
        assert (back.problem.out_dtype, back.id) == (call.problem.out_dtype, call.id)
        assert f"-to-{call.problem.out_dtype}" in call.id


def test_the_gradient_has_one_rounding_more() -> None:
    """Section 6 of docs/bounds.md, entry by entry."""
    for dtype, wide in WIDER.items():
        fmt = FORMATS[dtype]
        call = next(c for c in CALLS[dtype] if c.family == "ordinary")
        exact = truth([call.problem])
        assert exact.batch.fmt == FORMATS[wide]
        plain = truth([replace(call.problem, out_dtype=None, dtype=wide)])
        bound, T = exact.allowed("W").outputs["vjp"], plain.allowed("W").outputs["vjp"]
        z = np.abs(exact.expected["vjp"].exact.mid)
        lost = 2.0**-25 if dtype == "float16" else fmt.min_normal
        np.testing.assert_allclose(bound, T + fmt.u * (z + T) + lost, rtol=1e-9)
        np.testing.assert_array_equal(exact.allowed("W").outputs["value"], plain.allowed("W").outputs["value"])
        # Nothing less would do: a gradient halfway between two numbers of the narrow format is off by u.
        assert rounded_back(np.zeros(1), np.ones(1), fmt)[0] >= fmt.u


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"out_dtype": "float16"}, "not wider"),
        ({"out_dtype": "float8"}, "unknown out_dtype"),
        (
            {"op": "nll_loss", "target": np.array([0, 1]), "cotangent": np.ones(()), "tangent": np.ones((2, 4))},
            "has a value and a gradient",
        ),
    ],
)
def test_bad_problems_are_usage_errors(change: dict[str, Any], words: str) -> None:
    p = next(c.problem for c in CALLS["float16"] if c.problem.x.shape == (2, 4))
    with pytest.raises(UsageError, match=words):
        validate(replace(p, **change))
