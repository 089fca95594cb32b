"""Every adapter whose framework is installed: outputs, layouts, scripts, errors; and its inputs stay as they are."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters import layouts, processor, watch
from lossproof.adapters.local import answer, refusal
from lossproof.adapters.protocol import ARRAYS, ERROR_KINDS, LAYOUTS, OPS, Adapter, Problem, UnsupportedProblem
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.observation import FAILING
from lossproof.running.loop import run
from lossproof.targets.target import Target, load_adapter
from tests.support.forked import run_program
from tests.support.thinned import WHOLE, thinned

INF = math.inf
# Not Keras: its modes are its backends, of which a process has one. Runs of keras+BACKEND judge them (tox.ini).
NAMES = ("numpy", "torch", "tensorflow", "jax")


@pytest.fixture(scope="module", params=NAMES)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    try:
        return load_adapter(request.param)
    except UsageError as error:
        pytest.skip(str(error))


def problem(op: str, dtype: str, shape: tuple[int, ...], reduction: str = "mean", **fields: Any) -> Problem:
    """Ordinary logits, every derivative that the op has, arrays that cannot be written to."""
    rng = np.random.default_rng(len(op) + sum(shape))
    draw = FORMATS[dtype].round
    probabilities = fields.pop("probabilities", False)
    p = Problem(op, dtype, draw(rng.normal(size=shape)), reduction=reduction, **fields)
    axis = p.axis % len(shape)
    if op == "nll_loss":
        p = replace(p, x=-np.abs(p.x))
    if p.is_loss:
        rest = shape[:axis] + shape[axis + 1 :]
        # Powers of two that sum to 1; where the first class has none, its logit decides nothing.
        q = np.moveaxis(
            np.broadcast_to(2.0 ** -np.minimum(np.arange(shape[axis]), shape[axis] - 2), shape_last(p)), -1, axis
        )
        q = np.where(np.indices(shape)[axis] == 0, 0.0, q)
        p = replace(p, target=q.copy() if probabilities else rng.integers(0, shape[axis], rest))
    if probabilities:
        p = replace(p, wrt_target=True, target_tangent=draw(rng.normal(size=shape)))
    p = replace(p, cotangent=draw(rng.normal(size=p.shape_of("value"))), tangent=draw(rng.normal(size=shape)))
    for name in ARRAYS:
        a = getattr(p, name)
        if a is not None:
            a.flags.writeable = False
    return p


def shape_last(p: Problem) -> tuple[int, ...]:
    return np.moveaxis(p.x, p.axis, -1).shape


def weights(k: int) -> np.ndarray:
    return 0.5 + np.arange(k) % 3


PROBLEMS = {
    "softmax": problem("softmax", "float32", (2, 5)),
    "softmax-cube": problem("softmax", "bfloat16", (2, 5, 3), axis=1),
    "log_softmax": problem("log_softmax", "float16", (5,)),
    "log_softmax-cube": problem("log_softmax", "float64", (2, 5, 3), axis=1),
    "nll_loss": problem("nll_loss", "float32", (2, 5), weight=weights(5)),
    "nll_loss-cube": problem("nll_loss", "float16", (2, 5, 3), "none", axis=1, ignore_index=1),
    "cross_entropy": problem("cross_entropy", "float32", (3, 5), weight=weights(5), ignore_index=2),
    "cross_entropy-smoothed": problem(
        "cross_entropy", "bfloat16", (2, 5, 3), "none", axis=1, weight=weights(5), ignore_index=-1, label_smoothing=0.1
    ),
    "probabilities": problem("cross_entropy", "float32", (3, 5), "sum", probabilities=True),
    "probabilities-smoothed": problem(
        "cross_entropy", "float64", (2, 5, 3), axis=1, probabilities=True, weight=weights(5), label_smoothing=0.25
    ),
}


# What is asked where each op is compiled for each shape, by the second: the other dtypes and ranks of an op, at night.
_COMPILED = ("softmax", "log_softmax-cube", "nll_loss-cube", "cross_entropy", "probabilities")


def asked(adapter: Adapter) -> dict[str, Problem]:
    """The problems that an adapter is asked."""
    every = WHOLE or adapter.capabilities().compile_cost == "none"
    return {name: p for name, p in PROBLEMS.items() if every or name in _COMPILED}


def is_left_out(adapter: Adapter, p: Problem, mode: str = "eager") -> bool:
    """Whether oneDNN was told to leave the kernel out that a problem needs."""
    if not {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} & set(os.environ):
        return False
    try:
        adapter.evaluate(p, "cpu", mode)
    except Exception as error:
        return processor.is_left_out(str(error))
    return False


def given(p: Problem) -> list[Any]:
    """The fields of a problem, without what is found out of them once."""
    return [getattr(p, f.name) for f in fields(p)]


@pytest.mark.parametrize("name", PROBLEMS)
def test_outputs(adapter: Adapter, name: str) -> None:
    p = PROBLEMS[name]
    if name not in asked(adapter):
        pytest.skip("it is asked at night: each op is compiled for each shape")
    if is_left_out(adapter, p):
        pytest.skip("oneDNN was told to leave the kernel out")
    before = pickle.dumps(given(p))
    out = adapter.evaluate(p, "cpu", "eager")
    assert pickle.dumps(given(p)) == before
    assert set(out) == set(p.want) <= set(adapter.capabilities().outputs)
    for output, tensor in out.items():
        assert tensor.data.shape == (p.shape_of(output))
        assert tensor.data.dtype == np.float64
        assert tensor.dtype == p.dtype


def test_right(adapter: Adapter) -> None:
    found = list(run([Target(adapter)], [Call(p, name) for name, p in asked(adapter).items()]))
    for o in found:
        assert o.verdict not in (*FAILING, "unsupported"), o.message
    judged = {(o.case.family, o.output) for o in found}
    assert judged >= {(name, output) for name, p in asked(adapter).items() for output in p.want}


def test_masked_class_without_probability(adapter: Adapter) -> None:
    """The loss does not see it, but grows without limit with its probability (section 4, clauses 5 and 6)."""
    p = PROBLEMS["probabilities"]
    # sanity check: the problem has a gradient
    assert p.cotangent is not None
    weighted = replace(p, weight=weights(5))
    masked = np.where(np.arange(5) == 0, -INF, p.x)
    for case in (p, weighted):
        out = adapter.evaluate(replace(case, x=masked, tangent=None), "cpu", "eager")
        assert np.all(out["grad_target"].data[:, 0] == INF * p.cotangent)
        found = list(run([Target(adapter)], [Call(replace(case, x=masked, tangent=None), "masked")]))
        assert {o.output for o in found} >= {"value", "vjp", "grad_target"}
        for o in found:
            assert o.verdict not in (*FAILING, "unsupported"), o.message


def test_a_second_backward_pass(adapter: Adapter) -> None:
    for name in ("softmax", "log_softmax-cube", "nll_loss-cube", "cross_entropy", "probabilities"):
        p = replace(PROBLEMS[name], repeat_backward=True)
        out = adapter.evaluate(p, "cpu", "eager")
        assert set(out) == set(p.want) == {*PROBLEMS[name].want, "vjp_again"}
        np.testing.assert_array_equal(out["vjp_again"].data, out["vjp"].data)


def test_only_what_is_asked_for(adapter: Adapter) -> None:
    p = replace(PROBLEMS["probabilities"], tangent=None, wrt_target=False, target_tangent=None)
    assert set(adapter.evaluate(p, "cpu", "eager")) == {"value", "vjp"}
    assert set(adapter.evaluate(replace(p, cotangent=None), "cpu", "eager")) == {"value"}
    p = replace(PROBLEMS["softmax"], cotangent=None)
    assert set(adapter.evaluate(p, "cpu", "eager")) == {"value", "jvp"}


def test_derivatives_do_not_change_the_rest(adapter: Adapter) -> None:
    """Value and gradient have the same bits whatever else is asked for."""
    for name in ("log_softmax-cube", "probabilities", "probabilities-smoothed"):
        if name not in asked(adapter):
            continue
        p = PROBLEMS[name]
        everything = adapter.evaluate(p, "cpu", "eager")
        plain = adapter.evaluate(replace(p, tangent=None, wrt_target=False), "cpu", "eager")
        for output in plain:
            np.testing.assert_array_equal(plain[output].data, everything[output].data)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_layouts(adapter: Adapter, layout: str) -> None:
    """Judged as every answer; and what a framework cannot take is not taken."""
    if layout not in adapter.capabilities().layouts:
        pytest.skip(f"{adapter.name} has no layout {layout}")
    cases = ("softmax-cube", "cross_entropy-smoothed") if layout != "expanded" else ("softmax-cube",)
    for name in cases:
        p = replace(PROBLEMS[name], layout=layout)
        if layout == "expanded":
            p = constant_rows(p)
        answered = list(run([Target(adapter)], [Call(p, name)]))
        assert {o.output for o in answered if o.verdict != "unsupported"} >= {*p.want} - {"jvp"}
        for o in answered:
            assert o.verdict not in FAILING, o.message


# The issue's own numbers: which of them a dense reading would change is plain to see.
LAID: dict[str, tuple[Problem, Any]] = {
    "target": (
        Problem("nll_loss", "float32", -np.array([[0.0, 1], [2, 0]]), np.array([0, 1]), reduction="none"),
        [0.0, 0.0],
    ),
    "cross_entropy": (
        Problem("cross_entropy", "float32", np.array([[0.0, 1], [2, 0]]), np.array([0, 1]), reduction="none"),
        [1.31326169, 2.12692801],
    ),
    "weight": (
        Problem(
            "cross_entropy", "float32", np.zeros((2, 2)), np.array([0, 1]), weight=np.array([1.0, 3]), reduction="none"
        ),
        [math.log(2), 3 * math.log(2)],
    ),
    "x": (
        Problem("softmax", "float32", np.array([[0.0, 1], [2, 0]])),
        [[0.26894142, 0.73105858], [0.88079708, 0.11920292]],
    ),
}


@pytest.mark.parametrize("layout", [name for name in LAYOUTS[1:] if name != "expanded"])
@pytest.mark.parametrize("name", LAID)
def test_one_array_alone_has_a_layout(adapter: Adapter, name: str, layout: str) -> None:
    given = adapter.capabilities()
    p, expected = LAID[name]
    p = replace(p, layout=layout, laid="target" if name == "cross_entropy" else name)
    if layout not in given.layouts:
        assert "has no layout" in refusal(adapter.name, given, p)
        return
    assert p.laid in given.laid
    np.testing.assert_allclose(adapter.evaluate(p, "cpu", "eager")["value"].data, expected, rtol=1e-6)
    assert list(layouts.of_problem(p)) == [p.laid]


@pytest.mark.parametrize("name", ["softmax-cube", "nll_loss-cube", "cross_entropy-smoothed", "probabilities-smoothed"])
def test_each_array_in_each_layout(adapter: Adapter, name: str) -> None:
    """Judged as every answer; ``expanded`` where the array is constant along an axis."""
    given, p = adapter.capabilities(), PROBLEMS[name]
    asked = 0
    for layout in given.layouts[1:] if given.laid else ():
        for laid in given.laid:
            a = getattr(p, laid)
            if a is None or not a.ndim:
                continue
            same = np.broadcast_to(a[:1], a.shape).copy() if layout == "expanded" else a
            changed: dict[str, Any] = {laid: same}
            case = replace(p, layout=layout, laid=laid, **changed)
            if laid == "target" and layout == "expanded":
                # The labels of PROBLEMS repeat along no axis, a row of them does.
                assert case.target is not None
            for o in run([Target(adapter)], [Call(case, name)]):
                assert o.verdict not in FAILING, o.message
                asked += o.verdict != "unsupported"
    assert bool(asked) == bool(given.laid)


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "probabilities"])
def test_a_watched_call_looks_at_the_tensors(adapter: Adapter, name: str) -> None:
    """Nothing is written into, in any array; and where an adapter makes tensors, it shows all of them."""
    p = PROBLEMS[name]
    with watch.watching(True) as found:
        adapter.evaluate(p, "cpu", "eager")
    there = {field for field in ARRAYS if getattr(p, field) is not None}
    assert {field for field, *_ in found.placed} == (there if adapter.name != "numpy" else set())
    assert found.modified() == ()
    assert answer(adapter, p, "cpu", "eager", watch=True).modified == ()
    with watch.watching(False) as found:
        adapter.evaluate(p, "cpu", "eager")
    assert found.placed == []


@pytest.mark.of("torch")
def test_an_operation_that_overwrites_a_tensor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays that the engine hands over never see it."""
    torch = pytest.importorskip("torch")
    adapter = load_adapter("torch")
    target = Target(adapter)
    right = torch.nn.functional.cross_entropy

    def wrong(x: Any, labels: Any, weight: Any = None, **options: Any) -> Any:
        value = right(x, labels, weight, **options)
        x.data.copy_(torch.softmax(x.detach(), 1))
        return value

    found = select(ops=["cross_entropy"], dtypes=["float32"], families=["relation"])
    (purity,) = (c for c in found if c.case.name == "purity")
    assert purity.watched
    assert [o.verdict for o in run([target], [purity])] == ["pass"]
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", wrong)
    (o,) = run([target], [purity])
    assert o.verdict == "fail"
    assert "modified its input x" in o.message

    def beside(x: Any, labels: Any, weight: Any = None, **options: Any) -> Any:
        value = right(x, labels, weight, **options)
        labels.data.as_strided((1,), (1,), 1)[0] = 7
        return value

    # The label between two labels of a strided array is nobody's entry, and somebody's memory.
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", beside)
    p = replace(PROBLEMS["cross_entropy"], layout="stepped", laid="target", tangent=None)
    assert answer(adapter, p, "cpu", "eager", watch=True).modified == ("target",)


