"""A plain function as an adapter: NumPy arrays in and out, no framework, judged like any other implementation."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from numbers import Number
from typing import Any

import numpy as np

from lossproof.adapters import layouts
from lossproof.adapters.given import ignored_label
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
from lossproof.core.own_frames import note_place
from lossproof.core.wrong_result import WrongResult, kind_of

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
    fixed: Mapping[str, Any] = field(default_factory=dict)
    layouts: Sequence[str] | None = None
    labels: str = "int64"
    needs_label: bool = False
    outputs: tuple[str, ...] = tuple(TABLE)
    variants: tuple[str, ...] = ()
    memory: str = ""

    def describe(self) -> Description:
        """Report the interpreter and NumPy; a plain function has no version."""
        return Description({"python": platform.python_version(), "numpy": np.__version__})

    def capabilities(self) -> Capabilities:
        """Offer one op, on the CPU."""
        profiles = {(self.op, dtype): profile for dtype, profile in self.profiles.items()}
        support = {self.op: Support("native", self.targets)}
        there = (name for name, output in TABLE.items() if self._functions.get(output.repeats or name))
        laid = tuple(layout for layout in LAYOUTS if self.layouts is None or layout in self.layouts)
        return Capabilities(
            support,
            self.dtypes,
            profiles=profiles,
            online=self.online,
            outputs=tuple(name for name in there if name in self.outputs),
            out_dtypes=(self.op,) if "out_dtype" in {*self.options, *self.fixed} else (),
            layouts=laid,
            laid=ARRAYS if len(laid) > 1 else (),
            omits=(self.op,) if self.defaults else (),
            scales=(self.op,),
            variants=self.variants,
            normalised_targets=self.normalised_targets,
            mean=self.mean,
            memory={self.op: self.memory} if self.memory else {},
            conventions={(clause, self.op, output): shown for (clause, output), shown in self.conventions.items()},
            **self.refuses,
        )

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        """Call the functions with arrays of the problem's own dtype and layout."""
        dtype, problem = numpy_dtype(problem.dtype), of_labels(problem, self.labels, self.name)
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

        keywords = given_keywords(self.name, problem, self.options, given, numpy_dtype, self.fixed)
        if self.needs_label and "ignore_index" in keywords and keywords["ignore_index"] is None:
            keywords["ignore_index"] = ignored_label(problem)
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

    def error_kind(self, error: Exception) -> str:
        """Classify an exception: plain functions have no taxonomy."""
        return "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Raise :class:`UsageError`: a program would need the caller's function."""
        raise UsageError(f"{self.name} is a plain function; call it with the inputs that lossproof explain prints")


def of_labels(p: Problem, kind: str, name: str) -> Problem:
    """Return a problem with labels of the dtype that a function takes in the place of int64.

    Raises :class:`UnsupportedProblem` for labels that it cannot hold.
    """
    if kind == "int64" or p.target is None or p.target.dtype != np.int64:
        return p
    info = np.iinfo(kind)
    ignored = p.ignore_index if p.ignore_index is not None else 0
    if not (np.all((p.target >= info.min) & (p.target <= info.max)) and info.min <= ignored <= info.max):
        raise UnsupportedProblem(f"{name} takes labels of {kind}, which cannot hold those of this call")
    return replace(p, target=p.target.astype(kind))


def given_keywords(
    name: str,
    problem: Problem,
    options: Collection[str],
    array: Callable[[str], Any],
    dtype: Callable[[str], Any],
    fixed: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments of a problem after its logits, by the names of the specification.

    ``array`` makes an array of the problem, ``dtype`` a dtype. ``fixed`` are options that the function does not take,
    with the one value that they have in it, where that is not the default. Raises :class:`UnsupportedProblem` for an
    option that it cannot have.
    """
    given: dict[str, Any] = {"axis": problem.axis}
    if problem.out_dtype is not None:
        given["out_dtype"] = dtype(problem.out_dtype)
    if "scale" in options:
        given["scale"] = problem.scale
    if problem.is_loss:
        given |= {
            "target": array("target"),
            "weight": array("weight"),
            "ignore_index": problem.ignore_index,
            "reduction": problem.reduction,
        }
        if problem.op == "cross_entropy":
            given["label_smoothing"] = problem.label_smoothing
    for option in [n for n in given if n != "target" and n not in options]:
        if not _is_what_it_has(option, given[option], problem, fixed):
            raise UnsupportedProblem(f"{name} takes no {option}")
        del given[option]
    # What a function does not take of a variant it has built in.
    for part in problem.variant_parts:
        if part in options:
            given[part] = array(part) if part in ARRAYS else getattr(problem, part)
    return given


_DEFAULTS = {"axis": -1, "ignore_index": None, "reduction": "mean", "label_smoothing": 0.0}


def _is_what_it_has(option: str, given: Any, problem: Problem, fixed: Mapping[str, Any]) -> bool:
    """Tell whether an option that a function does not take has the value that it has in the function."""
    value = fixed.get(option, _DEFAULTS.get(option))
    if option == "axis":
        rank = problem.x.ndim
        # The second axis is the only one of an input that has no other.
        return bool(problem.axis % rank == min(value, rank - 1) % rank)
    if option == "ignore_index" and option in fixed:
        return given is None or bool(given == value)
    # Weights are arrays, and NumPy takes None for float64: these differ from the default by being there.
    by_being = option in ("weight", "out_dtype")
    return option in fixed or given is None if by_being else bool(given == value)


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
        note_place(error)
        return error


def _called(function: Function, arrays: Mapping[str, Any], keywords: Mapping[str, Any]) -> Tensor:
    given = {**arrays, **keywords}
    before = {name: a.tobytes() for name, a in given.items() if isinstance(a, np.ndarray)}
    result = _pulled(function(*arrays.values(), **keywords))
    modified = [name for name, bits in before.items() if bits != given[name].tobytes()]
    if modified:
        raise InputModified(f"{getattr(function, '__name__', 'the function')} modified its input {', '.join(modified)}")
    return result


def _pulled(result: Any) -> Tensor:
    """Take an array or a NumPy scalar; a masked array, a list or a Python number has no dtype that could be right."""
    if not _has_numbers(result):
        raise WrongResult(f"returns {kind_of(result)}, not an array")
    if isinstance(result, np.ma.MaskedArray) or not isinstance(result, np.ndarray | np.generic):
        return Tensor(np.ma.getdata(result).astype(np.float64), NOT_AN_ARRAY + type(result).__name__)
    a = np.asarray(result)
    return Tensor(a.astype(np.float64), _name_of(a.dtype))


def _has_numbers(result: object) -> bool:
    """Tell whether something is an array, or what NumPy makes one of as it stands."""
    return isinstance(result, np.ndarray | np.generic | list | Number)


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    # NumPy puts it together anew each time.
    return dtype.name
