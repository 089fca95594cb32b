"""Reproducers: short, exact, and right about whether the defect shows; the command writes those of the findings."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossproof.adapters.numpy import ADAPTER as NUMPY
from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Problem
from lossproof.cases import catalogue
from lossproof.cases.simplify import simpler
from lossproof.cli import main
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR
from lossproof.core.errors import UsageError
from lossproof.core.operations import OPERATIONS
from lossproof.repro.checked_entry import Entry
from lossproof.repro.program import reproduce
from lossproof.targets import selection
from lossproof.targets.target import Target, load_adapter
from tests.adapters.test_adapters import PROBLEMS
from tests.adapters.test_findings import BY_HAND, ROOT, RUN, SECTIONS, Section, absent, installed, is_here
from tests.support.planted import ADAPTER as PLANTED
from tests.support.thinned import WHOLE, nightly

# What shows a finding on any inputs: target, mode and output.
DEFECTS = {("tensorflow", "forward-over-reverse", "mixed"), ("torch", "reverse-over-forward", "hvp")}
# What OpenVINO rounds differs between processors, and with it what is left of inputs that are simplified: another one
# writes another program of the same defect.
BY_PROCESSOR = {"keras_openvino_float64", "keras_openvino_truncates"}
BUILT = functools.cache(catalogue.select)
PROCESSES = selection.PROCESSES
CHOOSE, CLOSE = selection.choose_targets, selection.close


class Started:
    """Targets in processes of their own, each of which stays for the next test that asks for it."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}

    def choose(self, names: Iterable[str], processes: object = None) -> list[Target]:
        for name in names:
            if name not in self.targets:
                (self.targets[name],) = CHOOSE([name], PROCESSES)
        return [self.targets[name] for name in names]


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    found = Started()
    yield found
    CLOSE(found.targets.values())


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets in this process, and each deck made once."""
    monkeypatch.setattr(selection, "PROCESSES", None)
    monkeypatch.setattr(
        catalogue, "select", lambda *deck: BUILT(*(d if isinstance(d, str | int) else tuple(d) for d in deck))
    )


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(main.cli, arguments, prog_name="lossproof")


def executed(text: str) -> tuple[str, object]:
    """What a program prints, and its exit code."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as end:
        exec(compile(text, "reproducer", "exec"), {})
    return printed.getvalue(), end.value.code