def test_arguments_left_to_their_defaults(adapter: Adapter) -> None:
    """The same bits as with everything said; the program says nothing of them either."""
    for op in adapter.capabilities().omits:
        said = replace(PROBLEMS[op], weight=None, ignore_index=None, tangent=None, reduction="mean")
        said = replace(said, cotangent=said.cotangent if not said.is_loss else np.ones(()))
        if op == "log_softmax":
            said = replace(said, x=np.array([1.0, 2.0]), cotangent=np.array([1.0, 0.5]))
        unsaid = replace(said, omit=True)
        with_them, without = (adapter.evaluate(p, "cpu", "eager") for p in (said, unsaid))
        for output in with_them:
            np.testing.assert_array_equal(with_them[output].data, without[output].data)
        program = adapter.script(unsaid, "cpu", "eager")
        # NumPy's program has the formulas, and no function with arguments.
        if adapter.name == "numpy":
            continue
        assert not any(word in program for word in ("axis=", "dim=", "reduction=", "ignore_index=", "smoothing="))
    others = set(OPS) - set(adapter.capabilities().omits)
    for op in others:
        p = replace(PROBLEMS[op], ignore_index=None, omit=True)
        assert "leaves no argument to its default" in refusal(adapter.name, adapter.capabilities(), p)


