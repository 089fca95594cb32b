"""Calls: a problem with a stable, readable identity and a bit-exact JSON form."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.core.case_id import ERROR, RELATION, CaseId
from lossproof.core.errors import UsageError
from lossproof.core.formats import F64, from_hex, hex_list
from lossproof.core.recipe import Recipe

_SCALARS = (
    "op",
    "dtype",
    "axis",
    "reduction",
    "ignore_index",
    "label_smoothing",
    "wrt_target",
    "layout",
    "laid",
    "out_dtype",
    "repeat_backward",
    "omit",
    "scale",
    "z_loss",
    "softcap",
    "logit_scale",
)
# Numbers of an array that are hashed at once.
_PIECE = 1 << 15
_DEFAULTS = {
    "wrt_target": False,
    "layout": "contiguous",
    "laid": "",
    "out_dtype": None,
    "repeat_backward": False,
    "omit": False,
    "scale": 1.0,
    "z_loss": 0.0,
    "softcap": 0.0,
    "logit_scale": 1.0,
}
# Added after ids were in use: absent, they leave a digest as it was.
_LATER = ("tangent", "target_tangent", "sample_weight")
_scalar_values, _array_values = attrgetter(*_SCALARS), attrgetter(*ARRAYS)
# Arrays of more numbers than this are compressed in JSON.
_LISTED = 1000
LABEL_DTYPES = ("int64", "int32", "int16", "int8", "uint8")
# What a call remembers of its content.
_OF_CONTENT = ("content", "case", "id")
TIERS = ("core", "full", "spare", "free")
# Where a call came from that is not of the deck, whatever its family.
FROM_EXPLORATION = "explored"


@dataclass(frozen=True)
class Call:
    """A problem, the family that made it, and where it came from.

    ``source`` is the problem, or the recipe of a large one, which is not kept in memory.
    ``tier`` says how dear its signature may be: ``core`` ones go to every target, ``full`` ones to all but those that
    compile dearly, ``spare`` ones (of the deck's shapes) and ``free`` ones only where a new signature costs nothing.
    ``random_order`` marks logits in random order, for which the statistical quality grade is meaningful.
    """

    source: Problem | Recipe
    family: str
    provenance: str = ""
    random_order: bool = False
    tier: str = "full"

    @property
    def problem(self) -> Problem:
        """The problem. Who asks for it more than once while nothing else is asked for gets the same one."""
        return self.source.problem if isinstance(self.source, Recipe) else self.source

    @property
    def outline(self) -> Problem:
        """A problem of the same shapes, dtypes and options, which costs nothing: its numbers mean nothing."""
        return self.source.outline if isinstance(self.source, Recipe) else self.source

    def with_problem(self, problem: Problem) -> Self:
        """Return the call with another problem."""
        return replace(self, source=problem)

    def at_tier(self, tier: str) -> Self:
        """Return the call at another tier. Its id does not depend on it, and is not made again."""
        if tier == self.tier:
            return self
        other = replace(self, tier=tier)
        other.__dict__.update({name: self.__dict__[name] for name in _OF_CONTENT if name in self.__dict__})
        return other

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are played for this one: itself. A check plays several."""
        return (self,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that observations of the call are about."""
        return self.outline.want

    @property
    def is_check(self) -> bool:
        """True for a check: it has a judge of its own and is judged alone rather than in a stack of its signature."""
        return False

    @property
    def isolate(self) -> bool:
        """True if the call may crash a process, and so is played in one apart."""
        return False

    @property
    def watched(self) -> bool:
        """True if the inputs are compared before and after."""
        return False

    @property
    def alone(self) -> str:
        """The output that is asked again, without the others, where an exception has taken all of them."""
        return "value"

    @cached_property
    def content(self) -> str:
        """The sha256 of the problem's exact content, in hexadecimal digits."""
        if isinstance(self.source, Recipe):
            return self.source.content
        p = self.source
        h = hashlib.sha256(_scalars_in_bytes(*_scalar_values(p)))
        for name, a in zip(ARRAYS, _array_values(p), strict=True):
            if a is not None:
                h.update(f"{name}{(a.dtype.kind, a.shape)}".encode())
                for piece in pieces_of_content(a):
                    h.update(piece)
            elif name not in _LATER:
                h.update(name.encode())
        return h.hexdigest()

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of the problem's exact content."""
        return self.content[:8]

    @cached_property
    def case(self) -> CaseId:
        """The call's id in its parts; details name only what differs from the default."""
        p = self.outline
        return CaseId(p.op, p.dtype, self.family, detail(p), self.digest)

    @cached_property
    def id(self) -> str:
        """The call's id."""
        return str(self.case)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :func:`from_json` turns back into the same call, bit for bit."""
        p = self.problem
        out: dict[str, Any] = _scalars(p)
        for name in ARRAYS:
            a = getattr(p, name)
            if a is not None:
                out[name] = {"shape": list(a.shape), **_numbers(a)}
        return out | {"family": self.family, "provenance": self.provenance, "random_order": self.random_order}


def _scalars(p: Problem) -> dict[str, Any]:
    return _given(_scalar_values(p))


def _given(values: Iterable[Any]) -> dict[str, Any]:
    return {k: v for k, v in zip(_SCALARS, values, strict=True) if k not in _DEFAULTS or v != _DEFAULTS[k]}


# Problems of one signature share them. Typed: 1, 1.0 and True have different texts.
@lru_cache(maxsize=1 << 14, typed=True)
def _scalars_in_bytes(*values: Any) -> bytes:
    scalars = _given(values)
    extras = {k: scalars.pop(k) for k in _DEFAULTS if k in scalars}
    return json.dumps([*scalars.values(), *([extras] if extras else [])]).encode()


def pieces_of_content(a: NDArray[Any]) -> Iterator[memoryview]:
    """Yield the numbers of an array in their order, some at a time: it may be as large as memory allows once."""
    if a.size <= _PIECE:
        yield _content(a)
        return
    pieces = np.nditer(a, flags=["external_loop", "buffered"], order="C", buffersize=_PIECE)
    for piece in cast(Iterable[NDArray[Any]], pieces):
        yield _content(piece)


def _content(a: NDArray[Any]) -> memoryview:
    """The numbers of an array, dense, little-endian, and with one NaN: payloads differ between machines. The sign of
    zero is content."""
    if a.dtype.kind == "f" and a.size and np.isnan(np.minimum.reduce(a, axis=None)):
        a = np.where(np.isnan(a), np.nan, a)
    return np.ascontiguousarray(a, a.dtype.newbyteorder("<")).data


def detail(p: Problem) -> str:
    """The readable middle of an id: shape, axis, reduction and the options in use."""
    # sanity check: a call has at least one axis
    assert p.x.ndim >= 1
    shape = p.x.shape
    rank2 = len(shape) == 2 and p.axis in (-1, 1)
    parts = [f"n{shape[0]}-k{shape[1]}" if rank2 else "s" + "x".join(map(str, shape))]
    if p.axis not in (-1, p.x.ndim - 1):
        parts.append(f"ax{p.axis}")
    if p.is_loss:
        parts.append(p.reduction)
    if p.has_probability_target:
        parts.append("q")
    if p.label_smoothing:
        parts.append(f"ls{p.label_smoothing:.3g}")
    if p.weight is not None:
        parts.append("w")
    if p.ignore_index is not None:
        parts.append(f"ig{p.ignore_index}")
    parts += [letter for letter, given in (("t", p.tangent), ("m", p.target_tangent)) if given is not None]
    if p.wrt_target and p.target_tangent is None:
        parts.append("d")
    if p.layout != "contiguous":
        parts.append(f"{p.layout}-{p.laid}" if p.laid else p.layout)
    if p.out_dtype is not None:
        parts.append(f"to-{p.out_dtype}")
    if p.repeat_backward:
        parts.append("twice")
    if p.omit:
        parts.append("defaults")
    if p.scale != 1.0:
        parts.append(f"x{p.scale:g}")
    if p.logit_scale != 1.0:
        parts.append(f"by{p.logit_scale:g}")
    if p.softcap:
        parts.append(f"cap{p.softcap:g}")
    if p.z_loss:
        parts.append(f"z{p.z_loss:g}")
    if p.sample_weight is not None:
        parts.append("sw")
    return "-".join(parts)


def from_json(data: Mapping[str, Any]) -> Call:
    """Rebuild a call.

    Raises :class:`UsageError` with the missing or wrong field, and for a case of a relation or of invalid input, which
    is more than one call.
    """
    if data.get("family") in (RELATION, ERROR):
        raise UsageError(f"a case of the family {data['family']} is more than its call; expected its id")
    try:
        values: dict[str, Any] = {k: data[k] if k not in _DEFAULTS else data.get(k, _DEFAULTS[k]) for k in _SCALARS}
        for name in ARRAYS:
            entry = data.get(name)
            if entry is not None:
                values[name] = _array(entry)
        if not isinstance(data["family"], str) or not data["family"].isprintable() or set("/ ") & set(data["family"]):
            raise ValueError(f"family {data['family']!r} has a space or a slash, or is no text")
        # sanity check: the JSON form covers every field of a problem
        assert set(values) <= {f.name for f in fields(Problem)}
        return Call(Problem(**values), data["family"], data.get("provenance", ""), data.get("random_order", False))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise UsageError(
            f"not a call: {type(error).__name__} {error}; expected the JSON that lossproof writes"
        ) from None


def _numbers(a: NDArray[Any]) -> dict[str, Any]:
    """The numbers of an array: those of a small one can be read, those of a large one are compressed."""
    if a.size > _LISTED:
        return {"zlib": base64.b64encode(zlib.compress(_content(a))).decode("ascii"), "dtype": a.dtype.name}
    if a.dtype.kind == "f":
        return {"hex": hex_list(a)}
    return {"int": a.ravel().tolist()} | ({} if a.dtype == np.int64 else {"dtype": a.dtype.name})


def _array(entry: Mapping[str, Any]) -> NDArray[Any]:
    shape = tuple(entry["shape"])
    if "hex" in entry:
        return from_hex(entry["hex"], shape)
    if "zlib" not in entry:
        return np.array(entry["int"], dtype=_integer(entry.get("dtype", "int64"))).reshape(shape)
    floating: np.dtype[Any] = np.dtype(np.float64)
    kind = floating if entry["dtype"] == floating.name else _integer(entry["dtype"])
    data = zlib.decompress(base64.b64decode(entry["zlib"], validate=True))
    return np.frombuffer(data, kind.newbyteorder("<")).astype(kind).reshape(shape)


def _integer(name: str) -> np.dtype[Any]:
    if name not in LABEL_DTYPES:
        raise ValueError(f"label dtype {name!r}, expected one of {', '.join(LABEL_DTYPES)}")
    return np.dtype(name)


def rows_first(a: F64, axis: int) -> F64:
    """Move the class axis last and flatten the others: shape ``(N, K)``."""
    moved = a if axis in (-1, a.ndim - 1) else np.moveaxis(a, axis, -1)
    return moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1])


def rows_back(a: F64, shape: tuple[int, ...], axis: int) -> F64:
    """Undo :func:`rows_first` for an array of class rows."""
    axis %= len(shape)
    if axis == len(shape) - 1:
        return a.reshape(shape)
    rest = shape[:axis] + shape[axis + 1 :]
    return np.moveaxis(a.reshape(*rest, shape[axis]), -1, axis)
