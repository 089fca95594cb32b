"""Error calls: each is passed by the NumPy adapter and kills mutants; real mistakes with labels are among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Outcome, Problem, Tensor, UnsupportedProblem
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.error_cases import K, error_checks
from lossproof.core.case_id import ERROR
from lossproof.core.observation import FAILING, Observation
from lossproof.judging.check import Check
from lossproof.records.record import from_line, to_line
from lossproof.records.waivers import verdict, waivers_in_force
from lossproof.running.loop import run
from lossproof.targets.target import Target, parse_target
from tests.support.thinned import nightly
from tests.support.wrong_adapters import CARELESS

Outputs = dict[str, Tensor]
CHECKS = error_checks(DeckPart(dtypes=["float32"]))
ALL = error_checks()


class Odd(NumpyAdapter):
    """NumPy's adapter, evaluated in another way."""

    name = "odd"

    def __init__(self, how: Callable[[Problem, Callable[[Problem], Outputs]], Outputs], **declared: Any) -> None:
        super().__init__()
        self.how, self.declared = how, declared

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.declared)

    def evaluate(self, problem: Problem, device: str, mode: str) -> Outputs:
        return self.how(problem, lambda p: super(Odd, self).evaluate(p, device, mode))


Evaluate = Callable[[Problem], Outputs]


def filled(number: float, extra: int = 0) -> Odd:
    """An answer of the right shape (or one entry more) whatever the problem is."""

    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        return {n: Tensor(np.full((*p.shape_of(n), *[1] * extra), number), p.dtype) for n in p.want}

    return Odd(how)


def refusing(p: Problem, evaluate: Evaluate) -> Outputs:
    raise ValueError("I take nothing")


def labels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Problem, Evaluate], Outputs]:
    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        if p.target is None or p.has_probability_target:
            return evaluate(p)
        y = p.target.astype(np.int64)
        kept = np.ones(y.shape, dtype=bool) if p.ignore_index is None else y != p.ignore_index
        return evaluate(replace(p, target=np.where(kept, change(y), y)))

    return how


def truncated(bits: int) -> Callable[[Problem, Evaluate], Outputs]:
    """Labels and ignore_index lose their upper bits."""

    def low(y: np.ndarray) -> np.ndarray:
        return (y + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))

    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        if p.target is None or p.has_probability_target:
            return evaluate(p)
        ignore = None if p.ignore_index is None else int(low(np.array(p.ignore_index)))
        return evaluate(replace(p, target=low(p.target.astype(np.int64)), ignore_index=ignore))

    return how


def dropped(p: Problem, evaluate: Evaluate) -> Outputs:
    """The one-hot row of an unknown label is zero."""
    if p.target is None or p.has_probability_target or p.ignore_index is not None:
        return evaluate(p)
    y = p.target
    bad = (y < 0) | (y >= p.x.shape[p.axis])
    return evaluate(replace(p, target=np.where(bad, -999, y), ignore_index=-999))


def ignoring_dense(p: Problem, evaluate: Evaluate) -> Outputs:
    if p.has_probability_target and p.ignore_index == 1:
        out = evaluate(replace(p, ignore_index=None))
        return {**out, "value": replace(out["value"], data=out["value"].data * [1, 0])}
    return evaluate(p)


def silently(**defaults: object) -> Callable[[Problem, Evaluate], Outputs]:
    """Options without a meaning get one."""

    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        if "reduction" in defaults and p.reduction not in ("none", "sum", "mean"):
            p = replace(p, reduction="sum")
        if "eps" in defaults and not 0 <= p.label_smoothing <= 1:
            p = replace(p, label_smoothing=0.25)
        if "weight" in defaults and p.weight is not None and not np.isfinite(p.weight).all():
            p = replace(p, weight=np.nan_to_num(p.weight, nan=1.0, posinf=1.0))
        if "target" in defaults and p.has_probability_target and p.target is not None:
            p = replace(p, target=np.nan_to_num(p.target, nan=0.0, posinf=1.0))
        if "cotangent" in defaults and p.cotangent is not None:
            p = replace(p, cotangent=np.nan_to_num(p.cotangent))
        if "shape" in defaults and p.target is not None and not p.has_probability_target:
            n, k = p.x.shape
            given = p.weight
            p = replace(p, target=np.resize(p.target if p.target.size else np.array([0]), n))
            p = p if given is None else replace(p, weight=np.resize(given, k))
        return evaluate(p)

    return how


