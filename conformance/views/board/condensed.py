"""A condensed record: what the board needs of one target's run, some ten kB of JSON with a date.

``docs/condensed.schema.json`` says what each field holds; :func:`read_condensed` says what is wrong with a file.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.core.observation import VERDICTS
from lossproof.records.record import json_ready

_FORMAT = 1
_SUFFIX = ".json"
_MARK = "condensed"
# The field of a convention that has counts for each dtype.
_BY_DTYPE = "shown"
# More than this part of the cases is waived: nonconforming, not supported.
MOST_WAIVED = 0.2
_USUAL_DECK = "default"
_UNSAFE = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class CondensedCell:
    """All observations of one op and dtype.

    ``share`` and ``ulp`` are the worst of all that was judged, ``share_passed`` that of what did not fail, known
    deviations left out; ``declared`` and ``met`` are error profiles, empty where nothing was judged, ``met`` also where
    none is met.
    """

    op: str
    dtype: str
    verdicts: Mapping[str, int]
    share: float = 0.0
    share_passed: float = 0.0
    ulp: float = 0.0
    declared: str = ""
    met: str = ""


@dataclass(frozen=True)
class ShownConvention:
    """A convention in one output of an op: the behaviours that were shown of its clause, with counts, by dtype."""

    clause: str
    op: str
    output: str
    shown: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class DeviationCount:
    """The outputs that a waiver explains: ``count``, ``cells`` (by ``op/dtype``), the first with its message."""

    name: str
    count: int
    cells: Mapping[str, int]
    outputs: Mapping[str, int]
    first: str
    message: str


@dataclass(frozen=True)
class UnexplainedFailure:
    """A group of failures that no waiver explains: its worst case with the message, ``count`` of ``given`` outputs."""

    op: str
    dtype: str
    family: str
    output: str
    kinds: str
    count: int
    given: int
    worst: str
    message: str


@dataclass(frozen=True)
class Condensed:
    """A condensed record of one target.

    ``name`` is the target string without its environment, ``version`` that of ``package``, ``date`` the day of the run
    (YYYY-MM-DD), ``machine`` what it ran on, ``target`` what the header of the record says of it. ``cases`` were judged
    in at least one output, and in ``cases_waived`` of them at least one output is a known deviation.
    """

    name: str
    package: str
    version: str
    date: str
    suite: str
    deck: Mapping[str, Any]
    machine: Mapping[str, Any]
    target: Mapping[str, Any]
    complete: bool
    cases: int
    cases_waived: int
    cells: tuple[CondensedCell, ...]
    filters: Mapping[str, Any] = field(default_factory=dict)
    conventions: tuple[ShownConvention, ...] = ()
    waived: tuple[DeviationCount, ...] = ()
    failures: tuple[UnexplainedFailure, ...] = ()
    not_given: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def nonconforming(self) -> bool:
        """Say whether more than a fifth of the cases are waived."""
        return self.cases_waived > MOST_WAIVED * self.cases

    @property
    def file_name(self) -> str:
        """The name of the file that it is kept in: that of the target, the version, and the deck if it is not the
        default one."""
        deck = "" if self.deck_size == _USUAL_DECK else self.deck_size
        return "-".join(_UNSAFE.sub("_", text) for text in (self.name, self.version, deck) if text) + _SUFFIX

    @property
    def deck_size(self) -> str:
        """The size of the deck that was put to it, empty where the record does not say."""
        return str(self.deck.get("size", ""))


_LISTS: Mapping[str, type[Any]] = {
    "cells": CondensedCell,
    "conventions": ShownConvention,
    "waived": DeviationCount,
    "failures": UnexplainedFailure,
}
# How an annotation is checked, and what a message calls it.
_KINDS: Mapping[str, tuple[tuple[type[Any], ...], str]] = {
    "str": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float, str), "a number"),
    "Mapping": ((dict,), "an object"),
    "tuple": ((list,), "a list"),
}


def condensed_text(c: Condensed) -> str:
    """Write a condensed record as JSON, an entry of a list to a line, so that two of them differ line by line."""
    lines = []
    for name, value in {"lossproof": _MARK, "format": _FORMAT, **_object(c)}.items():
        if name in _LISTS and value:
            body = ",\n".join("  " + _json(entry) for entry in value)
            lines.append(f' "{name}": [\n{body}\n ]')
        else:
            lines.append(f' "{name}": {_json(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_condensed(path: str | Path) -> Condensed:
    """Read a condensed record. Raises :class:`UsageError` that names the file, the field and what was expected."""
    try:
        data = parsed_json(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"{path} is no condensed record: not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("lossproof") != _MARK:
        raise UsageError(f"{path} is no condensed record; expected a file written by lossproof condense")
    if data.get("format") != _FORMAT:
        raise UsageError(f"{path} has format {data.get('format')!r}; this lossproof reads format {_FORMAT}")
    found: Condensed = _read(Condensed, data, str(path))
    try:
        datetime.date.fromisoformat(found.date)
    except ValueError:
        raise UsageError(f"{path}: field 'date' is {found.date!r}; expected a day as YYYY-MM-DD") from None
    for name in ("versions", "facts", "conventions"):
        if not isinstance(found.target.get(name, {}), dict):
            raise UsageError(f"{path}: field 'target' has {name}: {found.target[name]!r}; expected an object")
    for cell in found.cells:
        if unknown := set(cell.verdicts) - set(VERDICTS):
            raise UsageError(f"{path}: {cell.op} {cell.dtype} has the unknown verdict {min(unknown)!r}")
    return found


def _read(kind: type[Any], data: object, where: str) -> Any:
    if not isinstance(data, dict):
        raise UsageError(f"{where} is {data!r}; expected an object")
    values: dict[str, Any] = {}
    for f in fields(kind):
        if f.name not in data:
            if f.default is f.default_factory:
                raise UsageError(f"{where}: field {f.name!r} is missing")
            continue
        value = data[f.name]
        types, name = _KINDS[str(f.type).partition("[")[0]]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise UsageError(f"{where}: field {f.name!r} is {value!r}; expected {name}")
        if list in types:
            value = tuple(_read(_LISTS[f.name], v, f"{where}: {f.name}[{i}]") for i, v in enumerate(value))
        elif f.type == "float":
            value = _number(value, f"{where}: field {f.name!r}")
        elif "int]" in str(f.type):
            _counts(value, f.name, where)
        values[f.name] = value
    return kind(**values)


def _number(value: float | str, where: str) -> float:
    if isinstance(value, str) and value not in ("inf", "-inf", "nan"):
        raise UsageError(f"{where} is {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise UsageError(f"{where} is a whole number that no float holds") from None


def _counts(value: Mapping[str, Any], name: str, where: str) -> None:
    """Raise unless a mapping has whole numbers, that of behaviours by dtype a mapping of these for each."""
    for key, n in value.items():
        if name == _BY_DTYPE and isinstance(n, dict):
            _counts(n, f"{name} {key}", where)
        elif name == _BY_DTYPE or not isinstance(n, int) or isinstance(n, bool):
            wanted = "an object with counts" if name == _BY_DTYPE else "whole numbers"
            raise UsageError(f"{where}: counts under {name!r} have {key!r}: {n!r}; expected {wanted}")


def _object(value: Any) -> dict[str, Any]:
    return {f.name: made for f in fields(value) if not _is_default(f, made := _plain(getattr(value, f.name)))}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_object(entry) for entry in value]
    return json_ready(value)


def _is_default(f: Any, value: Any) -> bool:
    return f.default is not f.default_factory and value in ("", 0, {}, []) and value is not False


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def condensed_files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """List the files that paths mean: a folder stands for the condensed records in it, in the order of their names."""
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(path.glob(f"*{_SUFFIX}"))
            if not found:
                raise UsageError(f"{path} holds no condensed record; expected files *{_SUFFIX}")
            yield from found
        else:
            yield path