def test_a_sum_sends_back_one_number() -> None:
    """A cotangent that is the same everywhere has stride 0 along every axis."""
    p = replace(PROBLEMS["softmax"], cotangent=np.full((2, 5), 0.5), layout="expanded", laid="cotangent")
    plan = layouts.of_problem(p)["cotangent"]
    assert plan.size == 1
    assert p.cotangent is not None
    assert layouts.lay(p.cotangent, plan).strides == (0, 0)
    labels = replace(PROBLEMS["nll_loss"], target=np.array([3, 3]), layout="stepped", laid="target")
    assert labels.target is not None
    laid = layouts.lay(labels.target, layouts.of_problem(labels)["target"])
    assert laid.base is not None
    assert laid.strides == (16,)
    with pytest.raises(UnsupportedProblem, match="no such array"):
        layouts.of_problem(replace(labels, weight=None, laid="weight"))


def constant_rows(p: Problem) -> Problem:
    """The same with the first axis constant in logits and cotangent."""

    def constant(a: np.ndarray) -> np.ndarray:
        return np.broadcast_to(a[:1], a.shape).copy()

    assert p.cotangent is not None
    return replace(p, x=constant(p.x), cotangent=constant(p.cotangent))


def test_expanded_needs_constant_logits(adapter: Adapter) -> None:
    if "expanded" not in adapter.capabilities().layouts:
        pytest.skip(f"{adapter.name} has no layout expanded")
    for name in ("softmax", "log_softmax"):
        with pytest.raises(UnsupportedProblem, match="expanded"):
            adapter.evaluate(replace(PROBLEMS[name], layout="expanded"), "cpu", "eager")