def named(part: str) -> list[Check]:
    found = [c for c in CHECKS if part in c.name]
    # sanity check: the case exists
    assert found, part
    return found


def failed(adapter: NumpyAdapter, some: Iterable[Check]) -> set[str]:
    return {o.id for o in run([Target(adapter)], some) if o.verdict in FAILING}


def test_numpy_passes_every_case() -> None:
    given = [o for o in run([parse_target("numpy")], CHECKS) if "/all/" not in o.id]
    assert not [o.message for o in given if o.verdict not in ("pass", "convention")]
    assert {o.id for o in given} == {c.id for c in CHECKS}


def test_every_case_kills() -> None:
    crude = {"0.375": filled(0.375), "another shape": filled(0.0, 1), "refusal": Odd(refusing)}
    killed: set[str] = set().union(*(failed(adapter, CHECKS) for adapter in crude.values()))
    assert not [f"clause {c.name} of {c.problem.op}" for c in CHECKS if c.id not in killed]


# NumPy is asked all of them where the default deck is put to it; here those of one dtype more than above.
@pytest.mark.parametrize("dtype", [*(pytest.param(d, marks=nightly) for d in ("float64", "bfloat16")), "float16"])
def test_numpy_passes_every_clause(dtype: str) -> None:
    some = error_checks(DeckPart(dtypes=[dtype]))
    found = list(run([parse_target("numpy")], some))
    assert not [o.message for o in found if o.verdict in FAILING]
    assert {o.id for o in found if o.verdict != "unsupported"} >= {c.id for c in some}


REAL: dict[str, tuple[Odd, tuple[str, ...]]] = {
    "13 labels truncated to 8 bits": (Odd(truncated(8)), ("13-8-bit", "12-ignore-8-bit")),
    "13 labels truncated to 16 bits": (Odd(truncated(16)), ("13-16-bit", "12-ignore-16-bit")),
    "13 labels truncated to 32 bits": (Odd(truncated(32)), ("13-32-bit", "12-ignore-32-bit")),
    "13 labels clipped": (Odd(labels(lambda y: np.clip(y, 0, K - 1))), ("13-k", "13-far", "13-minus-one", "13-8-bit")),
    "13 labels modulo K": (Odd(labels(lambda y: y % K)), ("13-k", "13-minus-five", "13-k-mean", "13-k-weighted")),
    "13 negative labels wrap": (Odd(labels(lambda y: np.where((y < 0) & (y >= -K), y + K, y))), ("13-minus-one",)),
    "13 unknown labels are zero rows": (Odd(dropped), ("13-k", "13-minus-one", "13-k-mean")),
    "14 ignore_index picks a probability row": (Odd(ignoring_dense), ("14-ignore-1",)),
    "15 smoothing out of range is 0.25": (Odd(silently(eps=1)), ("15-eps-negative", "15-eps-large", "15-eps-nan")),
    "15 unknown reduction is sum": (Odd(silently(reduction=1)), ("15-reduction",)),
    "15 NaN weights are 1": (Odd(silently(weight=1)), ("15-weight-nan", "15-weight-inf")),
    "15 NaN targets are 0": (Odd(silently(target=1)), ("15-target-nan",)),
    "15 NaN cotangents are 0": (Odd(silently(cotangent=1)), ("15-cotangent-nan",)),
    "15 shapes are resized": (Odd(silently(shape=1)), ("15-labels-long", "15-labels-short", "15-weight-long")),
}


@pytest.mark.parametrize("mistake", REAL)
def test_real_mistake_of_clause(mistake: str) -> None:
    adapter, cases = REAL[mistake]
    for case in cases:
        some = named(case)
        assert failed(adapter, some), case


def test_clause_13_declared_conventions_are_accepted() -> None:
    wraps = labels(lambda y: np.where((y < 0) & (y >= -K), y + K, y))
    for how, declared, shown in (
        (wraps, "wraps_negative_labels", "wrap"),
        (dropped, "zeroes_unknown_labels", "zero row"),
    ):
        adapter = Odd(how, **{declared: True})
        given = list(run([Target(adapter)], named("13-minus-one")))
        assert not [o.message for o in given if o.verdict in FAILING]
        assert shown in {o.conventions.get("13") for o in given}


