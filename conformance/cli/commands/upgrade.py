"""``lossproof upgrade``: the same deck to two releases side by side, and what changed from one to the other."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from lossproof.cli.commands.diff import diff_records
from lossproof.cli.outputs import new_record
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.diff_options import DIFF_FORMATS, LEVELS
from lossproof.records.record import Writer
from lossproof.records.waivers import load_waivers
from lossproof.running.guarded import why
from lossproof.running.header import record_header
from lossproof.running.session import Ended, Session, opened
from lossproof.running.session_options import DeckOptions, Execution, Rules
from lossproof.running.summary import Summary
from lossproof.targets.environments import upgrade_sides
from lossproof.targets.environments.upgrade_sides import UpgradeSide
from lossproof.targets.target import Target
from lossproof.views.diff_formats import SHOW
from lossproof.views.progress import Progress, progress
from lossproof.views.terminal import console, last_line

_FILES = ("before.jsonl", "after.jsonl")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The two sides as they were ``given``, or as files of requirements (``before``, ``after``).

    ``targets`` are judged on both; ``extra`` requirements, ``python`` and ``fresh`` say how environments are made.
    """

    given: Sequence[str] = ()
    before: str | None = None
    after: str | None = None
    targets: Sequence[str] = ()
    extra: Sequence[str] = ()
    python: str | None = None
    fresh: bool = False

    def both(self) -> tuple[UpgradeSide, UpgradeSide]:
        """The sides. Raises :class:`UsageError` unless there are two."""
        rest = [upgrade_sides.side(text) for text in self.given]
        if len(rest) + bool(self.before) + bool(self.after) != 2:
            raise UsageError("expected two sides: BEFORE and AFTER, or requirement files with --from and --to")
        first = upgrade_sides.side_of_file(self.before) if self.before else rest.pop(0)
        return first, upgrade_sides.side_of_file(self.after) if self.after else rest.pop(0)

    def made(self, side: UpgradeSide) -> UpgradeSide:
        """A side with its environment."""
        return upgrade_sides.with_environment(side, self.extra, self.python, fresh=self.fresh, say=_say)


@dataclass(frozen=True, kw_only=True)
class DiffOptions:
    """Options of a comparison: what makes it fail, its format, and where the records (``keep``, which may
    ``overwrite`` others) and its page go."""

    fail_on: str = LEVELS[0]
    form: str = DIFF_FORMATS[0]
    keep: str | None = None
    overwrite: bool = False
    html: str | None = None


@dataclass
class _Half:
    """A sink for one side: its record, and its last line on standard error."""

    targets: Sequence[Target]
    path: Path
    writer: Writer
    header: Mapping[str, Any]
    summary: Summary = field(default_factory=Summary)

    def add(self, o: Observation) -> None:
        """Write and count an observation that is about a target of this side, or about its implementation."""
        if any(o.target in (t.name, t.implementation) for t in self.targets):
            self.writer.write(o)
            self.summary.add(o)

    def close(self, run: Ended) -> None:
        """End the record with what is about this side."""
        if run.facts is None:
            return
        names = [t.name for t in self.targets]
        part, verdicts = run.clock.part(names), dict(self.summary.total)
        self.writer.end({"seconds": run.facts["seconds"], "clock": part, "verdicts": verdicts})
        reasons = self.summary.reasons(run.book, strict=False, complete=False)
        console(stderr=True).print(last_line(self.summary, names, reasons, self.header))


def upgrade_command(
    sides: Sides, *, deck: DeckOptions, execution: Execution, rules: Rules, comparison: DiffOptions
) -> int:
    """Make the environments, run, compare, and return the exit code of the comparison."""
    if comparison.html:
        from lossproof.views.html.page import needed

        needed()
    both = sides.both()
    pairs = upgrade_sides.compared_targets(both, sides.targets)
    # What is wrong with the deck and the waivers is said before minutes have gone.
    deck.calls()
    for path in rules.waivers:
        load_waivers(path)
    for name in _FILES if comparison.keep else ():
        new_record(Path(str(comparison.keep), name), overwrite=comparison.overwrite)
    with _folder(comparison.keep) as folder:
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(sides.made, both))
        if execution.times_kernels is None:
            execution = replace(execution, times_kernels=deck.is_worth_timing)
        names = [side.named(name) for pair in pairs for side, name in zip(found, pair, strict=True)]
        with contextlib.ExitStack() as stack:
            shown = stack.enter_context(progress())
            opening = opened(names, deck=deck, execution=execution, rules=rules, tell=shown.stage)
            session = stack.enter_context(contextlib.closing(opening))
            _all_differ(names, session.source.targets)
            halves = _play(session, deck, folder, shown)
        if not halves:
            return 130
        matched = [f"{a.name}={b.name}" for a, b in zip(halves[0].targets, halves[1].targets, strict=True)]
        diff = diff_records(str(halves[0].path), str(halves[1].path), matched)
        if comparison.html:
            from lossproof.cli.commands.report import write_report

            files = (halves[0].path, halves[1].path)
            try:
                write_report(comparison.html, *files, pairs=matched, waivers=rules.waivers, programs=True)
            except Exception as error:  # the page is no part of the verdict
                click.echo(f"lossproof: the page {comparison.html} is lost: {why(error)}", err=True)
    diff = replace(diff, facts=replace(diff.facts, before=both[0].label, after=both[1].label))
    reasons = diff.reasons(comparison.fail_on)
    SHOW[comparison.form](console(), diff, reasons)
    return 1 if reasons else 0


def _all_differ(names: Sequence[str], chosen: Sequence[Target]) -> None:
    """The targets are those of the names, in their order, if none is there twice. What is said of conventions bears the
    name of an implementation: that of the adapter, in its environment."""
    if len(chosen) < len(names):
        raise UsageError(f"{', '.join(names)}: one of these targets is there twice; expected two sides that differ")
    twins = [(a, b) for a, b in zip(chosen[::2], chosen[1::2], strict=True) if _is_one(a, b)]
    if twins:
        first, second = (t.name for t in twins[0])
        raise UsageError(
            f"{first} and {second} are one implementation in two modes; expected two releases. lossproof run {first} "
            f"{second} compares them, and lossproof diff two records with --targets {first}={second}"
        )
    shared = {t.implementation for t in chosen[::2]} & {t.implementation for t in chosen[1::2]}
    if shared:
        raise UsageError(f"both sides have adapters that are called {shared.pop()}; give one of them another name")


def _is_one(a: Target, b: Target) -> bool:
    return (a.adapter.name, a.environment, a.place) == (b.adapter.name, b.environment, b.place)


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="lossproof-") as made:
            yield Path(made)
        return
    try:
        Path(keep).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {keep}: {error.strerror or error}") from None
    yield Path(keep)


def _play(session: Session, deck: DeckOptions, folder: Path, shown: Progress) -> list[_Half]:
    """Write both records in one session, so that both sides share the truth and the state of the machine; nothing if it
    was interrupted."""
    targets = session.source.targets
    with contextlib.ExitStack() as stack:
        halves = []
        for name, mine in zip(_FILES, (targets[::2], targets[1::2]), strict=True):
            path, header = folder / name, record_header(mine, session.calls, deck)
            halves.append(_Half(mine, path, stack.enter_context(Writer(path, header)), header))
        shown.expect(session.expected)
        ended = session.play(shown, *halves)
    if ended.facts is None:
        click.echo("lossproof: interrupted", err=True)
        return []
    return halves
