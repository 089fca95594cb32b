"""Adapters for tests of sweeps: NumPy's, wrong at one gap of float16 alone; and one that ends its process once.

``DIES`` ends the process that it is in when it is first asked, and leaves a file that says so in the folder that the
variable ``ONE_PATTERN`` names; ``MORTAL`` ends it each time.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Problem

# No number that anybody would think of.
GAP = 3.37109375


class OnePattern(NumpyAdapter):
    name = "one_pattern"

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if problem.op == "softmax" and problem.dtype == "float16" and problem.x.ndim == 2:
            hit = problem.x[:, -1] - problem.x[:, 0] == GAP
            data = out["value"].data.copy()
            data[hit] *= 1 - 2.0**-8
            out["value"] = replace(out["value"], data=data)
        return out


class Mortal(NumpyAdapter):
    name = "mortal"

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


class Dies(NumpyAdapter):
    name = "dies"

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        mark = Path(os.environ["ONE_PATTERN"], "died")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(problem, device, mode)


WRONG, DIES, MORTAL = OnePattern(), Dies(), Mortal()
