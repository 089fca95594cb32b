"""Going on with a run that was cut short: what its record holds is taken from there, the rest is asked for.

Observations lie in the order of the run, so the record is a beginning of it: units (what one target says to one group)
that are whole, and a last one that may not be. That one is dropped and judged again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lossproof.core.case_id import CONVENTION, CaseId
from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.core.observation import Observation
from lossproof.records.compressed_text import is_compressed
from lossproof.records.headers import differences
from lossproof.records.record import is_call, json_ready, read_record

# What must be the same for observations of two runs to belong together.
SAME = ("suite", "deck", "filters", "targets")


class UnitNames(Protocol):
    """The names of what one target says to one group of calls."""

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the calls."""
        ...

    @property
    def name(self) -> str:
        """The target."""
        ...


class Resumed:
    """A record that is to be finished: ``bytes`` of it and ``count`` observations stay. ``done``: nothing is missing.

    Raises :class:`UsageError` if it is not the record of a run of these units, or was made with other versions.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any], units: Sequence[UnitNames]) -> None:
        if is_compressed(path):
            raise UsageError(f"cannot resume {path}: it is compressed; start a new record with --overwrite")
        self.record = read_record(path)
        for name in ("shard", *SAME):
            found = difference(self.record.header.get(name), json_ready(header.get(name)), name)
            if found:
                raise UsageError(f"cannot resume {path}: {found}; start a new record with --overwrite")
        self.bytes = self.count = 0
        self.done = False
        self.sizes: list[int] = []
        self._fit(units)

    def _fit(self, units: Sequence[UnitNames]) -> None:
        """Find the units that the record has whole, from the first on."""
        lines = complete_lines(self.record.path)
        self.bytes, line = next(lines)
        for unit in units:
            start, size = self.bytes, 0
            while line is not None and "end" not in line and line.get("target") == unit.name and line["id"] in unit.ids:
                size += 1
                self.bytes, line = next(lines)
            if line is None:
                # Nothing says that there was no more of it.
                self.bytes = start
                return
            self.sizes.append(size)
            self.count += size
        # What the ledgers say at the end is said again.
        while line is not None and "end" not in line:
            if CaseId.parse(line["id"]).family != CONVENTION:
                raise UsageError(f"cannot resume {self.record.path}: it does not follow this run at {line['id']}")
            _, line = next(lines)
        self.done = line is not None

    def units(self) -> Iterator[list[Observation]]:
        """The observations of the units that stay, unit by unit."""
        found = iter(self.record)
        for size in self.sizes:
            yield list(itertools.islice(found, size))


def begun(path: str | Path) -> bool:
    """Say whether there is a record with a whole header, or a foreign file, and not nothing or less than that."""
    try:
        with Path(path).open("rb") as file:
            first = file.readline()
    except OSError:
        return False
    mark = b'{"lossproof":"record"'
    return first.endswith(b"\n") or not (mark.startswith(first) or first.startswith(mark))


def complete_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield the byte at which each observation begins, and its JSON object.

    A call in a line of its own belongs to the observation that follows. At last where they end, and what a complete run
    says there, ``{"end": ...}``; None if the record is cut short.
    """
    with path.open("rb") as file:
        at = start = len(file.readline())
        for line in file:
            data = _object(path, at, line) if line.endswith(b"\n") else None
            at += len(line)
            if data is not None and is_call(data):
                continue
            if data is not None and isinstance(data.get("id"), str) == ("end" in data):
                raise UsageError(f"{path} is not a lossproof record; byte {start} begins no observation")
            yield start, data
            if data is None or "end" in data:
                return
            start = at
    yield start, None


def _object(path: Path, at: int, line: bytes) -> dict[str, Any]:
    try:
        data = parsed_json(line)
        if not isinstance(data, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UsageError(f"{path} is not a lossproof record; byte {at} begins no JSON object ({error})") from None
    return data


def difference(made: Any, now: Any, name: str) -> str:
    """Return in words where two values first differ; empty if they are equal."""
    for where, one, other in differences(made, now, name):
        return f"{where} was {json.dumps(one)} and is {json.dumps(other)}"
    return ""
