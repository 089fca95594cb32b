"""Adapters that are wrong, each in one way, for tests that put them through every front door.

All are NumPy's adapter with one defect. The module is imported by bare workers, too, so it needs the adapters alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Problem, UnsupportedProblem


class Wrong(NumpyAdapter):
    """NumPy's adapter; it declares no convention, so that what is shown is compared with itself."""

    def __init__(self, name: str, **declared: Any) -> None:
        super().__init__()
        self.name = name
        self._declared = {"conventions": {}, **declared}

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self._declared)


class Inaccurate(Wrong):
    """Its softmax is 1 % too large."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if problem.op == "softmax":
            out["value"] = replace(out["value"], data=out["value"].data * 1.01)
        return out


def at_limit(problem: Problem, out: dict[str, Any]) -> dict[str, Any]:
    """Rows of softmax with one infinity at their limit, where NumPy's have NaN."""
    infinite = np.isposinf(problem.x)
    alone = (infinite.sum(axis=problem.axis, keepdims=True) == 1) & ~np.isnan(problem.x).any(
        axis=problem.axis, keepdims=True
    )
    data = np.where(alone, infinite.astype(np.float64), out["value"].data)
    return {**out, "value": replace(out["value"], data=data)}


class ApartInDtypes(Wrong):
    """Its softmax gives NaN for a row with an infinity, but the limit in float16."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        return at_limit(problem, out) if problem.op == "softmax" and problem.dtype == "float16" else out


class ApartInModes(Wrong):
    """Its softmax gives NaN for a row with an infinity, but the limit in its second mode."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        return at_limit(problem, out) if problem.op == "softmax" and mode == "other" else out


class Crashing(Wrong):
    """It ends its process on a softmax of float32 with an infinity."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if problem.op == "softmax" and problem.dtype == "float32" and np.isposinf(problem.x).any():
            os.abort()
        return super().evaluate(problem, device, mode)


class Raising(Wrong):
    """It has no gradient of softmax in float32, and raises an exception instead."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if problem.op == "softmax" and problem.dtype == "float32" and "vjp" in problem.want:
            raise RuntimeError("no kernel for you")
        return super().evaluate(problem, device, mode)


class Careless(Wrong):
    """It takes a label that is out of range for the nearest one that is not."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if problem.op == "nll_loss" and problem.target is not None and problem.target.dtype.kind == "i":
            k = problem.x.shape[problem.axis]
            kept = problem.target == problem.ignore_index if problem.ignore_index is not None else False
            target = np.where(kept, problem.target, np.clip(problem.target, 0, k - 1))
            problem = replace(problem, target=target)
        return super().evaluate(problem, device, mode)


class Refusing(Wrong):
    """It offers everything and answers nothing."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        raise UnsupportedProblem("it is not for you")


class RoundingLabelsDown(Wrong):
    """It takes a label above the classes for the last one."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if problem.is_loss and problem.target is not None and problem.target.dtype.kind == "i":
            k = problem.x.shape[problem.axis]
            above = (problem.target >= k) & (problem.target != problem.ignore_index)
            problem = replace(problem, target=np.where(above, k - 1, problem.target))
        return super().evaluate(problem, device, mode)


class Writing(Wrong):
    """It writes into the logits of softmax that it is given."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        out = super().evaluate(problem, device, mode)
        if problem.op == "softmax" and problem.x.flags.writeable:
            problem.x[...] = 0.0
        return out


MODES = ("eager", "other")
DECLARING = Wrong("declaring", modes=MODES, conventions={("4", "softmax", "value"): "limit"})
INACCURATE = Inaccurate("inaccurate")
APART_IN_DTYPES = ApartInDtypes("apart_in_dtypes")
APART_IN_MODES = ApartInModes("apart_in_modes", modes=MODES)
CRASHING = Crashing("crashing")
RAISING = Raising("raising")
CARELESS = Careless("careless")
ROUNDING_LABELS_DOWN = RoundingLabelsDown("rounding_labels_down")
REFUSING = Refusing("refusing")
REFUSING_TOO = Refusing("refusing_too")
WRITING = Writing("writing")
RIGHT = Wrong("right")
