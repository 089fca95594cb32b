"""Answers of several implementations to one group of calls, and what is found of each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.batch import flat
from lossproof.core.call import Call
from lossproof.core.formats import F64
from lossproof.core.operations import solved_by
from lossproof.core.profiles import Declared
from lossproof.judging.messages import own_index


class Found(NamedTuple):
    """What is said of one output of one call."""

    call: Call
    output: str
    failed: bool
    share: float
    message: str
    conventions: dict[str, str]


@dataclass(frozen=True)
class Answered:
    """What an implementation declares, and its outcomes by the numbers of the calls in their group.

    Of those that are ``alike``, if they are right, only that is said: their shares are the largest among them.
    """

    declared: Declared
    outcomes: Mapping[int, Outcome]
    alike: bool = False


class Place(NamedTuple):
    """An output of an implementation's answer to a call, by their numbers."""

    who: int
    call: int
    output: str


def answered(calls: Sequence[Call], several: Sequence[Answered], place: Place) -> F64:
    """The answer in the batch's layout."""
    return flat(several[place.who].outcomes[place.call].outputs[place.output].data, calls[place.call].outline)


def solved(calls: Sequence[Call], numbers: Sequence[int], declared: Declared) -> list[Problem]:
    """The problems of some calls, as who declares a mean solves them."""
    return [solved_by(calls[i].problem, declared.mean) for i in numbers]


def message(call: Call, name: str, got: float, at: tuple[int, ...], share: float) -> str:
    """What is wrong with an entry, in few words."""
    return f"{call.id} {name}: got {got:.9g} at {own_index(at, call.outline, name)}, {share:.3g}x"
