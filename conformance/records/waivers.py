"""Waivers are known deviations: their files, the conditions under which they hold, and their application as a view.

An observation keeps its raw verdict and gets the waiver's name; :func:`verdict` is what a reader sees. To add one,
write an entry in ``golden/waivers/<adapter>.toml`` (the format is at the top of each file); to remove one, delete it:
``--strict`` says when an entry no longer matches anything.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from lossproof.adapters.protocol import OUTPUTS as ALL_OUTPUTS
from lossproof.core.call import Call
from lossproof.core.case_id import CaseId, is_of_implementation
from lossproof.core.clauses import MEMORY
from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING, Observation
from lossproof.records.conditions import Condition, Context, Subject, context, parse

WAIVABLE_OUTPUTS = (*ALL_OUTPUTS, "*")
EXPECTS = ("all", "some")
SYMPTOMS = ("inaccurate", "nonfinite", "finite", "error", "memory")
_REQUIRED = ("name", "cases", "symptom", "reason", "issue", "seen")
_LISTS = ("cases", "explored", "seen")
# Longer than any id, the longest of which have a hundred characters. What a glob costs grows with the square of its
# length where brackets in it are not closed.
_LONGEST_GLOB = 1000


@dataclass(frozen=True)
class Waiver:
    """One known deviation of one adapter.

    ``cases`` are globs of the ids of the deck's calls, ``explored`` those of calls that exploration draws: there the
    mechanism shows in shapes and logits that nobody listed, so that these are wider. ``when`` narrows both to versions,
    device, dtype and mode; ``expect`` says whether ``all`` matching calls of the deck deviate (then a pass is news) or
    ``some``; ``seen`` lists the versions it was observed in; ``until`` is the release that fixes it; ``reproducer`` a
    script next to the file that needs only the framework.
    """

    name: str
    cases: tuple[str, ...]
    symptom: str
    reason: str
    issue: str
    seen: tuple[str, ...]
    adapter: str = ""
    output: str = "*"
    when: str = ""
    expect: str = "some"
    reproducer: str = ""
    explored: tuple[str, ...] = ()
    until: str = ""
    source: str = ""

    @cached_property
    def condition(self) -> Condition:
        """The parsed ``when``."""
        return parse(self.when)

    def matches(self, o: Observation, where: Context, *, explored: bool = False) -> bool:
        """Tell whether the waiver speaks of this observation, whatever its verdict."""
        return (
            bool({"*", o.output} & set(self.output.split("|")))
            and any(fnmatchcase(o.id, glob) for glob in (*self.cases, *(self.explored if explored else ())))
            and self.applies(replace(where, dtype=o.case.dtype))
        )

    def applies(self, where: Context) -> bool:
        """Tell whether versions, device, mode and (if known) dtype satisfy the waiver's conditions."""
        fixed = bool(self.until) and not parse(f"{where.package}<{self.until}").holds(where)
        return not fixed and self.condition.holds(where)

    def was_seen_in(self, where: Context) -> bool:
        """Tell whether the waiver was written for the versions at hand."""
        return any(parse(s if "==" in s else f"{where.package}=={s}").holds(where) for s in self.seen)


def symptom(o: Observation) -> str:
    """Name the kind of failure that an observation is; empty if no waiver may hide it (crash, time-out, harness)."""
    if o.verdict != "fail":
        return ""
    if MEMORY in o.conventions and o.share <= 1.0:
        # Its numbers are right.
        return "memory"
    if o.got is None or o.exact is None:
        return "error"
    if not math.isfinite(o.got):
        return "nonfinite"
    return "inaccurate" if math.isfinite(o.exact[0]) else "finite"


def verdict(o: Observation) -> str:
    """Name the verdict as a reader sees it.

    It is ``waived`` for a waived failure, ``unexpected_pass`` for a pass under ``expect = all``.
    """
    if not o.waiver:
        return o.verdict
    return "waived" if o.verdict == "fail" else "unexpected_pass"


def fails(o: Observation) -> bool:
    """Say whether an observation makes a run fail, whatever the options: a failure that no waiver speaks of."""
    return o.verdict in FAILING and verdict(o) != "waived"


