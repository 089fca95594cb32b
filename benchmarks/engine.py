"""What the engine costs: truth, bounds and verdicts, in nanoseconds of processor time an element.

    python benchmarks/engine.py [--elements 262144] [--base FOLDER]

By op and format, the value and the VJP judged together under the profiles that a run looks at: with arrays, in the
compiled pass, and their ratio. "small" is a call of 4 x 5 logits alone, "stacked" one of 64 such that are judged at
once, in microseconds. With ``--base``, the ``.dev`` folder of another checkout, the same is measured there in turns
with this one, and the ratio to it is printed.
Compare within one run only; machines are noisy. Exit code 1 if a ratio to the base is 1.5 or worse.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lossproof.adapters.local import answer
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import DTYPES, Problem
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.observe import observe
from lossproof.truth.truth import truth

CLASSES, SMALL, STACKED = 64, (4, 5), 64
WORSE = 1.5
HERE = Path(__file__).resolve().parents[1] / ".dev"
# Each figure is the least of so many measurements: what disturbs them only adds.
_TURNS = 3


def problem(op: str, dtype: str, n: int, k: int) -> Problem:
    random, fmt = np.random.default_rng(0), FORMATS[dtype]
    x = fmt.round(random.normal(size=(n, k)) * 4)
    if not OPERATIONS[op].targets:
        return Problem(op, dtype, x, cotangent=fmt.round(random.normal(size=(n, k))))
    labels = random.integers(0, k, n)
    return Problem(op, dtype, x, labels, reduction="none", cotangent=fmt.round(random.normal(size=n)))


def seconds(work: Callable[[], object]) -> float:
    """The least processor time of a piece of work that has been done once before."""
    work()
    found = []
    for _ in range(_TURNS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def by_arrays(calls: Sequence[Call], declared: Declared) -> Callable[[], object]:
    outcomes = [answer(ADAPTER, call.problem, "cpu", "eager") for call in calls]
    return lambda: observe(calls, truth([call.problem for call in calls]), outcomes, "numpy", declared)


def by_pass(calls: Sequence[Call], declared: Declared) -> Callable[[], object] | None:
    try:
        from lossproof.judging.fused.compiler import missing
        from lossproof.judging.fused.observe_regular import Answers, observe_regular
    except ImportError:
        # A base that has none yet.
        return None
    if missing():
        return None
    outcomes = [answer(ADAPTER, call.problem, "cpu", "eager") for call in calls]
    usable = {(i, name) for i, outcome in enumerate(outcomes) for name in outcome.outputs}
    several = [Answers("numpy", declared, outcomes, usable)]
    # sanity check: they are regular calls, and pass
    assert len(observe_regular(calls, several)[0]) == len(usable)
    return lambda: observe_regular(calls, several)


def measure(elements: int) -> dict[str, float]:
    """Nanoseconds by op, format, size and path."""
    found = {}
    for op in OPERATIONS:
        for dtype in DTYPES:
            sizes = {"large": (elements // CLASSES, CLASSES), "small": SMALL, "stacked": SMALL}
            for size, (n, k) in sizes.items():
                count = STACKED if size == "stacked" else 1
                calls = [Call(problem(op, dtype, n, k), "ordinary") for _ in range(count)]
                declared = Declared(default_profile(dtype))
                for path, work in {"arrays": by_arrays(calls, declared), "pass": by_pass(calls, declared)}.items():
                    if work is not None:
                        per = n * k if size == "large" else count
                        found[f"{op} {dtype} {size} {path}"] = seconds(work) / per * 1e9
    return found


def of_base(folder: Path, elements: int) -> dict[str, float]:
    """The measurements of another checkout, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, __file__, "--json", "--elements", str(elements)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def least(several: list[dict[str, float]]) -> dict[str, float]:
    return {key: min(one[key] for one in several) for key in several[0]}


def best(found: Mapping[str, float], key: str) -> float:
    """What a run pays: the compiled pass where there is one."""
    return found.get(f"{key} pass", found.get(f"{key} arrays", float("nan")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=1 << 18)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--json", action="store_true", help="print the measurements alone")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(measure(options.elements)))
        return 0
    turns = 2 if options.base else 1
    mine, base = [], []
    for _ in range(turns):
        mine.append(of_base(HERE, options.elements) if options.base else measure(options.elements))
        if options.base:
            base.append(of_base(options.base, options.elements))
    here, there = least(mine), least(base) if base else {}
    table = Table(title="ns an element (large), us a call (small, stacked)")
    for column in ("op", "dtype", "size", "arrays", "pass", "ratio", *(["base", "to base"] if there else [])):
        table.add_column(column, justify="left" if column in ("op", "dtype", "size") else "right")
    worst = 0.0
    for key in dict.fromkeys(k.rsplit(" ", 1)[0] for k in here):
        unit = 1.0 if "large" in key else 1e3
        arrays, fused = here[f"{key} arrays"], here.get(f"{key} pass", float("nan"))
        row = [*key.split(), f"{arrays / unit:.0f}", f"{fused / unit:.0f}", f"{arrays / fused:.1f}"]
        if there:
            ratio = best(here, key) / best(there, key)
            worst = max(worst, ratio)
            row += [f"{best(there, key) / unit:.0f}", f"{ratio:.2f}"]
        table.add_row(*row)
    Console().print(table)
    return int(worst >= WORSE)


if __name__ == "__main__":
    raise SystemExit(main())