def test_capabilities_are_cached(adapter: Adapter) -> None:
    assert adapter.capabilities() is adapter.capabilities()


def test_errors(adapter: Adapter) -> None:
    p = replace(PROBLEMS["cross_entropy"], tangent=None, ignore_index=None)
    cases = {
        "bad_label": [replace(p, target=np.array([0, 5, 1]), label_smoothing=eps) for eps in (0.0, 0.1)],
        "bad_shape": [replace(p, target=np.array([0, 1, 2, 3])), replace(p, weight=np.ones(4))],
    }
    for kind, problems in cases.items():
        for case in problems:
            with pytest.raises(Exception) as caught:  # noqa: PT011 (every framework has its own)
                adapter.evaluate(case, "cpu", "eager")
            assert adapter.error_kind(caught.value) == kind, caught.value
    assert adapter.error_kind(ZeroDivisionError("no")) == "internal"
    assert "internal" in ERROR_KINDS


# What each framework takes as labels besides int64; in TensorFlow its own row loss, which has no smoothing.
LABELS = {
    "numpy": ("int32", "int16", "int8", "uint8"),
    "torch": ("uint8",),
    "tensorflow": ("int32",),
    "jax": ("int32", "int16", "int8", "uint8"),
}


@pytest.mark.parametrize("kind", ["int32", "int16", "int8", "uint8"])
def test_labels_keep_their_type(adapter: Adapter, kind: str) -> None:
    """A framework that refuses a type of labels must be seen to refuse it."""
    p = replace(PROBLEMS["cross_entropy"], tangent=None, ignore_index=None)
    assert p.target is not None
    narrow = replace(p, target=p.target.astype(kind))
    if kind in LABELS[adapter.name]:
        same, other = (adapter.evaluate(q, "cpu", "eager") for q in (p, narrow))
        for output in same:
            np.testing.assert_array_equal(same[output].data, other[output].data)
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011 (every framework has its own)
        adapter.evaluate(narrow, "cpu", "eager")
    assert adapter.error_kind(caught.value) == "bad_dtype", caught.value


