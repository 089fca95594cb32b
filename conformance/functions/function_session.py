"""The session of a function, for a caller who shows it: its calls are chosen, nothing is asked yet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lossproof.core.observation import Observation
from lossproof.functions.declaration import Declaration
from lossproof.functions.diagnosis import diagnosis
from lossproof.functions.function_check import Questions, asked_calls, quiet, started
from lossproof.records.waivers import Book, fails
from lossproof.running import judgement_cache
from lossproof.running.header import record_header
from lossproof.running.session import Ended, Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.targets.target import Target

# Failures that are kept to be explained; the worst is among the first of each kind.
_KEPT = 1000


@dataclass(frozen=True)
class FunctionSession:
    """A session of a function, ``notes`` that say in a line each what is asked and what is not, and a context that
    keeps to itself what the function ``prints``."""

    session: Session
    notes: tuple[str, ...]
    quiet: Callable[[], AbstractContextManager[Any]]
    target: Target

    def close(self) -> None:
        """End its process, if it has one."""
        self.session.close()


@dataclass
class Explained:
    """A sink that keeps failures, and has the first one explained by ``say`` when all is over."""

    target: Target
    say: Callable[[str], object]
    _failures: list[Observation] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        """Keep a failure."""
        if fails(o) and len(self._failures) < _KEPT:
            self._failures.append(o)

    def close(self, run: Ended) -> None:
        """Explain."""
        if self._failures and run.facts is not None:
            self.say(diagnosis(self._failures, self.target))


def function_session(function: Any, declared: Declaration, asked: Questions) -> FunctionSession:
    """Return the session of a function and a deck. Close it when it is over.

    Raises :class:`UsageError` as ``check_implementation`` does.
    """
    target, found = started(function, declared)
    made = DeckOptions(size=asked.deck, seed=asked.seed, ops=(declared.op,), dtypes=found.dtypes)
    calls, left = asked_calls(found, declared, asked)
    source = Live([target], calls, cache=judgement_cache.on_this_machine(wanted=asked.cache))
    session = Session(
        subjects=[target],
        calls=calls,
        deck=made,
        book=Book([], [target]),
        source=source,
        header=record_header([target], calls, made),
    )
    notes = (*found.notes, *(f"left out: {line}" for line in left))
    return FunctionSession(session, notes, partial(quiet, found.prints), target)
