"""Replies of workers are checked before anything is made of them: a program of any language may have written them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    _check(found.outcome)
    return found


def _check(found: Outcome) -> None:
    if found.error is not None and found.error not in _ERRORS:
        raise wire.WireError(f"its error is {found.error!r}, none of {', '.join(_ERRORS)}")
    for name, tensor in found.outputs.items():
        if name not in OUTPUTS:
            raise wire.WireError(f"it has an output {name!r}, none of {', '.join(OUTPUTS)}")
        if not isinstance(tensor, Tensor) or not isinstance(tensor.data, np.ndarray):
            raise wire.WireError(f"its {name} is no Tensor")
