"""Records are JSON Lines: a header with evidence and then one line per observation, flushed as they come.

The header says what the deck is, so that its calls can be made again from their ids. Other calls that did not pass
(kept, explored, made by hand) travel with the record, each once, in a line of its own before what is observed of it.

Numbers are exact: finite floats as JSON numbers that read back to the same bits, the others as the texts ``"nan"``,
``"inf"`` and ``"-inf"``. A killed run leaves a readable record; a complete one ends with a line ``{"end": ...}``.
``docs/record.schema.json`` says what a line may hold. Records whose names end in .gz or .zst are compressed; they are
flushed now and then only, and cannot be resumed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lossproof.core.call import FROM_EXPLORATION, Call
from lossproof.core.case_id import CaseId
from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json, whole_text
from lossproof.core.observation import VERDICTS, Observation
from lossproof.core.profiles import STRICTNESS
from lossproof.records.compressed_text import damaged, is_compressed, open_text

FORMAT = 2
# Records of format 1 have the call in every observation of it that is no pass.
_READ = (1, FORMAT)
_DEFAULTS = {f.name: f.default for f in fields(Observation) if f.name != "conventions"}
_FLOATS = ("share", "ulp", "got", "allowed", "seconds")
# Of an output that was not judged there are none.
_MAY_LACK = frozenset({"got", "allowed"})
_TEXTS = ("id", "output", "target", "verdict")
_MORE_TEXTS = ("message", "profile", "met", "bits", "waiver", "note", "reduction")
_COUNTS = ("rows", "classes", "memory")
# Of a header.
_OBJECTS = ("deck", "filters", "shard", "withheld", "cpu", "environment", "targets", "sweep")
_NAMES = frozenset(f.name for f in fields(Observation))
_LINES_BETWEEN_FLUSHES = 1000


def to_line(o: Observation) -> dict[str, Any]:
    """Make the JSON object of an observation; fields at their defaults are left out."""
    out: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        value = getattr(o, name)
        # Most fields are at their defaults, and most others are texts. -0.0 equals 0.0, and is another number.
        if value is default or (value == default and str(value) == str(default)):
            continue
        plain = type(value) is str and value.isascii()
        out[name] = value if plain else json_ready(json_of(value) if name == "call" else value)
    if o.conventions:
        out["conventions"] = json_ready(o.conventions)
    return out


def _provenance(call: Call | Mapping[str, Any]) -> str:
    return call.provenance if isinstance(call, Call) else str(call.get("provenance", ""))


def json_of(call: Call | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object of a call that may be one already."""
    return call.to_json() if isinstance(call, Call) else call


def from_line(data: Mapping[str, Any]) -> Observation:
    """Read an observation from the line that :func:`to_line` made of it.

    Lines of older records have no ``rows``, ``classes`` and ``reduction``; they stay at their defaults. Raises
    KeyError, TypeError, ValueError, OverflowError or, for a text that is no id, :class:`UsageError` for anything else.
    """
    # A newer suite may write more; what this one knows is enough for it.
    values = {k: v for k, v in data.items() if k in _NAMES}
    for name in _TEXTS:
        if not isinstance(values[name], str):
            raise TypeError(f"{name} is not a text")
    for name in _MORE_TEXTS:
        if not isinstance(values.get(name, ""), str):
            raise TypeError(f"{name} is not a text")
    if values["verdict"] not in VERDICTS:
        raise ValueError(f"unknown verdict {values['verdict']!r}")
    for name in ("profile", "met"):
        if values.get(name, "") not in STRICTNESS:
            raise ValueError(f"unknown error profile {values[name]!r}")
    shown = values.get("conventions", {})
    if not isinstance(shown, dict) or not all(isinstance(how, str) for how in shown.values()):
        raise TypeError("conventions are no texts by clause")
    for name in _FLOATS:
        value = values.get(name)
        if value is None and name in values and name not in _MAY_LACK:
            raise TypeError(f"{name} is no number")
        if value is not None and type(value) is not float:
            values[name] = float(value)
    for name in _COUNTS:
        if not isinstance(values.get(name), int | None):
            raise TypeError(f"{name} is no whole number")
    if "index" in values:
        values["index"] = tuple(int(i) for i in values["index"])
    if values.get("exact") is not None:
        lo, hi = values["exact"]
        values["exact"] = (float(lo), float(hi))
    call = values.get("call")
    if call is not None and isinstance(call.get("label_smoothing"), str):
        values["call"] = call | {"label_smoothing": float(call["label_smoothing"])}
    CaseId.parse(values["id"])
    return Observation(**values)


