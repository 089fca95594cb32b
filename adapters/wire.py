"""The frames of the byte stream in which an engine and a worker talk, and in which decks and answers lie in files.

A frame is ``MAGIC``, the lengths of its two parts (4 and 8 bytes, big-endian), a JSON text, and the raw bytes of the
arrays that the text refers to. Values are encoded by kind, dataclasses by the names of their fields, so that a field
that one side does not know is an error and not a misunderstanding. Nothing is ever executed or unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np

from .protocol import Capabilities, Description, Giant, GiantOutcome, Outcome, Problem, Support, Tensor

VERSION = 1
MAGIC = b"lossproof\x00\x01\n"
_LENGTHS = struct.Struct(">IQ")
# So much of what comes before the first frame is kept to be shown.
_GREETING = 400
# Bytes that are read at once: of a short message, for which no memory has to be asked of the system, and of a long one.
_SHORT_READ, _LONG_READ = 1 << 16, 1 << 20
HEAD = len(MAGIC) + _LENGTHS.size
_CLASSES = {c.__name__: c for c in (Capabilities, Description, Giant, GiantOutcome, Outcome, Problem, Support, Tensor)}
# Their fields, in order, with what these are by default.
_FIELDS = {name: {f.name: f.default for f in fields(c)} for name, c in _CLASSES.items()}
# Numbers and truth values; never objects.
_KINDS = "fiub"
_TO_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
Message = Dict[str, Any]


class WireError(Exception):
    """Bytes or values that are no frame of this version."""


def pack(message: Message) -> bytes:
    """Encode a message as a frame. Raises :class:`WireError` for a value that has no encoding."""
    arrays: List[np.ndarray] = []
    text = _TO_JSON.encode(_encode(message, arrays)).encode("utf-8")
    blobs = [np.ascontiguousarray(a) for a in arrays]
    size = sum(a.nbytes for a in blobs)
    # The bytes of an array may be gigabytes: they are copied once.
    parts = [a.reshape(-1).view(np.uint8).data for a in blobs if a.size]
    return b"".join([MAGIC, _LENGTHS.pack(len(text), size), text, *parts])


def read_size(last: int) -> int:
    """Return how many bytes to read at once where ``last`` came before: what fills a short read is a long message."""
    return _LONG_READ if last >= _SHORT_READ else _SHORT_READ


class Reader:
    """A decoder of messages from bytes. What comes before the first frame (a greeting of the shell, say) is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False
        self.consumed = 0
        self._dropped = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes as they come."""
        self._buffer += data

    def messages(self) -> Iterator[Message]:
        """Yield every message that is complete. Raises :class:`WireError` for bytes that are none."""
        while True:
            message = self._next()
            if message is None:
                return
            yield message

    @property
    def pending(self) -> int:
        """Number of bytes of a frame that is not complete yet."""
        return len(self._buffer)

    @property
    def greeting(self) -> bytes:
        """The beginning of what came before the first frame, whether there is one or not."""
        return bytes(self._dropped + (b"" if self._begun else self._buffer))[:_GREETING]

    def _next(self) -> Optional[Message]:
        buffer = self._buffer
        if not self._begun:
            start = buffer.find(MAGIC)
            if start < 0:
                # The end may be the first part of the mark.
                self._drop(max(0, len(buffer) - len(MAGIC)))
                return None
            self._drop(start)
            self._begun = True
        if len(buffer) < HEAD:
            return None
        if not buffer.startswith(MAGIC):
            raise WireError("not a frame of lossproof: it begins with %r" % bytes(buffer[: len(MAGIC)]))
        n_text, n_blob = _LENGTHS.unpack(bytes(buffer[len(MAGIC) : HEAD]))
        end = HEAD + n_text + n_blob
        if len(buffer) < end:
            return None
        text, whole = bytes(buffer[HEAD : HEAD + n_text]), memoryview(buffer)
        blob = whole[HEAD + n_text : end]
        try:
            message = _decode(json.loads(text.decode("utf-8")), blob)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
            raise WireError("a frame that cannot be read: %s: %s" % (type(error).__name__, error)) from None
        finally:
            # Nothing is dropped from a buffer that somebody looks into; arrays are copies.
            blob.release()
            whole.release()
            self._drop(end)
        if not isinstance(message, dict) or "kind" not in message:
            raise WireError("a frame that is no message")
        return message

    def _drop(self, n: int) -> None:
        if not self._begun:
            self._dropped += self._buffer[: min(n, _GREETING - len(self._dropped))]
        del self._buffer[:n]
        self.consumed += n


def _encode(value: Any, arrays: List[np.ndarray]) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return {"float": float(value).hex()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise WireError("an array of dtype %s has no encoding" % value.dtype)
        arrays.append(value)
        return {"array": value.dtype.str, "shape": list(value.shape), "size": value.nbytes}
    if isinstance(value, tuple):
        return {"tuple": [_encode(v, arrays) for v in value]}
    if isinstance(value, list):
        return [_encode(v, arrays) for v in value]
    # The check of a mere Mapping is slow.
    if isinstance(value, (dict, Mapping)):
        return {"map": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise WireError("a value of type %s has no encoding" % name)
    used = {}
    for field, default in _FIELDS[name].items():
        given = getattr(value, field)
        # Defaults stay at home: a field that is not used need not be known on the other side. Most are the very object.
        if given is default:
            continue
        if isinstance(value, Tensor) and field == "data":
            # What an array library gives for no axes at all may be a number.
            given = np.asarray(given)
        if not _is_default(given, default):
            used[field] = _encode(given, arrays)
    return {"is": name, "fields": used}


def _is_default(value: Any, default: Any) -> bool:
    # -0.0 equals 0.0, and is another number.
    return type(value) is type(default) and bool(value == default) and str(value) == str(default)


class _Blob:
    """The arrays of a frame, taken in the order in which its text mentions them."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, dtype: str, shape: Tuple[int, ...], size: int) -> np.ndarray:
        kind = np.dtype(dtype)
        count = 1
        for n in shape:
            count *= n
        if kind.kind not in _KINDS or count * kind.itemsize != size or self.at + size > len(self.data):
            raise ValueError("an array of dtype %r and shape %s in %d bytes" % (dtype, shape, size))
        # A copy is aligned, writable and nobody else's, as an adapter may expect.
        found = np.frombuffer(self.data, kind, count, self.at).reshape(shape).copy()
        self.at += size
        return found


def _decode(value: Any, blob: memoryview) -> Any:
    return _decoded(value, _Blob(blob))


def _decoded(value: Any, blob: _Blob) -> Any:
    if isinstance(value, list):
        return [_decoded(v, blob) for v in value]
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float.fromhex(value["float"])
    if "array" in value:
        return blob.take(value["array"], tuple(value["shape"]), value["size"])
    if "tuple" in value:
        return tuple(_decoded(v, blob) for v in value["tuple"])
    if "map" in value:
        return {_decoded(k, blob): _decoded(v, blob) for k, v in value["map"]}
    known = _CLASSES[value["is"]]
    given = {k: _decoded(v, blob) for k, v in value["fields"].items()}
    if not given.keys() <= _FIELDS[value["is"]].keys():
        names = ", ".join(sorted(given.keys() - _FIELDS[value["is"]].keys()))
        raise ValueError("%s has no field %s here: the two sides are of different versions" % (known.__name__, names))
    return known(**given)
