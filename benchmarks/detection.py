"""What different ways to test a loss find: kills, false alarms and processor time on the same implementations.

    python -m benchmarks.detection [--every 9] [--write]

``--every N`` takes each N-th of the project's own mutants and controls. Every method stops at its first finding, as a
test does. Methods that need a reference get one that is right: the plain control in float64. ``--write`` writes the
tables into docs/comparison.md. The vectors of ONNX need the package onnx; without it they are left out, and said to be.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.mechanical_mutants import mechanical
from lossproof.adapters.protocol import Problem, UnsupportedProblem
from lossproof.cases.catalogue import select
from tests.mutants.kit.mutant import Mutant
from tests.mutants.matrix.kill import takes
from tests.mutants.matrix.registry import collect
from tests.mutants.matrix.search import matrix

PAGE = Path(__file__).resolve().parents[1] / "docs" / "comparison.md"
# torch.testing.assert_close for float32, and torch.autograd.gradcheck.
CLOSE = {"rtol": 1.3e-6, "atol": 1e-5}
CHECKED = {"rtol": 1e-3, "atol": 1e-5}
STEP = 1e-6
# The sizes of PyTorch's own samples.
S, M = 5, 10
Method = Callable[[Mutant], bool]


def answers(m: Mutant, p: Problem) -> dict[str, Any]:
    """The outputs of an implementation; empty where it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        out = m.adapter().evaluate(p, "cpu", "eager")
    return {name: t.data for name, t in out.items() if hasattr(t, "data")}


def differs(m: Mutant, p: Problem, tolerance: dict[str, float]) -> bool:
    """Whether value or gradient of a mutant are not close to those of the reference in float64."""
    right = answers(collect()[f"control {p.op}: np"], replace(p, dtype="float64"))
    try:
        got = answers(m, p)
    except UnsupportedProblem:
        return False
    outputs = [name for name in p.want if name == "value" or m.grad is not None]
    return any(
        name not in got
        or got[name].shape != right[name].shape
        or not np.allclose(got[name], right[name], tolerance["rtol"], tolerance["atol"], equal_nan=True)
        for name in outputs
    )


def problem(op: str, x: Any, seed: int = 0, **options: Any) -> Problem:
    """A problem with logits of float32, labels and a cotangent that are drawn."""
    rng = np.random.default_rng(seed)
    x = np.asarray(x, np.float32).astype(np.float64)
    if op not in ("softmax", "log_softmax"):
        rows = np.moveaxis(x, options.setdefault("axis", -1), -1).shape[:-1]
        options.setdefault("target", rng.integers(0, x.shape[options["axis"]], rows))
    p = Problem(op=op, dtype="float32", x=x, **options)
    shape = p.shape_of("value")
    cotangent = np.asarray(rng.standard_normal(shape), np.float32).astype(np.float64)
    return replace(p, cotangent=cotangent)


@cache
def ordinary(op: str) -> list[Problem]:
    """What a test of one's own asks: a few normal batches, each reduction."""
    rng = np.random.default_rng(1)
    reductions: Sequence[dict[str, Any]] = [{}]
    if op not in ("softmax", "log_softmax"):
        reductions = [{"reduction": r} for r in ("mean", "sum", "none")]
    shapes = ((4, 5), (16, 10), (2, 100))
    return [
        problem(op, rng.standard_normal(s), i, **r) for i, (s, r) in enumerate(itertools.product(shapes, reductions))
    ]


@cache
def samples(op: str) -> list[Problem]:
    """Inputs after the manner of OpInfo: numbers between -9 and 9 in its shapes, and its options one with another."""
    rng = np.random.default_rng(2)

    def drawn(*shape: int) -> Any:
        return rng.uniform(-9, 9, shape)

    if op in ("softmax", "log_softmax"):
        places = [((S,), 0), ((S, S), 0), ((S, S), 1), ((S, S), -1), ((S, M, S), 2)]
        return [problem(op, drawn(*shape), i, axis=axis) for i, (shape, axis) in enumerate(places)]
    found = []
    smoothings = (0.0, 0.5) if op == "cross_entropy" else (0.0,)
    several = itertools.product(((S, M), (S, M, S)), ("mean", "sum", "none"), (False, True), (None, 1), smoothings)
    for i, (shape, reduction, weighted, ignored, smoothing) in enumerate(several):
        weight = np.abs(np.asarray(rng.standard_normal(M), np.float32)).astype(np.float64) if weighted else None
        options = {"reduction": reduction, "weight": weight, "ignore_index": ignored, "label_smoothing": smoothing}
        found.append(problem(op, drawn(*shape), i, axis=1 if len(shape) > 2 else -1, **options))
    return found


