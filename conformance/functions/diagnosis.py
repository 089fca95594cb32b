"""The diagnosis of a report's failures: the first one in full, on the smallest input that still shows it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.core.own_frames import own_frames
from lossproof.functions.mechanisms import mechanism
from lossproof.functions.other_profiles import within_others
from lossproof.judging.messages import told_apart
from lossproof.repro.program import asked_again, reproducer_of, smallest
from lossproof.running.report import failure_groups
from lossproof.targets.target import Target

# Groups of failures in which a mechanism is looked for, and calls of each.
_GROUPS, _EACH = 8, 2
# Calls that the search for the smallest input may put to a function, by what a new shape costs it.
_BUDGETS = {"none": 150, "cheap": 24, "dear": 8}
_LONGEST = 40
_NUMBERS = re.compile(r"\d[\d.e+-]*")
_MODIFIED = "modified its input"
_OVERWRITTEN = (
    "what it writes there, a gradient in the place of the logits, say, is what everybody reads who has the same "
    "tensor: other losses, a second backward pass"
)


def diagnosis(failures: Sequence[Observation], target: Target) -> str:
    """Explain the first of a function's failures that can be: mechanism, numbers, smallest input, program.

    Other mechanisms that are recognised in its failures, and that an input is written into, are said besides. An empty
    text where there is nothing to explain.
    """
    asked = list(_asked_again(failures, target))
    written = next((f"{o.message}\n  {_OVERWRITTEN}" for o in failures if _MODIFIED in o.message), "")
    if not asked:
        return written
    found = next((one for one in asked if one.words), asked[0])
    # What no mechanism explains may all be right under another declaration.
    allowed = [] if found.words else [_allowed_elsewhere(a.call.problem, a.o, a.outcome, target) for a in asked]
    elsewhere = next((words for words in (allowed or [[]])[0] if all(words in of_one for of_one in allowed)), "")
    lines = [_explained(found, target, elsewhere)]
    if _MODIFIED not in lines[0] and written:
        lines.append(written)
    seen = {_NUMBERS.sub("#", found.words)}
    for other in asked:
        kind = _NUMBERS.sub("#", other.words)
        if kind and kind not in seen:
            lines.append(f"besides, {_what(other.call.problem, other.o)}: {other.words}")
        seen.add(kind)
    return "\n".join(lines)


@dataclass(frozen=True)
class _AskedAgain:
    """A failing call that was asked again, with the mechanism of the answer in ``words``, if it is known."""

    call: Call
    o: Observation
    outcome: Outcome
    words: str
    differs: bool = False


def _explained(found: _AskedAgain, target: Target, elsewhere: str) -> str:
    budget = _BUDGETS[target.capabilities.compile_cost]
    call, o, outcome, words = found.call, found.o, found.outcome, found.words

    def same(p: Problem, again: Observation, answer: Outcome) -> bool:
        if elsewhere:
            return elsewhere in _allowed_elsewhere(p, again, answer, target)
        return not words or _mechanism(p, again, answer) == words

    if not found.differs:
        with np.errstate(all="ignore"):
            call, o, outcome = smallest(call, target, o, outcome, budget=budget, same=same)
    words = _mechanism(call.problem, o, outcome) or words or elsewhere
    return "\n".join(_lines(call, o, outcome, words, target, which="this" if found.differs else "the smallest"))


def _asked_again(failures: Sequence[Observation], target: Target) -> Iterator[_AskedAgain]:
    """Yield of each group of failures, in the order of severity, the first call of which the mechanism is known, else
    the first of one call."""
    for group in failure_groups(failures)[:_GROUPS]:
        plain = None
        for o in [o for o in group if isinstance(o.call, Call) and not o.call.is_check][:_EACH]:
            # sanity check: those without a call are left out
            assert isinstance(o.call, Call)
            again = asked_again(o.call, target, o.output)
            if again is None:
                continue
            words = _mechanism(o.call.problem, *again)
            other = "" if words else _differs(o, again[0])
            one = _AskedAgain(o.call, *again, words or other, bool(other))
            if one.words:
                plain = one
                break
            plain = plain or one
        if plain is not None:
            yield plain


def _differs(o: Observation, again: Observation) -> str:
    """Say of an answer that it was another one before."""
    if o.got is None or again.got is None or o.bits == again.bits:
        return ""
    first, second = told_apart(o.got, again.got)
    more = f": {first}, then {second}" if o.index == again.index and first != second else ""
    return f"the same call has another result when it is asked again{more}; it depends on more than its arguments"


def _allowed_elsewhere(p: Problem, o: Observation, outcome: Outcome, target: Target) -> list[str]:
    answer = outcome.outputs.get(o.output) if outcome.error is None else None
    if answer is None or o.got is None:
        return []
    declared = target.declared(p.op, p.result_dtype)
    with np.errstate(all="ignore"):
        return within_others(p, o.output, answer.data, declared.profile, online=declared.online)


def _mechanism(p: Problem, o: Observation, outcome: Outcome) -> str:
    answer = outcome.outputs.get(o.output) if outcome.error is None else None
    return "" if answer is None or o.got is None else mechanism(p, o.output, answer.data)


def _what(p: Problem, o: Observation) -> str:
    return f"{TABLE[o.output].words} of {p.op} in {p.dtype}"


def _lines(call: Call, o: Observation, outcome: Outcome, words: str, target: Target, *, which: str) -> Iterator[str]:
    p = call.problem
    what = _what(p, o)
    if words:
        yield f"{what}: {words}"
    elif outcome.error is not None:
        yield f"{what}: {o.message.partition('): ')[2]}"
        if _MODIFIED in o.message:
            yield f"  {_OVERWRITTEN}"
    elif o.got is None:
        # Another shape or dtype.
        yield f"{what}: {o.message.partition('): ')[2]}"
    else:
        yield f"{what} is wrong"
    family = FAMILIES.get(call.family)
    if family is not None:
        yield f"  seen with {call.family}: {family.provokes}"
    if o.got is not None and o.exact is not None and o.allowed is not None:
        where = f" at [{', '.join(map(str, o.index))}]" if o.index else ""
        got, low, high = told_apart(o.got, *o.exact)
        exact = low if o.exact[0] == o.exact[1] or low == high else f"in [{low}, {high}]"
        share = f"{o.share:.3g} times the bound" if np.isfinite(o.share) else "not an accepted value"
        yield f"  on {which} input: got {got}{where}, exact {exact}; allowed error {o.allowed:.3g}; {share}"
    yield from _traceback(p, target, outcome)
    yield from _program(call, o, outcome, target)


def _program(call: Call, o: Observation, outcome: Outcome, target: Target) -> Iterator[str]:
    try:
        with np.errstate(all="ignore"):
            text = reproducer_of(call, o, outcome, target, command=o.id).text
    except (UsageError, NotImplementedError):
        return
    lines = text.splitlines()
    if len(lines) <= _LONGEST:
        yield "  as a program:"
        yield from ("    " + line if line else "" for line in lines)


def _traceback(p: Problem, target: Target, outcome: Outcome) -> Iterator[str]:
    """Yield the caller's own part of the traceback of an exception, which is raised once more for it."""
    if outcome.error is None or target.player is not None:
        return
    try:
        answers = target.adapter.evaluate(p, target.device, target.mode)  # type: ignore[union-attr]
        error = next((a for a in answers.values() if isinstance(a, BaseException)), None)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        error = raised
    frames = own_frames(error) if error is not None else []
    if frames:
        yield "  in your own code:"
        text = "".join(traceback.format_list(frames)).rstrip()
        yield from ("  " + line for line in text.splitlines())
        yield f"    {type(error).__name__}: {error}"