@dataclass
class Book:
    """A book of the waivers in force for a run, and of what they matched; :meth:`mark` marks every observation.

    ``calls`` are those of the deck. ``answered`` has the ids of those that a target was asked, ``judged`` of those with
    an output that it offers, by target and output.
    """

    waivers: Sequence[Waiver]
    targets: Sequence[Subject]
    calls: Sequence[Call] = ()
    waived: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    answered: dict[str, set[str]] = field(default_factory=dict)
    judged: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    @cached_property
    def _by_target(self) -> dict[str, tuple[Context, list[Waiver]]]:
        found = {}
        for target in self.targets:
            where = context(target)
            mine = [w for w in self.waivers if w.adapter == target.adapter.name and w.applies(where)]
            found[target.name] = (where, mine)
        return found

    @cached_property
    def _by_implementation(self) -> dict[str, list[tuple[Context, list[Waiver]]]]:
        found: dict[str, list[tuple[Context, list[Waiver]]]] = {}
        for target in self.targets:
            found.setdefault(target.implementation, []).append(self._by_target[target.name])
        return found

    def mark(self, o: Observation, *, explored: bool = False, partial: bool = False) -> Observation:
        """Mark an observation with the name of the waiver that speaks of it, if any.

        ``explored`` says that its call was drawn, ``partial`` that a part of the deck was put. What is said of the
        conventions of an implementation is about all its targets, and after a part no news if it is good: what
        contradicts them may be in another.
        """
        self.answered.setdefault(o.target, set()).add(o.id)
        if o.verdict != "unsupported":
            self.judged.setdefault((o.target, o.output), set()).add(o.id)
        speakers = self._by_implementation.get(o.target, []) if is_of_implementation(o.id) else []
        if not speakers and o.target in self._by_target:
            speakers = [self._by_target[o.target]]
        kind = symptom(o)
        for where, w in ((where, w) for where, mine in speakers for w in mine):
            if kind == w.symptom and w.matches(o, where, explored=explored):
                self.waived[w.name] = self.waived.get(w.name, 0) + 1
                return replace(o, waiver=w.name)
            heard = not (explored or (partial and is_of_implementation(o.id)))
            news = w.expect == "all" and heard and o.verdict in ("pass", "convention", "suspect")
            if news and w.matches(o, where):
                self.passed[w.name] = self.passed.get(w.name, 0) + 1
                return replace(o, waiver=w.name)
        return o

    def named(self, name: str) -> Waiver:
        """Find the waiver of a name; of one that is known to a record only, there is no more than its name."""
        unknown = Waiver(name, (), "", "its reason is not at hand", "see the file of waivers of that run", ())
        return next((w for w in self.waivers if w.name == name), unknown)

    def stale(self) -> list[Waiver]:
        """List the waivers that apply to a target at hand and waived nothing: news after an unfiltered run only.

        It is no news where calls that a waiver speaks of were withheld, or where no target offers what it speaks of.
        """
        live = {w.name for _, mine in self._by_target.values() for w in mine}
        unused = [w for w in self.waivers if w.name in live and not self.waived.get(w.name)]
        return [w for w in unused if not self._lacks_company(w) and not self._lacks_answers(w)]

    def _lacks_company(self, w: Waiver) -> bool:
        """Say whether a waiver speaks only of conventions that may differ, where an implementation has one target."""
        conventions = all(is_of_implementation(glob) for glob in w.cases)
        mine = [many for many in self._by_implementation.values() if any(w in found for _, found in many)]
        return conventions and w.expect == "some" and all(len(many) == 1 for many in mine)

    def _lacks_answers(self, w: Waiver) -> bool:
        """Say whether a waiver speaks of calls that a target was not asked, or of no output that one answers."""
        spoken = [c.id for c in self.calls if any(fnmatchcase(c.id, glob) for glob in w.cases)]
        outputs = ALL_OUTPUTS if w.output == "*" else w.output.split("|")
        by_target = {
            name: {id for id in spoken if w.applies(replace(where, dtype=CaseId.parse(id).dtype))}
            for name, (where, mine) in self._by_target.items()
            if w in mine
        }
        if any(ids - self.answered.get(name, set()) for name, ids in by_target.items()):
            return True
        offered = (
            ids & self.judged.get((name, output), set()) for name, ids in by_target.items() for output in outputs
        )
        return any(by_target.values()) and not any(offered)

    def is_seen(self, w: Waiver) -> bool:
        """Tell whether a waiver was seen in the version of a target at hand: only then its absence is a finding."""
        return any(w in mine and w.was_seen_in(where) for where, mine in self._by_target.values())


