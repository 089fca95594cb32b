"""Bisection finds the first release that answers otherwise by binary search. Pure; who asks a release is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lossproof.core.errors import UsageError

# What a release answers, in words; None if it cannot be asked.
Ask = Callable[[str], str | None]


@dataclass(frozen=True)
class FirstChange:
    """The result of a bisection: ``first`` is the first release that answers otherwise than ``last`` before it.

    The releases in between, ``unknown``, cannot be asked. ``before`` and ``after`` are the answers of ``last`` and
    ``first``.
    """

    last: str
    first: str
    before: str
    after: str
    unknown: tuple[str, ...] = ()


def first_change(versions: Sequence[str], ask: Ask) -> FirstChange:
    """Find the first of ``versions``, oldest first, that answers otherwise than the oldest.

    Raises :class:`UsageError` if an end cannot be asked, or if both ends answer the same.
    """
    ends = [_end(v, ask(v)) for v in (versions[0], versions[-1])]
    if ends[0] == ends[1]:
        raise UsageError(
            f"{versions[0]} and {versions[-1]} answer the same: {ends[0]}; expected a case that changed between them"
        )
    before, after = ends
    low, high = 0, len(versions) - 1
    skipped: set[int] = set()
    while left := [i for i in range(low + 1, high) if i not in skipped]:
        middle = min(left, key=lambda i: (abs(2 * i - low - high), i))
        answer = ask(versions[middle])
        if answer is None:
            skipped.add(middle)
        elif answer == before:
            low = middle
        else:
            high, after = middle, answer
    unknown = tuple(versions[i] for i in range(low + 1, high))
    return FirstChange(versions[low], versions[high], before, after, unknown)


def _end(version: str, answer: str | None) -> str:
    if answer is None:
        raise UsageError(f"{version} cannot be asked; choose another release for that end")
    return answer
