"""Failures of the last runs in a folder are kept, by their ids and by deck, for ``lossproof run --last-failed``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossproof.core.case_id import CONVENTION, Kind
from lossproof.core.json_text import parsed_json
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails

# Of a folder, so many ids are kept.
_KEPT = 10_000


@dataclass(frozen=True)
class LastFailed:
    """The file of one folder in ``caches``, for one deck (its size and seed). What cannot be read or written is empty:
    nothing depends on it but a convenience."""

    caches: Path
    folder: str
    deck: str

    @property
    def path(self) -> Path:
        """The file."""
        name = hashlib.sha256(os.path.abspath(self.folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self.caches / "last-failed" / f"{name}.json"

    def patterns(self) -> list[str]:
        """The ids of the cases that failed, and globs where a failure is that of several cases together."""
        found = self._read().get(self.deck, [])
        return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []

    def keep(self, patterns: Iterable[str]) -> None:
        """Replace them."""
        data = {**self._read(), self.deck: list(dict.fromkeys(patterns))[:_KEPT]}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(data), "utf-8")
            draft.replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            data = parsed_json(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}


@dataclass
class FailureKeeper:
    """A sink that keeps what fails, and what failed before and was not asked again.

    ``meant`` returns those patterns that mean some of the ids.
    """

    place: LastFailed
    meant: Callable[[Sequence[str], Iterable[str]], Sequence[str]]
    failed: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def add(self, o: Observation) -> None:
        """Note one observation."""
        self.seen.add(o.id)
        if fails(o):
            self.failed.append(_pattern(o))

    def close(self, run: object) -> None:
        """Keep them."""
        before = self.place.patterns()
        again = set(self.meant(before, self.seen))
        self.place.keep([*self.failed, *(pattern for pattern in before if pattern not in again)])


def _pattern(o: Observation) -> str:
    """The id of a case, or a glob of all cases that a conclusion is drawn from."""
    if o.case.family != CONVENTION:
        return o.id
    return f"{o.case.op}/*" if o.case.kind is Kind.CONVENTION else f"{o.case.op}/{o.case.dtype}/*"
