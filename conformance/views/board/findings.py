"""Findings as the board shows them: the stories of docs/findings.md, the waivers that they explain, and their programs.

The package has them all: what is shown does not depend on a checkout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import PurePosixPath

from lossproof.records.waivers import Waiver, shipped

_HEADING = re.compile(r"^## (\S+)$", re.M)
_FACT = re.compile(r"^- ([A-Z][\w ]*): (.*(?:\n  .*)*)", re.M)
_NAME = re.compile(r"`([^`]+)`")
_CLAUSE = re.compile(r"\d+")
_END = "\n# "


@dataclass(frozen=True)
class ToldFinding:
    """A finding: its ``name``, its ``story`` as paragraphs of Markdown, and facts about it by their names.

    ``waivers`` are those that name it in records; ``program`` shows it with the framework alone, in a file of the name
    ``program_file``.
    """

    name: str
    story: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    program_file: str = ""
    program: str = ""

    @property
    def upstream(self) -> str:
        """The upstream report of it, as ``owner/repository#123``, or what is known of one."""
        return self.facts.get("Upstream", "") or next((w.issue for w in self.waivers), "")

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses of section 4 that it departs from."""
        text = self.facts.get("Clause", "")
        return () if text.startswith("section") else tuple(_CLAUSE.findall(text.partition("(")[0]))


@cache
def known_findings() -> Mapping[str, ToldFinding]:
    """Return every finding by name: those with a story, and then waivers that no story names."""
    waivers = {w.name: w for w in shipped(_adapters())}
    found = {f.name: f for f in _told(_shipped_text("docs", "findings.md"), waivers)}
    told = {w.name for f in found.values() for w in f.waivers}
    for w in waivers.values():
        if w.name not in told:
            found[w.name] = ToldFinding(
                w.name, (w.reason,), {"Versions": ", ".join(w.seen)}, (w,), *_program(w.reproducer)
            )
    return found


@cache
def finding_of_waiver() -> Mapping[str, str]:
    """Return the name of the finding that explains each waiver."""
    return {w.name: f.name for f in known_findings().values() for w in f.waivers}


def clause_texts() -> dict[str, str]:
    """Return the clauses of section 4 of the specification in its words, by number."""
    text = _shipped_text("docs", "specification.md")
    section = text.partition("\n## 4.")[2].partition("\n## ")[0]
    found = dict(re.findall(r"^(\d+)\. (.*)$", section, re.M))
    gradients = text.partition("\n## 3.")[2].partition("\n## ")[0]
    unnormalised = re.search(r"^- (Targets that do not sum to 1: .*)$", gradients, re.M)
    # Ledgers call the choice of section 3 by its number: clause 3 of section 4 leaves none.
    return found | ({"3": unnormalised[1]} if unnormalised else {})


def _adapters() -> list[str]:
    folder = resources.files("lossproof.golden") / "waivers"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _shipped_text(*parts: str) -> str:
    return resources.files("lossproof").joinpath(*parts).read_text("utf-8")


def _told(text: str, waivers: Mapping[str, Waiver]) -> Iterator[ToldFinding]:
    body = text.split(_END)[0]
    places = list(_HEADING.finditer(body))
    ends = [m.start() for m in places[1:]] + [len(body)]
    for place, end in zip(places, ends, strict=True):
        section = body[place.end() : end].strip()
        facts = {name: " ".join(fact.split()) for name, fact in _FACT.findall(section)}
        story = tuple(" ".join(part.split()) for part in section.split("\n- ")[0].split("\n\n") if part.strip())
        mine = tuple(waivers[name] for name in _NAME.findall(facts.get("Waivers", "")) if name in waivers)
        scripts = _NAME.findall(facts.pop("Script", ""))
        yield ToldFinding(place[1], story, facts, mine, *_program(PurePosixPath(scripts[0]).name if scripts else ""))


def _program(name: str) -> tuple[str, str]:
    file = resources.files("lossproof.golden") / "waivers" / name
    return (name, file.read_text("utf-8")) if name and file.is_file() else ("", "")
