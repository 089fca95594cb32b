"""A function on a framework's tensors as an adapter: derivatives are the framework's own unless they are given."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from lossproof.adapters import function_source
from lossproof.adapters.given import Given, ignored_label
from lossproof.adapters.outputs import OF_ONE_PASS, TABLE, computed_with
from lossproof.adapters.protocol import ARRAYS, Capabilities, Description, Problem
from lossproof.core.errors import UsageError
from lossproof.core.import_lines import callable_text, imports_of
from lossproof.core.own_frames import note_place
from lossproof.core.wrong_result import WrongResult, kind_of
from lossproof.functions.argument_names import ArgumentNames
from lossproof.functions.frameworks import Tensors, tensors
from lossproof.functions.picked import Pick, picked
from lossproof.targets.plain_function import Function, given_keywords, of_labels


@dataclass(frozen=True)
class TensorFunctionAdapter:
    """An adapter around a function of one op on the tensors of a framework.

    ``names`` says how the function is called, ``fixed`` which options it does not take but has, ``labels`` the dtype
    of labels where it is not that of the problem. ``offered`` are the capabilities.
    """

    name: str
    op: str
    framework: str
    value: Function
    names: ArgumentNames
    offered: Capabilities
    options: frozenset[str]
    derivatives: Mapping[str, Function] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    pick: Pick = None
    labels: str = "int64"
    defaults: frozenset[str] = frozenset()

    @cached_property
    def _tensors(self) -> Tensors:
        return tensors(self.framework)

    def describe(self) -> Description:
        """Report the interpreter and the framework; a function has no version."""
        return Description(
            {"python": platform.python_version(), "numpy": np.__version__, self.framework: _version(self.framework)}
        )

    def capabilities(self) -> Capabilities:
        """Offer one op on one device."""
        return self.offered

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Call the function with tensors of the problem's dtype, on the device, in the layout, and differentiate it."""
        p = of_labels(problem, self.labels, self.name)
        want = [name for name in p.want if name in self.offered.outputs]
        by_autodiff = [name for name in want if (TABLE[name].repeats or name) not in self.derivatives]
        together = [name for name in OF_ONE_PASS if name in by_autodiff]
        out: dict[str, Any] = {}
        if together:
            out |= self._tensors.computed(p, device, lambda g: self._differentiated(p, g, together))
        # Each of the others has a pass of its own, so that what it raises is its own answer.
        for name in [name for name in want if name not in together]:
            out |= self._alone(p, name, device)
        return out

    def _alone(self, p: Problem, name: str, device: str) -> dict[str, Any]:
        """Compute one derivative; what it raises is its own answer."""
        try:
            return self._tensors.computed(p, device, lambda g: self.of_tensors(p, g, name))
        except MemoryError:
            raise
        except Exception as error:
            return {name: error}

    def of_tensors(self, p: Problem, g: Given, name: str) -> dict[str, Any]:
        """Compute one output of tensors that are there, as the framework's tensor; nothing without a rule for it."""
        source = TABLE[name].repeats or name
        given = self.derivatives.get(source)
        if given is None:
            found = self._differentiated(p, g, computed_with(name))
            return {name: found[name]} if name in found else {}
        arrays = [getattr(g, field) for field in ("x", *TABLE[source].takes)]
        return {name: self._checked(self._run(lambda: given(*arrays, **self._keywords(p, g, g.target))))}

    def _differentiated(self, p: Problem, g: Given, want: Sequence[str]) -> dict[str, Any]:
        is_derived = any(name != "value" for name in want)
        seen: list[str] = []

        def f(x: Any, target: Any) -> Any:
            keywords = self._keywords(p, g, target)
            if p.scale != 1.0 and "scale" not in self.options:
                x = x * p.scale
            result = self._checked(self._run(lambda: self.names.call(self.value, {"x": x, **keywords})))
            seen[:] = [_unlike(result, p, self._tensors)]
            if is_derived and not seen[0] and self._tensors.is_cut_off(result) and _requires(x):
                raise WrongResult(
                    f"{self.name}'s result has no gradient: it is cut off from the logits (detach, no_grad, item or "
                    "NumPy inside?); autodiff=False judges the value alone"
                )
            return result

        try:
            return self._tensors.derive(f, g, want)
        except Exception as error:
            if is_derived and seen and seen[0] and not isinstance(error, WrongResult):
                raise WrongResult(f"{self.name}'s {seen[0]}: it has no gradient for that") from error
            raise

    def _keywords(self, p: Problem, g: Given, target: Any) -> dict[str, Any]:
        found = self._given(p, lambda name: target if name == "target" else getattr(g, name), self._tensors.dtype)
        if p.omit:
            found = {name: v for name, v in found.items() if name not in self.defaults}
        return found

    def _given(self, p: Problem, array: Callable[[str], Any], dtype: Callable[[str], Any]) -> dict[str, Any]:
        """The keywords of a call, with a label that occurs nowhere where the function must be given one to ignore."""
        found = given_keywords(self.name, p, self.options, array, dtype, self.fixed)
        if "ignore_index" in found and found["ignore_index"] is None and self.names.needs_label:
            found["ignore_index"] = ignored_label(p)
        return found

    def _run(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            note_place(error)
            raise

    def _checked(self, result: Any) -> Any:
        result = picked(result, self.pick, self.name)
        if not self._tensors.is_tensor(result):
            raise WrongResult(f"{self.name} returns {kind_of(result)}, not a tensor of {self.framework}")
        return result

    def error_kind(self, error: Exception) -> str:
        """Classify an exception: what the framework raises has a kind, what the function raises itself has none."""
        return self._tensors.error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write a program that calls the function."""
        p = of_labels(problem, self.labels, self.name)
        want = [name for name in p.want if name in self.offered.outputs]
        if any(name in self.derivatives for name in want):
            raise UsageError(f"no program of a derivative that {self.name} has a function of its own for")
        named = {name: name for name in ARRAYS if getattr(p, name) is not None}
        found = self._given(p, named.get, str)
        texts = {"x": "x" if p.scale == 1.0 else f"x * {p.scale!r}"}
        texts |= {name: name if name in named else repr(value) for name, value in found.items()}
        call = f"{callable_text(self.value, self.name)}({self.names.text(texts)})"
        lines = function_source.FRAMEWORKS[self.framework]
        return lines.script(p, self.framework, device, want, call, list(imports_of(self.value, self.name)))


def _requires(x: Any) -> bool:
    return bool(getattr(x, "requires_grad", True))


def _unlike(value: Any, p: Problem, kit: Tensors) -> str:
    """Say in what the shape or the dtype of a value is not that of the result; an empty text if in nothing."""
    shape = tuple(value.shape)
    if shape != p.shape_of("value"):
        return f"value has shape {shape}, expected {p.shape_of('value')}"
    wanted = p.dtype_of("value")
    return "" if value.dtype == kit.dtype(wanted) else f"value has dtype {value.dtype!s}, expected {wanted}"


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""
