"""Pages of the board: for each kind of them the values of its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lossproof.core.case_id import parts_of
from lossproof.core.observation import VERDICTS
from lossproof.views.board.badge import badge_text
from lossproof.views.board.condensed import Condensed
from lossproof.views.board.convention_titles import GRADES, convention_title
from lossproof.views.board.findings import ToldFinding, clause_texts, finding_of_waiver, known_findings
from lossproof.views.board.release_history import count_text
from lossproof.views.board.standings import (
    ABSENT,
    WORDS,
    Board,
    Standing,
    behaviour_text,
    behaviours_shown,
    cell_standing,
    slug,
    spoken,
)
from lossproof.views.board.standings_table import profile_text, share_text, ulp_text
from lossproof.views.prose import inline_html, issue_link

# Behaviours that have a colour of their own on a page; the others share one.
_COLOURS = 6
_VERDICT_WORDS: Mapping[str, str] = {
    "unsupported": "not offered",
    "waived": "known deviation",
    "unexpected_pass": "unexpected pass",
}


def implementation_values(s: Standing, address: str = "") -> dict[str, Any]:
    """Return what the page of one target shows; ``address`` is where the site will be, for the text of its badge."""
    c = s.record
    shown = [v for v in VERDICTS if any(v in cell.verdicts for cell in s.cells.values())]
    return {
        "r": {
            "slug": s.slug,
            "name": s.name,
            "version": c.version,
            "standing": s.verdict,
            "says": badge_text(s),
        },
        "embed": _embedded_badge(s, address),
        "lead": _lead(s),
        "verdicts": shown,
        "words": _VERDICT_WORDS,
        "cells": [
            {
                "op": op,
                "dtype": dtype,
                "standing": (stands := cell_standing(cell)),
                "says": WORDS[stands],
                "counts": [cell.verdicts.get(v, 0) for v in shown],
                "share": share_text(cell.share_passed) if stands != ABSENT else "",
                "beyond": share_text(cell.share) if cell.share > 1 else "",
                "ulp": ulp_text(cell.ulp) if stands != ABSENT else "",
                "declared": cell.declared,
                "met": (cell.met or "none") if cell.declared else "",
            }
            for (op, dtype), cell in s.cells.items()
        ],
        "failures": c.failures,
        "findings": [_shown_finding(c, name, n) for name, n in s.findings.items()],
        "conventions": list(_shown_conventions(c)),
        "releases": s.releases,
        "same_deck": s.releases[0].deck_size if s.releases else "",
        "changes": s.changes,
        "facts": list(_facts(c)),
        "not_given": list(c.not_given.items())[:12],
        "notes": list(c.notes.items()),
    }


def convention_values(board: Board, clause: str) -> dict[str, Any]:
    """Return what the page of one clause or grade shows: who does what."""
    found = board.conventions[clause]
    kinds = _kinds(found.values())
    texts = clause_texts()
    columns = list(found)
    rows = []
    for s in board.standings:
        if any(s.name in by_target for by_target in found.values()):
            cells = [list(_behaviour_cells(found[key].get(s.name, {}), kinds)) for key in columns]
            rows.append({"slug": s.slug, "name": s.name, "cells": cells})
    departing = [f.name for f in known_findings().values() if clause in f.clauses and clause.isdigit()]
    section = "3" if clause == "3" else f"4, clause {clause}"
    return {
        "c": {
            "title": convention_title(clause),
            "quote": _markup(inline_html(texts[clause])) if clause in texts else "",
            "source": f"Specification, section {section}.",
            "about": GRADES.get(clause, ""),
        },
        "legend": [(spoken(b), kind, _who(found.values(), b)) for b, kind in kinds.items()],
        "columns": columns,
        "rows": rows,
        "findings": [(name, slug(name)) for name in departing] if clause != "3" else [],
    }


def convention_cards(board: Board) -> list[dict[str, Any]]:
    """Return a card for each clause and each grade, with how many targets show what."""
    made = []
    for clause, found in board.conventions.items():
        kinds = _kinds(found.values())
        counts = Counter({b: len({t for by in found.values() for t in by if _shows(by[t], b)}) for b in kinds})
        made.append(
            {
                "slug": clause_slug(clause),
                "title": convention_title(clause),
                "about": GRADES.get(clause, "") or f"Clause {clause} of the specification",
                "shown": [(spoken(b), n, kinds[b]) for b, n in counts.most_common(4)],
                "is_grade": not clause.isdigit(),
            }
        )
    return made


def finding_values(board: Board, f: ToldFinding) -> dict[str, Any]:
    """Return what the page of one finding shows."""
    named = {s.name: s for s in board.standings}
    facts = [(name, _markup(inline_html(text))) for name, text in f.facts.items() if name != "Waivers"]
    if f.waivers:
        facts.append(("In records as", _markup(inline_html(", ".join(f"`{w.name}`" for w in f.waivers)))))
    return {
        "f": f,
        "story": [_markup(inline_html(part)) for part in f.story],
        "facts": facts,
        "showing": [(named[name], n) for name, n in board.showing(f.name).items()],
    }


def finding_cards(board: Board) -> list[dict[str, Any]]:
    """Return a card for each finding."""
    return [
        {
            "page": slug(f.name),
            "name": f.name,
            "story": _markup(inline_html(_first_sentence(f))),
            "issue": f.upstream.partition(" (")[0],
            "link": issue_link(f.upstream.partition(" (")[0]),
            "showing": list(board.showing(f.name)),
        }
        for f in known_findings().values()
    ]


def clause_slug(clause: str) -> str:
    """Return what names the page of a clause or a grade."""
    return f"clause-{clause}" if clause.isdigit() else slug(clause)


def _markup(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)


def _embedded_badge(s: Standing, address: str) -> str:
    """The badge as Markdown that leads to the page of its target."""
    page, badge = f"{address}implementations/{s.slug}.html", f"{address}badges/{s.slug}.svg"
    return f"[![lossproof: {badge_text(s)}]({badge})]({page})"


def _lead(s: Standing) -> str:
    c = s.record
    offered = sum(cell_standing(cell) != ABSENT for cell in s.cells.values())
    ended = "" if c.complete else " The run was cut short."
    return (
        f"{count_text(s.judged, 'output')} of {count_text(c.cases, 'case')} were judged on {c.date}, in "
        f"{count_text(offered, 'combination')} of operation and dtype ({c.deck_size or 'own'} deck). Cases that "
        f"deviate as a finding says: {c.cases_waived:,}; outputs that fail without an explanation: {s.failed:,}.{ended}"
    )


def _shown_finding(c: Condensed, name: str, n: int) -> dict[str, Any]:
    f = known_findings().get(name)
    cells = Counter[str]()
    for w in c.waived:
        if finding_of_waiver().get(w.name, w.name) == name:
            cells.update(w.cells)
    issue = f.upstream.partition(" (")[0] if f else ""
    return {
        "name": name,
        "page": slug(name) if f else "",
        "count": n,
        "story": _markup(inline_html(_first_sentence(f))) if f else "A waiver of that run names it.",
        "where": _by_op(cells),
        "issue": issue,
        "link": issue_link(issue),
        "program": bool(f and f.program),
    }


def _by_op(cells: Iterable[str]) -> str:
    """Name ops, each with its dtypes, of ``op/dtype``."""
    dtypes: dict[str, list[str]] = {}
    for key in cells:
        op, dtype = parts_of(key)
        dtypes.setdefault(op, []).append(dtype)
    return "; ".join(f"{op} in {', '.join(names)}" for op, names in dtypes.items())


def _first_sentence(f: ToldFinding) -> str:
    if not f.story:
        return f.waivers[0].reason if f.waivers else ""
    head, stop, _ = f.story[0].partition(". ")
    return head + stop.strip()


def _shown_conventions(c: Condensed) -> Iterator[dict[str, Any]]:
    declared = c.target.get("conventions") or {}
    rows = Counter(shown.clause for shown in c.conventions)
    begun = set[str]()
    for shown in c.conventions:
        first = shown.clause not in begun
        begun.add(shown.clause)
        yield {
            "rows": rows[shown.clause] if first else 0,
            "slug": clause_slug(shown.clause),
            "title": convention_title(shown.clause),
            "op": shown.op,
            "output": shown.output,
            "shown": behaviour_text(shown.shown),
            "declared": spoken(str(declared.get(f"{shown.clause} {shown.op} {shown.output}", ""))),
        }


def _facts(c: Condensed) -> Iterator[tuple[str, str]]:
    target = c.target
    yield "Adapter", str(target.get("adapter", ""))
    yield "Device and mode", f"{target.get('device', '')}, {target.get('mode', '')}"
    yield "Versions", ", ".join(f"{k} {v}" for k, v in (target.get("versions") or {}).items())
    for key, value in (target.get("facts") or {}).items():
        if value:
            yield key.replace("_", " "), str(value)
    cells = {(x.declared, x.dtype): x for x in c.cells if x.declared}
    yield "Error profiles", ", ".join(f"{dtype} {profile_text(x)}" for (_, dtype), x in cells.items()) or "none"
    yield "Deck", " ".join(f"{k} {v}" for k, v in c.deck.items() if k in ("size", "version", "seed", "calls"))
    if c.filters:
        yield "Only", str(c.filters)
    yield "Date", c.date
    yield "Machine", ", ".join(str(v) for v in c.machine.values() if v)
    yield "Judged by", f"lossproof {c.suite}"


def _kinds(found: Iterable[Mapping[str, Mapping[str, Mapping[str, int]]]]) -> dict[str, int]:
    """Number the behaviours of a clause for their colours, the most frequent first."""
    total = Counter[str]()
    for by_target in found:
        for shown in by_target.values():
            total.update(behaviours_shown(shown))
    return {b: min(i, _COLOURS) for i, (b, _) in enumerate(sorted(total.items(), key=lambda item: (-item[1], item[0])))}


def _shows(shown: Mapping[str, Mapping[str, int]], behaviour: str) -> bool:
    return any(behaviour in counts for counts in shown.values())


def _who(found: Iterable[Mapping[str, Mapping[str, Mapping[str, int]]]], behaviour: str) -> str:
    n = len({t for by_target in found for t, shown in by_target.items() if _shows(shown, behaviour)})
    return f"{n} implementation{'s' * (n != 1)}"


def _behaviour_cells(
    shown: Mapping[str, Mapping[str, int]], kinds: Mapping[str, int]
) -> Iterator[tuple[str, int, str]]:
    """The behaviours of one cell, each with its colour, and the dtypes where not all that were seen have it."""
    for b in behaviours_shown(shown):
        having = [d for d, counts in shown.items() if b in counts]
        yield spoken(b), kinds[b], "" if len(having) == len(shown) else ", ".join(having)
