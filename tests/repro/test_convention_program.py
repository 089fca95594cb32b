"""Reproducers of conventions that differ between dtypes: right about whether they do, clear where there are none."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem, Tensor
from lossproof.cases.catalogue import select
from lossproof.cli import main
from lossproof.core.errors import UsageError
from lossproof.repro.bug_report import issue
from lossproof.repro.convention_program import apart
from lossproof.repro.program import Reproducer
from lossproof.targets import selection
from lossproof.targets.target import Target
from tests.repro.test_program import executed
from tests.support.thinned import nightly

CASE = "softmax/all/convention/clause-4/value"
# What float32 gives for a row with one +inf: the limit. All other rows are those of every dtype.
HOT = "(x.dtype == np.float32) & ((x == np.inf).sum(-1, keepdims=True) == 1)"


class Torn(NumpyAdapter):
    """The numpy adapter, but for softmax of float32 with the limit where one logit is +inf; so is its program."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if problem.op == "softmax" and problem.dtype == "float32":
            hot = np.isposinf(problem.x)
            one = hot.sum(axis=problem.axis, keepdims=True) == 1
            out["value"] = replace(out["value"], data=np.where(one, hot.astype(float), out["value"].data))
        return out

    def script(self, problem: Problem, device: str, mode: str) -> str:
        lines = super().script(problem, device, mode).splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith('print("value", '))
        return "\n".join([*lines[:at], *self.limit(problem), *lines[at:]]) + "\n"

    def limit(self, problem: Problem) -> list[str]:
        return [f"value = np.where({HOT}, x == np.inf, value)"]


class Split(Torn):
    """The same, with a program that is longer in float32."""

    def limit(self, problem: Problem) -> list[str]:
        return [f"one = {HOT}", *super().limit(problem)] if problem.dtype == "float32" else []


class Moded(Torn):
    """Right in the first mode, torn in the second."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), modes=("eager", "torn"))

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if mode == "torn":
            return super().evaluate(problem, device, "eager")
        return NumpyAdapter().evaluate(problem, device, "eager")


TORN, SPLIT = Torn(), Split()


@functools.cache
def asked() -> list[Any]:
    return select(ops=("softmax",), dtypes=("float64", "float32"), families=("positive_infinity",))


@functools.cache
def shown(adapter: NumpyAdapter) -> Reproducer:
    return apart(CASE, [Target(adapter)], asked(), "lossproof repro X")


@pytest.mark.parametrize(("adapter", "most"), [(TORN, 29), (SPLIT, 35)])
def test_a_program_shows_that_two_dtypes_differ(adapter: NumpyAdapter, most: int) -> None:
    found = shown(adapter)
    lines = found.text.splitlines()
    assert found.shows
    assert len(lines) <= most
    assert lines[0] == "# lossproof repro X"
    assert lines.count("import numpy as np") == 1
    printed, code = executed(found.text)
    assert code == 1
    assert "observed nan in float64 on numpy, 0.0 in float32 on numpy" in printed


@pytest.mark.parametrize("adapter", [TORN, SPLIT])
def test_the_program_ends_well_where_they_agree(adapter: NumpyAdapter) -> None:
    """With the limit taken out it is the program of an adapter that has mended it."""
    found = shown(adapter)
    mended = found.text.replace(HOT, "False")
    assert mended != found.text
    printed, code = executed(mended)
    assert code == 0, printed


def test_the_report_names_both_and_claims_no_exact_result() -> None:
    text = issue(shown(TORN), None)
    assert text.startswith("# softmax in float64 on numpy and float32 on numpy follows no one convention\n")
    assert "leaves open which" in text
    assert "certified" not in text


def test_a_convention_that_does_not_differ_is_refused() -> None:
    with pytest.raises(UsageError, match="does not differ on numpy"):
        apart(CASE, [Target(NumpyAdapter())], asked(), "c")


@pytest.mark.parametrize("id", ["softmax/all/convention/clause-4", "softmax/all/convention/4/value"])
def test_an_id_of_no_convention_is_refused(id: str) -> None:
    with pytest.raises(UsageError, match="expected OP/all/convention/clause-N/OUTPUT"):
        apart(id, [Target(NumpyAdapter())], [], "c")


def test_answers_to_invalid_input_are_for_explain() -> None:
    class Torn(NumpyAdapter):
        """No classes are an error in float64 and an empty result in float32."""

        def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
            if problem.x.shape[problem.axis] == 0 and problem.dtype == "float32":
                return {name: Tensor(problem.x, problem.dtype) for name in problem.want}
            return super().evaluate(problem, device, mode)

    calls = select(ops=("softmax",), dtypes=("float64", "float32"), families=("error",))
    with pytest.raises(UsageError, match="lossproof explain shows each: softmax: value, clause 10"):
        apart("softmax/all/convention/clause-10/value", [Target(Torn())], calls, "c")


@pytest.mark.parametrize("adapter", [pytest.param(NumpyAdapter(), marks=nightly), Moded()])
def test_the_command_looks_in_all_modes_where_one_alone_agrees(
    adapter: NumpyAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [Target(adapter, mode) for mode in adapter.capabilities().modes]
    monkeypatch.setattr(selection, "choose_targets", lambda names, processes: every[:1])
    monkeypatch.setattr(selection, "start_every_mode", lambda several, processes: every)
    result = CliRunner().invoke(
        main.cli, ["repro", CASE, "--target", "numpy", "--deck", "smoke"], prog_name="lossproof"
    )
    if len(every) == 1:
        assert result.exit_code == 2
        assert f"{CASE} does not differ on numpy" in result.output
    else:
        assert result.exit_code == 0, result.output
        assert "limit in float32 on numpy+torn; nan in float16 on numpy+torn" in result.output
