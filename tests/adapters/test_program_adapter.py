"""The short adapter: a framework told in templates is converted, composed, differentiated and refused as any other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters import COMPOSED, Capabilities, Problem, ProgramAdapter, Support, numpy_like
from lossproof.adapters.local import answer
from lossproof.core.call import Call
from lossproof.core.observation import FAILING
from lossproof.running.loop import run
from lossproof.targets.target import Target
from tests.adapters.test_adapters import PROBLEMS, assert_scripts_print

ADAPTERS = Path(__file__).resolve().parents[2] / "adapters"
# Adapters of frameworks with an autodiff of their own, which the short way tells.
SHORT = ("autograd", "mindspore", "mlx", "pytensor")
LINES = 60
SHIFTED = "{x} - np.max({x}, {axis}, keepdims=True)"
LOG_SOFTMAX = f"{SHIFTED} - np.log(np.sum(np.exp({SHIFTED}), {{axis}}, keepdims=True))"


def adapter(functions: Mapping[str, Any] | None = None, **options: Any) -> ProgramAdapter:
    """A NumPy that has a log-softmax, with the gradient of it and of a cross-entropy's mean by hand."""
    told = {"softmax": f"np.exp({LOG_SOFTMAX})", "log_softmax": LOG_SOFTMAX, **numpy_like("np")}
    options = {"imports": (), **options}
    capabilities = Capabilities(
        ops={"softmax": Support("composed"), "log_softmax": Support("composed"), **COMPOSED},
        dtypes=("float64", "float32"),
        devices=("cpu", "other"),
    )
    return ProgramAdapter("numpy", capabilities, functions={**told, **(functions or {})}, **options)


def values(names: tuple[str, ...] = tuple(PROBLEMS)) -> list[Problem]:
    """The values of the ordinary problems, in the formats that NumPy has."""
    found = [PROBLEMS[name] for name in names]
    plain: dict[str, Any] = {"cotangent": None, "tangent": None, "target_tangent": None, "wrt_target": False}
    return [replace(p, **plain) for p in found if p.dtype in ("float64", "float32")]


def judged(told: ProgramAdapter, problems: list[Problem]) -> list[str]:
    return [o.verdict for o in run([Target(told)], [Call(p, p.op) for p in problems])]


def test_the_operations_and_the_composed_losses_are_right() -> None:
    verdicts = judged(adapter(), values())
    assert len(verdicts) == len(values()) >= 5
    assert not {*verdicts} & {*FAILING, "unsupported"}


@pytest.mark.parametrize(
    ("op", "wrong"),
    [("softmax", "np.exp({x})"), ("log_softmax", SHIFTED), ("where", "{a}"), ("sum_last", "np.sum({a})")],
)
def test_a_wrong_template_is_seen(op: str, wrong: str) -> None:
    assert {*judged(adapter({op: wrong}), values())} & {"fail", "error"}


def test_programs_print_what_is_computed(tmp_path: Path) -> None:
    assert_scripts_print(Target(adapter()), values(), tmp_path)


def test_arrays_keep_their_shapes() -> None:
    """One without axes, such as the cotangent of a mean, stays one."""
    told = adapter(derivatives={"vjp": "vjp = np.zeros(x.shape, x.dtype) + cotangent.ndim"})
    out = told.evaluate(PROBLEMS["cross_entropy"], "cpu", "eager")
    assert not out["vjp"].data.any()


def test_outputs_are_those_of_the_lines() -> None:
    """What others are computed of comes first, also where nobody has asked for it; a line with the value replaces f."""
    lines = {"vjp": "vjp = cotangent * 2", "hvp": "hvp = vjp + tangent"}
    told = adapter(derivatives=lines)
    assert told.capabilities().outputs == ("value", "vjp", "hvp")
    p = PROBLEMS["cross_entropy"]
    p = replace(p, reduction="none", cotangent=np.ones(3), tangent=np.zeros((3, 5)), only=("hvp",))
    # The shapes of this stand-in are its own: only what is run, and in which order, is looked at.
    assert "vjp = cotangent * 2\nhvp = vjp + tangent" in told.script(p, "cpu", "eager")
    assert "def of_target" not in told.script(p, "cpu", "eager")
    # A function of the name of an output is no output.
    named = adapter(derivatives={"vjp": "vjp = np.vjp(x)", "jvp": "jvp = vjp(x, np.vjp(x))"})
    assert "vjp = np" not in named.script(replace(p, only=("jvp",)), "cpu", "eager").replace("jvp = ", "")
    both = adapter(derivatives={"vjp": "value, vjp = f(x), cotangent"})
    script = both.script(PROBLEMS["softmax"], "cpu", "eager")
    assert "value, vjp = f(x), cotangent" in script
    assert "value = f(x)" not in script
    assert "value = np.exp(" in both.script(replace(PROBLEMS["softmax"], cotangent=None), "cpu", "eager")


def test_gradients_in_the_target_see_masked_classes() -> None:
    told = adapter(derivatives={"grad_target": "grad_target = of_target(x, target)"})
    p = PROBLEMS["probabilities"]
    body = told.script(p, "cpu", "eager").partition("def of_target")[2]
    assert body
    assert "-inf" not in body.partition("grad_target")[0]


