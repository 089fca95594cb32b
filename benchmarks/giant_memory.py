"""What giant calls take at their peak, measured: giant_memory.json, which the estimates of the adapters are held to.

    python -m benchmarks.giant_memory [ADAPTER ...] [--write]

Of each adapter (numpy, torch, tensorflow and jax if there are no names) every op is asked in float32 and bfloat16 for
its value and its gradient, of 2^23 rows of 8 classes, each in a process of its own that has answered a small call.
Prints bytes for each logit, measured and estimated; ``--write`` puts what was measured, and with which release, into
the file (minutes; up to 3 GiB).
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossproof.adapters import giant as giants
from lossproof.adapters.memory import HostMemory
from lossproof.adapters.protocol import OPS
from lossproof.cases.sweeps.giants import GIANT_CASES, LIMITS, giant_call
from lossproof.targets.target import load_adapter

FILE = Path(__file__).with_name("giant_memory.json")
ADAPTERS = ("numpy", "torch", "tensorflow", "jax")
DTYPES = ("float32", "bfloat16")
ROWS, CLASSES = 1 << 23, 8


class Kept(HostMemory):
    """A meter that forgets no peak: what is taken to place tensors counts, too."""

    def begin(self) -> int:
        """Return the bytes that are held."""
        return self.peak()


def measured(name: str, op: str, dtype: str, *, gradient: bool) -> dict[str, Any]:
    """Measure an op of an adapter, in this process: bytes at the peak for each logit."""
    adapter: Any = load_adapter(name)
    driver, release = adapter.giant, adapter.describe().versions.get(name, "")
    driver.memory = lambda device: Kept()
    # What is done once is done before.
    _peak(adapter, 17, op, dtype, gradient=gradient)
    taken = _peak(adapter, ROWS, op, dtype, gradient=gradient)
    return {
        "adapter": name,
        "release": release.partition("+")[0],
        "op": op,
        "dtype": dtype,
        "gradient": gradient,
        "bytes": round(taken / (ROWS * CLASSES), 2),
        "estimated": driver.bytes_each(op, dtype, gradient=gradient),
    }


def _peak(adapter: Any, rows: int, op: str, dtype: str, *, gradient: bool) -> int:
    """The most bytes beyond those that were held, and beyond those of rows, that a call took."""
    shaped = replace(GIANT_CASES["elements"], rows=lambda at: rows)
    made = giant_call(shaped, op, dtype, LIMITS).giant
    p = made.problem
    asked = replace(made, problem=replace(p, only=("vjp",)) if gradient else replace(p, cotangent=None))
    memory = HostMemory()
    held = memory.begin()
    answer = giants.answer(adapter, asked, "cpu", adapter.capabilities().modes[0])
    if answer.outcome.error:
        raise SystemExit(f"{adapter.name} {op} {dtype}: {answer.outcome.error}: {answer.outcome.message}")
    return memory.peak() - held - (giants.ROW_BYTES * rows if p.is_loss else 0)


def every(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Measure all there is of some adapters, each in a process of its own."""
    for name, op, dtype, gradient in itertools.product(names, OPS, DTYPES, (False, True)):
        one = [name, op, dtype, "gradient" if gradient else "value"]
        called = [sys.executable, "-m", "benchmarks.giant_memory", "--one", *one]
        done = subprocess.run(called, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(one)} was not measured: {done.stderr.strip().splitlines()[-1:]}")
        yield json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, and show what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER")
    parser.add_argument("--write", action="store_true", help=f"put what was measured into {FILE.name}")
    parser.add_argument("--one", nargs=4, metavar=("ADAPTER", "OP", "DTYPE", "OUTPUT"), help="measure this one here")
    options = parser.parse_args()
    if options.one:
        name, op, dtype, output = options.one
        print(json.dumps(measured(name, op, dtype, gradient=output == "gradient")))
        return
    names = options.adapters or ADAPTERS
    before = json.loads(FILE.read_text()) if FILE.exists() else []
    found = [one for one in before if one["adapter"] not in names]
    for one in every(names):
        output = "gradient" if one["gradient"] else "value"
        what = f"{one['adapter']:11}{one['op']:14}{one['dtype']:9}{output:9}"
        print(f"{what}{one['bytes']:7.2f} measured{one['estimated']:7.2f} estimated", flush=True)
        found.append({k: v for k, v in one.items() if k != "estimated"})
    if options.write:
        FILE.write_text("[\n" + ",\n".join(f" {json.dumps(one)}" for one in found) + "\n]\n")


if __name__ == "__main__":
    main()
