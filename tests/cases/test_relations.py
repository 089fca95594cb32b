"""Relations: each kills the tiny mutant made for it, none touches a correct implementation, grades are no failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Problem, Tensor
from lossproof.cases.catalogue import relation_checks, select
from lossproof.cases.clause_calls import clause_calls
from lossproof.cases.deck import DECKS, deck_calls, digest
from lossproof.cases.relations import RELATIONS
from lossproof.cases.transforms import on_grid
from lossproof.core.case_id import RELATION
from lossproof.core.observation import FAILING, Observation
from lossproof.judging.check import Check
from lossproof.judging.relation_judge import Answer, equal_answers
from lossproof.records.record import from_line, to_line
from lossproof.records.waivers import verdict, waivers_in_force
from lossproof.running.loop import run
from lossproof.targets.plain_function import FunctionAdapter
from lossproof.targets.target import Target, parse_target
from tests.support.decks import drawn, whole
from tests.support.thinned import WHOLE, nightly

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")
Outputs = dict[str, Tensor]
Twist = Callable[[Problem, Outputs], Outputs]


class Wrong(NumpyAdapter):
    """NumPy's adapter with its problem or its outputs twisted."""

    name = "wrong"

    def __init__(self, before: Callable[[Problem], Problem] | None = None, after: Twist | None = None) -> None:
        super().__init__()
        self.before, self.after = before, after

    def evaluate(self, problem: Problem, device: str, mode: str) -> Outputs:
        out = super().evaluate(self.before(problem) if self.before else problem, device, mode)
        return self.after(problem, out) if self.after else out


def times(factor: float, when: Callable[[Problem], bool] = lambda p: True, output: str = "value") -> Twist:
    def twist(p: Problem, out: Outputs) -> Outputs:
        if output not in out or not when(p):
            return out
        return {**out, output: replace(out[output], data=out[output].data * factor)}

    return twist


def plus(number: Callable[[Problem], float], output: str = "value") -> Twist:
    def twist(p: Problem, out: Outputs) -> Outputs:
        return {**out, output: replace(out[output], data=out[output].data + number(p))} if output in out else out

    return twist


def first_class(p: Problem) -> Problem:
    x = p.x.copy()
    np.moveaxis(x, p.axis, -1)[..., 0] += 0.5
    return replace(p, x=x)


def every_other() -> Twist:
    calls = [0]

    def twist(p: Problem, out: Outputs) -> Outputs:
        calls[0] += 1
        return times(1.5)(p, out) if calls[0] % 2 else out

    return twist


def in_place(p: Problem) -> Problem:
    p.x[...] = p.x - p.x.max()
    return p


def rows(p: Problem) -> int:
    return p.x.size // p.x.shape[p.axis]


MUTANTS: dict[str, Wrong] = {
    "sum-to-one": Wrong(after=times(1.5)),
    "gradient-sum": Wrong(after=plus(lambda p: 0.5, "vjp")),
    "sign": Wrong(after=plus(lambda p: 99.0 if p.op == "log_softmax" else -99.0)),
    "permutation": Wrong(before=first_class),
    "shift": Wrong(after=plus(lambda p: float(p.x.mean()))),
    "append-class": Wrong(after=lambda p, out: times(1 + 0.5 * p.x.shape[p.axis])(p, out)),
    "one-hot": Wrong(after=times(1.5, lambda p: p.has_probability_target)),
    "reductions": Wrong(after=times(1.5, lambda p: p.reduction == "mean")),
    "concatenation": Wrong(after=lambda p, out: times(1 + 0.5 * rows(p))(p, out)),
    "no-smoothing": Wrong(after=times(1.5, lambda p: p.label_smoothing > 0)),
    "composition": Wrong(after=times(1.5, lambda p: p.op == "nll_loss")),
    "weight-scale": Wrong(lambda p: p if p.weight is None else replace(p, weight=p.weight + 1.0)),
    "flatten": Wrong(after=times(1.5, lambda p: p.x.ndim > 2)),
    "layout": Wrong(after=times(1.5, lambda p: p.layout != "contiguous")),
    "other-rows": Wrong(after=plus(lambda p: float(p.x.sum()))),
    "row-alone": Wrong(after=times(1.5, lambda p: rows(p) == 1)),
    "repetition": Wrong(after=every_other()),
    "repetition-of-samples": Wrong(after=every_other()),
    "repeated-backward": Wrong(after=times(1.5, output="vjp_again")),
    "purity": Wrong(before=in_place),
}


