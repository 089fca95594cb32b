"""The session of a function: its target is started, its calls are chosen, nothing of them is asked yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lossproof.cases.explore import what_is_missing
from lossproof.cases.variant_calls import as_variant
from lossproof.core.call import Call
from lossproof.core.command_line import ASKED_BY
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.functions.callee import callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.diagnosis import diagnosis
from lossproof.functions.function_adapter import FunctionAsAdapter
from lossproof.functions.guard import GuardedFunction
from lossproof.functions.hints import hints
from lossproof.functions.isolated import isolated
from lossproof.functions.memory.function_giants import giant_driver
from lossproof.functions.memory.promise import is_of_memory, with_memory
from lossproof.functions.prepare import prepared
from lossproof.functions.questions import Questions, asked_calls
from lossproof.functions.trial import Heard
from lossproof.functions.trial_findings import TrialFindings
from lossproof.records.waivers import Book, fails
from lossproof.running import judgement_cache
from lossproof.running.continued import Continued
from lossproof.running.header import record_header
from lossproof.running.session import Ended, Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.running.withheld import EVERYTHING, withheld
from lossproof.targets.launch import Processes
from lossproof.targets.target import Target

if TYPE_CHECKING:
    from lossproof.running.exploration import Explorer

_ASKED_BY = f"the deck {EVERYTHING} asks them"
NOT_EXPLORED = "calls of any shape and option (explore=1000 draws a thousand)"
# Failures that are kept to be explained; the worst is among the first of each kind.
_KEPT = 1000


@dataclass(frozen=True)
class FunctionSession:
    """A session of a function, ``notes`` that say in a line each what is asked and what is not, and a context that
    keeps to itself what the function ``prints``. ``explored`` has what is found if calls are drawn besides."""

    session: Session
    notes: tuple[str, ...]
    quiet: Callable[[], AbstractContextManager[Any]]
    target: Target
    explored: Explorer | None = None

    def close(self) -> None:
        """End its process, if it has one."""
        self.session.close()


@dataclass
class Explained:
    """A sink that keeps failures, and has the first one explained by ``say`` when all is over, with hints."""

    target: Target
    say: Callable[[str], object]
    _failures: list[Observation] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        """Keep a failure."""
        if fails(o) and not is_of_memory(o) and len(self._failures) < _KEPT:
            self._failures.append(o)

    def close(self, run: Ended) -> None:
        """Explain."""
        if self._failures and run.facts is not None:
            for text in (diagnosis(self._failures, self.target), *hints(self._failures)):
                if text:
                    self.say(text)


def started(function: Any, declared: Declaration) -> tuple[Target, TrialFindings]:
    """Make a function a target, in this process or in one of its own, with what trial calls have found out of it."""
    if declared.isolate:
        declared.check()
        limits = Processes(timeout=declared.timeout)
        return isolated(callee(function, declared.name), declared, limits)
    found = prepared(function, declared)
    # sanity check: what is prepared here is here
    assert isinstance(found.adapter, FunctionAsAdapter)
    driver = giant_driver(found.adapter) if declared.memory else None
    return Target(GuardedFunction(found.adapter, declared.timeout, driver), device=declared.device), found


def live_session(
    target: Target,
    calls: Sequence[Call],
    deck: DeckOptions,
    *,
    cache: bool = True,
    header: Mapping[str, Any] | None = None,
) -> Session:
    """Return the session of one target that runs, of which no deviation is known.

    Without a ``header`` it has one that says what is withheld from the target, and nothing else.
    """
    head = header or {"withheld": withheld([target], calls), ASKED_BY: _ASKED_BY}
    source = Live([target], calls, cache=judgement_cache.on_this_machine(wanted=cache))
    return Session(subjects=[target], calls=calls, deck=deck, book=Book([], [target]), source=source, header=head)


def function_session(function: Any, declared: Declaration, asked: Questions) -> FunctionSession:
    """Return the session of a function and a deck. Close it when it is over.

    Raises :class:`UsageError` as ``check_implementation`` does.
    """
    can_explore(asked)
    target, found = started(function, declared)
    deck = DeckOptions(size=asked.deck, seed=asked.seed, ops=(declared.op,), dtypes=found.dtypes)
    calls, left = asked_calls(found, declared, asked)
    header = record_header([target], calls, deck) | {ASKED_BY: _ASKED_BY}
    session = live_session(target, calls, deck, cache=asked.cache, header=header)
    session = replace(session, source=with_memory(session.source, declared, found))
    explored = explorer(target, found.dtypes, declared, asked) if asked.explore else None
    left += [] if explored else [NOT_EXPLORED]
    notes = (*found.notes, *(f"left out: {line}" for line in left))
    if explored:
        session = replace(session, source=Continued(session.source, explored.observations))
    return FunctionSession(session, notes, partial(quiet, found.prints), target, explored)


def can_explore(asked: Questions) -> None:
    """Look whether what is asked can be drawn. Raises :class:`UsageError` for a number of calls below 0, and where what
    drawing takes is not installed."""
    if asked.explore < 0:
        raise UsageError(f"explore is {asked.explore}; expected a number of calls, or 0 for none")
    if asked.explore and what_is_missing():
        raise UsageError(what_is_missing())


def explorer(target: Target, dtypes: Sequence[str], declared: Declaration, asked: Questions) -> Explorer:
    """Return who draws calls of a function's op, of any shape and option."""
    from lossproof.running.exploration import Explorer, explored

    def vary(call: Call) -> Call | None:
        return call if declared.variant is None else as_variant(call, declared.variant)

    return Explorer(
        partial(explored, [target], declared.op, dtypes, examples=asked.explore, seed=asked.seed, vary=vary)
    )


def quiet(prints: bool) -> AbstractContextManager[Any]:
    """Keep what a function prints from standard output, if it prints."""
    return redirect_stdout(Heard()) if prints else nullcontext()