@pytest.mark.parametrize(
    "section",
    [pytest.param(s, id=s.script.stem, marks=nightly if s in RUN else ()) for s in SECTIONS if s not in BY_HAND],
)
def test_the_scripts_of_findings_are_written_by_the_command(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    """The first line is the command; run again it writes the same file, in the versions of the finding."""
    path = section.script
    text = path.read_text("utf-8")
    command = shlex.split(text.partition("\n")[0].removeprefix("# "))
    assert command[:2] == ["lossproof", "repro"]
    if installed(section.adapter) not in section.seen:
        pytest.skip(f"{section.adapter} {', '.join(section.seen)} is not installed")
    if absent(section):
        pytest.skip(f"there is no {absent(section)}")
    if not is_here(section, **{k: v for k, v in os.environ.items() if k == "TF_ENABLE_ONEDNN_OPTS"}):
        pytest.skip("the kernels that have the defect are not used on this processor")
    if section.backend:
        if installed(section.runs_on) is None:
            pytest.skip(f"{section.runs_on} is not installed")
        if PROCESSES is None:
            pytest.skip("Keras has one backend in each process, and targets have no processes here")
        monkeypatch.setattr(selection, "choose_targets", started.choose)
        monkeypatch.setattr(selection, "close", lambda several: None)
    monkeypatch.chdir(ROOT)
    result = lossproof(*command[1:], "-o", str(tmp_path / "again.py"))
    assert result.exit_code == 0, result.output
    assert "does not show" not in result.output
    made = (tmp_path / "again.py").read_text("utf-8")
    if path.stem in BY_PROCESSOR:
        assert subprocess.run([sys.executable, tmp_path / "again.py"], check=False).returncode == 1
        return
    # The builds of a release have names, and its companions versions, of their own.
    assert without_versions(made) == without_versions(text)


def without_versions(text: str) -> list[str]:
    lines = text.splitlines()
    seen = next(i for i, line in enumerate(lines) if line.startswith("# Observed with "))
    return [*lines[:seen], lines[seen].rpartition(": ")[2], *lines[seen + 1 :]]


def targets() -> Iterator[Any]:
    for name in ("numpy", "torch", "tensorflow", "jax"):
        try:
            c = load_adapter(name).capabilities()
        except UsageError:
            continue
        for mode in c.modes:
            dear = c.in_mode(mode).compile_cost == "dear"
            if not dear or mode == "compile":
                # What a mode adds to a program is a line or two; of most it is seen at night.
                late = dear or mode not in c.modes[:2]
                yield pytest.param(name, mode, id=f"{name}-{mode}", marks=nightly if late else ())


@pytest.mark.parametrize(("name", "mode"), list(targets()))
def test_every_output_has_a_short_program_that_is_right_about_it(name: str, mode: str) -> None:
    target = Target(load_adapter(name), mode)
    few = target.capabilities.compile_cost != "none"
    chosen: tuple[str, ...] = (
        ("softmax", "log_softmax-cube", "probabilities")
        if few
        else ("softmax", "log_softmax-cube", "nll_loss", "probabilities")
    )
    if few and not WHOLE:
        # Each output of each is compiled. What a mode adds to a program, a short one has, too.
        chosen = ("probabilities",) if mode == target.capabilities.modes[0] else ("softmax",)
    seen, most = set(), 0
    for problem in chosen:
        p = PROBLEMS[problem]
        if p.op not in target.capabilities.ops or p.dtype not in target.capabilities.dtypes:
            continue
        for output in p.want:
            if output not in target.capabilities.outputs:
                continue
            if mode == "where" and p.op == "log_softmax" and output != "value":
                continue
            found = reproduce(Call(p, "hand"), target, "lossproof repro X", output=output)
            lines = found.text.splitlines()
            most = max(most, len(lines))
            assert lines[0] == "# lossproof repro X"
            # The second derivative of nll_loss is 0, and nothing is computed.
            assert found.shows == ((name, mode, output) in DEFECTS and p.op != "nll_loss")
            printed, code = executed(found.text)
            assert code == found.shows, printed
            assert printed.startswith(output)
            assert any(v in printed for v in target.describe().versions.values())
            seen.add(output)
    assert seen
    assert most < 30


EXECUTE = """
import contextlib, io, json, sys
ends = []
for text in json.load(sys.stdin):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(text, "reproducer", "exec"), {})
    except SystemExit as end:
        ends.append((printed.getvalue(), end.code))
print(json.dumps(ends))
"""


@nightly
@pytest.mark.skipif(PROCESSES is None, reason="targets have no processes here")
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch", "numpy"])
def test_every_output_has_a_program_of_keras_on_each_backend(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras has one backend in each process: its programs run in one of their own, whatever is set outside."""
    needed = "jax" if backend == "numpy" else backend
    if installed("keras") is None or installed(needed) is None:
        pytest.skip(f"keras on {backend} is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "torch" if backend == "jax" else "jax")
    (target,) = selection.choose_targets([f"keras+{backend}"], PROCESSES)
    try:
        made = list(keras_programs(target))
    finally:
        selection.close([target])
    done = subprocess.run([sys.executable, "-c", EXECUTE], input=json.dumps(made), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert len(ends) == len(made)
    assert [printed for printed, code in ends if code != 0] == []
    assert all(f"keras {installed('keras')}" in printed for printed, _ in ends)


def keras_programs(target: Target) -> Iterator[str]:
    labels = replace(PROBLEMS["cross_entropy"], weight=None)
    for p in (PROBLEMS["softmax"], PROBLEMS["log_softmax-cube"], labels, PROBLEMS["probabilities"]):
        for output in [name for name in p.want if name in target.capabilities.outputs]:
            found = reproduce(Call(p, "hand"), target, "lossproof repro X", output=output)
            assert not found.shows, found.observation.message
            assert f'os.environ["KERAS_BACKEND"] = "{target.mode}"\nimport keras\n' in found.text
            assert len(found.text.splitlines()) < 30
            yield found.text


@nightly
def test_an_option_that_keras_refuses_is_refused_where_errors_are_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = next((b for b in ("torch", "jax", "tensorflow") if installed(b)), None)
    if PROCESSES is None or installed("keras") is None or backend is None:
        pytest.skip("keras in a process of its own is not at hand")
    check = next(
        c for c in catalogue.select("smoke", 0, ("cross_entropy",), (), ()) if "reduction" in c.id and ERROR in c.id
    )
    (target,) = selection.choose_targets([f"keras+{backend}"], PROCESSES)
    try:
        found = reproduce(check, target, "c")
    finally:
        selection.close([target])
    assert not found.shows
    done = subprocess.run([sys.executable, "-c", found.text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "observed ValueError(" in done.stdout


def test_the_command_names_the_target_as_it_was_said(tmp_path: Path) -> None:
    """What the name of an adapter alone stands for may depend on what is installed."""
    path = tmp_path / "call.json"
    path.write_text(json.dumps(Call(PROBLEMS["softmax"], "hand").to_json()))
    for said in ("numpy", "numpy+eager"):
        result = lossproof("repro", "--call", str(path), "--target", said)
        assert result.stdout.partition("\n")[0] == f"# lossproof repro --call {path} --target {said}"


def test_a_defect_shows_and_is_simplified() -> None:
    x = np.array([[0.5, 120.25, -3.0, 7.0], [1.0, 2.0, 3.0, 4.0]])
    call = Call(Problem("softmax", "float32", x), "hand")
    found = reproduce(call, Target(PLANTED), "lossproof repro X", output="value", simplify=True)
    assert found.shows
    assert found.call.problem.x.shape[0] == 1
    assert found.call.problem.x.size < x.size
    assert found.observation.verdict == "fail"
    # The program is that of NumPy's own adapter, which has no defect.
    assert executed(found.text)[1] == 0


class Refusing(type(NUMPY)):  # type: ignore[misc]
    name = "refusing"

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, object]:
        raise ZeroDivisionError("no kernel for you")


def test_an_exception_is_observed_and_no_traceback() -> None:
    call = Call(PROBLEMS["softmax"], "hand")
    text = reproduce(call, Target(Refusing()), "c").text
    assert "except Exception as error:" in text
    assert "# Observed with numpy" in text
    broken = text.replace("shifted = x - x.max(", "shifted = x - x.nonsense(")
    assert broken != text
    printed, code = executed(broken)
    assert code == 1
    assert "observed AttributeError(" in printed


SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 1.25, 2.0, -1.0)


@pytest.mark.parametrize(
    "entry",
    [
        Entry((0,), (1.0, 1.0), 0.25, "W"),
        Entry((0,), (1.0, 1.0000000001), 0.25, "W"),
        Entry((0,), (1.0, 1.0), 0.0, "W", second=(2.0, 2.0)),
        Entry((0,), (math.nan, math.nan), 0.0, "W"),
        Entry((0,), (-math.inf, -math.inf), 0.0, "W"),
        Entry((0,), (1.0, 1.0), 0.0, "W", accepts=(("NaN", "observed != observed"),)),
        Entry((0,), (1.0, 1.0), 0.0, "W", accepts=(("-inf", 'observed == float("-inf")'), ("0", "observed == 0"))),
        Entry((0,), (1.0, 1.0), math.inf, "W"),
        Entry((0,), (1.0, math.inf), 1.0, "W"),
        Entry((0,), (1.0, 1.0), 0.0, "W", anything=True),
    ],
    ids=str,
)
def test_the_lines_of_an_entry_say_what_it_accepts(entry: Entry) -> None:
    for observed in SPECIAL:
        names: dict[str, object] = {"observed": observed}
        exec("\n".join(entry.source()), names)
        assert names["right"] == entry.accepted(observed), observed
        assert "exact" in names
        assert "allowed" in names


def test_simpler_problems_keep_what_they_show() -> None:
    p = replace(PROBLEMS["cross_entropy"], label_smoothing=0.25)
    found = simpler(p, lambda q: q.weight is not None and bool(np.any(q.x > 0.5)))
    assert found.weight is not None
    assert np.any(found.x > 0.5)
    assert found.label_smoothing == 0.0
    assert found.x.size < p.x.size
    assert found.target is not None
    assert found.target.shape == found.x.shape[:-1]


def test_classes_between_two_that_matter_are_left_out() -> None:
    """What is wrong needs the first class and the last, neither of which is the largest, the label or the wrong one."""
    x = np.array([np.linspace(1, 2, 40) * np.r_[1.0, np.full(38, 3.0), 1.0]])
    first, last = x[0, 0], x[0, -1]
    weight = np.arange(40.0) + 1
    p = Problem("cross_entropy", "float64", x, np.array([17]), weight, ignore_index=-100)

    def same(q: Problem) -> bool:
        # sanity check: a loss has a target
        assert q.target is not None
        # The label is the same class still.
        return bool(first in q.x and last in q.x and q.weight is not None and q.weight[q.target[0]] == 18.0)

    found = simpler(p, same)
    assert found.x.shape[1] <= 4
    assert (found.x[0, 0], found.x[0, -1]) == (first, last)


def test_the_wrong_entry_may_be_cut_off() -> None:
    p = Problem("log_softmax", "float64", np.linspace(1, 2, 130)[None])
    # The first classes are kept, the wrong one is not among them.
    found = simpler(p, lambda q: q.x.shape[1] >= 60 and q.x[0, 0] == 1.0, at=(0, 120))
    assert 60 <= found.x.shape[1] < 120


def test_an_ignored_label_stays_no_class_when_classes_go() -> None:
    x = np.linspace(1, 2, 12).reshape(2, 6)
    p = Problem("cross_entropy", "float32", x, np.array([5, 2]), ignore_index=5)
    asked = []

    def same(q: Problem) -> bool:
        asked.append(q)
        return q.x.shape[0] == 2

    simpler(p, same)
    for q in asked:
        assert q.target is not None
        kept = q.target[q.target != q.ignore_index]
        assert np.all((kept >= 0) & (kept < q.x.shape[1]))
        # Which rows are ignored does not change with the classes.
        if q.target.size == 2:
            assert (q.target == q.ignore_index).tolist() in ([True, False], [False, False], [True, True])


def test_nothing_simpler_is_the_same_problem() -> None:
    p = PROBLEMS["softmax"]
    assert simpler(p, lambda q: False) is p


def test_an_issue_has_everything_that_a_maintainer_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    call = Call(replace(PROBLEMS["softmax"], tangent=None), "hand")
    path.write_text(json.dumps(call.to_json()))
    result = lossproof("repro", "--call", str(path), "--target", "numpy", "--output", "vjp", "--issue")
    assert result.exit_code == 0, result.output
    for text in ("# gradient of softmax in", "Expected: a value in [", "Observed: `", "Versions: numpy ", "```python"):
        assert text in result.stdout
    assert "p_i (v_i - sum_j p_j v_j)" in result.stdout
    assert f"does not show: numpy has pass on vjp of {call.id}" in result.stderr, "the id that was asked for"
    other = lossproof("repro", "softmax/float32/hot/n2-k4/00000000", "--call", str(path), "--target", "numpy")
    assert other.exit_code == 2
    assert f"{path} holds {call.id}, not softmax/float32/hot/n2-k4/00000000" in other.stderr


def test_every_output_of_every_op_has_its_formula() -> None:
    for op in OPERATIONS:
        outputs = {o for p in PROBLEMS.values() if p.op == op for o in p.want} - {"vjp_again"}
        assert {o for o, output in TABLE.items() if op in output.formulas} >= outputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "which case? expected an ID"),
        (("softmax/float32/nonsense/n2-k4/00000000",), "unknown id"),
        (("softmax/float32/ordinary/n2-k4", "--record", "nowhere.jsonl"), "cannot read record nowhere.jsonl"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = lossproof("repro", *arguments, "--target", "numpy", "--deck", "smoke")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_relation_of_right_calls_has_no_program() -> None:
    relation = next(c.id for c in catalogue.select("smoke", 0, ("softmax",), (), ()) if "/relation/" in c.id)
    result = lossproof("repro", relation, "--target", "numpy", "--deck", "smoke")
    assert result.exit_code == 2
    assert "compares several calls that are right one by one" in result.stderr


class Guessing(type(NUMPY)):  # type: ignore[misc]
    """Takes any label for class 0."""

    name = "guessing"

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, object]:
        if (
            problem.target is not None
            and problem.target.dtype.kind in "iu"
            and problem.target.shape == problem.x.shape[:1]
        ):
            inside = (problem.target >= 0) & (problem.target < problem.x.shape[1])
            problem = replace(problem, target=np.where(inside, problem.target, 0))
        return super().evaluate(problem, device, mode)


def test_a_silent_answer_to_an_unknown_label_shows() -> None:
    check = next(c for c in catalogue.select("smoke", 0, ("nll_loss",), (), ()) if "/error/13-minus-one" in c.id)
    found = reproduce(check, Target(Guessing()), "c")
    assert found.shows
    assert "expected an error, as the input is invalid" in found.text
    # NumPy's own adapter, whose program it is, refuses the label or has an answer that is accepted.
    right = reproduce(check, Target(NUMPY), "c")
    assert not right.shows
    assert executed(right.text)[1] == 0


def test_an_unknown_output_is_named() -> None:
    with pytest.raises(UsageError, match="no output 'hvp'; expected one of value"):
        reproduce(Call(replace(PROBLEMS["softmax"], tangent=None), "hand"), Target(NUMPY), "c", output="hvp")


def test_an_entry_that_is_at_another_place_by_now_is_no_class() -> None:
    p = Problem("softmax", "float32", np.array([[0.0, 1.0, 2.0, 3.0, 4.0]]))
    # The entry was the last of five classes.
    found = simpler(p, lambda q: q.x.shape[1] >= 3, at=(0, 4))
    assert found.x.shape == (1, 3)
