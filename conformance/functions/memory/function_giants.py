"""The giant drivers of functions: that of the framework, with the function in the place of the ops."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import numpy as np

from lossproof.adapters.giant import GiantDriver
from lossproof.adapters.given import Given
from lossproof.adapters.numpy_giant import NumpyGiant
from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Problem
from lossproof.core.wrong_result import WrongResult, kind_of
from lossproof.functions.function_adapter import FunctionAsAdapter
from lossproof.functions.tensor_function import TensorFunctionAdapter
from lossproof.targets.plain_function import FunctionAdapter, given_keywords, numpy_dtype, of_labels


class ArrayGiant(NumpyGiant):
    """The giant driver of a function on NumPy arrays, which has them as they are."""

    def __init__(self, adapter: FunctionAdapter) -> None:
        self._adapter = adapter

    def place(self, a: np.ndarray[Any, Any], dtype: str, device: str) -> np.ndarray[Any, Any]:
        """Return an array in the dtype; labels in that which the function takes."""
        if dtype == "int64":
            return a.astype(self._adapter.labels, copy=False)
        return a.view(numpy_dtype(dtype)) if a.dtype == np.uint16 else a

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> dict[str, Any]:
        """Call the functions of the outputs that are wanted."""
        a = self._adapter
        keywords = given_keywords(a.name, problem, a.options, lambda name: getattr(given, name), numpy_dtype, a.fixed)
        if a.needs_label and "ignore_index" in keywords and keywords["ignore_index"] is None:
            keywords["ignore_index"] = -1
        functions: Mapping[str, Any] = {"value": a.value, "vjp": a.grad}
        found = {}
        for name in problem.want:
            if functions.get(name) is not None:
                arrays = [getattr(given, field) for field in ("x", *TABLE[name].takes)]
                found[name] = functions[name](*arrays, **keywords)
                if not isinstance(found[name], np.ndarray | np.generic):
                    raise WrongResult(f"returns {kind_of(found[name])}, not an array")
        return found

    def block(self, t: Any, index: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        """Return a part, exactly."""
        a = np.asarray(t)[index]
        return a if a.dtype == np.float64 else a.astype(np.float32)

    def dtype_of(self, t: Any) -> str:
        """Return the name of the dtype."""
        return str(np.asarray(t).dtype.name)


def giant_driver(adapter: FunctionAsAdapter) -> GiantDriver:
    """Return the giant driver of a function: that of its framework, with the function in the place of the ops."""
    if not isinstance(adapter, TensorFunctionAdapter):
        return cast(GiantDriver, ArrayGiant(adapter))

    def outputs(problem: Problem, given: Given, mode: str) -> dict[str, Any]:
        p = of_labels(problem, adapter.labels, adapter.name)
        found: dict[str, Any] = {}
        for name in p.want:
            if name in adapter.offered.outputs:
                found |= adapter.of_tensors(p, given, name)
        return found

    driver = import_module(f"lossproof.adapters.{adapter.framework}_giant").Driver(outputs)
    return cast(GiantDriver, driver)
