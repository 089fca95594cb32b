"""Wrong variants of each example fail, and the explanation names the mechanism."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

import pytest

from tests.examples.kernels_page import NEEDS, missing, run
from tests.examples.wrong_variants import CASES, LIGER, VARIANTS, WORDS


@functools.cache
def printed(example: str) -> dict[str, str]:
    """What the variants of an example print, by their defect; all run in one process, which imports the framework."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(__file__).with_name("wrong_variants.py"), NEEDS[example], folder, example)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(("example", "defect"), CASES, ids=["-".join(case).replace(" ", "_") for case in CASES])
def test_the_mechanism_of_a_wrong_variant_is_named(example: str, defect: str) -> None:
    if missing(example):
        pytest.skip(f"needs {missing(example)}")
    text = printed(example)[defect]
    assert " outputs fail" in text, text
    explained = text.partition(" outputs fail")[2].splitlines()[1:]
    # Liger has a deviation of its own, which is explained first.
    first = explained if (example, defect) == ("liger_cross_entropy", "overwritten logits") else explained[:1]
    assert any(WORDS[defect] in line for line in first), text


def test_every_kernel_of_its_own_has_wrong_variants() -> None:
    # What wraps a module of a framework has no line of a kernel; capped logits need no maximum, and have mechanisms of
    # their own (tests of variants).
    assert {*VARIANTS, "liger_cross_entropy"} == set(NEEDS) - {"torch_linear_module", "torch_capped"}
    assert {defect for defects in (*VARIANTS.values(), LIGER) for defect in defects} == set(WORDS)
    usual = set(WORDS) - {"a maximum of each rank"}
    # JAX's arrays cannot be overwritten; Keras differentiates itself, and its losses have no smoothing argument.
    lacking = {"jax_custom_vjp": {"overwritten logits"}, "torch_fused_linear": {"smoothing of others"}}
    lacking["keras_loss"] = {"overwritten logits", "gradient of the sum", "smoothing of others"}
    lacking["torch_linear"] = {"overwritten logits", "gradient of the sum"}
    for example in (*VARIANTS, "liger_cross_entropy"):
        assert {d for name, d in CASES if name == example} >= usual - lacking.get(example, set()), example
