"""Calls of other projects' tests: each case that a problem can say is a call like any other, the rest is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lossproof.adapters.peers import PeerCase
from lossproof.adapters.protocol import Problem, Tensor
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.operations import validate
from lossproof.targets.peer_source import read_source

_SHOWN = 3


@dataclass(frozen=True)
class PeerCalls:
    """The cases of a ``source`` are these ``calls``.

    ``named`` has the id of each case that is one, by its own name, ``answers`` the values that the project expects, by
    id, and ``left_out`` why the other cases are none, by name.
    """

    source: str
    package: str
    version: str
    calls: Sequence[Call]
    named: Mapping[str, str]
    answers: Mapping[str, Tensor]
    left_out: Mapping[str, str]

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that the header of a record has of the cases."""
        of = {"source": self.source, "package": self.package, "version": self.version}
        return {**of, "named": dict(self.named), "left_out": dict(self.left_out)}

    def notes(self) -> Iterator[str]:
        """Say how many there are, and which are left out and why, in lines."""
        count = len(self.named) + len(self.left_out)
        again = len(self.named) - len(self.calls)
        also = f", {again} ask the same as another one" if again else ""
        left = f", {len(self.left_out)} are left out" if self.left_out else ""
        yield f"{count} cases of {self.package} {self.version}: {len(self.calls)} calls{also}{left}"
        whys: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            whys.setdefault(why, []).append(name)
        for why, names in whys.items():
            yield f"  left out, {why}: {', '.join(names)}"

    def with_ids(self, patterns: Sequence[str]) -> list[str]:
        """Return patterns of ids, with the ids in the place of the cases' own names."""
        return [self.named.get(pattern, pattern) for pattern in patterns]


@cache
def peer_calls(source: str) -> PeerCalls:
    """Read the cases of ``NAME`` or ``NAME@ENVIRONMENT`` and make calls of them. Raises :class:`UsageError` where they
    cannot be read, and where none of them is one."""
    read = read_source(source)
    calls: dict[str, Call] = {}
    named: dict[str, str] = {}
    answers: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for case in read.cases:
        try:
            call = _call(case, source, f"{read.package} {read.version}")
        except UsageError as error:
            left_out[case.name] = str(error)
            continue
        before = answers.get(call.id)
        if call.id in calls and not _same(before, case.answer):
            left_out[case.name] = f"it is the call {call.id} of another case, with another answer"
            continue
        calls.setdefault(call.id, call)
        named[case.name] = call.id
        if case.answer is not None:
            answers[call.id] = case.answer
    if not calls:
        why = "; ".join(list(left_out.values())[:_SHOWN]) or "there are none"
        raise UsageError(f"no case of {read.package} {read.version} is a call: {why}")
    return PeerCalls(source, read.package, read.version, list(calls.values()), named, answers, left_out)


def _call(case: PeerCase, source: str, version: str) -> Call:
    """The call of a case, asked of every target. Raises :class:`UsageError` where it is none."""
    if not isinstance(case.problem, Problem):
        raise UsageError(case.reason or "it is no problem")
    validate(case.problem)
    return Call(case.problem, source.partition("@")[0], f"{version}, {case.name}", tier="core")


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    """Say whether two answers have the same bits, as far as there are any."""
    if one is None or other is None:
        return one is other
    return (one.dtype, one.data.shape, one.data.tobytes()) == (other.dtype, other.data.shape, other.data.tobytes())