def test_clause_13_nan_rows_are_accepted_and_their_gradient_recorded() -> None:
    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        assert p.target is not None
        bad = (p.target < 0) | (p.target >= K)
        out = evaluate(replace(p, target=np.where(bad, 1, p.target)))
        value = out["value"].data
        value = np.where(bad, np.nan, value) if value.ndim else np.asarray(np.nan if bad.any() else value)
        found = {"value": replace(out["value"], data=value)}
        if "vjp" in out:
            vjp = out["vjp"].data.copy()
            np.moveaxis(vjp, p.axis, -1)[bad] = 0.0
            found["vjp"] = replace(out["vjp"], data=vjp)
        return found

    some = [c for c in named("13-") if c.problem.op == "nll_loss"]
    given = [o for o in run([Target(Odd(how))], some) if "/all/" not in o.id]
    assert not [o.message for o in given if o.verdict in FAILING]
    assert {(o.output, o.conventions["13"]) for o in given} == {("value", "nan"), ("vjp", "zero")}


class Compiling(Odd):
    """An adapter with a mode that compiles dearly, which answers in another way than eager execution."""

    def capabilities(self) -> Capabilities:
        return replace(
            super().capabilities(), modes=("eager", "compile"), by_mode={"compile": {"compile_cost": "dear"}}
        )

    def evaluate(self, problem: Problem, device: str, mode: str) -> Outputs:
        return (
            super().evaluate(problem, device, mode) if mode == "compile" else NumpyAdapter().evaluate(problem, "", "")
        )


def in_both_modes(adapter: Compiling) -> list[Observation]:
    core = [c for c in CHECKS if c.tier == "core"]
    # sanity check: labels below and above the classes, with and without an ignored label, of both losses
    for op in ("nll_loss", "cross_entropy"):
        mine = [c.problem for c in core if c.problem.op == op]
        given = {(p.target[0] < 0, p.ignore_index is None) for p in mine if p.target is not None and p.target.size}
        assert len(given) == 4
    return list(run([Target(adapter), Target(adapter, "compile")], core))


@pytest.mark.parametrize(
    "how",
    [
        labels(lambda y: np.clip(y, 0, K - 1)),
        labels(lambda y: np.where((y < 0) & (y >= -K), y + K, y)),
        truncated(32),
        dropped,
    ],
    ids=["clamped", "wrapped", "truncated", "zero"],
)
def test_core_error_cases_show_a_compiler_s_mistakes_with_labels(how: Callable[[Problem, Evaluate], Outputs]) -> None:
    bad = {o.target for o in in_both_modes(Compiling(how)) if o.verdict in FAILING and "/all/" not in o.id}
    assert bad == {"odd+compile"}


def test_error_in_one_mode_and_nan_in_another_is_listed_and_no_failure() -> None:
    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        assert p.target is not None
        bad = (p.target < 0) | (p.target >= K) & (p.target != p.ignore_index)
        out = evaluate(replace(p, target=np.where(bad, 1, p.target)))
        row = np.where(bad, np.nan, 1.0)
        spoilt = {"value": out["value"].data * row, "vjp": out["vjp"].data * row[:, None]}
        return {name: replace(out[name], data=data) for name, data in spoilt.items()}

    observations = in_both_modes(Compiling(how))
    assert not [o.message for o in observations if o.verdict in FAILING]
    (listed,) = [o for o in observations if o.id == "cross_entropy/all/convention/clause-13/value"]
    assert (listed.verdict, listed.conventions) == ("convention", {"13": "error|nan"})
    assert "error on odd; nan on odd+compile" in listed.message


@dataclass(frozen=True)
class Broken(Target):
    """A target whose process dies, or does not answer."""

    error: str = "crash"

    def play(
        self, problems: Sequence[Problem], *, isolate: bool = False, watch: bool = False, alone: str = ""
    ) -> Iterator[Outcome]:
        for _ in problems:
            yield Outcome(error=self.error, message="killed by signal 11")


