"""Records: JSON Lines, a header with evidence and then one line per observation, flushed as they come.

Numbers are exact: finite floats as JSON numbers that read back to the same bits, the others as the texts ``"nan"``,
``"inf"`` and ``"-inf"``. A killed run leaves a readable record; a complete one ends with a line ``{"end": ...}``.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lossproof.errors import UsageError
from lossproof.judge import VERDICTS, Observation

FORMAT = 1
_DEFAULTS = {f.name: f.default for f in fields(Observation) if f.name != "conventions"}
_FLOATS = ("share", "ulp", "got", "allowed", "seconds")
_TEXTS = ("id", "output", "target", "verdict")


def to_line(o: Observation) -> dict[str, Any]:
    """The JSON object of an observation; fields at their defaults are left out."""
    out = {}
    for name, default in _DEFAULTS.items():
        value = getattr(o, name)
        # -0.0 equals 0.0, and is another number.
        if value != default or str(value) != str(default):
            out[name] = value
    if o.conventions:
        out["conventions"] = o.conventions
    line: dict[str, Any] = plain(out)
    return line


def from_line(data: Mapping[str, Any]) -> Observation:
    """The inverse of :func:`to_line`. Raises KeyError, TypeError or ValueError for anything else."""
    values: dict[str, Any] = dict(data)
    for name in _TEXTS:
        if not isinstance(values[name], str):
            raise TypeError(f"{name} is not a text")
    if values["verdict"] not in VERDICTS:
        raise ValueError(f"unknown verdict {values['verdict']!r}")
    for name in _FLOATS:
        if values.get(name) is not None:
            values[name] = float(values[name])
    if "index" in values:
        values["index"] = tuple(int(i) for i in values["index"])
    if values.get("exact") is not None:
        lo, hi = values["exact"]
        values["exact"] = (float(lo), float(hi))
    call = values.get("call")
    if call is not None and isinstance(call.get("label_smoothing"), str):
        values["call"] = call | {"label_smoothing": float(call["label_smoothing"])}
    known = {f.name for f in fields(Observation)}
    # A newer suite may write more; what this one knows is enough for it.
    return Observation(**{k: v for k, v in values.items() if k in known})


def plain(value: Any) -> Any:
    """A value as JSON has it: floats that it cannot hold as texts, tuples as lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


class Writer:
    """Writes a record, one flushed line at a time. Raises :class:`UsageError` where the path cannot be written.

    With ``keep`` the first so many bytes of the record that is there stay, a header and ``count`` observations.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any], *, keep: int = 0, count: int = 0) -> None:
        self.path = Path(path)
        self.count = count
        try:
            if keep:
                os.truncate(self.path, keep)
            self._file: IO[str] = self.path.open("a" if keep else "w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"cannot write record {path}: {error.strerror or error}") from None
        if not keep:
            self._line({"lossproof": "record", "format": FORMAT, **header})

    def write(self, o: Observation) -> None:
        """Append one observation."""
        self.count += 1
        self._line(to_line(o))

    def end(self, facts: Mapping[str, Any]) -> None:
        """Say that the run is complete."""
        self._line({"end": {"observations": self.count, **facts}})

    def _line(self, data: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(plain(data), allow_nan=False, separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            raise UsageError(f"cannot write record {self.path}: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()


@dataclass
class Record:
    """A record on disk: its header, and its observations as a stream (read the file again for another pass)."""

    path: Path
    header: dict[str, Any]

    def __iter__(self) -> Iterator[Observation]:
        """The observations, in order."""
        for data in _lines(self.path, skip=1):
            if "end" not in data[1]:
                yield _observation(self.path, *data)

    def end(self) -> dict[str, Any] | None:
        """What a complete run says at its end; None if the run was cut short."""
        last = None
        for _, last in _lines(self.path, skip=1):  # noqa: B007
            pass
        found = (last or {}).get("end")
        return found if isinstance(found, dict) else None


def read(path: str | Path) -> Record:
    """Open a record. Raises :class:`UsageError` in one line if the file is unreadable, foreign or from the future."""
    path = Path(path)
    first = next(_lines(path), None)
    header = first[1] if first else {}
    if header.get("lossproof") != "record":
        raise UsageError(f"{path} is not a lossproof record; expected JSON Lines written by lossproof run --record")
    if header.get("format") != FORMAT:
        raise UsageError(f"{path} has record format {header.get('format')!r}; this lossproof reads format {FORMAT}")
    return Record(path, header)


def begun(path: str | Path) -> bool:
    """Whether there is a record with a whole header, or a foreign file; False if there is nothing or less than that."""
    try:
        with Path(path).open("rb") as file:
            first = file.readline()
    except OSError:
        return False
    mark = b'{"lossproof":"record"'
    return first.endswith(b"\n") or not (mark.startswith(first) or first.startswith(mark))


def complete_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Where each observation begins, in bytes, and its JSON object.

    At last where they end, and what a complete run says there, ``{"end": ...}``; None if the record is cut short.
    """
    with path.open("rb") as file:
        at = len(file.readline())
        for line in file:
            try:
                data = json.loads(line) if line.endswith(b"\n") else None
            except ValueError as error:
                raise UsageError(
                    f"{path} is not a lossproof record; byte {at} begins no JSON object ({error})"
                ) from None
            yield at, data
            if data is None or "end" in data:
                return
            at += len(line)
    yield at, None


def _lines(path: Path, skip: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if number <= skip:
                    continue
                try:
                    data = json.loads(line)
                    if not isinstance(data, dict):
                        raise ValueError("not an object")
                except ValueError as error:
                    if number > 1 and not line.endswith("\n"):
                        warnings.warn(f"{path}: the last line is cut short and ignored (a killed run?)", stacklevel=2)
                        return
                    what = f"not a lossproof record; line {number} is not a JSON object ({error})"
                    raise UsageError(f"{path} is {what}") from None
                yield number, data
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read record {path}: {getattr(error, 'strerror', None) or error}") from None


def _observation(path: Path, number: int, data: dict[str, Any]) -> Observation:
    try:
        return from_line(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: line {number} is not an observation: {text}") from None