def shipped(adapters: Iterable[str]) -> list[Waiver]:
    """Load the waivers in the package for these adapters; an adapter without a file has none."""
    folder = resources.files("lossproof.golden") / "waivers"
    found: list[Waiver] = []
    for adapter in dict.fromkeys(adapters):
        file = folder / f"{adapter}.toml"
        if file.is_file():
            found += parse_waivers(file.read_text("utf-8"), source=f"golden/waivers/{adapter}.toml", adapter=adapter)
    return found


def load_waivers(path: str | Path) -> list[Waiver]:
    """Load the waivers of a user's file. Their adapter is the top-level key ``adapter``, or else the file's name."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read waivers {path}: {getattr(error, 'strerror', None) or error}") from None
    return parse_waivers(text, source=str(path), adapter=Path(path).stem)


def waivers_in_force(
    targets: Sequence[Subject], files: Iterable[str | Path] = (), *, calls: Sequence[Call] = ()
) -> Book:
    """Load the shipped waivers of the targets' adapters and those of the user's files. Names must be unique.

    ``calls`` are those of the deck, for what :meth:`Book.stale` says after a run.
    """
    found = shipped(t.adapter.name for t in targets)
    for path in files:
        found += load_waivers(path)
    sources: dict[str, str] = {}
    for w in found:
        if w.name in sources:
            raise UsageError(f"{w.source}: waiver {w.name!r} is already in {sources[w.name]}; rename one of them")
        sources[w.name] = w.source
    return Book(found, targets, calls)


def parse_waivers(text: str, *, source: str, adapter: str) -> list[Waiver]:
    """Parse and validate a file. Raises :class:`UsageError` naming file, entry and field."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: not TOML: {error}") from None
    adapter = data.pop("adapter", adapter)
    entries = data.pop("waiver", [])
    if data or not isinstance(entries, list) or not isinstance(adapter, str):
        raise UsageError(f'{source}: expected [[waiver]] entries and optionally adapter = "NAME", got {sorted(data)}')
    return [_entry(e, i, source, adapter) for i, e in enumerate(entries, 1)]


def _entry(entry: Mapping[str, Any], i: int, source: str, adapter: str) -> Waiver:
    where = f"{source}: waiver {i}" + (f" ({entry['name']})" if isinstance(entry.get("name"), str) else "")
    known = {f.name for f in fields(Waiver)} - {"source"}
    for key in entry:
        if key not in known:
            raise UsageError(f"{where}: unknown field {key!r}; expected {', '.join(sorted(known))}")
    for key in _REQUIRED:
        if not entry.get(key):
            raise UsageError(f"{where}: field {key!r} is missing or empty")
    values = {key: _text(where, key, value) for key, value in entry.items()}
    w = Waiver(**{"adapter": adapter, **values, "source": source})  # type: ignore[arg-type]
    for key, options in (("output", WAIVABLE_OUTPUTS), ("expect", EXPECTS), ("symptom", SYMPTOMS)):
        given = getattr(w, key)
        if not set(given.split("|") if key == "output" else [given]) <= set(options):
            raise UsageError(f"{where}: field {key!r} is {given!r}; expected one of {', '.join(options)}")
    for key, globs in (("cases", w.cases), ("explored", w.explored)):
        for glob in globs:
            if "/" not in glob or re.search(r"\s", glob):
                raise UsageError(
                    f"{where}: field {key!r} has {glob!r}; expected a glob of ids such as cross_entropy/float16/*"
                )
            if len(glob) > _LONGEST_GLOB:
                raise UsageError(
                    f"{where}: field {key!r} has a glob of {len(glob)} characters; expected at most {_LONGEST_GLOB}"
                )
    for key, conditions in (("when", [w.when]), ("seen", w.seen), ("until", [w.until])):
        for value in conditions:
            try:
                parse(value if key == "when" or "==" in value else f"p=={value}" if value else "")
            except UsageError as error:
                raise UsageError(f"{where}: field {key!r}: {error}") from None
    return w


def _text(where: str, key: str, value: object) -> str | tuple[str, ...]:
    if key in _LISTS:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            return tuple(items)
        raise UsageError(f"{where}: field {key!r} is {value!r}; expected a string or a list of strings")
    if not isinstance(value, str):
        raise UsageError(f"{where}: field {key!r} is {value!r}; expected a string")
    return value