def test_a_compiled_function_is_made_once_for_its_lines_and_shapes() -> None:
    made = []

    def compiled(p: Problem, mode: str, given: Any, lines: Any, outputs: Any) -> list[str]:
        made.append(p)
        body = ["    " + line for line in lines]
        return [f"def program({', '.join(given)}):", *body, f"    return {', '.join(outputs)},"]

    told = adapter(compiled=compiled)
    p = values(("softmax",))[0]
    first, again = (answer(told, p, "cpu", "eager") for _ in range(2))
    assert (first.programs, again.programs, len(made)) == (1, 0, 1)
    answer(told, replace(p, x=p.x[:1]), "cpu", "eager")
    assert len(made) == 2
    np.testing.assert_array_equal(first.outputs["value"].data, adapter().evaluate(p, "cpu", "eager")["value"].data)
    assert "value, = program(x)" in told.script(p, "cpu", "eager")


def test_what_is_not_offered_is_unsupported_and_what_is_elsewhere_an_error() -> None:
    p = values(("cross_entropy",))[0]
    refusing = adapter(refuse=lambda p, mode: "no weights here" if p.weight is not None else "")
    assert answer(refusing, p, "cpu", "eager").error == "unsupported"
    assert answer(refusing, replace(p, weight=None), "cpu", "eager").error is None
    assert answer(refusing, replace(p, dtype="float16"), "cpu", "eager").error == "unsupported"
    elsewhere = answer(adapter(device_of=lambda t: "other"), p, "cpu", "eager")
    assert elsewhere.error == "internal"
    assert "a result is on other; the inputs were placed on cpu" in elsewhere.message
    assert answer(adapter(device_of=lambda t: "other"), p, "other", "eager").error is None


def test_errors_have_kinds() -> None:
    told = adapter(errors=(("too many", "resource"),))
    p = values(("cross_entropy",))[0]
    assert answer(told, replace(p, target=np.array([0, 9, 1])), "cpu", "eager").error == "bad_label"
    assert answer(told, replace(p, weight=np.ones(4)), "cpu", "eager").error == "bad_shape"
    kinds = [told.error_kind(e) for e in (RuntimeError("too many"), RuntimeError("?"), TypeError("shape"), TypeError())]
    assert kinds == ["resource", "internal", "bad_shape", "bad_dtype"]


def test_composed_losses_are_computed_wide() -> None:
    wide = Capabilities(ops=COMPOSED, dtypes=("bfloat16", "float16"))
    told = ProgramAdapter("numpy", wide, imports=(), functions={"log_softmax": LOG_SOFTMAX, **numpy_like("np")})
    assert set(told.capabilities().profiles.values()) == {"W"}
    p = Problem("cross_entropy", "bfloat16", np.array([[0.0, 1.0]]), np.array([1]))
    assert "import ml_dtypes" in told.script(p, "cpu", "eager")
    own = ProgramAdapter("numpy", wide, imports=(), functions=dict.fromkeys(COMPOSED, "{x}"))
    assert not own.capabilities().profiles


def test_numbers_that_programs_cannot_display_are_written() -> None:
    """A masked class is compared with minus infinity."""
    p = replace(values(("probabilities",))[0], x=np.full((3, 5), -math.inf))
    assert 'float("-inf")' in adapter().script(p, "cpu", "eager")


def test_bfloat16_goes_through_float32_where_arrays_of_it_are_no_tensors() -> None:
    pytest.importorskip("ml_dtypes")
    carried: dict[str, Any] = {
        "imports": ("import ml_dtypes", "def put(a):", "    assert a.dtype.name != 'bfloat16'", "    return a"),
        "put": "put({a})",
        "bfloat16": ("{t}.astype(ml_dtypes.bfloat16)", "{t}.astype(np.float32)"),
    }
    p = replace(values(("softmax",))[0], dtype="bfloat16", x=np.array([[0.0, 1.0, -2.0]]))
    told = adapter(**carried)
    out = told.evaluate(p, "cpu", "eager")["value"]
    plain = adapter(imports=("import ml_dtypes",)).evaluate(p, "cpu", "eager")["value"]
    assert (out.dtype, plain.dtype) == ("bfloat16", "bfloat16")
    np.testing.assert_array_equal(out.data, plain.data)
    script = told.script(p, "cpu", "eager")
    assert "np.float32).reshape((1, 3))).astype(ml_dtypes.bfloat16)" in script
    assert "value.astype(np.float32)" in script
    # A result of another dtype is not made one of it.
    wide = adapter({"softmax": "{x}.astype(np.float32)"}, **carried).evaluate(p, "cpu", "eager")["value"]
    assert wide.dtype == "float32"


def test_labels_far_away_are_not_put_to_a_framework_that_reads_there() -> None:
    p = replace(values(("cross_entropy",))[0], ignore_index=1000, weight=None)
    reading = adapter(reads_any_label=True)
    near, ignored, far = ([0, 1, 2], [0, 1000, 2], [0, 10**6, 2])
    verdicts = [answer(reading, replace(p, target=np.array(y)), "cpu", "eager").error for y in (near, ignored, far)]
    assert verdicts == [None, None, "unsupported"]
    # Weights of ignored labels are read, too.
    weighted = replace(p, target=np.array(ignored), weight=np.ones(p.x.shape[1]))
    assert answer(reading, weighted, "cpu", "eager").error == "unsupported"
    assert answer(adapter(), replace(p, target=np.array(far)), "cpu", "eager").error == "bad_label"


def test_derivatives_may_name_the_axis() -> None:
    told = adapter(derivatives={"vjp": "vjp = value + {axis}"})
    p = PROBLEMS["softmax"]
    assert f"vjp = value + {p.axis}" in told.script(p, "cpu", "eager")


@pytest.mark.parametrize("name", SHORT)
def test_a_framework_with_an_autodiff_takes_at_most_sixty_lines(name: str) -> None:
    lines = (ADAPTERS / f"{name}.py").read_text("utf-8").splitlines()
    assert 20 < len(lines) <= LINES
