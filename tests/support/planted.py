"""An adapter for tests of comparisons: NumPy's, but that its softmax does not subtract the maximum.

Its second mode is correct: its bits differ from those of the first one where that loses nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem


class Planted(NumpyAdapter):
    name = "planted"

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), modes=("eager", "careful"))

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if mode == "eager" and problem.op == "softmax" and problem.dtype == "float32" and problem.x.size:
            with np.errstate(all="ignore"):
                e = np.exp(problem.x.astype(np.float32))
                p = e / e.sum(axis=problem.axis, keepdims=True)
            out["value"] = replace(out["value"], data=p.astype(np.float64))
        return out


ADAPTER = Planted()
