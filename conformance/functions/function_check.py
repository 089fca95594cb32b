"""The check of a function: it is prepared, asked, judged, and its first failure is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import relation_checks, select
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import ERROR
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS, validate
from lossproof.functions.callee import callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.diagnosis import diagnosis
from lossproof.functions.guard import GuardedFunction
from lossproof.functions.isolated import isolated
from lossproof.functions.prepare import kept_calls, prepared
from lossproof.functions.trial import TRIAL, with_directions
from lossproof.functions.trial_findings import TrialFindings
from lossproof.judging.check import Check
from lossproof.records.waivers import Book
from lossproof.running import judgement_cache
from lossproof.running.report import Report, report
from lossproof.running.session import Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.target import Player, Target


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Questions are what is asked of a function: a deck, or calls of the caller's own, and what is drawn besides."""

    deck: str = "default"
    seed: int = 0
    calls: Iterable[Call | Mapping[str, Any]] | None = None
    errors: bool = True
    explore: int = 0
    cache: bool = True


def check_function(function: Any, declared: Declaration, asked: Questions) -> Report:
    """Judge a function as it is declared; ``lossproof.check_implementation`` says what it raises."""
    own = None if asked.calls is None else _given(asked.calls)
    subject, found = started(function, declared)
    with closing(_Targets([subject])):
        return _checked(subject, found, declared, asked, own)


def started(function: Any, declared: Declaration) -> tuple[Target, TrialFindings]:
    """Make a function a target, in this process or in one of its own, with what trial calls have found out of it."""
    if declared.isolate:
        declared.check()
        limits = Processes(timeout=declared.timeout)
        return isolated(callee(function, declared.name), declared, limits)
    found = prepared(function, declared)
    # sanity check: what is prepared here is here
    assert not isinstance(found.adapter, Player)
    return Target(GuardedFunction(found.adapter, declared.timeout), device=declared.device), found


@dataclass(frozen=True)
class _Targets:
    targets: Sequence[Target]

    def close(self) -> None:
        selection.close(self.targets)


def _checked(
    subject: Target, found: TrialFindings, declared: Declaration, asked: Questions, own: Sequence[Call] | None
) -> Report:
    op, dtypes, target = declared.op, found.dtypes, [subject]
    calls, left_out = (list(own), []) if own is not None else asked_calls(found, declared, asked)
    made = DeckOptions(size=asked.deck, seed=asked.seed, ops=(op,), dtypes=dtypes)
    source = Live(target, calls, cache=judgement_cache.on_this_machine(wanted=asked.cache))
    with quiet(found.prints):
        with closing(Session(subjects=target, calls=calls, deck=made, book=Book([], target), source=source)) as session:
            judged = report(session)
        if asked.explore:
            judged = _explored(judged, target, op, dtypes, asked)
        elif asked.calls is None:
            left_out.append("calls of any shape and option (explore=1000 draws a thousand)")
    hint = _hint(judged) if asked.calls is None else ""
    left_out += _narrowed(op, dtypes, found.kinds)
    with quiet(found.prints):
        explained = diagnosis(judged.failures, target[0]) if judged.failures else ""
    return replace(judged, left_out=tuple(left_out), hint=hint, asked=found.notes, diagnosis=explained)


def asked_calls(found: TrialFindings, declared: Declaration, asked: Questions) -> tuple[list[Call], list[str]]:
    """The calls of a deck that a function is asked, and in a line each what is left out of it."""
    if found.broken is not None:
        return [Call(found.broken, TRIAL)], ["all other calls: not even this one is answered"]
    whole, left_out = _deck(declared.op, found.dtypes, asked)
    watched = [] if found.watched else _watched(found.start, asked.seed)
    calls, more = kept_calls([*whole, *watched], declared)
    return calls, left_out + more


def _watched(start: Problem | None, seed: int) -> list[Check]:
    """The relations that look for what a function writes into, of a call that it answers certainly."""
    if start is None:
        return []
    checks = relation_checks([Call(with_directions(start), TRIAL, tier="core")], seed=seed)
    return [replace(check, tier="core") for check in checks if check.watched]


def quiet(prints: bool) -> AbstractContextManager[Any]:
    """Keep what a function prints from standard output, if it prints."""
    return redirect_stdout(StringIO()) if prints else nullcontext()


def _explored(judged: Report, target: Sequence[Target], op: str, dtypes: Sequence[str], asked: Questions) -> Report:
    from lossproof.running.exploration import explored

    more = explored(target, op, dtypes, examples=asked.explore, seed=asked.seed)
    reasons = (*judged.reasons, *([f"exploration found {more.call.id}"] if more.call else []))
    observations = (*judged.observations, *more.observations)
    return replace(judged, observations=observations, reasons=reasons, explored=more.drawn)


def _deck(op: str, dtypes: Sequence[str], asked: Questions) -> tuple[list[Call], list[str]]:
    """The calls of a deck, and what is left out of it."""
    whole = select(asked.deck, asked.seed, (op,), dtypes)
    kept = [c for c in whole if asked.errors or c.family != ERROR]
    n = len(whole) - len(kept)
    return kept, [f"{n} calls of invalid and of empty input (errors=True judges them)"] if n else []


def _given(calls: Iterable[Call | Mapping[str, Any]]) -> list[Call]:
    """Calls of the caller's own. Those of the deck's kinds may be invalid on purpose, values of a call may not."""
    found = [call if isinstance(call, Call) else from_json(call) for call in calls]
    for call in found:
        if not call.is_check:
            validate(call.problem)
    return found


def _narrowed(op: str, dtypes: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """What the arguments leave out."""
    kinds_left = [kind for kind in OPERATIONS[op].targets if kind not in kinds]
    left = (("dtypes", [d for d in FORMATS if d not in dtypes]), ("targets", kinds_left))
    return [f"{', '.join(names)} (not among {argument})" for argument, names in left if names]


def _hint(found: Report) -> str:
    """What to know of failures: those that are answers to invalid input may be none of the function's business."""
    n = sum(o.case.family == ERROR for o in found.failures)
    return f"{n} of them answer invalid or empty input (ids with /error/); errors=False leaves it out" if n else ""
