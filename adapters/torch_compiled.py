"""``torch.compile`` with Inductor: one program for each signature, or with symbolic shapes for each kind of problem.

``fullgraph`` makes a part that is not compiled an error, and no limit sends recompiled code back to the interpreter.
"""

from __future__ import annotations

import os
import re
import shutil
import types
from dataclasses import replace
from typing import Any, Callable, Dict, Hashable, Sequence

import torch

from .given import Given, ignored_label
from .programs import Programs, metered, seen_by_compiler
from .protocol import Meter, Problem
from .torch_modes import Outputs, backward
from .torch_ops import function

_NO_LIMIT = 1 << 20
# Old and new names of the same limits, after which code is interpreted.
_LIMITS = ("recompile_limit", "accumulated_recompile_limit", "cache_size_limit", "accumulated_cache_size_limit")


def available() -> bool:
    """Tell whether this release compiles and finds a C++ compiler for the CPU."""
    if not hasattr(torch, "compile"):
        return False
    compilers = (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return any(shutil.which(c) for c in compilers if c)


class Compiled:
    """The evaluation of problems by compiled functions, in the modes ``compile`` (static shapes) and ``dynamic``."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._programs = Programs()
        self._number = 0

    def evaluate(self, p: Problem, g: Given, want: Sequence[str], *, dynamic: bool) -> Outputs:
        """Compute value and gradients, the forward and the backward pass compiled."""
        if not self._number:
            _configure()
        program = self._programs.get((dynamic, _key(p, dynamic)), lambda: self._compile(p, dynamic))
        ignore = ignored_label(p)

        def f(x: Any, target: Any) -> Any:
            return program(x, target, g.weight, ignore)

        with metered(self._meter, _graphs):
            return backward(f, g, [name for name in want if name in ("value", "vjp", "grad_target")])

    def _compile(self, p: Problem, dynamic: bool) -> Callable[..., Any]:
        value = function(p)

        def f(x: Any, target: Any, weight: Any, ignore: int) -> Any:
            return value(x, target, weight, ignore)

        self._number += 1
        # Guards and limits belong to the code: each program has one of its own.
        code = f.__code__.replace(co_name="program_%d" % self._number)
        own = types.FunctionType(code, f.__globals__, code.co_name, None, f.__closure__)
        return torch.compile(own, fullgraph=True, dynamic=dynamic)


def _key(p: Problem, dynamic: bool) -> Hashable:
    """Return what a compiled program depends on.

    ``label_smoothing`` is a constant of the program, the label to be ignored an argument that is always there. Symbolic
    shapes leave only the number of axes.
    """
    # Value and gradient come from one program, whichever is looked at.
    p = replace(p, only=None)
    if not dynamic:
        return seen_by_compiler(replace(p, ignore_index=None)), p.label_smoothing
    given = tuple(None if a is None else (a.ndim, a.dtype.str) for a in (p.x, p.target, p.weight, p.cotangent))
    return p.op, p.dtype, p.out_dtype, given, p.axis, p.reduction, p.label_smoothing, p.scale, p.want


def _configure() -> None:
    import torch._dynamo as dynamo

    for name in _LIMITS:
        if hasattr(dynamo.config, name):
            setattr(dynamo.config, name, _NO_LIMIT)
    config: Any = getattr(torch.compiler, "config", None)
    if hasattr(config, "dynamic_sources"):
        # An argument, not a constant: labels to ignore differ between calls of one program.
        config.dynamic_sources = "L['ignore']"


def original(error: Exception) -> str:
    """Return the message of an error; of one that tracing wraps, that of the call which raised it, without its text."""
    text = str(error)
    found = re.search(r"got (?:\w+\.)*\w*(?:Error|Exception)\((.*)", text)
    return text if found is None or not type(error).__module__.startswith("torch._dynamo") else found.group(1)


def _graphs() -> int:
    from torch._dynamo.utils import counters

    stats: Dict[str, int] = counters["stats"]
    return stats["unique_graphs"]
