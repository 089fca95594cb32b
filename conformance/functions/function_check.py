"""The check of a function: it is prepared, asked, judged, and its first failure is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossproof.core.call import Call, from_json
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS, validate
from lossproof.functions.declaration import Declaration
from lossproof.functions.diagnosis import diagnosis
from lossproof.functions.function_session import (
    NOT_EXPLORED,
    can_explore,
    explorer,
    live_session,
    quiet,
    started,
)
from lossproof.functions.hints import hints
from lossproof.functions.memory.promise import is_of_memory, not_measured, with_memory
from lossproof.functions.questions import Questions, asked_calls
from lossproof.functions.trial_findings import TrialFindings
from lossproof.running.continued import Continued
from lossproof.running.report import Report, report
from lossproof.running.session_options import DeckOptions
from lossproof.targets import selection
from lossproof.targets.target import Target

if TYPE_CHECKING:
    from lossproof.running.exploration import Exploration


def check_function(function: Any, declared: Declaration, asked: Questions) -> Report:
    """Judge a function as it is declared; ``lossproof.check_implementation`` says what it raises."""
    declared.check()
    can_explore(asked)
    own = None if asked.calls is None else _given(asked.calls, declared)
    target, found = started(function, declared)
    with closing(_Targets([target])):
        return _checked(target, found, declared, asked, own)


@dataclass(frozen=True)
class _Targets:
    targets: Sequence[Target]

    def close(self) -> None:
        selection.close(self.targets)


def _checked(
    target: Target, found: TrialFindings, declared: Declaration, asked: Questions, own: Sequence[Call] | None
) -> Report:
    op, dtypes = declared.op, found.dtypes
    calls, left_out = (list(own), []) if own is not None else asked_calls(found, declared, asked)
    deck = DeckOptions(size=asked.deck, seed=asked.seed, ops=(op,), dtypes=dtypes)
    with quiet(found.prints):
        with closing(live_session(target, calls, deck, cache=asked.cache)) as session:
            source = with_memory(session.source, declared, found)
            drawn = explorer(target, dtypes, declared, asked) if asked.explore else None
            if drawn:
                source = Continued(source, drawn.observations)
            judged = report(replace(session, source=source))
            if drawn:
                judged = _with_what_was_found(judged, drawn.found)
        if not asked.explore and asked.calls is None:
            left_out.append(NOT_EXPLORED)
    left_out += _narrowed(op, dtypes, found.kinds)
    left_out += not_measured(declared, judged.observations)
    smaller = [o for o in judged.failures if not is_of_memory(o)]
    failures = [o for o in smaller if not asked.explained or o.output in asked.explained]
    with quiet(found.prints):
        text = diagnosis(failures, target) if failures else ""
    hint = "\n".join(hints(smaller)) if asked.calls is None else ""
    return replace(judged, left_out=tuple(left_out), hint=hint, asked=found.notes, diagnosis=text)


def _with_what_was_found(judged: Report, found: Exploration) -> Report:
    reasons = (*judged.reasons, *([f"exploration found {found.call.id}"] if found.call else []))
    return replace(judged, reasons=reasons, explored=found.drawn)


def _given(calls: Iterable[Call | Mapping[str, Any]], declared: Declaration) -> list[Call]:
    """Calls of the caller's own. Those of the deck's kinds may be invalid on purpose, values of a call may not."""
    found = [call if isinstance(call, Call) else from_json(call) for call in calls]
    if declared.variant is not None:
        found = [call.with_problem(declared.own(call.problem)) for call in found]
    for call in found:
        if not call.is_check:
            validate(call.problem)
    return found


def _narrowed(op: str, dtypes: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """What the arguments leave out."""
    kinds_left = [kind for kind in OPERATIONS[op].targets if kind not in kinds]
    left = (("dtypes", [d for d in FORMATS if d not in dtypes]), ("targets", kinds_left))
    return [f"{', '.join(names)} (not among {argument})" for argument, names in left if names]
