"""Rules that say how one output changed between two runs, and how serious that is, one pair at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lossproof.core.case_id import CaseId, Kind
from lossproof.core.clauses import EXEMPT, MEMORY, MODES, RELATIVE, TAIL
from lossproof.core.observation import Observation
from lossproof.records.diff_options import ON_BITS, ON_CONVENTION, ON_REGRESSION
from lossproof.records.waivers import symptom, verdict

CHANGE_KINDS = ("regression", "fix", "convention", "behaviour", "gone", "new")
# A better grade of answer has a lower number. What did not answer at all is worse than a wrong answer, which a waiver
# may excuse.
_RANK = {"pass": 0, "convention": 0, "suspect": 1, "unsupported": 2, "fail": 3}
_WORST = 4
# Grades that are lost, and the level of that: other bits in another mode are no more than other bits, and small results
# that lose their relative accuracy are within their bound.
_GRADES = {"determinism": ON_REGRESSION, "batch": ON_REGRESSION, MODES: ON_BITS, TAIL: "", MEMORY: ""}
_GOOD_GRADES = frozenset({"bitwise", RELATIVE})


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one output between two runs.

    ``kind`` is one of :data:`CHANGE_KINDS`: ``behaviour`` is another error, or another way to fail. ``fails`` is the
    level at which it fails a comparison, empty for never; ``clause`` the clause of the specification's section 4 that
    is concerned; ``message`` what the second run says, or of a fix the first.
    """

    kind: str
    target: str
    id: str
    output: str
    before: str
    after: str
    fails: str = ""
    clause: str = ""
    message: str = ""

    @property
    def case(self) -> CaseId:
        """The id in its parts."""
        return CaseId.parse(self.id)

    @property
    def group(self) -> tuple[str, ...]:
        """Key of the changes that likely share a mechanism."""
        case, states = self.case, (self.before, self.after, self.fails)
        return (self.kind, self.target, case.op, case.dtype, case.family, self.output, self.clause, *states)


def is_answered(o: Observation) -> bool:
    """Tell whether an observation is of an answer that is not wrong."""
    return _rank(o) < _RANK["unsupported"]


def _rank(o: Observation) -> int:
    return _RANK.get(o.verdict, _WORST)


def changes_between(target: str, a: Observation | None, b: Observation | None, *, same_deck: bool) -> Iterator[Change]:
    """List the changes from observation ``a`` to ``b``, one of which may be missing.

    With the ``same_deck`` on both sides an output that is missing is a regression, unless it depends on answers
    whether there is one.
    """
    if a is None or b is None:
        if a is not None:
            missed = same_deck and a.case.kind in (Kind.CALL, Kind.RELATION)
            yield Change("gone", target, a.id, a.output, state(a), "", ON_REGRESSION if missed else "")
        elif b is not None:
            bad = same_deck and _rank(b) > _RANK["unsupported"] and verdict(b) != "waived"
            kind, fails = ("regression", ON_REGRESSION) if bad else ("new", "")
            yield Change(kind, target, b.id, b.output, "", state(b), fails, message=b.message)
        return
    ranks = _rank(a), _rank(b)
    good = _RANK["unsupported"]
    if ranks[0] != ranks[1] or ranks[0] >= good:
        yield from _verdicts(target, a, b, ranks)
    if ranks[0] < good and ranks[1] < good and a.conventions != b.conventions:
        yield from _conventions(target, a, b)


def _verdicts(target: str, a: Observation, b: Observation, ranks: tuple[int, int]) -> Iterator[Change]:
    states = state(a), state(b)
    if ranks[1] > ranks[0]:
        fails = "" if verdict(b) == "waived" else ON_REGRESSION
        yield Change("regression", target, b.id, b.output, *states, fails, message=b.message)
    elif ranks[1] < ranks[0]:
        kind, message = ("fix", a.message) if is_answered(b) else ("behaviour", b.message)
        yield Change(kind, target, b.id, b.output, *states, message=message)
    elif states[0].split(", ")[0] != states[1].split(", ")[0]:
        yield Change("behaviour", target, b.id, b.output, *states, ON_CONVENTION, message=b.message)


def state(o: Observation) -> str:
    """Say a verdict in words: how an output fails, and the waiver that excuses it."""
    text = f"{o.verdict} ({kind})" if (kind := symptom(o)) else o.verdict
    return f"{text}, waived: {o.waiver}" if verdict(o) == "waived" else text


def _conventions(target: str, a: Observation, b: Observation) -> Iterator[Change]:
    """Clause by clause. A clause that only one of them names left the other no choice: it gave the exact result."""
    for clause in sorted({*a.conventions, *b.conventions}):
        one, other = a.conventions.get(clause, ""), b.conventions.get(clause, "")
        if one == other or (clause in _GRADES and not (one and other)):
            continue
        kind = "convention"
        if clause in _GRADES:
            lost = _GRADES[clause]
            kind, fails = (
                ("fix", "") if other in _GOOD_GRADES else ("regression" if lost == ON_REGRESSION else kind, lost)
            )
        else:
            fails = ON_CONVENTION if clause in EXEMPT or _is_open(clause, one, other) else ON_REGRESSION
            if a.case.kind is Kind.ERROR or "error:" in one + other:
                kind = "behaviour"
        yield Change(kind, target, b.id, b.output, one or "exact", other or "exact", fails, clause, b.message)


def _is_open(clause: str, one: str, other: str) -> bool:
    """Say whether it is left open which of two outcomes a call has: which error, and in clause 13 an error or NaN."""
    return all(text.startswith("error:") or (clause == "13" and text == "nan") for text in (one, other))
