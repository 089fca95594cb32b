"""Replies of workers are checked before anything is made of them: a program of any language may have written them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from lossproof.adapters import wire
from lossproof.adapters.protocol import (
    ERROR_KINDS,
    OUTPUTS,
    Capabilities,
    Description,
    GiantOutcome,
    Outcome,
    Support,
    Tensor,
)
from lossproof.core.errors import UsageError

_PROTOCOL = "docs/adapter-protocol.md says what it must hold"
# What the engine says of a process that gives no answer, and a worker may say of itself.
_ERRORS = (*ERROR_KINDS, "crash", "timeout")


def check_hello(hello: wire.Message) -> None:
    """Check the first message of a worker. Raises :class:`UsageError` that says what is wrong."""
    if hello.get("kind") != "hello":
        raise UsageError(f"its first message is {hello.get('kind')!r}, not 'hello'; {_PROTOCOL}")
    if hello.get("wire") != wire.VERSION:
        raise UsageError(f"the worker speaks version {hello.get('wire')} of the wire, not {wire.VERSION}")
    needed = {"adapter": str, "mode": str, "device": str, "capabilities": Capabilities, "description": Description}
    for name, kind in needed.items():
        if not isinstance(hello.get(name), kind):
            raise UsageError(f"its hello has no {name} of type {kind.__name__}; {_PROTOCOL}")
    if not hello["adapter"]:
        raise UsageError(f"its hello has an adapter without a name; {_PROTOCOL}")
    variables = hello.get("variables", {})
    if not isinstance(variables, Mapping) or not all(
        isinstance(text, str) for pair in variables.items() for text in pair
    ):
        raise UsageError(f"its hello has variables that are no map of texts; {_PROTOCOL}")
    wrong = _wrong_capabilities(hello["capabilities"])
    if wrong:
        raise UsageError(f"its capabilities are wrong: {wrong}; {_PROTOCOL}")


def _wrong_capabilities(c: Capabilities) -> str:
    if not isinstance(c.ops, Mapping) or not all(isinstance(s, Support) for s in c.ops.values()):
        return "ops is no map of names to Support"
    for name in ("dtypes", "devices", "modes", "outputs", "layouts"):
        words: Any = getattr(c, name)
        if not isinstance(words, tuple) or not words or not all(isinstance(word, str) for word in words):
            return f"{name} is no tuple of texts"
    return ""


def elsewhere(hello: wire.Message, mode: str, device: str) -> str:
    """Return where a worker computes, if that is not where it was asked to; empty if it is."""
    said = hello["mode"], hello["device"]
    return "" if said == (mode, device) else f"in mode {said[0]!r} on {said[1]!r}"


def outcome_of(reply: wire.Message, number: int) -> Outcome:
    """Return the outcome of the request of a number. Raises :class:`wire.WireError` for a reply that is none of it."""
    if reply["kind"] != "outcome" or reply.get("id") != number:
        raise wire.WireError(f"it is {reply['kind']!r} of {reply.get('id')}, not the outcome of request {number}")
    found = reply.get("outcome")
    if not isinstance(found, Outcome):
        raise wire.WireError("it has no outcome")
    _check(found)
    return found


def giant_outcome_of(reply: wire.Message, number: int) -> GiantOutcome:
    """Return the outcome of the giant request of a number. Raises :class:`wire.WireError` for a reply that is none."""
    found = reply.get("outcome")
    if reply["kind"] != "giant" or reply.get("id") != number or not isinstance(found, GiantOutcome):
        raise wire.WireError(f"it is {reply['kind']!r} of {reply.get('id')}, not the outcome of request {number}")
    if not isinstance(found.outcome, Outcome):
        raise wire.WireError("it has no outcome")
    _check(found.outcome)
    return found


def _check(found: Outcome) -> None:
    if found.error is not None and found.error not in _ERRORS:
        raise wire.WireError(f"its error is {found.error!r}, none of {', '.join(_ERRORS)}")
    if not isinstance(found.outputs, Mapping):
        raise wire.WireError("its outputs are no map of names to Tensors")
    for name, tensor in found.outputs.items():
        if name not in OUTPUTS:
            raise wire.WireError(f"it has an output {name!r}, none of {', '.join(OUTPUTS)}")
        if not isinstance(tensor, Tensor) or not isinstance(tensor.data, np.ndarray):
            raise wire.WireError(f"its {name} is no Tensor")


def mistyped(value: Any) -> str:
    """Name the first field of a dataclass of the protocol, or of one in it, that holds something of another type than
    it is declared; empty if there is none. Lists do for tuples, and whole numbers for others."""
    for name, hint in _hints(value.__class__).items():
        held = getattr(value, name)
        if not _fits(held, hint):
            return f"{type(value).__name__}.{name}"
        inner = held.values() if isinstance(held, Mapping) else ()
        found = next(filter(None, map(mistyped, filter(is_dataclass, inner))), "")
        if found:
            return found
    return ""


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is Union:
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        each = [parts[0]] * len(value) if isinstance(value, tuple | list) and parts[-1] is ... else parts
        return isinstance(value, tuple | list) and len(value) == len(each) and all(map(_fits, value, each))
    if kind is Mapping:
        return isinstance(value, Mapping) and all(_fits(k, parts[0]) and _fits(v, parts[1]) for k, v in value.items())
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint)