def allclose(m: Mutant) -> bool:
    """Ordinary batches, compared with the reference."""
    return any(differs(m, p, CLOSE) for p in ordinary(m.op) if takes(m, p))


def gradcheck(m: Mutant) -> bool:
    """The gradient against central differences of the value, in float64."""
    return any(_slope_differs(m, p) for p in ordinary(m.op)[:3] if takes(m, p))


def _slope_differs(m: Mutant, p: Problem) -> bool:
    p = replace(p, dtype="float64")
    if m.grad is None or "float64" not in m.dtypes:
        return False
    try:
        got = answers(m, p)
    except UnsupportedProblem:
        return False
    if "vjp" not in got:
        return True
    numeric = np.zeros_like(p.x)
    for at in np.ndindex(p.x.shape):
        ends = []
        for step in (STEP, -STEP):
            x = p.x.copy()
            x[at] += step
            value = answers(m, replace(p, x=x, only=("value",))).get("value", np.nan)
            ends.append(np.sum(value * p.cotangent))
        numeric[at] = (ends[0] - ends[1]) / (2 * STEP)
    return got["vjp"].shape != numeric.shape or not np.allclose(got["vjp"], numeric, CHECKED["rtol"], CHECKED["atol"])


def op_info(m: Mutant) -> bool:
    """Samples with all options, compared with the reference and by differences."""
    taken = [p for p in samples(m.op) if takes(m, p)]
    return any(differs(m, p, CLOSE) for p in taken) or any(_slope_differs(m, p) for p in taken[:6])


_ONNX = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "SoftmaxCrossEntropyLoss": "cross_entropy",
    "NegativeLogLikelihoodLoss": "nll_loss",
}


@dataclass(frozen=True)
class Vector:
    """A node test of ONNX: a problem, the value that is expected, and the tolerance that the test has."""

    problem: Problem
    expected: Any
    rtol: float
    atol: float


