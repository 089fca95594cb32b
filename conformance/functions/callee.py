"""The things that a caller may give as a function: what each is called with, and what is no function."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lossproof.core.errors import UsageError


@dataclass(frozen=True)
class Callee:
    """A callee is judged: ``call`` is called, ``read`` has the signature, ``name`` is how messages name it."""

    call: Callable[..., Any]
    read: Callable[..., Any]
    name: str


def callee(function: Any, name: str = "") -> Callee:
    """Take a function, a module, a loss or another object that can be called.

    Raises :class:`UsageError` for what cannot: a class that is not instantiated, something asynchronous, a value.
    """
    shown = name or _name(function)
    if isinstance(function, type):
        is_autograd = hasattr(function, "apply") and hasattr(function, "backward")
        how = f"{shown}.apply" if is_autograd else f"an instance, {shown}(...), or the name of one"
        raise UsageError(f"{shown} is a class, not a function; expected {how}")
    if not callable(function):
        raise UsageError(f"expected a function, a module or a loss; got {type(function).__name__} {function!r:.60}")
    plain = inspect.unwrap(function) if inspect.isroutine(function) else type(function).__call__
    if inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(function):
        raise UsageError(f"{shown} is asynchronous; expected a function that returns its result")
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise UsageError(f"{shown} is a generator; expected a function that returns its result")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(function, torch.nn.Module):
        return Callee(function, function.forward, shown)
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(function, keras.losses.Loss):
        if _takes_probabilities(function):
            raise UsageError(f"{shown} takes probabilities (its from_logits is False); expected from_logits=True")
        return Callee(function, _keras_loss(function), shown)
    return Callee(function, function, shown)


def _takes_probabilities(loss: Any) -> bool:
    try:
        return loss.get_config().get("from_logits") is False
    # One of the caller's own may have arguments that its configuration lacks.
    except Exception:
        return False


def _keras_loss(loss: Any) -> Callable[..., Any]:
    def signature(y_true: Any, y_pred: Any) -> Any:
        """Stand for the call of a loss; its weights are those of samples, and no part of an operation."""

    return signature


def _name(function: Any) -> str:
    found = getattr(function, "__qualname__", None) or getattr(getattr(function, "func", None), "__name__", None)
    if found is None or isinstance(function, type):
        return getattr(function, "__name__", type(function).__name__)
    owner = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") == "apply" and isinstance(owner, type):
        return f"{owner.__name__}.apply"
    # A function that is defined inside another is known by its own name.
    return str(found).rpartition("<locals>.")[2]
