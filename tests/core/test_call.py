"""Calls: bit-exact JSON, stable ids, and the messages of validation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases.deck import deck_calls
from lossproof.core.call import Call, detail, from_json, rows_back, rows_first
from lossproof.core.errors import UsageError
from lossproof.core.operations import OPERATIONS, validate

X = np.array([[0.1, -0.0, np.inf], [5e-324, -np.inf, np.nan]])
BASE = Problem(
    "cross_entropy", "float64", X, np.array([2, 0]), np.array([1.0, 0.5, -2.0]), np.array(1.5), label_smoothing=0.1
)


def same(a: Problem, b: Problem) -> bool:
    for name in ("op", "dtype", "axis", "reduction", "ignore_index", "label_smoothing"):
        if getattr(a, name) != getattr(b, name):
            return False
    for name in ("x", "target", "weight", "cotangent"):
        left, right = getattr(a, name), getattr(b, name)
        if (left is None) != (right is None):
            return False
        if left is None:
            continue
        if left.shape != right.shape or left.dtype != right.dtype:
            return False
        nan = np.isnan(left) if left.dtype.kind == "f" else np.zeros(left.shape, bool)
        if left[~nan].tobytes() != right[~nan].tobytes() or (left.dtype.kind == "f" and not np.isnan(right[nan]).all()):
            return False
    return True


def test_json_keeps_every_bit() -> None:
    call = Call(BASE, "family", "seed 3", random_order=True)
    text = json.dumps(call.to_json(), allow_nan=False)
    back = from_json(json.loads(text))
    assert same(back.problem, BASE)
    assert (back.family, back.provenance, back.random_order, back.id) == ("family", "seed 3", True, call.id)


def test_json_keeps_every_call_of_the_smoke_deck() -> None:
    calls = deck_calls("smoke")
    for call in calls:
        back = from_json(json.loads(json.dumps(call.to_json())))
        assert same(back.problem, call.problem)
        assert back.id == call.id
    assert len({call.id for call in calls}) == len(calls)


@pytest.mark.parametrize("kind", ["int64", "int32", "int16", "int8", "uint8"])
def test_json_keeps_the_type_of_labels(kind: str) -> None:
    p = replace(BASE, target=np.array([2, 0], dtype=kind))
    back = from_json(json.loads(json.dumps(Call(p, "family").to_json())))
    assert same(back.problem, p)
    assert back.id == Call(p, "family").id
    assert (back.id == Call(BASE, "family").id) == (kind == "int64")


def test_comparison_of_problems_can_fail() -> None:
    assert same(BASE, replace(BASE))
    assert not same(BASE, replace(BASE, x=np.where(X == 0, 0.0, X)))
    assert not same(BASE, replace(BASE, weight=None))
    assert not same(BASE, replace(BASE, axis=1))


def test_ids_are_stable() -> None:
    # Literal ids: a change of the digest would orphan every recorded result.
    call = Call(BASE, "family")
    assert call.id == "cross_entropy/float64/family/n2-k3-mean-ls0.1-w/" + call.digest
    assert call.digest == "e5f9ac14"
    plain = Call(Problem("softmax", "float16", np.arange(6.0).reshape(1, 2, 3), axis=1), "ordinary")
    assert plain.id == "softmax/float16/ordinary/s1x2x3-ax1/da802b5f"


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.where(X == 0, 0.0, X)},
        {"x": X.reshape(3, 2)},
        {"target": np.array([2, 1])},
        {"weight": None},
        {"cotangent": np.array(-1.5)},
        {"dtype": "float32"},
        {"op": "softmax"},
        {"axis": 1},
        {"reduction": "sum"},
        {"ignore_index": 7},
        {"label_smoothing": 0.2},
        {"layout": "gapped"},
        {"omit": True},
        {"layout": "gapped", "laid": "target"},
    ],
)
def test_ids_see_every_field(change: dict[str, Any]) -> None:
    assert Call(replace(BASE, **change), "f").digest != Call(BASE, "f").digest


def test_ids_see_which_array_has_a_layout() -> None:
    made = [replace(BASE, layout="offset", laid=laid) for laid in ("", "x", "target", "weight")]
    assert len({Call(p, "f").digest for p in made}) == len(made)
    assert detail(made[0]).endswith("-w-offset")
    assert detail(made[2]).endswith("-w-offset-target")
    for p in made:
        back = from_json(json.loads(json.dumps(Call(p, "f").to_json())))
        assert (back.problem.layout, back.problem.laid) == ("offset", p.laid)


def test_ids_do_not_see_what_is_not_content() -> None:
    one = Call(BASE, "f")
    payload = X.copy()
    payload.view(np.uint64)[1, 2] ^= 5
    assert np.isnan(payload[1, 2])
    for other in (replace(BASE, x=payload), replace(BASE, x=np.asfortranarray(X)), replace(BASE, x=X[::1])):
        assert Call(other, "f").digest == one.digest
    assert Call(BASE, "f", "elsewhere", True).id == one.id


@pytest.mark.parametrize("size", [1, 5, 7, 100])
def test_ids_are_the_same_piece_by_piece(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of arrays of every layout, with NaN of any payload in any piece."""
    random = np.random.default_rng(3)
    x = random.normal(size=(7, 5))
    x[random.random(x.shape) < 0.2] = -np.nan
    wide = np.zeros((14, 10))
    wide[::2, 1::2] = x
    target = random.integers(0, 5, 7)
    expected = Call(replace(BASE, x=x, target=target), "f").digest
    monkeypatch.setattr("lossproof.core.call._PIECE", size)
    for laid in (x, np.asfortranarray(x), wide[::2, 1::2], x.astype(">f8")):
        one = replace(BASE, x=laid, target=np.repeat(target, 2)[::2])
        assert Call(one, "f").digest == expected
    other = x.copy()
    other[-1, -1] += 1
    assert Call(replace(BASE, x=other, target=target), "f").digest != expected