@cache
def vectors() -> list[Vector]:
    """The node tests of ONNX for the four operators. Raises :class:`ImportError` without the package onnx."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    found = []
    for case in cases:
        nodes = case.model.graph.node
        # Others are the same tests of the functions that the operators are made of.
        if len(nodes) != 1 or nodes[0].op_type not in _ONNX:
            continue
        op, (inputs, outputs) = _ONNX[nodes[0].op_type], case.data_sets[0]
        told = {a.name: a.s.decode() if a.s else a.i for a in nodes[0].attribute}
        given: dict[str, Any] = {"axis": told.get("axis", -1)}
        if op in ("cross_entropy", "nll_loss"):
            given = {
                "axis": 1 if inputs[0].ndim > 2 else -1,
                "reduction": told.get("reduction", "mean"),
                "ignore_index": told.get("ignore_index"),
            }
            given |= {"target": np.asarray(inputs[1], np.int64)}
            given |= {"weight": np.asarray(inputs[2], np.float64)} if len(inputs) > 2 else {}
        p = Problem(op=op, dtype="float32", x=np.asarray(inputs[0], np.float64), **given)
        found.append(Vector(p, np.asarray(outputs[0], np.float64), case.rtol, case.atol))
    return found


def node_vectors(m: Mutant) -> bool:
    """The vectors of ONNX, with their tolerance: values alone."""
    for v in vectors():
        if takes(m, v.problem):
            try:
                got = answers(m, v.problem).get("value")
            except UnsupportedProblem:
                continue
            if got is None or got.shape != v.expected.shape or not np.allclose(got, v.expected, v.rtol, v.atol):
                return True
    return False


def differential(m: Mutant) -> bool:
    """A hundred batches that hypothesis draws, compared with the reference."""
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
    logits = shapes.flatmap(lambda s: hnp.arrays(np.float32, s, elements=st.floats(-1e4, 1e4, width=32)))
    reductions = st.sampled_from(("mean", "sum", "none"))

    # Nothing is shrunk: a method ends with its first finding.
    @settings(
        max_examples=100,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(logits, reductions, st.integers(0, 9))
    def agrees(x: Any, reduction: str, seed: int) -> None:
        options = {} if m.op in ("softmax", "log_softmax") else {"reduction": reduction}
        p = problem(m.op, x, seed, **options)
        assert not (takes(m, p) and differs(m, p, CLOSE))

    try:
        agrees()
    except Exception:
        return True
    return False


METHODS: dict[str, Method] = {
    "allclose": allclose,
    "gradcheck": gradcheck,
    "samples as OpInfo's": op_info,
    "ONNX node vectors": node_vectors,
    "hypothesis, differential": differential,
}


def lossproof(several: Sequence[Mutant], size: str) -> set[str]:
    """The implementations that a deck kills in float32 or float64."""
    # No other method asks for answers to invalid input.
    calls = [c for c in select(size) if c.outline.dtype in ("float32", "float64") and "/error/" not in c.id]
    # The text that is changed mechanically takes logits of two axes.
    flat = [c for c in calls if c.outline.x.ndim == 2]
    killed: set[str] = set()
    for row, asked in ((True, flat), (False, calls)):
        some = [m for m in several if (m.row == "mechanical") is row]
        alone = {m.id: replace(m, dtypes=_wide(m), expect=_wide(m)) for m in some}
        killed |= (
            {name for (name, _), kill in matrix(alone, asked, processes=1).items() if kill.failing} if some else set()
        )
    return killed


def _wide(m: Mutant) -> tuple[str, ...]:
    return tuple(d for d in m.dtypes if d in ("float32", "float64"))


def own(every: int, kind: str) -> list[Mutant]:
    """Each n-th of the project's mutants, or controls, of values and gradients in float32.

    Mutants of other derivatives are left out: no other method asks for these.
    """
    found = [
        m
        for m in collect().values()
        if m.kind == kind
        and not m.allowed
        and "float32" in (m.expect if kind == "mutant" else m.dtypes)
        and not (kind == "mutant" and m.derivatives)
    ]
    return found[::every]


def measured(several: Sequence[Mutant], without: Sequence[str]) -> Iterator[tuple[str, set[str], float]]:
    """Each method with what it kills and the processor seconds that it takes."""
    for name, method in METHODS.items():
        if name in without:
            continue
        if method is node_vectors:
            # Not theirs is the time in which the vectors are made.
            try:
                vectors()
            except ImportError:
                continue
        start = time.process_time()
        killed = {m.id for m in several if method(m)}
        seconds = time.process_time() - start
        print(f"{name}: {len(killed)} of {len(several)} in {seconds:.1f} s", file=sys.stderr, flush=True)
        yield name, killed, seconds
    for size in ("smoke", "default"):
        if size in without:
            continue
        select(size)
        start = time.process_time()
        killed = lossproof(several, size)
        seconds = time.process_time() - start
        print(f"lossproof, {size}: {len(killed)} of {len(several)} in {seconds:.1f} s", file=sys.stderr, flush=True)
        yield f"lossproof, {size} deck", killed, seconds


def table(groups: dict[str, list[Mutant]], controls: list[Mutant], without: Sequence[str]) -> list[str]:
    """The rows in Markdown: for each group kills, seconds and kills a second, then false alarms."""
    found = {title: list(measured(several, without)) for title, several in groups.items()}
    alarms = {name: len(killed) for name, killed, _ in measured(controls, without)}
    lines = []
    for title, rows in found.items():
        every = set().union(*(killed for _, killed, _ in rows))
        lines += [f"**{title}**: {len(groups[title])}, of which {len(every)} are killed by one method at least.", ""]
        lines += ["| method | kills | that no other has | false alarms | processor seconds | kills a second |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        for name, killed, seconds in rows:
            mine = killed - set().union(*(k for n, k, _ in rows if n.split(",")[0] != name.split(",")[0]))
            rate = len(killed) / seconds if seconds else 0
            counts = f"{len(killed)} | {len(mine)} | {alarms[name]} of {len(controls)}"
            lines.append(f"| {name} | {counts} | {seconds:.1f} | {rate:.1f} |")
        lines.append("")
    return lines


def main() -> None:
    """Measure, and print or write the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--every", type=int, default=9)
    parser.add_argument("--without", action="append", default=[], help="a method, or the size of a deck (repeatable)")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    original, *changed = mechanical()
    collect()[original.id] = original
    groups = {
        "Independent mutants (mechanical changes of a correct text)": changed,
        f"The project's own mutants (each {options.every}th)": own(options.every, "mutant"),
    }
    lines = "\n".join(table(groups, [original, *own(max(1, options.every // 5), "control")], options.without))
    print(lines)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        part = re.compile(r"(<!-- detection -->\n).*(<!-- end -->)", re.S)
        PAGE.write_text(part.sub(lambda m: f"{m[1]}\n{lines}{m[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