@pytest.fixture(scope="module")
def relations() -> list[Check]:
    found = relation_checks(drawn())
    # sanity check: relations are checks
    assert all(c.family == RELATION for c in found)
    return found


def of(relations: list[Check], name: str) -> list[Check]:
    return [c for c in relations if c.name == name or (c.name.startswith(f"{name}-") and name not in ("row", "no"))]


def few(checks: list[Check]) -> list[Check]:
    """The checks of two dtypes; at night all of them."""
    return [c for c in checks if WHOLE or c.outline.dtype in ("float32", "float16")]


def failures(adapter: NumpyAdapter, some: list[Check]) -> list[Observation]:
    return [o for o in run([Target(adapter)], some) if o.verdict in FAILING]


@pytest.mark.parametrize("name", RELATIONS)
def test_the_mutant_of_relation(relations: list[Check], name: str) -> None:
    some = few(of(relations, name))
    assert some
    wanted = {(c.outline.op, c.outline.dtype) for c in some}
    found = failures(MUTANTS[name], some)
    killed = {(o.case.op, o.case.dtype) for o in found}
    # Logits near 0 hide some of these mistakes; every op must show them in some dtype.
    assert {op for op, _ in killed} == {op for op, _ in wanted}
    assert all(f": {name}" in o.message for o in found)
    assert all(to_line(from_line(to_line(o))) == to_line(o) for o in found)


# The default deck, which CI puts to NumPy, has all of them; here one of each kind of relation is judged.
@pytest.mark.parametrize("name", [pytest.param(n, marks=nightly if i % 3 else ()) for i, n in enumerate(RELATIONS)])
def test_numpy_passes_relation(relations: list[Check], name: str) -> None:
    some = few(of(relations, name))
    given = list(run([parse_target("numpy")], some))
    assert {o.verdict for o in given if o.case.dtype != "all"} <= {"pass", "unsupported"}, [
        o.message for o in given if o.verdict in FAILING
    ]
    assert any(o.verdict == "pass" for o in given)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_framework_meets_every_relation_of_the_smoke_deck(framework: str) -> None:
    if framework != "numpy":
        pytest.importorskip(framework)
    target = parse_target(framework)
    marks = waivers_in_force([target])
    bad = [o for o in map(marks.mark, run([target], select("smoke", families=["relation"]))) if is_bad(o)]
    assert not bad, "\n".join(o.message for o in bad)


def is_bad(o: Observation) -> bool:
    return o.verdict in FAILING and verdict(o) != "waived"


def test_all_relations_have_instances_in_every_op_and_dtype(relations: list[Check]) -> None:
    seen = {"layout" if c.name.startswith("layout-") else c.name for c in relations}
    assert seen == set(RELATIONS)
    for name, relation in RELATIONS.items():
        pairs = {(c.outline.op, c.outline.dtype) for c in of(relations, name)}
        assert len(pairs) == 4 * len(relation.ops), (name, sorted(pairs))


def test_ids_have_the_form_of_calls_and_are_unique(relations: list[Check]) -> None:
    assert len({c.id for c in relations}) == len(relations)
    for c in relations:
        op, dtype, family, _, tail = c.id.split("/")
        assert (op, dtype, family, tail) == (c.outline.op, c.outline.dtype, RELATION, c.digest)


@nightly
def test_relations_are_deterministic_and_filters_keep_them(relations: list[Check]) -> None:
    assert [c.id for c in relation_checks(deck_calls())] == [c.id for c in relations]
    few = select(families=["relation"], ops=["softmax"], dtypes=["float16"])
    assert [c.id for c in few] == [c.id for c in relations if c.id.startswith("softmax/float16/")]
    assert digest(whole()) != digest(drawn())


@pytest.mark.parametrize("deck", [pytest.param(deck, marks=nightly if deck == "full" else ()) for deck in DECKS])
def test_everything_in_order_values_first(deck: str) -> None:
    found = whole(deck)
    values = [*drawn(deck), *(clause_calls() if deck != "smoke" else ())]
    assert [c.id for c in found[: len(values)]] == [c.id for c in values]
    kinds = [c.family for c in found[len(values) :]]
    assert kinds == sorted(kinds, key=["relation", "error"].index)
    assert len({c.id for c in found}) == len(found)


def test_relations_that_change_shapes_are_free(relations: list[Check]) -> None:
    reshaping = [c for c in relations if len({call.outline.x.shape for call in c.calls}) > 1]
    assert reshaping
    for c in reshaping:
        assert c.tier == "free", c.id