def json_ready(value: Any) -> Any:
    """Convert a value to what JSON can hold and a file, too: non-finite floats become texts, tuples lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, Mapping):
        return {whole_text(str(k)): json_ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v) for v in value]
    return value


class Writer:
    """A writer of a record, one flushed line at a time.

    Raises :class:`UsageError` where the path cannot be written, with the OSError as its cause. After that the file is
    let go of, and what is written is lost.

    With ``keep`` the first so many bytes of the record that is there stay, a header and ``count`` observations.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any], *, keep: int = 0, count: int = 0) -> None:
        self.path = Path(path)
        self.count = count
        self._header = header
        self._calls: set[str] = set()
        self._unflushed = 0
        self._patience = _LINES_BETWEEN_FLUSHES if is_compressed(path) else 1
        try:
            if keep:
                os.truncate(self.path, keep)
                self._calls.update(_travelling(self.path))
            self._file: IO[str] = open_text(self.path, "a" if keep else "w")
        except OSError as error:
            raise self._error(error) from error
        if not keep:
            self._line(json_ready({"lossproof": "record", "format": FORMAT, **header}))

    def write(self, o: Observation) -> None:
        """Append one observation, after its call if that is no call of the deck and not there yet."""
        self.count += 1
        if o.call is not None:
            made_again = is_of_deck(self._header, o.id) and _provenance(o.call) != FROM_EXPLORATION
            if o.id not in self._calls and not made_again:
                self._calls.add(o.id)
                self._line(json_ready({"of": o.id, "call": json_of(o.call)}))
            o = replace(o, call=None)
        self._line(to_line(o))

    def end(self, facts: Mapping[str, Any]) -> None:
        """Say that the run is complete."""
        self._line(json_ready({"end": {"observations": self.count, **facts}}))

    def _line(self, data: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(data, allow_nan=False, separators=(",", ":")) + "\n")
            self._unflushed += 1
            if self._unflushed >= self._patience:
                self._unflushed = 0
                self._file.flush()
        except OSError as error:
            # What is in the buffer would be tried again.
            self._let_go()
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file. Raises :class:`UsageError` where the rest cannot be written."""
        try:
            self._file.close()
        except OSError as error:
            self._let_go()
            raise self._error(error) from error

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def _error(self, error: OSError) -> UsageError:
        return UsageError(f"cannot write record {self.path}: {error.strerror or error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@dataclass
class Record:
    """A record on disk: its header, and its observations as a stream (read the file again for another pass)."""

    path: Path
    header: dict[str, Any]
    _end: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    def __iter__(self) -> Iterator[Observation]:
        """Read the observations, in order; those that are no pass have their call, unless it is one of the deck."""
        return self.observations(with_call)

    def with_every_call(self) -> Iterator[Observation]:
        """Read the observations, in order; passes, too, have their call if it travels with the record."""
        return self.observations(lambda o, calls: replace(o, call=calls[o.id]) if o.id in calls else o)

    def observations(self, called: Callable[[Observation, Mapping[str, Any]], Observation]) -> Iterator[Observation]:
        """Read the observations, in order, each as ``called`` makes it with the calls that came before it, by id."""
        calls: dict[str, Any] = {}
        for number, data in _lines(self.path, skip=1):
            if "end" in data:
                self._end = data["end"] if isinstance(data["end"], dict) else self._end
            elif is_call(data):
                calls[data["of"]] = data["call"]
            else:
                yield called(observation(self.path, number, data), calls)

    def end(self) -> dict[str, Any] | None:
        """Read the facts at the end of a complete run; None if the run was cut short. Known after one pass."""
        if self._end is None:
            for number, line in texts(self.path):
                data = parsed(self.path, number, line) if line.startswith('{"end"') else None
                if data and isinstance(data["end"], dict):
                    self._end = data["end"]
        return self._end


def read_record(path: str | Path) -> Record:
    """Open a record. Raises :class:`UsageError` in one line if the file is unreadable, foreign or from the future."""
    path = Path(path)
    first = next(_lines(path), None)
    header = first[1] if first else {}
    if header.get("lossproof") != "record":
        raise UsageError(f"{path} is not a lossproof record; expected JSON Lines written by lossproof run --record")
    if header.get("format") not in _READ:
        known = " and ".join(map(str, _READ))
        raise UsageError(f"{path} has record format {header.get('format')!r}; this lossproof reads formats {known}")
    for name in _OBJECTS:
        if not isinstance(header.get(name, {}), dict):
            raise UsageError(f"{path} is not a lossproof record; {name!r} in its header is not an object")
    return Record(path, _renamed(header))


def is_of_deck(header: Mapping[str, Any], id: str) -> bool:
    """Say whether a call is one of the deck that a header describes, which makes it again, or one put along with it.

    Of a sweep no observation has a call that is made again.
    """
    deck = header.get("deck")
    return isinstance(deck, Mapping) and "sweep" not in header and id not in deck.get("kept", ())


def with_call(o: Observation, calls: Mapping[str, Any]) -> Observation:
    """Return an observation that is no pass with its call, if the record has it among its ``calls``."""
    return replace(o, call=calls[o.id]) if o.id in calls and o.keeps_call and o.call is None else o


def _travelling(path: Path) -> Iterator[str]:
    """The ids of the calls that a record has in lines of their own."""
    for _, line in texts(path):
        if line.startswith('{"of"'):
            yield str(json.loads(line)["of"])


def is_call(data: Mapping[str, Any]) -> bool:
    """Say whether a line holds a call: the id that it is ``of``, and its JSON object."""
    return isinstance(data.get("of"), str) and isinstance(data.get("call"), dict) and "id" not in data


def _renamed(header: dict[str, Any]) -> dict[str, Any]:
    """A header with today's names of its fields: the size of the deck was once called its profile."""
    deck = header.get("deck")
    if not isinstance(deck, dict) or "profile" not in deck:
        return header
    return header | {"deck": {("size" if name == "profile" else name): value for name, value in deck.items()}}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Read the lines of a record as texts, numbered from 1. Raises :class:`UsageError` if they cannot be read."""
    try:
        with open_text(path, "r") as file:
            yield from enumerate(file, 1)
    except EOFError:
        _warn_cut(path)
    except damaged() as error:
        raise UsageError(f"cannot read record {path}: {getattr(error, 'strerror', None) or error}") from None


def parsed(path: Path, number: int, line: str) -> dict[str, Any] | None:
    """Parse the JSON object of a line; None for a last line that is cut short, with a warning."""
    try:
        data = parsed_json(line)
        if not isinstance(data, dict):
            raise ValueError("not an object")
    except ValueError as error:
        if number > 1 and not line.endswith("\n"):
            _warn_cut(path)
            return None
        what = f"not a lossproof record; line {number} is not a JSON object ({error})"
        raise UsageError(f"{path} is {what}") from None
    return data


def _warn_cut(path: Path) -> None:
    warnings.warn(f"{path}: the last line is cut short and ignored (a killed run?)", stacklevel=2)


def _lines(path: Path, skip: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in texts(path):
        data = parsed(path, number, line) if number > skip else None
        if data is not None:
            yield number, data


def observation(path: Path, number: int, data: dict[str, Any]) -> Observation:
    """Read the observation of a parsed line. Raises :class:`UsageError` if it is none."""
    try:
        return from_line(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: line {number} is not an observation: {text}") from None