def assert_scripts_print(target: Target, chosen: Sequence[Problem], folder: Path) -> None:
    """Assert that scripts print what evaluate returns, bit for bit; each in a fresh namespace, all in one process."""
    for i, p in enumerate(chosen):
        (folder / f"{i}.py").write_text(target.script(p))
    driver = folder / "driver.py"
    driver.write_text(
        "import runpy, sys\n"
        f"for i in range({len(chosen)}):\n"
        f"    runpy.run_path(f'{folder.as_posix()}/{{i}}.py')\n"
        "    print('end')\n"
        "assert not any(name.startswith('lossproof') for name in sys.modules)\n"
    )
    done = run_program(driver, [name for name in (target.adapter.name,) if name != "numpy"])
    assert done.returncode == 0, done.stderr[-2000:]
    # sanity check: an adapter in this process, which can be asked
    assert isinstance(target.adapter, Adapter)
    for p, text in zip(chosen, done.stdout.split("end\n"), strict=False):
        *lines, (_, _, version) = [line.partition(" ") for line in text.splitlines()]
        assert version in target.describe().versions.values()
        printed = {name: np.array(eval(rest, {"nan": math.nan, "inf": INF})) for name, _, rest in lines}
        expected = {name: t.data for name, t in target.adapter.evaluate(p, target.device, target.mode).items()}
        assert printed.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(printed[name], expected[name], err_msg=f"{p.op} {p.dtype} {name}")