def test_determinism_and_batch_invariance_are_grades(relations: list[Check]) -> None:
    toggle = [0]

    def ulp(p: Problem, out: Outputs) -> Outputs:
        toggle[0] += 1
        data = out["value"].data
        if p.dtype != "float32":
            return out
        moved = np.nextafter(data.astype(np.float32), np.float32(9)).astype(np.float64)
        return {**out, "value": replace(out["value"], data=np.where(data, moved, 0.0) if toggle[0] % 2 else data)}

    # Without nll_loss: where it is not weighted a result is one of its inputs, and no rounding is allowed.
    wide = [c for c in relations if c.outline.dtype == "float32" and c.outline.op != "nll_loss"]
    some = [c for c in wide if c.name in ("repetition", "row-alone")]
    given = [o for o in run([Target(Wrong(after=ulp))], some) if o.output == "value" and "/all/" not in o.id]
    shown = {k: v for o in given for k, v in o.conventions.items()}
    assert {o.verdict for o in given} == {"convention"}
    assert shown == {"determinism": "varies", "batch": "varies"}
    exact = [o for o in run([parse_target("numpy")], some) if "/all/" not in o.id]
    assert {v for o in exact for v in o.conventions.values()} == {"bitwise"}


def test_a_backward_pass_that_overwrites_its_inputs(relations: list[Check]) -> None:
    """Both gradients are right, and the logits are gone."""

    def spoil(p: Problem, out: Outputs) -> Outputs:
        p.x[...] = 0.0
        return out

    some = of(relations, "repeated-backward")
    found = failures(Wrong(after=spoil), some)
    assert len(found) == len(some)
    assert all("modified its input x" in o.message for o in found)


def test_purity_of_plain_functions(relations: list[Check]) -> None:
    def greedy(x: np.ndarray, *, axis: int) -> np.ndarray:
        x -= x.max(axis=axis, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis=axis, keepdims=True)
        return x.copy()

    # An ordinary call shows it already, and is the only one that is asked.
    report = check_implementation(greedy, op="softmax", dtypes=["float32"], deck="smoke")
    assert ["greedy modified its input x" in o.message for o in report.failures] == [True]
    some = [c for c in of(relations, "purity") if (c.outline.op, c.outline.dtype) == ("softmax", "float32")]
    found = [o for o in run([Target(FunctionAdapter("greedy", "softmax", greedy))], some) if "/purity-" in o.id]
    assert found
    assert all(o.verdict == "fail" and "greedy modified its input x" in o.message for o in found)


def test_check_implementation_judges_relations_and_errors_on_request() -> None:
    def softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))

    for errors in (False, True):
        with np.errstate(all="ignore"):
            report = check_implementation(softmax, op="softmax", dtypes=["float32"], deck="smoke", errors=errors)
        families = {o.case.family for o in report.observations}
        assert report.ok, report.failures[0].message
        assert RELATION in families
        assert ("error" in families) == errors


def test_shift_is_exact_in_every_format() -> None:
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        for scale in (1e-3, 1.0, 300.0):
            x = np.linspace(-1, 1, 17) * scale
            moved, step = on_grid(x, dtype)
            assert np.array_equal((moved + step) - step, moved)


def test_sides_are_compared_within_the_sum_of_bounds() -> None:
    def answer(got: float, allowed: float) -> Answer:
        known = np.array([True])
        return Answer(np.array([got]), np.array([allowed]), known, np.zeros(1), np.zeros(1), np.ones(1))

    sides = equal_answers(answer(1.0, 0.25), answer(1.5, 0.5))
    assert sides.allowed[0] == 0.75
    assert answer(1.0, 0.25).scaled(-2.0).allowed[0] >= 0.5


def test_options_that_a_function_lacks_are_unsupported() -> None:
    def loss(x: np.ndarray, *, target: np.ndarray, axis: int) -> np.ndarray:
        rows = np.moveaxis(x, axis, -1).astype(np.float64).reshape(-1, x.shape[axis])
        top = rows.max(axis=-1, keepdims=True)
        log = rows - top - np.log(np.exp(rows - top).sum(axis=-1, keepdims=True))
        return np.asarray(-log[np.arange(len(log)), target.reshape(-1)].mean(), dtype=x.dtype)

    with np.errstate(all="ignore"):
        report = check_implementation(
            loss, op="cross_entropy", dtypes=["float32"], options=["axis"], targets=["index"], deck="smoke"
        )
    assert {"pass", "unsupported"} <= {o.verdict for o in report.observations}
    assert not [o.message for o in report.failures if "raised" in o.message]
