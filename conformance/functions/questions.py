"""The questions that are put to a function: the calls of a deck, as far as it takes them, or a caller's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lossproof.adapters.protocol import Problem
from lossproof.cases.catalogue import relation_checks, select, select_variant
from lossproof.cases.forms.every_option import EVERY_OPTION
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR, TRIAL
from lossproof.functions.declaration import Declaration
from lossproof.functions.prepare import kept_calls
from lossproof.functions.trial import with_directions
from lossproof.functions.trial_findings import TrialFindings
from lossproof.judging.check import Check

_OF_THE_OP = (
    "relations of the op alone, and answers to invalid and to empty input (a variant has calls and relations of its "
    "own)"
)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Questions are what is asked of a function: a deck, or calls of the caller's own, and what is drawn besides.

    Failures of the outputs ``explained`` are, by default those of all.
    """

    deck: str = "default"
    seed: int = 0
    calls: Iterable[Call | Mapping[str, Any]] | None = None
    errors: bool = True
    explore: int = 0
    cache: bool = True
    explained: Collection[str] = ()


def asked_calls(found: TrialFindings, declared: Declaration, asked: Questions) -> tuple[list[Call], list[str]]:
    """Return the calls of a deck that a function is asked, and in a line each what is left out of it."""
    if found.broken is not None:
        return [Call(found.broken, TRIAL)], ["all other calls: not even this one is answered"]
    if declared.variant is not None:
        whole = select_variant(declared.op, found.dtypes, declared.variant, deck=asked.deck, seed=asked.seed)
        calls, left = kept_calls(whole, declared)
        return calls, [_OF_THE_OP, *left]
    whole = select(asked.deck, asked.seed, (declared.op,), found.dtypes)
    kept = [c for c in whole if asked.errors or not is_invalid_or_empty(c)]
    n = len(whole) - len(kept)
    calls, left = kept_calls(for_functions(kept, found, asked.seed), declared)
    return calls, [*([f"{n} calls of invalid and of empty input (errors=True judges them)"] if n else []), *left]


def is_invalid_or_empty(call: Call) -> bool:
    """Tell whether a call is one of those that are judged with ``errors`` alone."""
    return call.family == ERROR or call.outline.x.size == 0


def for_functions(calls: Iterable[Call], found: TrialFindings, seed: int) -> list[Call]:
    """Return calls of a deck as a function is asked them: those that functions with few options need are worth their
    compilation, and what is not watched in every call is watched in some."""
    raised = [call.at_tier("core") if call.provenance == EVERY_OPTION else call for call in calls]
    return raised if found.watched else [*raised, *_watched(found.start, seed)]


def _watched(start: Problem | None, seed: int) -> list[Check]:
    """The relations that look for what a function writes into, of a call that it answers certainly."""
    if start is None:
        return []
    checks = relation_checks([Call(with_directions(start), TRIAL, tier="core")], seed=seed)
    return [replace(check, tier="core") for check in checks if check.watched]
