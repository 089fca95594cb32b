"""The frameworks whose tensors a function may take: how each places, differentiates and pulls back, and which one a
function is written for."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol, cast

from lossproof.adapters.given import Given
from lossproof.adapters.protocol import Problem, Tensor
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")
# Packages whose functions take the tensors of a framework.
_ROOTS = {
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "tensorflow": "tensorflow",
    "triton": "torch",
    "optax": "jax",
}
# Calls that are followed from a function into those that it calls.
_DEPTH = 3


class Tensors(Protocol):
    """The way of a problem through a framework, as ``adapters/torch_tensors.py`` and its siblings have it."""

    OFFERED_LAYOUTS: tuple[str, ...]

    def computed(self, p: Problem, device: str, outputs: Callable[[Given], dict[str, Any]], /) -> dict[str, Any]:
        """Place, compute, wait, check the device, pull back."""
        ...

    def derive(self, f: Callable[[Any, Any], Any], g: Given, want: Sequence[str], /) -> dict[str, Any]:
        """Compute a value and its derivatives by the framework's own means."""
        ...

    def dtype(self, name: str, /) -> Any:
        """Return the framework's dtype of a format."""
        ...

    def is_tensor(self, a: Any, /) -> bool:
        """Tell whether something is a tensor of the framework."""
        ...

    def pulled(self, t: Any, /) -> Tensor:
        """Pull a tensor back exactly."""
        ...

    def is_cut_off(self, value: Any, /) -> bool:
        """Tell whether a value has no graph to its inputs."""
        ...

    def error_kind(self, error: Exception, /) -> str:
        """Classify an exception."""
        ...


def tensors(framework: str) -> Tensors:
    """Import the way of problems through a framework. Raises :class:`UsageError` if it is not installed."""
    try:
        return cast(Tensors, import_module(f"lossproof.adapters.{framework}_tensors"))
    except ImportError as error:
        raise UsageError(
            f"framework {framework!r} does not import ({error}); pip install 'lossproof[{framework}]'"
        ) from None


def imported(framework: str) -> bool:
    """Tell whether somebody has imported a framework already: a function of it has."""
    return framework in sys.modules


def has_x64() -> bool:
    """Tell whether JAX has numbers of 64 bits, as the caller has set it."""
    jax = sys.modules.get("jax")
    return bool(jax is not None and jax.config.jax_enable_x64)


def framework_of(function: Any, given: str | None) -> str:
    """Return the framework that is ``given``, or the one that a function is written for; empty if nothing tells.

    A module or a loss of a framework tells by its type, a function by what its globals, closures and annotations hold
    of a framework. Raises :class:`UsageError` for an unknown one, and where several would do.
    """
    if given is not None:
        known_names("framework", [given], FRAMEWORKS)
        return given
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(function, keras.losses.Loss):
        return _of_keras()
    mentioned = set(_mentioned(function, _DEPTH, set()))
    if mentioned == {"numpy"}:
        # Of a kernel with tensors it may be a constant: whether it takes arrays, it is asked.
        return ""
    found = mentioned - {"numpy"} or set(_of_module(function)) - {"numpy"}
    if "keras" in found:
        found = (found - {"keras"}) or {_of_keras()}
    if len(found) > 1:
        raise UsageError(
            f"the function speaks of {' and '.join(sorted(found))}; say framework='...', which one it takes"
        )
    return next(iter(found), "")


def _of_keras() -> str:
    backend: str = sys.modules["keras"].backend.backend()
    if backend not in ("torch", "jax", "tensorflow"):
        raise UsageError(f"Keras runs on {backend}, which differentiates nothing; set KERAS_BACKEND to torch, say")
    return backend


def _root(a: Any) -> str:
    """The framework of a module, a class, a function or an object, by the package that it comes from."""
    name = a.__name__ if isinstance(a, ModuleType) else getattr(a, "__module__", None) or type(a).__module__
    root = str(name).partition(".")[0]
    return "keras" if root == "keras" else _ROOTS.get(root, "")


def _mentioned(a: Any, depth: int, seen: set[int]) -> Iterator[str]:
    """The frameworks that something speaks of."""
    if id(a) in seen or depth < 0:
        return
    seen.add(id(a))
    kinds = type(a).__mro__ if not isinstance(a, type) else a.__mro__
    own = next((root for root in (_root(a), *map(_root, kinds)) if root), "")
    if own:
        yield own
        return
    for inner in _inner(a):
        yield from _mentioned(inner, depth - 1, seen)


def _inner(a: Any) -> Iterator[Any]:
    """What a function, a method, a partial or an object that can be called is made of."""
    wrapped = getattr(a, "__wrapped__", None) or getattr(a, "__func__", None) or getattr(a, "func", None)
    if wrapped is not None:
        yield wrapped
    owner = getattr(a, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        yield owner if isinstance(owner, type) else type(owner)
    if isinstance(a, FunctionType):
        names = set(_names_in(a.__code__))
        for name in sorted(names & a.__globals__.keys()):
            value = a.__globals__[name]
            if isinstance(value, ModuleType | type) or callable(value):
                yield value
        for cell in a.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue
        for note in a.__annotations__.values():
            root = note.partition(".")[0] if isinstance(note, str) else ""
            yield a.__globals__.get(root) if root else note
    elif isinstance(a, type) or callable(a):
        kind = a if isinstance(a, type) else type(a)
        for name in ("__call__", "forward", "call"):
            member = inspect.getattr_static(kind, name, None)
            member = getattr(member, "__func__", member)
            if isinstance(member, FunctionType):
                yield member


def _of_module(a: Any) -> Iterator[str]:
    """The frameworks that the module of a function imports: it may take tensors without naming any."""
    module = sys.modules.get(getattr(a, "__module__", None) or "")
    for value in list(vars(module).values()) if module is not None else ():
        if isinstance(value, ModuleType) and _root(value):
            yield _root(value)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
