"""The worked example: nothing drifts, and a wrong file is noticed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Problem
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.truth.worked_example import EPS, PREDS, PUBLISHED, TARGET, check_published, make, stored

Array = np.ndarray[Any, Any]


def test_the_stored_file_agrees_with_the_oracle() -> None:
    assert check_published() == []


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_drift_is_noticed(name: str) -> None:
    wrong = copy.deepcopy(stored())
    wrong["entries"][name]["lo"][0] = (0.123).hex()
    assert any(name in message for message in check_published(lambda: wrong))


def test_a_missing_entry_and_a_foreign_one_are_noticed() -> None:
    wrong = copy.deepcopy(stored())
    wrong["entries"]["foreign"] = wrong["entries"].pop("softmax")
    messages = check_published(lambda: wrong)
    assert any(m.startswith("softmax:") for m in messages)
    assert any(m.startswith("foreign is not") for m in messages)


def test_enclosures_are_tight() -> None:
    for entry in make()["entries"].values():
        for lo, hi in zip(entry["lo"], entry["hi"], strict=True):
            a, b = float.fromhex(lo), float.fromhex(hi)
            # Two spacings where the exact value is itself a float64, such as 1/4.
            assert a <= b <= np.nextafter(np.nextafter(a, np.inf), np.inf)


def step_by_step(
    x: Array,
    *,
    target: Array,
    weight: Array | None,
    ignore_index: int | None,
    reduction: str,
    label_smoothing: float,
    axis: int,
) -> Array:
    """The published formula: exp, sum, divide, log, one-hot product."""
    e = np.exp(x)
    log_p = np.log(e / e.sum(axis=1, keepdims=True))
    one_hot = np.eye(x.shape[1], dtype=x.dtype)[target] if target.ndim == 1 else target
    nll = -(one_hot * log_p).sum(axis=1)
    uniform = -log_p.mean(axis=1)
    loss = (1 - label_smoothing) * nll + label_smoothing * uniform
    return np.asarray({"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction], dtype=x.dtype)


def test_the_step_by_step_formula_prints_the_same_decimals() -> None:
    x, y = np.array(PREDS), np.array(TARGET)
    options: dict[str, Any] = {"target": y, "weight": None, "ignore_index": None, "axis": -1}
    plain = step_by_step(x, reduction="mean", label_smoothing=0.0, **options)
    smooth = step_by_step(x, reduction="mean", label_smoothing=EPS, **options)
    assert [f"{plain:.4f}", f"{smooth:.4f}"] == ["1.3644", "1.3669"]


def test_the_step_by_step_formula_passes_the_golden_calls() -> None:
    calls = deck_calls(part=DeckPart(families=["golden"], ops=["cross_entropy"], dtypes=["float64", "float32"]))
    assert calls
    report = check_implementation(step_by_step, op="cross_entropy", calls=calls, dtypes=("float64", "float32"))
    report.raise_on_failure()
    assert any(o.verdict == "pass" for o in report.observations)


def test_the_numpy_adapter_prints_the_same_decimals() -> None:
    x, y = np.array(PREDS), np.array(TARGET)
    softmax = ADAPTER.evaluate(Problem("softmax", "float64", x), "cpu", "eager")["value"].data
    assert [f"{v:.4f}" for v in softmax.ravel()] == PUBLISHED["softmax"]
    smooth = Problem("cross_entropy", "float64", x, y, label_smoothing=EPS)
    assert (
        f"{ADAPTER.evaluate(smooth, 'cpu', 'eager')['value'].data:.4f}" == PUBLISHED["smoothed_cross_entropy_mean"][0]
    )
