"""A plain function as an adapter: NumPy arrays in and out, no framework, judged like any other implementation."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from lossproof.adapters import layouts
from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import (
    ARRAYS,
    LAYOUTS,
    Capabilities,
    Description,
    Problem,
    Support,
    Tensor,
    UnsupportedProblem,
)
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS

Function = Callable[..., Any]
# The formats that NumPy has by itself.
NUMPY_DTYPES = tuple(name for name, fmt in FORMATS.items() if not fmt.package)
# The outputs that a function of ``derivatives`` may compute; ``value`` and ``grad`` have parameters of their own.
DERIVATIVES = tuple(name for name, output in TABLE.items() if output.order and name != "vjp" and not output.repeats)


@dataclass(frozen=True)
class FunctionAdapter:
    """An adapter around plain functions, whose signatures ``check_implementation`` documents."""

    name: str
    op: str
    value: Function
    grad: Function | None = None
    dtypes: tuple[str, ...] = NUMPY_DTYPES
    options: frozenset[str] = frozenset({"axis", "weight", "ignore_index", "reduction", "label_smoothing"})
    targets: tuple[str, ...] = ("index", "probability")
    profiles: Mapping[str, str] = field(default_factory=dict)
    derivatives: Mapping[str, Function] = field(default_factory=dict)
    online: bool = False
    mean: str = "mean"
    normalised_targets: bool = False
    conventions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    refuses: Mapping[str, Any] = field(default_factory=dict)
    defaults: frozenset[str] = frozenset()

    def describe(self) -> Description:
        """Report the interpreter and NumPy; a plain function has no version."""
        return Description({"python": platform.python_version(), "numpy": np.__version__})

    def capabilities(self) -> Capabilities:
        """Offer one op, on the CPU."""
        profiles = {(self.op, dtype): profile for dtype, profile in self.profiles.items()}
        support = {self.op: Support("native", self.targets)}
        outputs = tuple(name for name, output in TABLE.items() if self._functions.get(output.repeats or name))
        return Capabilities(
            support,
            self.dtypes,
            profiles=profiles,
            online=self.online,
            outputs=outputs,
            out_dtypes=(self.op,) if "out_dtype" in self.options else (),
            layouts=LAYOUTS,
            laid=ARRAYS,
            omits=(self.op,) if self.defaults else (),
            normalised_targets=self.normalised_targets,
            mean=self.mean,
            conventions={(clause, self.op, output): shown for (clause, output), shown in self.conventions.items()},
            **self.refuses,
        )

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Call the functions with arrays of the problem's own dtype and layout."""
        dtype = numpy_dtype(problem.dtype)
        plans = layouts.of_problem(problem)

        def given(name: str) -> Any:
            a = getattr(problem, name)
            if a is None:
                return None
            a = a.astype(a.dtype if a.dtype.kind in "iu" else numpy_dtype(problem.dtype_of_input(name)))
            if name == "x" and problem.scale != 1.0 and "scale" not in self.options:
                with np.errstate(over="ignore"):
                    a = a * dtype.type(problem.scale)
            return layouts.lay(a, plans[name]) if name in plans else a

        keywords = self._keywords(problem, given)
        if problem.omit:
            keywords = {name: a for name, a in keywords.items() if name not in self.defaults}

        out, arrays = {}, {}
        for name in problem.want:
            source = TABLE[name].repeats or name
            function = self._functions.get(source)
            if function is not None:
                # What is repeated takes the same arrays: an implementation may have kept something of the first time.
                if source not in arrays:
                    arrays[source] = {field: given(field) for field in ("x", *TABLE[source].takes)}
                out[name] = _result_or_error(function, arrays[source], keywords)
        return out

    @property
    def _functions(self) -> dict[str, Function | None]:
        return {"value": self.value, "vjp": self.grad, **self.derivatives}

    def _keywords(self, problem: Problem, array: Callable[[str], Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"axis": problem.axis}
        if problem.out_dtype is not None:
            given["out_dtype"] = numpy_dtype(problem.out_dtype)
        if "scale" in self.options:
            given["scale"] = problem.scale
        if problem.is_loss:
            given |= {
                "target": array("target"),
                "weight": array("weight"),
                "ignore_index": problem.ignore_index,
                "reduction": problem.reduction,
            }
            if self.op == "cross_entropy":
                given["label_smoothing"] = problem.label_smoothing
        defaults = {"axis": -1, "ignore_index": None, "reduction": "mean", "label_smoothing": 0.0}
        for name in [n for n in given if n != "target" and n not in self.options]:
            at_end = name == "axis" and problem.axis % problem.x.ndim == problem.x.ndim - 1
            # Weights are arrays, and NumPy takes None for float64: these differ from the default by being there.
            by_being = name in ("weight", "out_dtype")
            if not at_end and (given[name] is not None if by_being else given[name] != defaults[name]):
                raise UnsupportedProblem(f"{self.name} takes no {name}")
            del given[name]
        return given

    def error_kind(self, error: Exception) -> str:
        """Classify an exception: plain functions have no taxonomy."""
        return "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Raise :class:`UsageError`: a program would need the caller's function."""
        raise UsageError(f"{self.name} is a plain function; call it with the printed inputs")


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a format. Raises :class:`UsageError` if it is unknown or needs a missing package."""
    fmt = FORMATS.get(name)
    if fmt is None:
        raise UsageError(f"unknown dtype {name!r}; expected one of {', '.join(FORMATS)}")
    if not fmt.package:
        return np.dtype(name)
    try:
        package = import_module(fmt.package)
    except ImportError:
        raise UsageError(
            f"{name} in plain functions needs the package {fmt.package}; pip install {fmt.package}"
        ) from None
    return np.dtype(getattr(package, name))


# Before the type of what is no array, in place of its dtype.
NOT_AN_ARRAY = "type "


class InputModified(Exception):  # noqa: N818 (an answer of the function, not a fault of the suite)
    """A function has written into an array that it was given."""


def _result_or_error(function: Function, arrays: Mapping[str, Any], keywords: Mapping[str, Any]) -> Any:
    """Call a function; what it raises is the answer of its own output alone, an interrupt is the user's."""
    try:
        return _called(function, arrays, keywords)
    except (KeyboardInterrupt, MemoryError, UnsupportedProblem):
        raise
    except BaseException as error:
        return error


def _called(function: Function, arrays: Mapping[str, Any], keywords: Mapping[str, Any]) -> Tensor:
    given = {**arrays, **keywords}
    before = {name: a.tobytes() for name, a in given.items() if isinstance(a, np.ndarray)}
    result = _pulled(function(*arrays.values(), **keywords))
    modified = [name for name, bits in before.items() if bits != given[name].tobytes()]
    if modified:
        raise InputModified(f"{getattr(function, '__name__', 'the function')} modifies its input {', '.join(modified)}")
    return result


def _pulled(result: Any) -> Tensor:
    """Take an array or a NumPy scalar; a masked array, a list or a Python number has no dtype that could be right."""
    if isinstance(result, np.ma.MaskedArray) or not isinstance(result, np.ndarray | np.generic):
        return Tensor(np.ma.getdata(result).astype(np.float64), NOT_AN_ARRAY + type(result).__name__)
    a = np.asarray(result)
    return Tensor(a.astype(np.float64), _name_of(a.dtype))


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    # NumPy puts it together anew each time.
    return dtype.name
