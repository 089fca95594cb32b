"""Hints at declarations that a function's failures may be missing, each in a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from lossproof.adapters.normalised import sums_to_one
from lossproof.adapters.protocol import LAYOUTS, Problem
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR
from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation

_IGNORED = re.compile(r"silently gives value \[0\.\s*,")
_WIDER = re.compile(r"value has dtype (float32|float64), expected (bfloat16|float16|float32)")
_DECLARES = re.compile(r", as (\w+) declares; accepted")
_UNKNOWN = re.compile(r": label (-?\d+) of (\d+) classes: silently gives value")
# What a function does with labels that are none, by the name of the declaration.
_LABELS = {
    "wraps_negative_labels": "that labels below 0 count from the end, as indices do",
    "zeroes_unknown_labels": "that a label out of range contributes nothing",
}
# So many failing calls are looked into, and fewer than that many have nothing in common.
_MANY, _SEVERAL = 100, 2


def hints(failures: Iterable[Observation]) -> list[str]:
    """Return what to know of failures: those that a declaration would answer, in the words of Python and of the command
    line."""
    failures = list(failures)
    found = []
    wrong = [o for o in failures if o.case.family == ERROR]
    if wrong:
        found.append(
            f"{len(wrong)} of them answer invalid or empty input (ids with /error/); errors=False leaves it out "
            "(--no-errors)"
        )
    shown = _of_labels(wrong)
    # Of a function that has no argument for it nothing else tells than that the row's loss is 0.
    ignored = [o for o in wrong if "minus-hundred" in o.id]
    if any(_IGNORED.search(o.message) for o in ignored):
        found.append("ignore_index=-100 says that this label is ignored always (--ignore-index -100)")
        others = {_declared(o) for o in wrong if o not in ignored}
        # Where that label alone is 0, no unknown one is.
        shown -= {"zeroes_unknown_labels"} - others
    found += [f"{name}=True says {_LABELS[name]} ({_option(name)})" for name in _LABELS if name in shown]
    wider = {match[1] for o in failures if (match := _WIDER.search(o.message))}
    found += [
        f"result_dtype='{dtype}' says that results are of this dtype where logits have a narrower one "
        f"(--result-dtype {dtype})"
        for dtype in sorted(wider)
    ]
    return found + _in_common(failures)


def _of_labels(wrong: Sequence[Observation]) -> set[str]:
    """The declarations that answer every value of a label that is none: one may be right by coincidence."""
    given = [(int(match[1]), int(match[2]), _declared(o)) for o in wrong if (match := _UNKNOWN.search(o.message))]
    wraps = [name for label, k, name in given if -k <= label < 0]
    zeroes = [name for _, _, name in given]
    found = {"wraps_negative_labels": wraps, "zeroes_unknown_labels": zeroes}
    return {name for name, shown in found.items() if shown and set(shown) == {name}}


def _declared(o: Observation) -> str:
    match = _DECLARES.search(o.message)
    return match[1] if match else ""


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _in_common(failures: Sequence[Observation]) -> list[str]:
    """What all failing calls have in common that a function may be declared not to take."""
    calls = {o.call.id: o.call for o in failures if isinstance(o.call, Call) and not o.call.is_check}
    problems = [call.problem for call in list(calls.values())[:_MANY]]
    if len(problems) < _SEVERAL:
        return []
    return [words(problems) for has, words in _COMMON.items() if all(map(has, problems))]


def _lies_apart(p: Problem) -> bool:
    return p.layout != LAYOUTS[0]


def _is_smoothed_fully(p: Problem) -> bool:
    return p.label_smoothing == 1.0


def _has_another_sum(p: Problem) -> bool:
    if not p.has_probability_target or p.target is None:
        return False
    fmt = FORMATS[p.dtype]
    return not sums_to_one(p.target, fmt.u, 3 * fmt.min_normal, p.axis).all()


def _in_layouts(problems: Sequence[Problem]) -> str:
    names = ", ".join(sorted({p.layout for p in problems}))
    return (
        f"all of these calls have arrays that do not lie together in memory ({names}): is memory read without its "
        "strides? layouts=('contiguous',) says that callers give it no others (--layout contiguous)"
    )


_COMMON: Mapping[Callable[[Problem], bool], Callable[[Sequence[Problem]], str]] = {
    _lies_apart: _in_layouts,
    _is_smoothed_fully: lambda _: (
        "all of these calls have label_smoothing 1; full_smoothing=False says that it is not taken "
        "(--no-full-smoothing)"
    ),
    _has_another_sum: lambda _: (
        "all of these calls have probabilities that do not sum to 1; normalised_targets=True says that those of its "
        "callers do (--normalised-targets)"
    ),
}
