"""Drafts of waivers for the failures of a record that no waiver speaks of, for a person to review.

One entry for failures that likely share a mechanism: same op, dtype, family, output, symptom, version and device, and
the same cases in each of its modes. Its globs match nothing that did not fail, as far as the record shows. Reason and
issue are empty, and a file of waivers with such an entry is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape

from packaging.version import InvalidVersion, Version

from lossproof.core.case_id import CaseId, is_of_implementation
from lossproof.core.command_line import showing_command
from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.records.conditions import Context, Subject, context
from lossproof.records.waivers import Book, symptom

_GOOD = frozenset({"pass", "convention", "suspect"})
_HEAD = """\
# Drafts of waivers. Each entry says what failed; a person has to say why, or mend the implementation instead.
# This file is refused until every entry has a reason (the mechanism, in one sentence) and an issue (where upstream
# tracks it, or "no report found"). Give it to lossproof run --waivers then.
"""


@dataclass(frozen=True)
class _FailureKey:
    """What failures of one draft have in common, in one mode.

    ``beginning`` is how their ids begin, ``group`` how those of the same op, dtype and family do.
    """

    targets: tuple[str, ...]
    group: str
    beginning: str
    output: str
    symptom: str


@dataclass
class _Failures:
    ids: set[str] = field(default_factory=set)
    worst: Observation | None = None

    def add(self, o: Observation) -> None:
        self.ids.add(o.id)
        if self.worst is None or o.share > self.worst.share:
            self.worst = o


@dataclass(frozen=True)
class Draft:
    """A draft is an entry without reason and issue: ``count`` failures on ``targets``, and the ``worst`` of them.

    ``seen`` is empty where the version is not known.
    """

    name: str
    adapter: str
    cases: tuple[str, ...]
    output: str
    when: str
    symptom: str
    seen: tuple[str, ...]
    targets: tuple[str, ...]
    count: int
    worst: Observation


@dataclass(frozen=True)
class Drafts:
    """Drafts of waivers, the number of ``failures`` that they speak of, and of ``faults`` that no waiver may hide."""

    drafts: tuple[Draft, ...]
    failures: int
    faults: int


def drafts(observations: Callable[[], Iterable[Observation]], targets: Sequence[Subject], book: Book) -> Drafts:
    """Draft waivers for a record, which is read twice; the waivers of ``book`` are those in force."""
    found: dict[_FailureKey, _Failures] = {}
    faults = 0
    for o in observations():
        if o.verdict not in FAILING or book.mark(o).waiver:
            continue
        kind = symptom(o)
        if not kind:
            faults += 1
            continue
        speakers = tuple(
            t.name for t in targets if o.target == (t.implementation if is_of_implementation(o.id) else t.name)
        )
        if not speakers:
            raise UsageError(f"{o.id} failed on {o.target}, of which the header of the record says nothing")
        place = _FailureKey(speakers, o.case.group, o.case.mechanism, o.output, kind)
        found.setdefault(place, _Failures()).add(o)
    passed = _passed(observations(), found)
    by_name = {t.name: t for t in targets}
    merged: dict[tuple[object, ...], list[_FailureKey]] = {}
    for place, failures in found.items():
        where = context(by_name[place.targets[0]])
        devices = tuple(dict.fromkeys(by_name[name].device for name in place.targets))
        kind_of_place = (place.beginning, place.output, place.symptom)
        key = (by_name[place.targets[0]].adapter.name, _version(where), devices, *kind_of_place)
        merged.setdefault((*key, frozenset(failures.ids)), []).append(place)
    taken = Counter(w.name for w in book.waivers)
    several = tuple(_draft(places, found, passed, by_name, taken) for places in merged.values())
    return Drafts(several, sum(d.count for d in several), faults)


def _passed(observations: Iterable[Observation], found: Iterable[_FailureKey]) -> dict[_FailureKey, set[str]]:
    """Of each place, the cases that did not fail, without the last part of their ids."""
    places: dict[tuple[str, str, str], list[_FailureKey]] = {}
    for place in found:
        for target in place.targets:
            places.setdefault((target, place.group, place.output), []).append(place)
    passed: dict[_FailureKey, set[str]] = {}
    for o in observations:
        if o.verdict in _GOOD:
            for place in places.get((o.target, o.case.group, o.output), ()):
                if o.id.startswith(place.beginning):
                    passed.setdefault(place, set()).add(o.case.without_digest)
    return passed


def _draft(
    places: Sequence[_FailureKey],
    found: dict[_FailureKey, _Failures],
    passed: dict[_FailureKey, set[str]],
    by_name: dict[str, Subject],
    taken: Counter[str],
) -> Draft:
    first = places[0]
    several = [by_name[name] for place in places for name in place.targets]
    good = set().union(*(passed.get(place, set()) for place in places))
    where = context(several[0])
    version = _version(where)
    mine = [t for t in by_name.values() if t.adapter.name == several[0].adapter.name]
    terms = [f"{where.package}=={version}"] if version and len({_version(context(t)) for t in mine}) > 1 else []
    for fact in ("device", "mode"):
        terms.append(f"{fact}={'|'.join(dict.fromkeys(getattr(t, fact) for t in several))}")
    worst = max((w for p in places if (w := found[p].worst) is not None), key=lambda o: o.share)
    return Draft(
        _name(f"draft-{several[0].adapter.name}-{first.beginning}-{first.output}-{first.symptom}", taken),
        several[0].adapter.name,
        tuple(_globs(first.beginning, found[first].ids, good)),
        first.output,
        " and ".join(terms),
        first.symptom,
        (version,) if version else (),
        tuple(t.name for t in several),
        sum(len(found[p].ids) for p in places),
        worst,
    )


def _globs(beginning: str, ids: Iterable[str], passed: set[str]) -> Iterator[str]:
    """Globs of these ids that match none of those that passed: the family, or details of it, or the ids."""
    if not passed:
        yield f"{escape(beginning)}*"
        return
    whole = sorted({CaseId.parse(i).without_digest for i in ids} - passed)
    yield from (f"{escape(detail)}*" for detail in whole)
    yield from (escape(i) for i in sorted(ids) if CaseId.parse(i).without_digest in passed)


def _version(where: Context) -> str:
    """The version of the framework, without what a build adds to it; empty if a condition cannot hold it."""
    try:
        return Version(where.versions.get(where.package, "")).public
    except InvalidVersion:
        return ""


def _name(text: str, taken: Counter[str]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def toml(several: Iterable[Draft], place: Mapping[str, object]) -> str:
    """Write drafts as a file of waivers; ``place`` are the options that find the deck of their cases."""
    return "\n".join([_HEAD, *(_entry(d, place) for d in several)])


def _entry(d: Draft, place: Mapping[str, object]) -> str:
    cases = "".join(f"    {_text(glob)},\n" for glob in d.cases)
    seen = ", ".join(map(_text, d.seen))
    unknown = "" if d.seen else "  # its version is not known: say in which one this was seen"
    explain = f"# {_line(showing_command(d.worst.id, d.targets[0], place))}\n"
    return (
        f"# Failures on {_line(', '.join(d.targets))}: {d.count}, the worst:\n# {_line(d.worst.message)}\n{explain}"
        f"[[waiver]]\nname = {_text(d.name)}\nadapter = {_text(d.adapter)}\ncases = [\n{cases}]\n"
        f'output = {_text(d.output)}\nwhen = {_text(d.when)}\nexpect = "all"\nsymptom = {_text(d.symptom)}\n'
        f'reason = ""\nissue = ""\nseen = [{seen}]{unknown}\n'
    )


def _line(text: str) -> str:
    """What came from a target, as a part of a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _text(value: str) -> str:
    return json.dumps(_line(value), ensure_ascii=False)
