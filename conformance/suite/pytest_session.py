"""The session of a pytest run: its items play parts of the deck, and one of them concludes from all parts."""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pytest

from lossproof.core.call import Call
from lossproof.core.case_id import CONVENTION
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.plugin import MISTAKE
from lossproof.records import record
from lossproof.records.waivers import Book
from lossproof.running.conclusions import Conclusions
from lossproof.running.loop import played
from lossproof.running.session import Ended, Live, Session, opened
from lossproof.running.session_options import DeckOptions, Rules
from lossproof.running.timing import Clock
from lossproof.suite.given_options import given
from lossproof.targets import selection
from lossproof.targets.target import Target, spec

# Op, dtype and family.
ReplayKey = tuple[str, str, str]


@dataclass(frozen=True)
class PlayedParts:
    """A folder with what targets answered to groups of calls, as it was observed, for all workers of one pytest run."""

    folder: Path

    def read(self, target: str, key: ReplayKey) -> list[Observation] | None:
        """Return what a target answered to a group; None if no item has asked it."""
        path = self._path(target, key)
        return list(record.read_record(path)) if path.is_file() else None

    def write(self, target: str, key: ReplayKey, found: Sequence[Observation]) -> None:
        """Keep what a target answered to a group, all of it at once: other workers may read it."""
        path = self._path(target, key)
        draft = path.with_name(f"{os.getpid()}-{path.name}")
        # Whoever reads it has the deck.
        with record.Writer(draft, {"deck": {}}) as writer:
            for o in found:
                writer.write(o)
        draft.replace(path)

    def _path(self, target: str, key: ReplayKey) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / (hashlib.sha256("\n".join((target, *key)).encode()).hexdigest()[:16] + ".jsonl.gz")


class Replay:
    """The deck on the chosen targets, played group by group when an item asks for it.

    ``selected`` are the groups of the items that pytest was left with, and the targets of each; everything until that
    is known. Where one process runs all items, a group is put at once to every target that needs it, so that all share
    one truth.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.targets = {t.name: t for t in session.source.targets}
        self.groups: dict[ReplayKey, list[Call]] = defaultdict(list)
        for call in session.calls:
            self.groups[call.outline.op, call.outline.dtype, call.family].append(call)
        self.selected: Mapping[ReplayKey, Sequence[str]] = {key: list(self.targets) for key in self.groups}
        self.parts: PlayedParts | None = None
        self.lost: dict[str, str] = {}
        self._cache = session.source.cache if isinstance(session.source, Live) else None
        self._together = False
        self._found: dict[tuple[str, ReplayKey], list[Observation]] = {}

    def prepare(self, parts: PlayedParts, selected: Mapping[ReplayKey, Sequence[str]], *, together: bool) -> None:
        """Take note of the items that will run; where none of them plays a part, all parts are still to be played."""
        self.parts, self._together = parts, together
        self.selected = selected or self.selected

    def observations(self, target: str, key: ReplayKey) -> list[Observation]:
        """Return what a target answers to a group, marked with waivers."""
        return [self.session.mark(o) for o in self._raw(target, key)]

    def _raw(self, target: str, key: ReplayKey) -> list[Observation]:
        if (target, key) not in self._found:
            names = {target, *(self.selected.get(key, ()) if self._together else ())}
            found: dict[str, list[Observation]] = {name: [] for name in names}
            several = [t for name, t in self.targets.items() if name in names and name not in self.lost]
            for unit, more in played(several, self.groups[key], lost=self.lost, cache=self._cache):
                found[unit.name] += more
            if self._cache is not None:
                self._cache.flush()
            for name, answered in found.items():
                self._found[name, key] = answered
                if self.parts is not None:
                    self.parts.write(name, key, answered)
        return self._found.pop((target, key))

    def part(self, target: str, key: ReplayKey) -> list[Observation]:
        """Return what a target answers to a group, as an item of some worker has found it, or else found now."""
        kept = self.parts.read(target, key) if self.parts is not None else None
        return self._raw(target, key) if kept is None else kept

    @cached_property
    def whole(self) -> Whole:
        """The session of the selected parts together, played to its end."""
        everything = all(set(self.selected.get(key, ())) == set(self.targets) for key in self.groups)
        shortfalls = () if everything else ("a part of the deck was selected",)
        book = self.session.book
        waivers = Book(book.waivers, book.targets, book.calls)
        joined = replace(self.session, source=Joined(self), book=waivers, shortfalls=shortfalls)
        conclusions = _Concluded()
        ended = joined.play(conclusions)
        if ended.facts is None:
            raise KeyboardInterrupt
        return Whole(ended, conclusions.found)


@dataclass
class Joined:
    """A source: the selected parts, in the order of the deck, and the conclusions from all of them."""

    replay: Replay
    clock: Clock = field(default_factory=Clock)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def targets(self) -> Sequence[Target]:
        """The targets of which some part was selected."""
        names = {name for several in self.replay.selected.values() for name in several}
        return [t for name, t in self.replay.targets.items() if name in names]

    @property
    def lost(self) -> Mapping[str, str]:
        """Why targets were asked no more."""
        return self.replay.lost

    @property
    def seconds(self) -> float:
        """The seconds that it took, so far."""
        return time.perf_counter() - self._start

    def observations(self) -> Generator[Observation]:
        """Every observation, and then the conclusions."""
        targets = self.targets
        conclusions = Conclusions(targets)
        for key, calls in self.replay.groups.items():
            for target in (t for t in targets if t.name in self.replay.selected.get(key, ())):
                found = self.replay.part(target.name, key)
                conclusions.add(target, calls, found)
                yield from found
        yield from conclusions.verdicts()

    def book_in_force(self, book: Book) -> Book:
        """The session's book."""
        return book

    def close(self) -> None:
        """Nothing: the targets are those of the replay."""


