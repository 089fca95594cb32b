"""ExecuTorch: PyTorch's functions, exported for each shape and run by the kernels that ExecuTorch has for the CPU.

Values alone: a program on a device computes no gradients. The losses are what PyTorch's exporter makes of them, of
ExecuTorch's own log-softmax and of its kernels that gather and reduce.
"""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib import metadata
from typing import Any, Dict, List, Tuple

import torch
from executorch.exir import to_edge
from executorch.runtime import Runtime

from . import compose, source, torch_source
from .given import ignored_label
from .programs import Programs, metered, seen_by_compiler
from .protocol import Capabilities, Description, Meter, Problem, Support, UnsupportedProblem
from .torch_ops import function, placed, pulled
from .torch_tensors import error_kind

_HOW = "PyTorch's function, exported and lowered to ExecuTorch's operators"
_IMPORTS = ("from executorch.exir import to_edge", "from executorch.runtime import Runtime")
_TARGETS = ("index", "probability")


class _Called(torch.nn.Module):  # type: ignore[misc]
    """A module that calls a function: the exporter takes modules."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call

    def forward(self, *tensors: Any) -> Any:
        return self.call(*tensors)


class ExecutorchAdapter:
    """Programs of one function each."""

    name = "executorch"

    def __init__(self) -> None:
        self.meter = Meter()
        self._programs = Programs()
        self._runtime = Runtime.get()
        self._capabilities = Capabilities(
            ops={
                "softmax": Support("native"),
                "log_softmax": Support("native"),
                "nll_loss": Support("composed", ("index",), _HOW),
                "cross_entropy": Support("composed", _TARGETS, _HOW),
            },
            outputs=("value",),
            compile_cost="cheap",
        )

    def describe(self) -> Description:
        """Report the versions of ExecuTorch and of PyTorch, whose exporter it takes."""
        versions = {name: metadata.version(name) for name in ("executorch", "torch", "numpy")}
        return Description({**versions, "python": platform.python_version()})

    def capabilities(self) -> Capabilities:
        """Offer values on the CPU."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run the program of a problem, made once for its shapes and options."""
        if problem.dtype == "float64" and problem.op in ("log_softmax", "cross_entropy"):
            raise UnsupportedProblem("ExecuTorch's log-softmax has no float64")
        g = placed(problem, device)
        tensors = tuple(getattr(g, name) for name in _given(problem))
        with metered(self.meter, lambda: self._programs.made):
            key = (seen_by_compiler(problem), ignored_label(problem), problem.label_smoothing)
            method = self._programs.get(key, lambda: self._lowered(problem, tensors))[0]
            try:
                (value,) = method.execute(list(tensors))
            except RuntimeError:
                # Kernels that refuse a label say nothing but a number.
                compose.check_labels(problem)
                raise
        return {"value": pulled(value)}

    def _lowered(self, p: Problem, tensors: Tuple[Any, ...]) -> Any:
        f, ignore = function(p), ignored_label(p)

        def call(*arguments: Any) -> Any:
            g = dict(zip(_given(p), arguments))
            return f(g["x"], g.get("target"), g.get("weight"), ignore)

        exported = torch.export.export(_Called(call), tensors)
        made = to_edge(exported).to_executorch()
        program = self._runtime.load_program(made.buffer)
        # A method reads the program's bytes, and neither keeps the other (pytorch/executorch#10725).
        return program.load_method("forward"), program, made

    def error_kind(self, error: Exception) -> str:
        """Classify an exception as PyTorch's are, whose exporter refuses what it would refuse itself."""
        is_label = isinstance(error, IndexError) and str(error).startswith("label ")
        return "bad_label" if is_label else error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same steps as a program of PyTorch and ExecuTorch."""
        p = replace(problem, cotangent=None, tangent=None, target_tangent=None)
        given = ", ".join(_given(p))
        body = [*torch_source.tensors(p, device), "", "class Called(torch.nn.Module):"]
        body += ["    def forward(self, %s):" % given, "        return %s" % torch_source.call(p), "", ""]
        body += ["exported = torch.export.export(Called(), (%s,))" % given]
        body += ["made = to_edge(exported).to_executorch()", "program = Runtime.get().load_program(made.buffer)"]
        body += ['(value,) = program.load_method("forward").execute([%s])' % given]
        body += ['print("value", value.tolist())', source.version_of("executorch")]
        imports = [*torch_source.imports(body), *_IMPORTS]
        return source.program(source.title(p, "torch and executorch"), imports, body)


def _given(p: Problem) -> List[str]:
    """Name the arrays that a program takes, in their order."""
    return [name for name in ("x", "target", "weight") if getattr(p, name) is not None]


ADAPTER = ExecutorchAdapter()