@pytest.mark.parametrize("error", ["crash", "timeout", "resource"])
def test_a_crash_is_no_clean_error(error: str) -> None:
    (check,) = [c for c in named("13-k") if c.name == "13-k" and c.problem.op == "nll_loss"]
    observations = list(run([Broken(NumpyAdapter(), error=error)], [check]))
    assert [o.verdict for o in observations if "/all/" not in o.id] == [error]


def test_errors_are_recorded_as_conventions() -> None:
    some = [c for c in CHECKS if c.name == "13-k"][:1]
    given = [o for o in run([parse_target("numpy")], some) if "/all/" not in o.id]
    assert [o.output for o in given] == ["value", "vjp"], "the gradient is asked alone"
    for o in given:
        assert (o.verdict, o.conventions) == ("convention", {"13": "error:bad_label"})
        assert to_line(from_line(to_line(o))) == to_line(o)


def clipping(p: Problem, evaluate: Evaluate) -> Outputs:
    """Who looks at labels in the value alone."""
    if p.only != ("vjp",) or p.target is None or p.has_probability_target:
        return evaluate(p)
    return {"vjp": evaluate(replace(p, target=np.clip(p.target, 0, K - 1)))["vjp"]}


def test_the_gradient_of_an_unknown_label_is_asked_without_the_value() -> None:
    some = [c for c in CHECKS if c.name.startswith("13-") and "beside" not in c.name and "vjp" in c.outputs]
    found = [o for o in run([Target(Odd(clipping))], some) if o.verdict in FAILING]
    assert {o.output for o in found} == {"vjp"}
    assert {o.id for o in found} == {c.id for c in some}
    assert "silently gives vjp" in found[0].message


def test_who_has_no_gradient_alone_is_asked_once() -> None:
    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        if p.only is not None:
            raise UnsupportedProblem("the value comes first")
        return evaluate(p)

    some = [c for c in CHECKS if c.name == "13-k"]
    given = [o for o in run([Target(Odd(how))], some) if "/all/" not in o.id]
    assert [(o.output, o.conventions) for o in given] == [("value", {"13": "error:bad_label"})] * 2


def test_other_invalid_input_is_not_asked_again() -> None:
    asked = []

    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        asked.append(p)
        raise ValueError("I take nothing")

    some = [c for c in CHECKS if c.name.startswith("15-") and "vjp" in c.problem.want]
    list(run([Target(Odd(how))], some))
    assert len(asked) == len(some)


def test_different_conventions_across_dtypes_fail() -> None:
    def how(p: Problem, evaluate: Evaluate) -> Outputs:
        if p.dtype == "float16" and not 0 <= p.label_smoothing <= 1:
            return evaluate(replace(p, label_smoothing=min(max(p.label_smoothing, 0.0), 1.0)))
        return evaluate(p)

    some = [c for c in ALL if c.name == "15-eps-large"]
    bad = [o for o in run([Target(Odd(how))], some) if o.verdict in FAILING]
    assert {o.output for o in bad} == {"value", "vjp"}
    assert "clamped in float16" in bad[0].message


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax"])
def test_framework_passes_every_clause(framework: str) -> None:
    if framework != "numpy":
        pytest.importorskip(framework)
    target = parse_target(framework)
    marks = waivers_in_force([target])
    observations: list[Observation] = [marks.mark(o) for o in run([target], CHECKS)]
    bad = [o for o in observations if o.verdict in FAILING and verdict(o) != "waived"]
    assert not bad, "\n".join(o.message for o in bad)


def test_ids_are_unique_and_errors_are_a_family() -> None:
    assert len({c.id for c in ALL}) == len(ALL)
    assert {c.case.family for c in ALL} == {ERROR}


def test_accepted_values_are_listed_once() -> None:
    """Two readings may show the same: NaN in a row of the gradient, and in all of it."""
    (check,) = (c for c in error_checks() if c.name == "13-k-mean" and c.case.group == "nll_loss/float32/error/")
    found = {o.output: o for o in run([Target(CARELESS)], [check]) if o.id == check.id}
    assert {o.verdict for o in found.values()} == {"fail"}
    for output, accepted in (("value", "nan"), ("vjp", "nan, zero")):
        assert found[output].message.endswith(f"; accepted values: {accepted}")