@dataclass(frozen=True)
class Whole:
    """The end of the session of all parts, and its ``conclusions``: what is said of conventions and of modes."""

    ended: Ended
    conclusions: Sequence[Observation]


@dataclass
class _Concluded:
    """A sink that keeps what is said of all calls together."""

    found: list[Observation] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        """Keep a conclusion."""
        if o.case.family == CONVENTION:
            self.found.append(o)

    def close(self, run: Ended) -> None:
        """Nothing is left to do."""


@lru_cache(maxsize=1)
def _replay(targets: tuple[str, ...], deck: DeckOptions, rules: Rules) -> Replay:
    return Replay(opened(targets, deck=deck, rules=rules))


def of(config: pytest.Config) -> Replay:
    """The replay that the command line asks for; collection and the tests share it. Raises :class:`UsageError` for
    options that make no sense."""
    return _replay(tuple(config.getoption("--lossproof-target")), *given(config))


def playing(request: pytest.FixtureRequest) -> Replay:
    """The replay for an item that runs: it knows the other items, and has a folder that all workers share."""
    replay = of(request.config)
    if replay.parts is None:
        base: Path = request.getfixturevalue("tmp_path_factory").getbasetemp()
        folder = (base if alone(request.config) else base.parent) / "lossproof-parts"
        selected: dict[ReplayKey, list[str]] = defaultdict(list)
        for item in request.session.items:
            params: Mapping[str, Any] = (
                item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
            )
            if "key" in params and "target" in params:
                selected[params["key"]].append(params["target"])
        replay.prepare(PlayedParts(folder), selected, together=alone(request.config))
    return replay


def parametrize(
    metafunc: pytest.Metafunc, names: tuple[str, ...], items: Callable[[Replay], Mapping[str, tuple[Any, ...]]]
) -> None:
    """One item for each of the ``items`` of the replay, by their ids; none, and one line, for options that make no
    sense."""
    stash = metafunc.config.stash
    found: Mapping[str, tuple[Any, ...]] = {}
    try:
        found = items(of(metafunc.config)) if MISTAKE not in stash else {}
    except UsageError as error:
        stash[MISTAKE] = str(error)
    metafunc.parametrize(names, list(found.values()), ids=list(found))


@lru_cache(maxsize=1)
def _here(targets: tuple[str, ...]) -> tuple[Target, ...]:
    apart = [t for t in targets if t != "all" and spec(t).needs_process]
    here = [t for t in targets if t not in apart]
    others = selection.choose_targets(apart, selection.PROCESSES) if apart else []
    return (*(selection.choose_targets(here) if here or not apart else []), *others)


def targets_here(config: pytest.Config) -> tuple[Target, ...]:
    """The chosen targets, in this process where that can be: thousands of small calls are no work for pipes, and a
    crash is a finding."""
    return _here(tuple(config.getoption("--lossproof-target")))


def alone(config: pytest.Config) -> bool:
    """Say whether one process runs all items: workers of xdist each run their own share, and compute no one else's."""
    return not hasattr(config, "workerinput")
