"""``--github``: a summary of the job in Markdown, and annotations of its failures, as GitHub Actions takes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lossproof.core.command_line import command, recorded_place
from lossproof.core.errors import UsageError
from lossproof.core.json_text import whole_text
from lossproof.core.observation import VERDICTS, Observation
from lossproof.running.session import Ended
from lossproof.views.circumstances import asked, circumstances
from lossproof.views.markdown import code, literal
from lossproof.views.shown_names import shown_names

# GitHub shows ten annotations of a step.
ANNOTATIONS = 10
GROUPS = 20


def summary_file() -> str | None:
    """Name the file that summaries of the job's step go to; None outside GitHub Actions."""
    return os.environ.get("GITHUB_STEP_SUMMARY") or None


@dataclass
class GithubView:
    """The view for GitHub Actions: a summary of the job, and annotations on standard error.

    The summary is appended to ``path``; without one it is printed, with ``err`` on standard error.
    """

    path: str | None
    err: bool = False

    def add(self, o: Observation) -> None:
        """Do nothing: the summary has counted it."""

    def close(self, run: Ended) -> None:
        """Write the summary and print the annotations."""
        text = "\n".join(job_summary(run)) + "\n"
        if self.path is None:
            click.echo(text, nl=False, err=self.err)
        else:
            try:
                with Path(self.path).open("a", encoding="utf-8") as file:
                    file.write(whole_text(text))
            except OSError as error:
                raise UsageError(f"cannot write the summary {self.path}: {error.strerror or error}") from None
        for line in commands(run):
            click.echo(line, err=True)


def job_summary(run: Ended) -> Iterator[str]:
    """Write the summary line by line. Nothing that came from a target is markup in it."""
    s, shown_as = run.summary, shown_names(run.header)
    names = ", ".join(dict.fromkeys(target for target, _, _ in s.cells))
    bad = run.reasons or run.facts is None
    head = literal("; ".join(run.reasons)) if run.reasons else "OK" if not bad else "interrupted"
    yield f"## lossproof: {head}"
    yield ""
    counts = ", ".join(f"{s.total[v]} {literal(v)}" for v in VERDICTS if s.total[v])
    yield f"{literal(names)}: {sum(s.total.values())} outputs: {counts}"
    if run.header.get("suite"):
        yield ""
        yield literal("; ".join([asked(run.header), *circumstances(run.header)]))
    shown = [v for v in VERDICTS if s.total[v]]
    yield ""
    yield _row(["target", "op", "dtype", *shown, "worst share", "profile"])
    yield "|---|---|---|" + "---:|" * (len(shown) + 1) + "---|"
    for (target, op, dtype), cell in sorted(s.cells.items()):
        numbers = [str(cell.verdicts[v] or "") for v in shown]
        share = f"{cell.share:.3g}" if cell.declared else ""
        profile = cell.declared if cell.met == cell.declared else f"{cell.declared}, met {cell.met or 'none'}"
        yield _row([shown_as.get(target, target), op, dtype, *numbers, share, profile if cell.declared else ""])
    ranked = s.ranked(s.groups)
    if ranked:
        yield ""
        yield "### Failures"
        yield ""
        for (target, op, dtype, family, output), group in ranked[:GROUPS]:
            # sanity check: a group has at least one member
            assert group.worst is not None
            where = literal(f"{target} {op} {dtype} {family} {output}")
            # A line of its own for what is copied.
            yield f"- **{where}**: {group.count} of {group.given}. {literal(group.worst.message)}\\"
            yield f"  {code(command('repro', group.worst.id, target, **recorded_place(run.header)))}"
        if len(ranked) > GROUPS:
            more = len(ranked) - GROUPS
            yield f"- ... and {more} more group{'s' * (more != 1)}"
    if run.book.waived:
        yield ""
        yield "### Known deviations"
        yield ""
        for name, n in sorted(run.book.waived.items()):
            yield f"- {literal(name)}: {n}. {literal(run.book.named(name).reason)}"
    yield ""


def commands(run: Ended) -> Iterator[str]:
    """Write workflow commands, the worst failures first; reasons that no observation has come last."""
    place = recorded_place(run.header)
    ranked = run.summary.ranked(run.summary.groups)
    for (target, op, dtype, family, output), group in ranked[: ANNOTATIONS - 1]:
        # sanity check: a group has at least one member
        assert group.worst is not None
        title = f"{target} {op} {dtype} {family} {output}: {group.count} of {group.given} fail"
        text = f"{group.worst.message}\n{command('repro', group.worst.id, target, **place)}"
        yield f"::error title={_property(title)}::{_message(text)}"
    if run.reasons:
        yield f"::error title=lossproof::{_message('; '.join(run.reasons))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(literal, cells)) + " |"
