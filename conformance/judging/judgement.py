"""A judgement is what judging adds to an answer: a function of the call, the answer and the target's declaration.

So it can be kept instead of the truth, which is a thousand times larger: where the same engine meets the same answer
again, it is the same observation, but for the seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from lossproof.adapters.protocol import Outcome
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging.check import Hearing

# The fields of an observation that judging decides. The others are of the call, the target and this answer to it.
FIELDS = (
    "verdict",
    "share",
    "ulp",
    "index",
    "got",
    "exact",
    "allowed",
    "message",
    "conventions",
    "profile",
    "met",
    "bits",
)
Found = Mapping[str, Mapping[str, Any]]
_KEY_BYTES = 20


def to_text(observations: Iterable[Observation]) -> str:
    """Write what is judged of one answer, by output, as JSON with every number to the bit."""
    found = {o.output: [*(getattr(o, name) for name in FIELDS), o.call is not None] for o in observations}
    return json.dumps(found, separators=(",", ":"))


def from_text(text: str) -> Found:
    """Read what :func:`to_text` wrote: the fields of observations by output, ``call`` among them as a truth value.

    A text that bears its checksum is one that this engine wrote.
    """
    found = {}
    for output, values in json.loads(text).items():
        made = dict(zip((*FIELDS, "call"), values, strict=True))
        made["index"] = tuple(made["index"])
        made["exact"] = made["exact"] and tuple(made["exact"])
        found[output] = made
    return found


def applied(base: Observation, call: Call, judgement: Mapping[str, Any]) -> Observation:
    """Fill an observation in with a judgement."""
    return replace(base, **{**judgement, "call": call if judgement["call"] else None})


def differing(kept: str, made: str) -> str:
    """Say what two judgements of one answer differ in: the first output and field, and both of its values."""
    one, other = (from_text(text) if kept != made else {} for text in (kept, made))
    for output in dict.fromkeys([*one, *other]):
        for name in (*FIELDS, "call"):
            a, b = (side.get(output, {}).get(name) for side in (one, other))
            if json.dumps(a) != json.dumps(b):
                return f"{name} of {output} was {a!r} and is {b!r}"
    return ""


class Keys:
    """The keys of judgements under one engine, whose digest is ``engine``: equal keys, equal judgements.

    A key is made of all that judging reads: the call with every number, the declaration, and the answer's own bits.
    """

    def __init__(self, engine: bytes) -> None:
        self._engine = engine
        self._declarations: dict[str, bytes] = {}

    def of_name(self, name: str) -> bytes:
        """The key of what is no judgement, and has a name."""
        return hashlib.sha256(self._engine + name.encode()).digest()

    def of_call(self, call: Call) -> bytes:
        """The part of a key that is the call's; all targets share it."""
        h = hashlib.sha256(self._engine)
        _feed(h, call)
        return h.digest()

    def of_answer(self, call: bytes, declared: Declared, outcome: Outcome, outputs: Iterable[str]) -> bytes:
        """The key of some outputs of an answer to a call, of which ``call`` is the part."""
        h = hashlib.sha256(call)
        h.update(repr(declared).encode())
        for name in sorted(outputs):
            _feed_output(h, name, outcome)
        return h.digest()[:_KEY_BYTES]

    def of_hearing(self, hearing: Hearing) -> bytes:
        """The key of a check: its calls, those made from answers included, all answers, and all that is declared."""
        name = hearing.target.name
        if name not in self._declarations:
            self._declarations[name] = hashlib.sha256(repr(hearing.target.capabilities).encode()).digest()
        check = hearing.check
        h = hashlib.sha256(self._engine)
        h.update(repr((check.id, check.name, check.provenance, check.outputs)).encode() + self._declarations[name])
        for call, outcome in zip(hearing.calls, hearing.outcomes, strict=True):
            _feed(h, call)
            said = (outcome.error, outcome.message, sorted(outcome.failures.items()), sorted(outcome.modified))
            h.update(repr((said, sorted(outcome.outputs))).encode())
            for output in sorted(outcome.outputs):
                _feed_output(h, output, outcome)
        return h.digest()[:_KEY_BYTES]


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...


def _feed(h: _Hash, call: Call) -> None:
    """Feed everything of a call that judging reads."""
    h.update(repr((call.id, call.content, call.outputs, call.random_order, call.provenance)).encode())


def _feed_output(h: _Hash, name: str, outcome: Outcome) -> None:
    tensor = outcome.outputs[name]
    a = tensor.data
    h.update(f"\n{name} {tensor.dtype} {a.dtype.str}{a.shape}".encode())
    h.update(np.ascontiguousarray(a).data)
