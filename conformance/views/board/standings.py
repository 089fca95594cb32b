"""Standings: what the board says of each target, each convention and each finding, from condensed records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from lossproof.adapters.protocol import DTYPES, OPS
from lossproof.core.errors import UsageError
from lossproof.views.board.condensed import Condensed, CondensedCell
from lossproof.views.board.convention_titles import convention_order
from lossproof.views.board.findings import finding_of_waiver
from lossproof.views.board.release_history import (
    ReleaseChange,
    bounded_cells,
    by_release,
    failing,
    judged_outputs,
    newest,
    release_changes,
    same_deck_releases,
)

CONFORMS, DEVIATES, NONCONFORMING, FAILS = STANDINGS = ("conforms", "deviates", "nonconforming", "fails")
ABSENT = "absent"
# In words, for people: a standing of a target or of one cell.
WORDS: Mapping[str, str] = {
    CONFORMS: "conforms",
    DEVIATES: "known deviations",
    NONCONFORMING: "nonconforming",
    FAILS: "fails",
    ABSENT: "not offered",
}
_UNSAFE = re.compile(r"[^a-z0-9._]+")


@dataclass(frozen=True)
class Standing:
    """The standing of one target: the condensed ``record`` of its newest release, and its ``releases`` in order.

    ``slug`` names its files and its anchor.
    """

    slug: str
    record: Condensed
    releases: tuple[Condensed, ...]

    @property
    def name(self) -> str:
        """The target string without its environment."""
        return self.record.name

    @cached_property
    def cells(self) -> dict[tuple[str, str], CondensedCell]:
        """The cells of calls, by op and dtype."""
        return bounded_cells(self.record)

    @cached_property
    def failed(self) -> int:
        """The outputs that fail and that no waiver explains."""
        return sum(map(failing, self.record.cells))

    @cached_property
    def judged(self) -> int:
        """The outputs that were judged."""
        return sum(map(judged_outputs, self.record.cells))

    @cached_property
    def findings(self) -> dict[str, int]:
        """The findings that show, each with the outputs that they explain; a waiver without one stands for itself."""
        found: dict[str, int] = {}
        for w in self.record.waived:
            name = finding_of_waiver().get(w.name, w.name)
            found[name] = found.get(name, 0) + w.count
        return dict(sorted(found.items()))

    @property
    def verdict(self) -> str:
        """One of ``STANDINGS``: a failure counts before the share of waived cases, and that before any deviation."""
        if self.failed:
            return FAILS
        if self.record.nonconforming:
            return NONCONFORMING
        return DEVIATES if self.record.waived else CONFORMS

    @cached_property
    def changes(self) -> list[ReleaseChange]:
        """The changes from release to release."""
        return list(release_changes(self.releases))


@dataclass(frozen=True)
class Board:
    """All standings, by name of the target, and who shows which behaviour of each convention.

    ``conventions[clause][op, output][target]`` are the behaviours, by dtype.
    """

    standings: tuple[Standing, ...]

    @cached_property
    def date(self) -> str:
        """The day of the newest record."""
        return max(s.record.date for s in self.standings)

    @cached_property
    def columns(self) -> list[tuple[str, list[str]]]:
        """The ops, each with the dtypes that anybody was asked."""
        asked = {key for s in self.standings for key in s.cells}
        ops = [*(op for op in OPS if any(k[0] == op for k in asked)), *sorted({k[0] for k in asked} - set(OPS))]
        order = [*DTYPES, *sorted({k[1] for k in asked} - set(DTYPES))]
        return [(op, [d for d in order if (op, d) in asked]) for op in ops]

    @cached_property
    def conventions(self) -> dict[str, dict[tuple[str, str], dict[str, Mapping[str, Mapping[str, int]]]]]:
        """The targets that show what, by clause, then op and output."""
        found: dict[str, dict[tuple[str, str], dict[str, Mapping[str, Mapping[str, int]]]]] = {}
        for s in self.standings:
            for c in s.record.conventions:
                found.setdefault(c.clause, {}).setdefault((c.op, c.output), {})[s.name] = c.shown
        return {clause: dict(sorted(found[clause].items())) for clause in sorted(found, key=convention_order)}

    def showing(self, finding: str) -> dict[str, int]:
        """Return the targets that show a finding, with the outputs that it explains."""
        return {s.name: s.findings[finding] for s in self.standings if finding in s.findings}


def cell_standing(cell: CondensedCell | None) -> str:
    """Return the standing of one op and dtype: one of ``STANDINGS`` but nonconforming, or ``ABSENT``."""
    if cell is None or not judged_outputs(cell):
        return ABSENT
    if failing(cell):
        return FAILS
    return DEVIATES if cell.verdicts.get("waived") else CONFORMS


def board_of(records: Iterable[Condensed]) -> Board:
    """Make the board of condensed records. Raises :class:`UsageError` where two targets would have one page."""
    found = []
    for name, mine in by_release(records).items():
        found.append(Standing(slug(name), newest(mine), tuple(same_deck_releases(mine))))
    twice = [s for i, s in enumerate(found) if s.slug in {t.slug for t in found[:i]}]
    if twice:
        raise UsageError(f"{twice[0].name} would have the page of another target; give one of them another name")
    return Board(tuple(found))


def slug(name: str) -> str:
    """Return what names the files of a target or a clause."""
    return _UNSAFE.sub("-", name.lower()).strip("-.")


def behaviour_text(shown: Mapping[str, Mapping[str, int]]) -> str:
    """Return what was shown in words: one text if all dtypes agree, else dtype by dtype, the rarest last."""
    texts = {dtype: _behaviours(counts) for dtype, counts in shown.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    by_text: dict[str, list[str]] = {}
    for dtype, text in texts.items():
        by_text.setdefault(text, []).append(dtype)
    ordered = sorted(by_text.items(), key=lambda item: -len(item[1]))
    return "; ".join(f"{', '.join(dtypes)}: {text}" for text, dtypes in ordered)


def behaviours_shown(shown: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the behaviours of all dtypes, the most frequent first."""
    total: dict[str, int] = {}
    for counts in shown.values():
        for behaviour, n in counts.items():
            total[behaviour] = total.get(behaviour, 0) + n
    return sorted(total, key=lambda b: (-total[b], b))


def _behaviours(counts: Mapping[str, int]) -> str:
    return ", ".join(spoken(b) for b in sorted(counts, key=lambda b: (-counts[b], b)))


def spoken(behaviour: str) -> str:
    """Return a behaviour as a person reads it: ``error:bad_label`` is an error, ``inf|nan`` fits both."""
    kind, _, what = behaviour.partition(":")
    if kind == "error":
        return f"error ({what.replace('_', ' ')})" if what else "error"
    return behaviour.replace("|", " or ")
