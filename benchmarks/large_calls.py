"""What judging a large call takes beside the arrays of the call and of its answer: peak memory, processor time.

    python benchmarks/large_calls.py [--entries 67108864] [--classes 1048576 67108864] [--dtype float32] [--base FOLDER]

Each case is judged in a process of its own, which makes call and answer piece by piece, so that nothing else is large.
``--classes`` are those of a row: as many as there are entries are one row. With ``--base``, the ``.dev`` folder of
another checkout, the same is measured there, and the ratio of memory is printed; choose fewer entries then: arrays of
bounds take some two hundred bytes an entry.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.call import Call
from lossproof.core.formats import F64
from lossproof.running.answers import CallGroup, GroupAnswers
from lossproof.running.group_judge import judged
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

HERE = Path(__file__).resolve().parents[1] / ".dev"
_MB = 1 << 20
_CLASSES, _PIECE = 1 << 20, 1 << 18
_SMOOTHING, _TARGETS = 0.1, 1 << 12
SOFTMAXES = ("softmax", "log_softmax")
# What is asked: an op, cross_entropy by the kind of its targets, of which the last do not sum to 1.
ASKED = (*SOFTMAXES, "nll_loss", "labels", "smoothed", "probabilities", "unnormalised")
# What the answer is, and its verdicts: right, wrong in its last entry, NaN in the first row of a call that has a NaN,
# or an infinity, there.
ANSWERS = {
    "right": ["pass", "pass"],
    "wrong": ["pass", "fail"],
    "nan": ["pass", "pass"],
    "infinity": ["convention", "convention"],
}
CASES = [(asked, answer) for asked in ASKED for answer in ANSWERS if (asked, answer) != ("nll_loss", "infinity")]
Rounded = Callable[[F64], F64]


def peak() -> float:
    """The peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pieces(k: int) -> Iterator[slice]:
    for start in range(0, k, _PIECE):
        yield slice(start, min(k, start + _PIECE))


def made(asked: str, dtype: str, answer: str, n: int, k: int) -> tuple[Call, Outcome]:
    """A call with a gradient and its answer; only a piece of a row of either is computed at once."""
    random = np.random.default_rng(0)

    def rounded(a: F64) -> F64:
        return a.astype(dtype).astype(np.float64)

    x = np.empty((n, k))
    for i in range(n):
        for at in pieces(k):
            x[i, at] = rounded(random.standard_normal(at.stop - at.start))
    problem, value, vjp = (of_softmax if asked in SOFTMAXES else of_loss)(asked, dtype, x, random, rounded)
    if answer == "wrong":
        vjp[-1, -1] += 1.0
    if answer in ("nan", "infinity"):
        place = problem.target[0] if asked == "nll_loss" and problem.target is not None else 0
        x[0, place] = np.nan if answer == "nan" else np.inf
        value[() if problem.is_loss else 0] = np.nan
        if asked != "nll_loss":
            vjp[0] = np.nan
    return Call(problem, "ordinary"), Outcome({"value": Tensor(value, dtype), "vjp": Tensor(vjp, dtype)})


def of_softmax(op: str, dtype: str, x: F64, random: np.random.Generator, rounded: Rounded) -> tuple[Problem, F64, F64]:
    v, value, vjp, (n, k) = np.empty_like(x), np.empty_like(x), np.empty_like(x), x.shape
    for i in range(n):
        log_s, inner = normaliser(x[i]), 0.0
        for at in pieces(k):
            v[i, at] = rounded(random.standard_normal(at.stop - at.start))
            inner += float(v[i, at].sum() if op == "log_softmax" else np.exp(x[i, at] - log_s) @ v[i, at])
        for at in pieces(k):
            y = x[i, at] - log_s
            p = np.exp(y)
            value[i, at] = rounded(y if op == "log_softmax" else p)
            vjp[i, at] = rounded(v[i, at] - p * inner if op == "log_softmax" else p * (v[i, at] - inner))
    return Problem(op, dtype, x, cotangent=v), value, vjp


