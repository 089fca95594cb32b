"""Variants through the front doors: what is declared, passed and built in, right functions and mistakes."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from lossproof import Report, UsageError, Variant, check_implementation, enclose, gradcheck
from lossproof.cases.variant_calls import variant_calls
from lossproof.core.case_id import RELATION
from tests.support.frameworks import needs
from tests.support.thinned import WHOLE, at_least, nightly
from tests.support.variant_losses import MISTAKES, Fused, composed, jax_kit, torch_kit

pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
EVERYTHING = Variant(z_loss=0.01, softcap=20.0, logit_scale=0.7, sample_weight=True)


def checked(function: Any, variant: Variant, **given: Any) -> Report:
    arguments: dict[str, Any] = {"dtypes": ["float32"], "deck": "smoke", "cache": False} | given
    return check_implementation(function, op="cross_entropy", variant=variant, **arguments)


@needs("torch")
def test_a_right_loss_of_torch_passes() -> None:
    report = checked(composed(torch_kit(), EVERYTHING), EVERYTHING, dtypes=("float32", "bfloat16"))
    report.raise_on_failure()
    assert report.judged > 40
    (asked,) = report.asked
    assert "as the variant with z_loss 0.01 (built in), softcap 20 (built in), logit_scale 0.7 (built in), " in asked
    assert "sample_weight (its argument) (docs/variants.md)" in asked


@needs("jax")
def test_a_right_loss_of_jax_passes() -> None:
    v = Variant(z_loss=1e-4, softcap=30.0)
    report = checked(composed(jax_kit(), v), v, dtypes=("float32",), ranks=(2,))
    report.raise_on_failure()
    assert report.judged >= 20


@needs("torch")
@pytest.mark.parametrize(("mistake", "words"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_named(mistake: str, words: str) -> None:
    v = Variant(z_loss=0.01) if mistake == "no maximum" else EVERYTHING
    report = checked(composed(torch_kit(), v, mistake=mistake), v)
    assert not report.ok
    assert words in report.diagnosis, report.diagnosis


def test_parts_are_passed_to_the_arguments_that_a_function_has() -> None:
    seen: list[tuple[float, ...]] = []

    def loss(
        x: Any,
        target: Any,
        *,
        lse_square_scale: float = 0.0,
        logit_softcapping: float = 0.0,
        scale: float = 1.0,
        weights_of_rows: Any = None,
        reduction: str = "mean",
    ) -> Any:
        seen.append((lse_square_scale, logit_softcapping, scale))
        whole = Variant(z_loss=lse_square_scale, softcap=logit_softcapping, logit_scale=scale, sample_weight=True)
        return Fused(whole).value(x, target, sample_weight=weights_of_rows, reduction=reduction)

    report = checked(loss, EVERYTHING, names={"sample_weight": "weights_of_rows"}, framework="numpy")
    report.raise_on_failure()
    assert set(seen) == {(0.01, 20.0, 0.7)}
    assert "z_loss 0.01 (its argument), softcap 20 (its argument), logit_scale 0.7 (its argument), " in report.asked[0]


def test_what_takes_any_keyword_has_the_numbers_of_a_variant_built_in() -> None:
    v = Variant(z_loss=0.01, softcap=20.0)

    def loss(x: Any, target: Any, **options: Any) -> Any:
        whole = Variant(z_loss=options.pop("penalty", v.z_loss), softcap=v.softcap)
        return Fused(whole).value(x, target, **options)

    report = checked(loss, v, framework="numpy")
    report.raise_on_failure()
    assert "z_loss 0.01 (built in), softcap 20 (built in)" in report.asked[0]
    named = checked(loss, v, framework="numpy", names={"z_loss": "penalty"})
    named.raise_on_failure()
    assert "z_loss 0.01 (its argument), softcap 20 (built in)" in named.asked[0]


def test_a_mean_of_another_name_is_declared() -> None:
    v = Variant(sample_weight=True)

    def loss(x: Any, target: Any, *, sample_weight: Any, reduction: str = "mean") -> Any:
        rows = Fused(v).value(x, target, sample_weight=sample_weight, reduction="none")
        return rows if reduction == "none" else rows.sum() if reduction == "sum" else rows.mean()

    given: dict[str, Any] = {"framework": "numpy", "ranks": (2,)}
    checked(loss, v, mean="mean_over_rows", **given).raise_on_failure()
    report = checked(loss, v, **given)
    assert not report.ok
    assert "the mean's denominator lacks the weights of rows (mean='mean_over_rows' or" in report.diagnosis


def test_calls_are_the_same_each_time_and_their_ids_say_what_they_are() -> None:
    ids = [[c.id for c in variant_calls("cross_entropy", ("float32",), EVERYTHING, deck="smoke")] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(ids[0]) > 12
    assert all("-by0.7-cap20-z0.01-sw/" in name for name in ids[0])
    # In every dtype the same is drawn, so that conventions can be compared.
    wide = [c.id for c in variant_calls("cross_entropy", ("float64",), EVERYTHING, deck="smoke")]
    assert [i.split("/")[2:4] for i in wide] == [i.split("/")[2:4] for i in ids[0]]


def _without_strides(f: Any) -> Any:
    """A loss of the memory of its logits, as a kernel reads it that is given no strides."""

    def loss(x: Any, target: Any, **given: Any) -> Any:
        return f(x if x.flags.c_contiguous else np.ascontiguousarray(x)[..., ::-1], target, **given)

    return loss


def _overwritten(f: Any) -> Any:
    def loss(x: Any, target: Any, **given: Any) -> Any:
        found = f(x, target, **given)
        x.detach().zero_()
        return found

    return loss


def _drifting(f: Any) -> Any:
    """A loss whose last digit depends on how often it was called."""
    count = itertools.count()

    def loss(x: Any, target: Any, **given: Any) -> Any:
        found = f(x, target, **given)
        return np.nextafter(found, np.inf, dtype=found.dtype) if next(count) % 2 else found

    return loss


RELATED = {
    "permutation": 2,
    "one-hot": 2,
    "concatenation": 2,
    "flatten": 2,
    "layout-reversed": 2,
    "layout-fortran": 2,
    "other-rows": 2,
    "row-alone": 2,
    "repetition": 2,
    "purity": 1,
}


def _relations(report: Report) -> dict[str, list[str]]:
    """The verdicts of each relation."""
    found: dict[str, list[str]] = {}
    for o in report.observations:
        if o.case.family == RELATION:
            name = next(known for known in RELATED if o.case.detail.startswith(f"{known}-"))
            found.setdefault(name, []).append(o.verdict)
    return found


@nightly
def test_relations_that_hold_whatever_is_added_are_asked() -> None:
    f = Fused(EVERYTHING)
    given: dict[str, Any] = {"framework": "numpy", "grad": f.grad, "deck": "default"}
    assert _relations(checked(f.value, EVERYTHING, **given)) == {name: ["pass"] * n for name, n in RELATED.items()}
    report = checked(_without_strides(f.value), EVERYTHING, **given)
    wrong = {name for name, verdicts in _relations(report).items() if "fail" in verdicts}
    # Every call that is no relation lies together in memory.
    assert wrong == {"layout-reversed", "layout-fortran"}
    assert {o.case.family for o in report.failures} == {RELATION}
    drifting = checked(_drifting(f.value), EVERYTHING, **given)
    assert {o.conventions.get("determinism") for o in drifting.observations if "/repetition-" in o.id} != {"same bits"}


@needs("torch")
def test_a_variant_that_overwrites_its_logits_is_noticed() -> None:
    report = checked(_overwritten(composed(torch_kit(), EVERYTHING)), EVERYTHING, framework="torch")
    assert any("modified its input x" in o.message for o in report.failures)


def test_calls_of_any_shape_are_drawn_of_a_variant() -> None:
    pytest.importorskip("hypothesis")
    f = Fused(EVERYTHING)
    # Large calls take as long as many small ones.
    few: dict[str, Any] = {} if WHOLE else {"max_classes": 16}
    report = checked(f.value, EVERYTHING, grad=f.grad, framework="numpy", explore=at_least(50, to=12), **few)
    report.raise_on_failure()
    assert report.explored >= at_least(50, to=12)

    @functools.wraps(f.value)
    def many_axes_are_off(x: Any, target: Any, **given: Any) -> Any:
        found = f.value(x, target, **given)
        return found * found.dtype.type(1.5) if x.ndim > 3 else found

    # Where all calls have many axes, few show it.
    few |= {} if WHOLE else {"ranks": (4, 5)}
    wrong = checked(many_axes_are_off, EVERYTHING, framework="numpy", explore=at_least(300, to=7), **few)
    found = wrong.failures[-1]
    assert f"exploration found {found.id}" in wrong.reasons
    assert "-by0.7-cap20-z0.01-sw/" in found.id
    again = checked(many_axes_are_off, EVERYTHING, calls=[found.call], framework="numpy")
    assert [o.verdict for o in again.observations if o.output == "value"] == ["fail"]


def test_inputs_of_a_callers_own_are_enclosed() -> None:
    x, y = np.array([[1.0, 2.0, 40.0], [0.0, -1.0, 3.0]], np.float32), np.array([0, 2])
    v = Variant(z_loss=1e-2, softcap=30.0, sample_weight=True)
    weights = np.array([0.5, 2.0], np.float32)
    exact = enclose("cross_entropy", x, y, variant=v, sample_weight=weights)
    f = Fused(v)
    value = f.value(x, y, sample_weight=weights)
    grad = f.grad(x, np.float32(1), target=y, sample_weight=weights)
    exact.check(value=value, vjp=grad)
    assert exact.value.allowed < 1e-4
    with pytest.raises(AssertionError, match="the bound"):
        exact.check(value=Fused(Variant(softcap=30.0)).value(x, y, sample_weight=weights))
    with pytest.raises(UsageError, match="give both or neither"):
        enclose("cross_entropy", x, y, variant=v)
    with pytest.raises(UsageError, match="give both or neither"):
        enclose("cross_entropy", x, y, sample_weight=weights)
    with pytest.raises(UsageError, match=r"sample_weight has shape \(3,\); expected \(2,\)"):
        enclose("cross_entropy", x, y, variant=v, sample_weight=np.array([1, 2, 3], np.float32))


@needs("torch")
def test_gradients_are_checked_alone_and_on_own_inputs() -> None:
    v = Variant(softcap=3.0)
    inputs = (np.array([[1.0, 5.0, -2.0]], np.float32), np.array([1]))
    assert gradcheck(composed(torch_kit(), v), inputs, op="cross_entropy", variant=v, dtypes=("float32",))
    wrong = composed(torch_kit(), v, mistake="no chain rule")
    with pytest.raises(AssertionError, match="vjp"):
        gradcheck(wrong, inputs, op="cross_entropy", variant=v, dtypes=("float32",))


def test_parts_of_a_test_of_ones_own_are_those_of_the_variant() -> None:
    from lossproof.functions.implementation_parts import PartOptions, in_parts

    v = Variant(z_loss=0.1)
    said = {"op": "cross_entropy", "variant": v, "framework": "numpy", "dtypes": ("float32",), "name": "mine"}
    found = in_parts([Fused(v).value], PartOptions(deck="smoke"), said)
    assert {"mine-cross_entropy-float32-large_sum", "mine-cross_entropy-float32-ordinary"} <= set(found)
    implementation, key = found["mine-cross_entropy-float32-large_sum"]
    assert implementation.judged(key).failure == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "a variant without parts is the op itself; expected some of z_loss, softcap, logit_scale, sample_weight"),
        ({"z_loss": -1}, "z_loss is -1; expected a finite number from 0"),
        ({"softcap": float("nan")}, "softcap is nan; expected a finite number above 0"),
        ({"logit_scale": 0.0}, "logit_scale is 0.0; expected a finite number but 0"),
        ({"z_loss": "small"}, "z_loss is 'small'; expected a finite number"),
        ({"z_loss": 10**400}, "expected a finite number from 0"),
        ({"softcap": float("inf")}, "softcap is inf; expected a finite number above 0, or 0 for none"),
        ({"sample_weight": np.ones(3)}, "expected True where each row has a weight"),
    ],
    ids=str,
)
def test_a_number_that_means_nothing_is_refused(given: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Variant(**given)
    assert words in str(caught.value)


def test_what_an_op_has_no_variant_of_is_refused() -> None:
    v = Variant(z_loss=1.0)
    with pytest.raises(UsageError, match="softmax has no variant with z_loss; expected some of softcap, logit_scale"):
        check_implementation(lambda x, axis: x, op="softmax", variant=v)
    with pytest.raises(UsageError, match=r"variant is a dict; expected a lossproof\.Variant"):
        check_implementation(lambda x, axis: x, op="softmax", variant={"softcap": 1.0})  # type: ignore[arg-type]


def test_weights_of_rows_need_an_argument() -> None:
    def loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
        return Fused(Variant(z_loss=1.0)).value(x, target, reduction=reduction)

    with pytest.raises(UsageError, match="loss takes x, target, reduction; weights of rows need an argument"):
        checked(loss, Variant(sample_weight=True))


@nightly
def test_the_command_line_judges_a_variant(tmp_path: Path) -> None:
    from lossproof.cli.main import cli

    (tmp_path / "capped.py").write_text(
        "from tests.support.variant_losses import Fused\n"
        "from lossproof import Variant\n"
        "def capped_cross_entropy(x, target, *, axis=-1, weight=None, ignore_index=None, reduction='mean', "
        "label_smoothing=0.0):\n"
        "    whole = Fused(Variant(z_loss=0.5, softcap=8.0))\n"
        "    return whole.value(x, target, axis=axis, weight=weight, ignore_index=ignore_index, reduction=reduction, "
        "label_smoothing=label_smoothing)\n",
        encoding="utf-8",
    )
    place = f"{tmp_path / 'capped.py'}:capped_cross_entropy"
    options = ["--framework", "numpy", "--in-process", "--deck", "smoke", "--dtype", "float32"]
    right = CliRunner().invoke(cli, ["check", place, *options, "--z-loss", "0.5", "--softcap", "8"])
    assert right.exit_code == 0, right.output
    assert "as the variant with z_loss 0.5 (built in), softcap 8 (built in)" in right.output
    wrong = CliRunner().invoke(cli, ["check", place, *options, "--z-loss", "0.25", "--softcap", "8"])
    assert wrong.exit_code == 1, wrong.output


def test_numbers_may_be_those_of_numpy() -> None:
    given: dict[str, Any] = {"z_loss": np.float32(0.5), "softcap": np.int64(30)}
    assert Variant(**given) == Variant(z_loss=0.5, softcap=30)


@pytest.mark.parametrize(
    ("constant", "words"),
    [
        (Variant(softcap=1e30), "softcap is 1e+30, which is beyond the normal numbers of float16; leave that"),
        (Variant(softcap=1e-6), "softcap is 1e-06, which is beyond the normal numbers of float16"),
        (Variant(z_loss=1e5), "z_loss is 100000, which is beyond the normal numbers of float16"),
        (Variant(logit_scale=-1e5, softcap=1.0), "logit_scale is -100000, which is beyond the normal numbers of"),
    ],
    ids=str,
)
def test_a_constant_beyond_a_dtype_is_refused(constant: Variant, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        enclose("cross_entropy", np.array([[1, 2]], np.float16), [0], variant=constant)
    assert words in str(caught.value)
    with pytest.raises(UsageError) as caught:
        checked(Fused(constant).value, constant, framework="numpy", dtypes=("float32", "float16"))
    assert words in str(caught.value)


def test_weights_of_rows_may_be_among_the_inputs_of_a_gradient() -> None:
    v = Variant(z_loss=0.5, sample_weight=True)
    f = Fused(v)
    logits, weights = np.array([[1, 5, -2], [0, 1, 2]], np.float32), np.array([0.5, 4], np.float32)
    inputs = {"logits": logits, "target": [1, 0], "sample_weight": weights}
    given: dict[str, Any] = {"op": "cross_entropy", "variant": v, "framework": "numpy", "dtypes": ("float32",)}
    assert gradcheck(f.value, inputs, grad=f.grad, **given)

    def unweighted(x: Any, cotangent: Any, *, sample_weight: Any, **given: Any) -> Any:
        return f.grad(x, cotangent, sample_weight=np.ones_like(sample_weight), **given)

    with pytest.raises(AssertionError, match="weights of rows are not applied"):
        gradcheck(f.value, inputs, grad=unweighted, **given)
    with pytest.raises(UsageError, match=r"variant is a str; expected a lossproof\.Variant"):
        gradcheck(f.value, (logits, [1, 0]), **{**given, "variant": "z_loss"})


def test_complex_weights_are_refused() -> None:
    weights, v = np.array([1 + 1j]), Variant(sample_weight=True)
    with pytest.raises(UsageError, match=r"sample_weight is a ndarray; expected .* \(complex numbers have no order\)"):
        enclose("cross_entropy", np.array([[1, 2]], np.float32), [0], variant=v, sample_weight=weights)