def test_scripts_print_what_evaluate_returns(adapter: Adapter, tmp_path: Path) -> None:
    """Each in a fresh namespace, all in one process: importing a framework takes seconds."""
    problems = list(PROBLEMS.values())
    masked = np.where(np.arange(5) == 0, -INF, PROBLEMS["probabilities"].x)
    problems.append(replace(PROBLEMS["probabilities"], x=masked, weight=weights(5), tangent=None))
    labels = PROBLEMS["nll_loss"].target
    assert labels is not None
    problems.append(replace(PROBLEMS["nll_loss"], target=labels.astype(np.uint8)))
    twice = ("softmax", "cross_entropy", "probabilities")
    problems += [replace(PROBLEMS[name], repeat_backward=True) for name in twice]
    if "softmax" in adapter.capabilities().out_dtypes:
        wide = replace(PROBLEMS["softmax-cube"], out_dtype="float32")
        problems += [wide, replace(wide, op="log_softmax", dtype="float32", out_dtype="float64")]
    # Too long to be written number by number.
    problems.append(replace(PROBLEMS["softmax"], x=np.linspace(-3, 3, 2048).astype(PROBLEMS["softmax"].dtype)[None]))
    problems[-1] = replace(problems[-1], cotangent=None, tangent=None)
    for layout in adapter.capabilities().layouts[1:]:
        p = PROBLEMS["softmax-cube"]
        problems.append(replace(constant_rows(p) if layout == "expanded" else p, layout=layout))
    if adapter.capabilities().laid:
        problems.append(replace(PROBLEMS["cross_entropy"], layout="stepped", laid="target"))
        problems.append(replace(PROBLEMS["cross_entropy"], layout="gapped", laid="x"))
        problems.append(replace(PROBLEMS["nll_loss"], layout="offset", laid="weight"))
        one = replace(PROBLEMS["softmax"], cotangent=np.full((2, 5), 0.5))
        problems.append(replace(one, layout="expanded", laid="cotangent"))
    # Where each operation is compiled for each shape, a program takes a second: others of them take part at night.
    several = 2 if adapter.capabilities().compile_cost == "none" else 6
    problems = [p for p in thinned(problems, to=several) if not is_left_out(adapter, p)]
    assert_scripts_print(Target(adapter), problems, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 4), (5,), (1, 4), (0, 3)], ids=str)
def test_plans(layout: str, shape: tuple[int, ...]) -> None:
    a = np.arange(float(np.prod(shape))).reshape(shape)
    rows = (0,) if len(shape) > 1 else ()
    if layout == "expanded":
        if not rows:
            with pytest.raises(UnsupportedProblem):
                layouts.plan(layout, shape, rows)
            return
        a = np.broadcast_to(a[:1], shape).copy()
    plan = layouts.plan(layout, shape, rows)
    laid = layouts.lay(a, plan)
    np.testing.assert_array_equal(laid, a)
    assert laid.dtype == a.dtype
    if a.size and max(shape) < a.size:
        lies = tuple(s // a.itemsize for s in laid.strides)
        row, column = lies[0], lies[-1]
        if layout == "transposed":
            assert not laid.flags.c_contiguous
        elif layout == "fortran":
            assert laid.flags.f_contiguous
        elif layout == "stepped":
            assert column == 2
        elif layout == "reversed":
            assert column == -1
        elif layout == "gapped":
            assert column == 1
            assert len(shape) == 1 or lies[-2] == shape[-1] + 1
        elif layout == "expanded":
            assert row == 0
    if layout == "offset":
        assert laid.flags.c_contiguous
        assert laid.base is not None


def test_plans_in_torch() -> None:
    torch = pytest.importorskip("torch")
    for layout in LAYOUTS[1:]:
        if layout == "reversed":
            continue
        for dtype in (torch.bfloat16, torch.float64):
            a = torch.arange(24, dtype=dtype).reshape(2, 3, 4)
            a = a[:1].expand(2, 3, 4).contiguous() if layout == "expanded" else a
            plan = layouts.plan(layout, (2, 3, 4), (0,))
            laid = layouts.lay(a, plan)
            assert torch.equal(laid, a)
            assert laid.dtype == dtype
            assert laid.storage_offset() == plan.offset
            assert layout == "offset" or not laid.is_contiguous()
            expected = tuple(0 if i in plan.expand else s for i, s in enumerate(plan.strides))
            assert laid.stride() == expected