def of_loss(asked: str, dtype: str, x: F64, random: np.random.Generator, rounded: Rounded) -> tuple[Problem, F64, F64]:
    """A mean over the rows."""
    vjp, (n, k), loss = np.empty_like(x), x.shape, 0.0
    labels = np.asarray(random.integers(0, k, n), dtype=np.int64)
    q = np.zeros_like(x) if asked in ("probabilities", "unnormalised") else None
    total = 0.75 if asked == "unnormalised" else 1.0
    eps = _SMOOTHING if asked == "smoothed" else 0.0
    for i in range(n):
        some = slice(None, None, max(1, k // _TARGETS))
        if q is not None:
            e = np.exp(random.standard_normal(q[i, some].size))
            q[i, some] = rounded(e / e.sum() * total)
        Q = 1.0 if q is None else float(q[i].sum())
        log_s = 0.0 if asked == "nll_loss" else normaliser(x[i])
        for at in pieces(k):
            c = np.full(at.stop - at.start, eps / k) if q is None else q[i, at].copy()
            if q is None and at.start <= labels[i] < at.stop:
                c[labels[i] - at.start] += 1 - eps
            y = x[i, at] - log_s
            loss -= float(c @ y)
            vjp[i, at] = rounded((-c if asked == "nll_loss" else Q * np.exp(y) - c) / n)
    op = "nll_loss" if asked == "nll_loss" else "cross_entropy"
    problem = Problem(op, dtype, x, labels if q is None else q, cotangent=np.ones(()), label_smoothing=eps)
    return problem, rounded(np.asarray(loss / n)), vjp


def normaliser(x: F64) -> float:
    """The logarithm of the sum of exponentials of a row."""
    top = float(x.max())
    return top + float(np.log(sum(float(np.exp(x[at] - top).sum()) for at in pieces(x.size))))


def measure(asked: str, dtype: str, answer: str, entries: int, k: int) -> dict[str, float]:
    """Megabytes of call and answer, those beyond what was there before, and seconds."""
    call, outcome = made(asked, dtype, answer, entries // k, k)
    p = call.problem
    arrays = [p.x, p.target, p.cotangent, *(t.data for t in outcome.outputs.values())]
    before, start = peak(), time.process_time()
    (found,) = judged(CallGroup((call,)), [Target(ADAPTER)], [GroupAnswers((outcome,))], Clock())
    # sanity check: it is what it was made to be
    expected, verdicts = ANSWERS[answer], [o.verdict for o in found]
    if asked == "unnormalised" and found[1].conventions.keys() == {"3"}:
        # Where they can be told apart, it shows which of two gradients it is.
        expected = [expected[0], "convention"]
    assert verdicts == expected, found
    return {
        "arrays": sum(a.nbytes for a in arrays if a is not None) / _MB,
        "MB": peak() - before,
        "peak": peak(),
        "seconds": time.process_time() - start,
    }


def of(folder: Path, dtype: str, asked: str, answer: str, entries: int, k: int) -> dict[str, float]:
    """The measurement of a checkout, in a process of its own."""
    command = [sys.executable, __file__, "--entries", str(entries), "--classes", str(k), "--dtype", dtype]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, "--case", asked, answer], env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    found: dict[str, float] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1 << 26)
    parser.add_argument("--classes", type=int, nargs="+", help="as many as there are entries: one row")
    parser.add_argument("--dtype", choices=("float16", "float32", "float64"), default="float32")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--only", nargs="+", help="some of what is asked", choices=ASKED, default=ASKED)
    parser.add_argument("--case", nargs=2, help="one case, as JSON")
    options = parser.parse_args()
    sizes = [min(k, options.entries) for k in options.classes or (_CLASSES, options.entries)]
    if options.case:
        print(json.dumps(measure(options.case[0], options.dtype, options.case[1], options.entries, sizes[0])))
        return
    for k in sizes:
        show(options, k)


def show(options: argparse.Namespace, k: int) -> None:
    title = f"{options.dtype}, {options.entries} entries, rows of {k}: MB of call and answer, and beside them"
    table = Table(title=title)
    for column in ("asked", "answer", "call", "MB", "peak", "seconds", *(["base MB", "ratio"] if options.base else [])):
        table.add_column(column, justify="left" if column in ("asked", "answer") else "right")
    for asked, answer in CASES:
        if asked not in options.only:
            continue
        here = of(HERE, options.dtype, asked, answer, options.entries, k)
        if not here:
            table.add_row(asked, answer, "", "", "no verdict")
            continue
        row = [asked, answer, *(f"{here[name]:.0f}" for name in ("arrays", "MB", "peak")), f"{here['seconds']:.1f}"]
        if options.base:
            there = of(options.base, options.dtype, asked, answer, options.entries, k)
            row += [f"{there['MB']:.0f}", f"{here['MB'] / there['MB']:.2f}"] if there else ["no verdict", ""]
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
