"""The page: what is gathered of a run, as the values of a template, and the template filled in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lossproof import __version__
from lossproof.cases.families import FAMILIES
from lossproof.core.errors import UsageError
from lossproof.core.json_text import whole_text
from lossproof.core.observation import FAILING, VERDICTS, Observation
from lossproof.records.diff import Diff
from lossproof.records.record import json_ready
from lossproof.records.slowdowns import of_clock
from lossproof.records.waivers import Book, verdict
from lossproof.running.summary import FindingGroup, GroupKey, Summary, behaviours
from lossproof.running.withheld import withheld_text
from lossproof.views.board.convention_titles import convention_title
from lossproof.views.circumstances import asked, circumstances
from lossproof.views.diff_tables import in_one_line, preface, sections
from lossproof.views.html.accuracy import EDGES
from lossproof.views.html.collect import Collected, Waived
from lossproof.views.html.programs import ReproducerTexts
from lossproof.views.html.verdict_matrix import columns, matrix
from lossproof.views.kernel_table import kernel_section
from lossproof.views.prose import issue_link
from lossproof.views.section import Section
from lossproof.views.shown_names import shown_names

# Groups of failures that get a card; the list has the others.
CARDS = 200
_NAMES = {
    "pass": "pass",
    "convention": "accepted conventions",
    "suspect": "suspect",
    "unsupported": "not given",
    "waived": "known deviations",
    "fail": "failures",
    "crash": "crashes",
    "timeout": "time-outs",
    "resource": "out of memory",
    "unexpected_pass": "unexpected passes",
    "error": "harness errors",
}
_SHORT = {"convention": "conv.", "unsupported": "not given"}
_SECTIONS = (
    ("overview", "Overview"),
    ("matrix", "Verdicts"),
    ("accuracy", "Accuracy"),
    ("failures", "Failures"),
    ("waivers", "Known deviations"),
    ("conventions", "Conventions"),
    ("observations", "Observations"),
    ("evidence", "Evidence"),
)


@dataclass(frozen=True)
class Run:
    """A run as a page shows it.

    It has the ``header`` of its record, what was ``collected``, the waivers in ``book``, what the ``end`` of the record
    says (None if it was cut short), and reproducers. A comparison has the ``diff`` with another run, and the
    ``earlier`` counts. ``date`` is the day of the run.
    """

    header: Mapping[str, Any]
    collected: Collected
    book: Book
    end: Mapping[str, Any] | None
    programs: ReproducerTexts = field(default_factory=ReproducerTexts)
    diff: Diff | None = None
    earlier: Summary | None = None
    date: str = ""


def lacking() -> list[str]:
    """The packages that a page takes and that are not here."""
    return [name for name in ("jinja2", "plotly") if find_spec(name) is None]


def needed() -> None:
    """Raise :class:`UsageError` without the packages that a page takes."""
    for name in lacking():
        raise UsageError(f"HTML reports need the package {name}; pip install 'lossproof[report]'")


def put(output: str | Path, html: str) -> int:
    """Write a page and return its size in bytes. Raises :class:`UsageError` where it cannot be written."""
    data = whole_text(html).encode()
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from None
    return len(data)


def page(run: Run) -> str:
    """Fill in the template and return the HTML. Raises :class:`UsageError` without the packages that it takes."""
    needed()
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup, escape
    from plotly.offline import get_plotlyjs

    plotting, script = get_plotlyjs(), _part("page.js")
    # sanity check: nothing in the scripts ends them early
    assert "</script" not in plotting.lower() + script.lower()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    # What is listed between bars has no spaces where a line could end.
    environment.filters["breaking"] = lambda text: escape(text).replace("|", Markup("|<wbr>"))
    return environment.from_string(_part("page.html")).render(
        **_values(run),
        style=Markup(_part("page.css")),
        data=Markup(embedded(_data(run))),
        plotting=Markup(plotting),
        script=Markup(script),
        hashes=Markup(" ".join(_hash(text) for text in (plotting, script))),
    )


def embedded(value: object) -> str:
    """Write a value as JSON that may stand in a script element: nothing in it is markup."""
    text = json.dumps(json_ready(value), allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _part(name: str) -> str:
    return (resources.files("lossproof.views.html") / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _values(run: Run) -> dict[str, Any]:
    summary, header = run.collected.summary, run.header
    bad = sum(n for v, n in summary.total.items() if v in FAILING and v != "unexpected_pass")
    targets = _targets(run)
    idle = summary.idle(header.get("targets", {})) if "shard" not in header else []
    nothing = [f"nothing was judged of {name}" for name in idle]
    ranked = summary.ranked(summary.groups)
    pairs = run.diff.facts.pairs if run.diff else ()
    adapters = {t: str(facts.get("adapter", t)) for t, facts in header.get("targets", {}).items()}
    shown_columns = columns(summary, targets, run.earlier, pairs, adapters)
    compared = f"{run.diff.facts.before} and {run.diff.facts.after}" if run.diff else ""
    heading = f"What changed: {compared}" if run.diff else f"Conformance of {', '.join(header.get('targets', {}))}"
    about = [asked(header), *([run.date] if run.date else []), *circumstances(header)]
    about += [] if run.end is not None else ["cut short: the run did not come to its end"]
    about += [f"only {k} {', '.join(v)}" for k, v in header.get("filters", {}).items()]
    about += [text] if (text := withheld_text(header)) else []
    return {
        "title": f"lossproof: {heading}",
        "heading": heading,
        "failed": bool(bad or nothing),
        "classes_known": run.collected.accuracy.classes_known,
        "swept": bool(run.collected.errors.worst),
        "grown": bool(run.collected.memory.taken),
        "status": "; ".join([*([f"{bad} output{'s fail' if bad > 1 else ' fails'}"] if bad else []), *nothing])
        or "No unexplained failure",
        "about": about,
        "sections": [*_SECTIONS[:1], *([("changes", "Changes")] if run.diff else []), *_SECTIONS[1:]],
        "total": sum(n for v, n in summary.total.items() if v != "unsupported"),
        "counts": [(v, summary.total[v]) for v in VERDICTS if summary.total[v]],
        "names": _NAMES,
        "short": _SHORT,
        "before": dict(run.earlier.total) if run.earlier else None,
        "changes": _changes(run.diff),
        "choices": _choices(run, targets),
        "targets": targets,
        "shown": shown_names(header),
        "columns": shown_columns,
        "not_run": [t for t in adapters if t not in {column.target for column in shown_columns}],
        "matrix": list(matrix(shown_columns)),
        "failures": [_failure(key, group, run.programs) for key, group in ranked[:CARDS]],
        "more_failures": max(0, len(ranked) - CARDS),
        "waivers": [_waiver(name, w, run) for name, w in sorted(run.collected.waived.items())],
        "conventions": _conventions(summary),
        "notes": [f"{t}: {n} outputs, first of {id}: {note}" for (t, note), (n, id) in sorted(summary.notes.items())],
        "listed": summary.listed,
        "evidence": Section("", ("", ""), tuple(_evidence(run))),
        "described": list(_described(header)),
        "not_given": _not_given(summary),
        "kernels": kernel_section(of_clock(run.end), shown_names(header)),
        "suite": __version__,
    }


def _failed(count: int) -> str:
    return f"{count} outputs fail" if count > 1 else "1 output fails"


def _targets(run: Run) -> list[str]:
    """The targets of the header, and whatever else observations name."""
    named = [target for target, _, _ in run.collected.summary.cells]
    return list(dict.fromkeys([*run.header.get("targets", {}), *sorted(named)]))


def _choices(run: Run, targets: Sequence[str]) -> list[tuple[str, list[str]]]:
    cells = run.collected.summary.cells
    shown = [v for v in VERDICTS if run.collected.summary.total[v]]
    ops, dtypes = (list(dict.fromkeys(key[i] for key in cells)) for i in (1, 2))
    return [("target", list(targets)), ("op", ops), ("dtype", dtypes), ("verdict", shown)]


def _failure(key: GroupKey, group: FindingGroup, programs: ReproducerTexts) -> dict[str, Any]:
    target, op, dtype, family, output = key
    # sanity check: a group has at least one member
    assert group.worst is not None
    known = FAMILIES.get(family)
    return {
        "target": target,
        "op": op,
        "dtype": dtype,
        "family": family,
        "output": output,
        "verdict": verdict(group.worst),
        "provokes": known.provokes if known else "",
        "count": group.count,
        "given": group.given,
        "kinds": ", ".join(f"{n} {kind}" for kind, n in group.kinds.most_common()),
        "message": group.worst.message,
        "program": programs.of(group.worst),
    }


def _waiver(name: str, w: Waived, run: Run) -> dict[str, Any]:
    known, first = run.book.named(name), w.first
    # sanity check: what was waived was observed
    assert first is not None
    return {
        "name": name,
        "count": w.count,
        "targets": sorted(w.targets),
        "op": first.case.op,
        "dtype": first.case.dtype,
        "reason": known.reason,
        "issue": known.issue,
        "link": issue_link(known.issue),
        "seen": ", ".join(known.seen),
        "message": f"{first.target} {first.output}: {first.message}",
        "program": run.programs.of(first),
    }


def _conventions(summary: Summary) -> Section:
    names = sorted({t for by_target in summary.conventions.values() for t in by_target})
    ordered = sorted(summary.conventions.items(), key=lambda item: (item[0][0].rjust(2), item[0]))
    rows = tuple(
        (_named(clause), op, output, *(behaviours(by_target[n]) if n in by_target else "" for n in names))
        for (clause, op, output), by_target in ordered
    )
    return Section("", ("clause", "op", "output", *names), rows)


def _named(clause: str) -> str:
    """The number of a clause with its title, or the title of a grade."""
    title = convention_title(clause)
    return f"{clause}: {title}" if clause.isdigit() else title


def _not_given(summary: Summary) -> Section:
    rows = sorted(summary.unsupported.items(), key=lambda item: (item[0][0], -item[1]))
    return Section("", ("target", "outputs", "reason"), tuple((t, str(n), reason) for (t, reason), n in rows))


def _evidence(run: Run) -> Iterator[tuple[str, str]]:
    header = run.header
    yield "command", " ".join(map(str, header.get("command", [])))
    yield from (("suite", str(header.get("suite"))), ("deck", _shown(header.get("deck"))))
    for name in ("shard", "filters", "python", "numpy", "platform", "cpu", "environment"):
        if header.get(name):
            yield name, _shown(header[name])
    if run.end is not None:
        yield "seconds", f"{run.end.get('seconds', 0.0):.1f}"


def _described(header: Mapping[str, Any]) -> Iterator[Section]:
    for name, facts in header.get("targets", {}).items():
        rows = tuple((key, _shown(value)) for key, value in facts.items() if value not in ("", None, {}, []))
        yield Section(name, ("", ""), rows)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_shown(v)}" for k, v in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _changes(diff: Diff | None) -> dict[str, Any] | None:
    if diff is None:
        return None
    return {"summary": in_one_line(diff) + ".", "preface": preface(diff), "tables": list(sections(diff))}


def _data(run: Run) -> dict[str, Any]:
    """What the scripts of the page work on."""
    return {
        "targets": _targets(run),
        "accuracy": list(run.collected.accuracy.facts()),
        "errors": list(run.collected.errors.facts()),
        "memory": list(run.collected.memory.facts()),
        "edges": EDGES,
        "observations": [_listed(o) for o in run.collected.listed],
        "unlisted": run.collected.unlisted,
    }


def _listed(o: Observation) -> tuple[object, ...]:
    return (verdict(o), o.target, o.id, o.output, f"{o.share:.3g}", o.message, o.waiver, o.case.op, o.case.dtype)