def test_detail_names_only_what_differs() -> None:
    p = Problem("cross_entropy", "float32", np.zeros((2, 3)), np.zeros(2, np.int64))
    assert detail(p) == "n2-k3-mean"
    assert detail(replace(p, axis=1)) == "n2-k3-mean"
    assert detail(replace(p, ignore_index=-100, reduction="none")) == "n2-k3-none-ig-100"
    assert detail(replace(p, target=np.zeros((2, 3)))) == "n2-k3-mean-q"
    assert detail(replace(p, x=np.zeros((2, 3, 4)), axis=1, target=np.zeros((2, 4), np.int64))) == "s2x3x4-ax1-mean"
    assert detail(replace(p, x=np.zeros((2, 3)), axis=0, target=np.zeros(3, np.int64))) == "s2x3-ax0-mean"
    assert detail(Problem("softmax", "float32", np.zeros(5))) == "s5"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.pop("op"), "KeyError 'op'"),
        (lambda d: d.pop("family"), "KeyError 'family'"),
        (lambda d: d["x"].pop("shape"), "KeyError 'shape'"),
        (lambda d: d["x"].update(shape=[5]), "ValueError"),
        (lambda d: d["x"].update(hex=["rubbish"] * 6), "ValueError"),
        (lambda d: d.update(x=3), "TypeError"),
    ],
)
def test_broken_json_is_a_usage_error(edit: Any, words: str) -> None:
    data = Call(BASE, "f").to_json()
    edit(data)
    with pytest.raises(UsageError, match=words) as caught:
        from_json(data)
    assert "expected the JSON that lossproof writes" in str(caught.value)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_rows_and_back(axis: int) -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    rows = rows_first(a, axis)
    assert rows.shape == (24 // a.shape[axis], a.shape[axis])
    np.testing.assert_array_equal(rows[0], np.moveaxis(a, axis, -1)[0, 0])
    np.testing.assert_array_equal(rows_back(rows, a.shape, axis), a)


def test_rows_of_empty_arrays() -> None:
    assert rows_first(np.zeros((0, 3)), 1).shape == (0, 3)
    assert rows_first(np.zeros((2, 0, 3)), 2).shape == (0, 3)
    assert rows_first(np.zeros(4), 0).shape == (1, 4)


GOOD = Problem("cross_entropy", "float32", np.zeros((2, 3)), np.array([0, 2]), np.ones(3), np.array(1.0))
SOFT = Problem("softmax", "float32", np.zeros((2, 3)))


def test_valid_problems_pass() -> None:
    for p in (
        GOOD,
        SOFT,
        replace(GOOD, reduction="none", cotangent=np.zeros(2)),
        replace(GOOD, target=np.array([7, 2]), ignore_index=7),
        replace(GOOD, target=np.zeros((2, 3)), label_smoothing=1.0),
        replace(GOOD, x=np.zeros((0, 3)), target=np.zeros(0, np.int64)),
        replace(GOOD, x=np.zeros(3), target=np.array(1)),
        replace(SOFT, x=np.array([[np.nan, np.inf, 2.0**-149]])),
        replace(SOFT, axis=-2),
    ):
        validate(p)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (replace(GOOD, op="relu"), "unknown op 'relu'; expected one of softmax, log_softmax, nll_loss, cross_entropy"),
        (replace(GOOD, dtype="int8"), "unknown dtype 'int8'; expected one of float64, float32, bfloat16, float16"),
        (replace(GOOD, reduction="avg"), "unknown reduction 'avg'; expected one of none, sum, mean"),
        (replace(SOFT, axis=2), "axis 2 is outside logits of shape (2, 3); expected -2 to 1"),
        (
            replace(SOFT, x=np.zeros((2, 0))),
            "logits of shape (2, 0) have K = 0 classes on axis -1; expected at least one class",
        ),
        (replace(SOFT, target=np.array([0, 1])), "softmax takes no target"),
        (replace(SOFT, label_smoothing=0.1), "softmax takes no target, weight or label_smoothing"),
        (replace(GOOD, op="nll_loss", label_smoothing=0.1), "nll_loss takes class indices and no label_smoothing"),
        (replace(GOOD, op="nll_loss", target=np.zeros((2, 3))), "nll_loss takes class indices"),
        (replace(GOOD, label_smoothing=1.5), "label_smoothing is 1.5; expected a number from 0 to 1"),
        (replace(GOOD, label_smoothing=float("nan")), "label_smoothing is nan"),
        (replace(GOOD, weight=np.ones(4)), "weight has shape (4,); expected (3,)"),
        (replace(GOOD, cotangent=np.ones(2)), "cotangent has shape (2,); expected ()"),
        (
            replace(GOOD, target=None),
            "cross_entropy needs a target; expected class indices of shape (2,) or probabilities",
        ),
        (replace(GOOD, target=np.zeros((3, 2))), "target has shape (3, 2); expected (2, 3)"),
        (replace(GOOD, target=np.array([0])), "target has shape (1,); expected (2,)"),
        (replace(GOOD, target=np.array([0, 3])), "label 3 is out of range; expected 0 to 2 for K = 3 classes"),
        (replace(GOOD, target=np.array([-1, 0])), "label -1 is out of range"),
        (
            replace(GOOD, x=np.full((2, 3), 0.1)),
            "x holds values that float32 cannot represent; round it to float32 first",
        ),
        (replace(GOOD, weight=np.full(3, 1e39)), "weight holds values that float32 cannot represent"),
        (replace(SOFT, axis=0, omit=True), "omit is for a call of defaults; expected the last axis, mean,"),
        (replace(GOOD, reduction="sum", omit=True), "omit is for a call of defaults"),
        (replace(SOFT, layout="scattered"), "unknown layout 'scattered'; expected one of contiguous, transposed,"),
        (replace(SOFT, layout="offset", laid="logits"), "unknown laid 'logits'; expected one of x, target,"),
        (replace(SOFT, layout="offset", laid="weight"), "laid is 'weight'; expected an array of the call"),
        (replace(SOFT, laid="x"), "laid is 'x'; expected an array of the call that has an axis, and a layout for it"),
    ],
)
def test_validation_says_what_was_wrong_and_expected(p: Problem, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(p)
    assert message in str(caught.value)


def test_output_shapes() -> None:
    p = Problem("cross_entropy", "float32", np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64), axis=1, reduction="none")
    assert p.shape_of("value") == (2, 4)
    assert p.shape_of("vjp") == (2, 3, 4)
    assert replace(p, reduction="mean").shape_of("jvp") == ()
    assert replace(SOFT, x=p.x).shape_of("value") == (2, 3, 4)
    assert set(OPERATIONS) == {"softmax", "log_softmax", "nll_loss", "cross_entropy"}
