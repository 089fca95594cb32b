"""A session: sinks hear of everything in order, marks are checked, and an interrupt is neither complete nor green."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from lossproof.adapters.numpy import ADAPTER
from lossproof.cases.shard import parse_shard
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book, parse_waivers
from lossproof.running.report import report
from lossproof.running.session import Ended, Session
from lossproof.running.session_options import DeckOptions
from lossproof.running.summary import FindingGroup, Summary, severity
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

RIGHT = Observation("softmax/float32/ordinary/n2-k4/00000000", "value", "numpy", "pass")
WRONG = Observation("softmax/float32/ordinary/n2-k4/00000001", "value", "numpy", "fail", message="off")


@dataclass
class Told:
    """A source with these observations; ``None`` is an interrupt."""

    several: Sequence[Observation | None]
    targets: Sequence[Target] = ()
    clock: Clock = field(default_factory=Clock)
    seconds: float = 1.5
    lost: Mapping[str, str] = field(default_factory=dict)

    def observations(self) -> Generator[Observation]:
        for o in self.several:
            if o is None:
                raise KeyboardInterrupt
            yield o

    def book_in_force(self, book: Book) -> Book:
        return book

    def close(self) -> None: ...


@dataclass
class Heard:
    found: list[Observation] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    def add(self, o: Observation) -> None:
        self.found.append(o)

    def close(self, run: Ended) -> None:
        self.ended.append(run)


def session(*several: Observation | None, shortfalls: Sequence[str] = ()) -> Session:
    book = Book([], [])
    return Session(subjects=[], calls=[], deck=DeckOptions(), book=book, source=Told(several), shortfalls=shortfalls)


def test_every_sink_hears_of_everything_and_of_the_end() -> None:
    one, other = Heard(), Heard()
    ended = session(RIGHT, WRONG).play(one, other)
    assert one.found == other.found == [RIGHT, WRONG]
    assert one.ended == other.ended == [ended]
    assert ended.facts is not None
    assert (ended.facts["seconds"], ended.facts["verdicts"]) == (1.5, {"pass": 1, "fail": 1})
    assert (ended.reasons, ended.complete) == (["1 fail"], True)


def test_what_is_missing_is_a_reason_to_fail() -> None:
    ended = session(RIGHT, shortfalls=["2 calls without an answer"]).play()
    assert (ended.reasons, ended.complete) == (["2 calls without an answer"], False)


@pytest.mark.parametrize(("part", "reasons"), [("1/1", ["unexpected pass of waiver known"]), ("1/3", [])])
def test_a_shard_does_not_know_that_conventions_hold(part: str, reasons: list[str]) -> None:
    """What contradicts them may be in another; the merged record tells."""
    target = Target(ADAPTER)
    waivers = parse_waivers(
        f"[[waiver]]\nname = 'known'\ncases = 'softmax/all/convention/*'\nsymptom = 'error'\nreason = 'r'\n"
        f"issue = 'i'\nexpect = 'all'\nseen = '{target.describe().versions['numpy']}'\n",
        source="known.toml",
        adapter="numpy",
    )
    deck, agreed = DeckOptions(shard=parse_shard(part)), replace(RIGHT, id="softmax/all/convention/clause-4/value")
    source = Told([replace(agreed, target=target.implementation)])
    book = Book(waivers, [target])
    played = Session(subjects=[target], calls=[], deck=deck, book=book, source=source, strict=True).play()
    assert [reason for reason in played.reasons if "unexpected" in reason] == reasons


def test_an_interrupt_ends_a_session_without_facts() -> None:
    sink = Heard()
    ended = session(RIGHT, None, WRONG).play(sink)
    assert (ended.facts, ended.complete) == (None, False)
    assert (sink.found, sink.ended) == ([RIGHT], [ended])
    with pytest.raises(KeyboardInterrupt):
        report(session(RIGHT, None))


def test_a_mark_that_these_waivers_do_not_give_is_a_mistake() -> None:
    marked = Observation(WRONG.id, "value", "numpy", "fail", waiver="old")
    with pytest.raises(UsageError, match=r"has a waiver 'old' on .* the same --waivers"):
        session(marked).play()


def test_the_worst_comes_first_and_refusals_last() -> None:
    """A share of infinity is what every refusal has."""

    def found(family: str, *, got: float | None, share: float, verdict: str = "fail") -> Observation:
        id = f"softmax/float32/{family}/n2-k4/00000000"
        return Observation(id, "value", "numpy", verdict, got=got, share=share, exact=(1.0, 1.0))

    refused = found("hot", got=None, share=math.inf)
    slightly, far = found("ordinary", got=1.1, share=2.0), found("cliff", got=9.0, share=1e9)
    invalid = found("error", got=1.0, share=math.inf)
    dead = found("equal", got=None, share=math.inf, verdict="crash")
    several = [refused, invalid, slightly, dead, far]
    ranked = sorted(several, key=severity, reverse=True)
    assert ranked == [dead, far, slightly, invalid, refused]
    summary = Summary().add_all(several)
    shown = [group.worst for _, group in summary.ranked(summary.groups)]
    assert shown == [dead, far, refused, slightly, invalid], "one of each kind, and then the second of any"
    both = FindingGroup()
    both.add(refused)
    both.add(slightly)
    assert both.worst == slightly
