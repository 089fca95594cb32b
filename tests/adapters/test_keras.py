"""Keras and its releases: what an older one is told in another way, and what is the framework's own arithmetic."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem, UnsupportedProblem
from tests.adapters.test_findings import SWITCHES
from tests.support.forked import run_program

LABELS = Problem("cross_entropy", "float64", np.array([[0.1, -1.7, 3.3]]), np.array([1]), reduction="none")
OLDER = """
import contextlib, io, json, os
import numpy as np
from lossproof.adapters import keras
from lossproof.adapters.protocol import Problem

problem = Problem("cross_entropy", "float64", np.array([[0.1, -1.7, 3.3]]), np.array([1]), reduction="none")
values, scripts = [], []
for takes in (True, False):
    keras._takes_dtype = lambda module: takes
    value = keras.ADAPTER.evaluate(problem, "cpu", MODE)["value"]
    values.append([value.dtype, value.data.tolist()])
    scripts.append(keras.ADAPTER.script(problem, "cpu", MODE))
import keras as package
print(json.dumps([values, scripts, package.config.floatx()]))
"""


def backend() -> str:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("keras is not installed")
    found = next((b for b in ("torch", "tensorflow", "jax") if importlib.util.find_spec(b)), None)
    if found is None:
        pytest.skip("keras has no backend here")
    return found


def test_a_release_whose_losses_take_no_dtype_is_told_it_by_floatx(tmp_path: Path) -> None:
    mode = backend()
    (tmp_path / "older.py").write_text(OLDER.replace("MODE", repr(mode)), "utf-8")
    # As scripts of findings have it, so that the process is there already that has imported both.
    done = run_program(tmp_path / "older.py", ("keras", mode), backend=mode, variables=dict.fromkeys(SWITCHES))
    assert done.returncode == 0, done.stderr
    values, scripts, floatx = json.loads(done.stdout.splitlines()[-1])
    assert values[0] == values[1]
    assert values[0][0] == "float64"
    assert floatx == "float32", "it is what it was"
    assert ['set_floatx("float64")' in text for text in scripts] == [False, True]
    assert [', dtype="float64"' in text for text in scripts] == [True, False]


@pytest.mark.of("tensorflow")
def test_smoothing_of_probabilities_is_left_to_keras() -> None:
    pytest.importorskip("tensorflow")
    from lossproof.adapters.tensorflow_modes import unsmoothed

    probabilities = replace(LABELS, target=np.array([[0.25, 0.5, 0.25]]), label_smoothing=0.1)
    assert unsmoothed(probabilities).label_smoothing == 0.0
    for composed in (replace(LABELS, label_smoothing=0.1), replace(probabilities, weight=np.ones(3))):
        with pytest.raises(UnsupportedProblem, match="nothing of Keras takes part"):
            unsmoothed(composed)


@pytest.mark.of("tensorflow")
def test_a_mean_is_the_framework_s_own() -> None:
    """TensorFlow's forward mode makes NaN of an infinite loss that is divided; of one that it averages it does not."""
    pytest.importorskip("tensorflow")
    from lossproof.adapters.tensorflow import ADAPTER

    masked = Problem(
        "cross_entropy",
        "float32",
        np.array([[0.0, -np.inf], [1.0, 2.0]]),
        np.array([1, 0]),
        tangent=np.array([[1.0, 3.0], [2.0, 1.0]]),
    )
    found = ADAPTER.evaluate(masked, "cpu", "eager")
    assert float(found["value"].data) == np.inf
    assert np.isfinite(found["jvp"].data)
