"""The time of a run: where it goes, by target and by part of the engine."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from lossproof.adapters.protocol import Outcome
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.targets.target import Target


@dataclass
class Clock:
    """A clock counts where the time went, in seconds.

    By target: inside its calls, of these in the first call of each signature and in ``compiling``, and in starting its
    processes. For all of them: in drawing the deck, in waiting for targets, in the oracle, in the judge, and in marking
    observations and giving them to whoever writes or shows them. ``processor`` has the processor seconds of each
    target's processes, where they are known, ``phases`` those of this process: for these phases, and for ``asking``
    the targets, which threads do meanwhile.

    ``cached`` counts the observations that came from the cache of judgements, ``checked`` the judgements of it that
    were made again, ``known`` the calls of the deck whose likeness came from there. ``programs`` counts what was
    compiled, where the adapter counts; ``restarts`` how often its processes were started again. ``uncompiled`` says why
    the judge did without a compiler, if it did. ``kernels`` are the times of each target's kernels, see
    :mod:`lossproof.records.slowdowns`.
    """

    targets: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    compiling: dict[str, float] = field(default_factory=dict)
    programs: dict[str, int] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    deck: float = 0.0
    waiting: float = 0.0
    oracle: float = 0.0
    judge: float = 0.0
    record: float = 0.0
    cached: int = 0
    checked: int = 0
    known: int = 0
    uncompiled: str = ""
    kernels: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    _seen: set[object] = field(default_factory=set, repr=False)
    _began: float = field(default_factory=time.process_time, repr=False)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the context, in one thread: as ``deck``, ``oracle``, ``judge`` or ``record``."""
        wall, processor = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.perf_counter() - wall)
            _more(self.phases, name, time.thread_time() - processor)

    def facts(self) -> dict[str, Any]:
        """Everything, for a record."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}

    def part(self, targets: Collection[str]) -> dict[str, Any]:
        """Return the clock of some targets, with what the engine took for all of them."""
        by_target = {f.name for f in fields(self) if isinstance(getattr(self, f.name), dict)} - {"phases"}
        return {
            name: {t: n for t, n in fact.items() if t in targets} if name in by_target else fact
            for name, fact in self.facts().items()
        }

    def more(self, facts: Mapping[str, Any]) -> None:
        """Add the facts of another run."""
        for f in fields(self):
            mine, other = getattr(self, f.name), facts.get(f.name)
            if f.name.startswith("_"):
                continue
            try:
                if isinstance(mine, str):
                    setattr(self, f.name, mine or other or "")
                elif isinstance(mine, float | int):
                    setattr(self, f.name, mine + (other or 0))
                elif f.name == "kernels":
                    # Of several shards, whose machines may differ, the first that timed a target has the word.
                    mine.update({name: times for name, times in (other or {}).items() if name not in mine})
                elif other:
                    mine.update({name: mine.get(name, 0) + value for name, value in other.items()})
            except (AttributeError, TypeError, ValueError, OverflowError):
                raise UsageError(f"the times at the end of a record are damaged: {f.name} is {other!r}") from None

    def add(self, target: str, calls: Iterable[Call], outcomes: Iterable[Outcome]) -> None:
        """Count calls of a target."""
        for call, outcome in zip(calls, outcomes, strict=True):
            _more(self.targets, target, outcome.seconds)
            if outcome.programs:
                _more(self.compiling, target, outcome.compile_seconds)
                self.programs[target] = self.programs.get(target, 0) + outcome.programs
            key = (target, signature(call.outline))
            if key not in self._seen:
                self._seen.add(key)
                _more(self.first, target, outcome.seconds)

    def close(self, targets: Iterable[Target]) -> None:
        """Take note of what the processes have taken, this one included."""
        here = sum(self.processor.values()) + sum(self.phases.values())
        _more(self.phases, "asking", max(0.0, time.process_time() - self._began - here))
        for target in targets:
            player = target.player
            if player is None:
                continue
            taken = player.processor_seconds()
            if taken is not None:
                self.processor[target.name] = taken
            if player.start_seconds is not None:
                self.starts[target.name] = player.start_seconds
            if player.restarts:
                self.restarts[target.name] = player.restarts


def _more(of: dict[str, float], target: str, seconds: float) -> None:
    of[target] = of.get(target, 0.0) + seconds
