"""Hints at declarations that a function's failures may be missing, each in a line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lossproof.core.case_id import ERROR
from lossproof.core.observation import Observation

_IGNORED = re.compile(r"silently gives value \[0\.\s*,")
_WIDER = re.compile(r"value has dtype (float32|float64), expected (bfloat16|float16|float32)")


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
    # Of a function that has no argument for it nothing else tells than that the row's loss is 0.
    if any("minus-hundred" in o.id and _IGNORED.search(o.message) for o in wrong):
        found.append("ignore_index=-100 says that this label is ignored always (--ignore-index -100)")
    wider = {match[1] for o in failures if (match := _WIDER.search(o.message))}
    found += [
        f"result_dtype='{dtype}' says that results are of this dtype where logits have a narrower one "
        f"(--result-dtype {dtype})"
        for dtype in sorted(wider)
    ]
    return found
