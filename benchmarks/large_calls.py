"""What judging a large call takes beside the arrays of the call and of its answer: peak memory, processor time.

    python benchmarks/large_calls.py [--entries 67108864] [--classes 1048576] [--base FOLDER]

Each case is judged in a process of its own, which makes call and answer row by row, so that nothing else is large. With
``--base``, the ``.dev`` folder of another checkout, the same is measured there, and the ratio of memory is printed;
choose fewer entries then: arrays of bounds take some two hundred bytes an entry.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.call import Call
from lossproof.running.answers import CallGroup, GroupAnswers
from lossproof.running.group_judge import judged
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

HERE = Path(__file__).resolve().parents[1] / ".dev"
_DTYPE, _MB = "float32", 1 << 20
_CLASSES = 1 << 20
# Op, and what the answer is: right, wrong in its last entry, right about a call with a NaN in its first row.
CASES = (
    ("softmax", "right"),
    ("softmax", "wrong"),
    ("softmax", "nan"),
    ("cross_entropy", "right"),
    ("cross_entropy", "wrong"),
)


def peak() -> float:
    """The peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made(op: str, answer: str, n: int, k: int) -> tuple[Call, Outcome]:
    """A call with a gradient and its answer; only one row of either is computed at once."""
    random = np.random.default_rng(0)
    x, vjp, labels = np.empty((n, k)), np.empty((n, k)), random.integers(0, k, n)
    is_loss = op == "cross_entropy"
    value = np.empty(n if is_loss else (n, k))
    cotangent = np.ones(()) if is_loss else np.empty((n, k))
    for i in range(n):
        x[i] = random.standard_normal(k, dtype=np.float32)
        p = np.exp(x[i] - x[i].max())
        total = p.sum()
        p /= total
        if is_loss:
            value[i] = np.log(total) - (x[i, labels[i]] - x[i].max())
            p[labels[i]] -= 1
            vjp[i] = (p / n).astype(np.float32)
            continue
        cotangent[i] = random.standard_normal(k, dtype=np.float32)
        value[i], vjp[i] = p.astype(np.float32), (p * (cotangent[i] - p @ cotangent[i])).astype(np.float32)
    if answer == "wrong":
        vjp[-1, -1] += 1.0
    if answer == "nan":
        x[0, 0] = value[0] = vjp[0] = np.nan
    said = np.float64(np.float32(value.mean())) if is_loss else value
    problem = Problem(op, _DTYPE, x, labels if is_loss else None, cotangent=cotangent)
    outcome = Outcome({"value": Tensor(np.asarray(said), _DTYPE), "vjp": Tensor(vjp, _DTYPE)})
    return Call(problem, "ordinary"), outcome


def measure(op: str, answer: str, entries: int, k: int) -> dict[str, float]:
    """Megabytes beyond what was there before, and seconds."""
    call, outcome = made(op, answer, entries // k, k)
    before, start = peak(), time.process_time()
    (found,) = judged(CallGroup((call,)), [Target(ADAPTER)], [GroupAnswers((outcome,))], Clock())
    # sanity check: it is what it was made to be
    assert {o.verdict for o in found} == ({"pass", "fail"} if answer == "wrong" else {"pass"})
    return {"MB": peak() - before, "seconds": time.process_time() - start}


def of(folder: Path, op: str, answer: str, entries: int, k: int) -> dict[str, float]:
    """The measurement of a checkout, in a process of its own."""
    command = [sys.executable, __file__, "--entries", str(entries), "--classes", str(k), "--case", op, answer]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1 << 26)
    parser.add_argument("--classes", type=int, default=_CLASSES, help="as many as there are entries: one row")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--case", nargs=2, help="one case, as JSON")
    options = parser.parse_args()
    k = min(options.classes, options.entries)
    if options.case:
        op, answer = options.case
        print(json.dumps(measure(op, answer, options.entries, k)))
        return
    table = Table(title=f"{options.entries} entries, rows of {k}: MB beside call and answer")
    for column in ("op", "answer", "MB", "seconds", *(["base MB", "ratio"] if options.base else [])):
        table.add_column(column, justify="left" if column in ("op", "answer") else "right")
    for op, answer in CASES:
        here = of(HERE, op, answer, options.entries, k)
        row = [op, answer, f"{here['MB']:.0f}", f"{here['seconds']:.1f}"]
        if options.base:
            there = of(options.base, op, answer, options.entries, k)
            row += [f"{there['MB']:.0f}", f"{here['MB'] / there['MB']:.2f}"]
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
