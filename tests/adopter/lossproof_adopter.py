"""The smallest adapter that a third party would write: one op, two dtypes, no base class."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.adapters import Capabilities, Description, Problem, Support, Tensor


class Adopter:
    """Softmax in float64, rounded once to the dtype asked for."""

    name = "adopter"

    def describe(self) -> Description:
        """What the numbers depend on."""
        return Description({"lossproof-adopter": "1.0", "numpy": np.__version__})

    def capabilities(self) -> Capabilities:
        """The engine asks for nothing else."""
        return Capabilities(ops={"softmax": Support("composed")}, dtypes=("float64", "float32"))

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """The value, and the VJP where there is a cotangent."""
        with np.errstate(invalid="ignore"):
            e = np.exp(problem.x - problem.x.max(axis=problem.axis, keepdims=True))
            p = e / e.sum(axis=problem.axis, keepdims=True)
        results = {"value": p}
        if problem.cotangent is not None:
            v = problem.cotangent
            results["vjp"] = p * (v - (p * v).sum(axis=problem.axis, keepdims=True))
        return {n: Tensor(a.astype(problem.dtype).astype(float), problem.dtype) for n, a in results.items()}

    def error_kind(self, error: Exception) -> str:
        """NumPy's only complaint here would be about shapes."""
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """A stand-alone program for bug reports."""
        return (
            "import numpy as np\n"
            f"x = np.array({problem.x.tolist()}, dtype={problem.dtype!r})\n"
            f"e = np.exp(x - x.max(axis={problem.axis}, keepdims=True))\n"
            f"print(e / e.sum(axis={problem.axis}, keepdims=True))\n"
        )


ADAPTER = Adopter()
