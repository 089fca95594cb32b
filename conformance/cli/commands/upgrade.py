"""``lossproof upgrade``: the same deck to two releases side by side, and what changed from one to the other."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from lossproof.cases.catalogue import select
from lossproof.cli.commands.diff import diff_records
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.record import Writer
from lossproof.records.waivers import load_waivers, waivers_in_force
from lossproof.running.header import record_header
from lossproof.running.loop import run
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.environments import upgrade_sides
from lossproof.targets.environments.upgrade_sides import UpgradeSide
from lossproof.targets.launch import Processes
from lossproof.targets.target import Target
from lossproof.views.diff_formats import SHOW
from lossproof.views.summary import Summary
from lossproof.views.terminal import console, last_line, progress


@dataclass(frozen=True)
class Deck:
    """What is put to both sides."""

    size: str
    seed: int
    ops: Sequence[str]
    dtypes: Sequence[str]
    families: Sequence[str]

    def calls(self) -> list[Call]:
        """The calls, in order."""
        return select(self.size, self.seed, self.ops, self.dtypes, self.families)

    @property
    def filters(self) -> dict[str, Sequence[str]]:
        """What the deck is narrowed to."""
        return {"op": self.ops, "dtype": self.dtypes, "family": self.families}


@dataclass
class _Half:
    """One side of the run: its targets, its record, and its numbers."""

    targets: Sequence[Target]
    path: Path
    summary: Summary = field(default_factory=Summary)

    def says(self, o: Observation) -> bool:
        """Whether an observation is about a target of this side, or about its implementation."""
        return any(o.target in (t.name, t.implementation) for t in self.targets)


def upgrade_command(
    given: Sequence[str],
    *,
    before: str | None,
    after: str | None,
    targets: Sequence[str],
    extra: Sequence[str],
    python: str | None,
    fresh: bool,
    deck: Deck,
    waivers: Sequence[str],
    fail_on: str,
    form: str,
    keep: str | None,
    html: str | None,
    processes: Processes,
) -> int:
    """Make the environments, run, compare, and return the exit code of the comparison."""
    if html:
        from lossproof.views.html.page import needed

        needed()
    both = _sides(given, before, after)
    pairs = upgrade_sides.compared_targets(both, targets)
    calls = deck.calls()
    for path in waivers:
        # What is wrong with them is said before minutes have gone.
        load_waivers(path)
    with _folder(keep) as folder:
        with ThreadPoolExecutor(2) as pool:
            found = list(
                pool.map(lambda s: upgrade_sides.with_environment(s, extra, python, fresh=fresh, say=_say), both)
            )
        names = [side.named(name) for pair in pairs for side, name in zip(found, pair, strict=True)]
        chosen = selection.choose_targets(names, processes)
        try:
            _all_differ(names, chosen)
            halves = [_Half(chosen[i::2], folder / f"{name}.jsonl") for i, name in enumerate(("before", "after"))]
            if not _play(halves, calls, deck, waivers, processes.jobs):
                return 130
        finally:
            selection.close(chosen)
        matched = [f"{a.name}={b.name}" for a, b in zip(halves[0].targets, halves[1].targets, strict=True)]
        diff = diff_records(str(halves[0].path), str(halves[1].path), matched)
        if html:
            from lossproof.cli.commands.report import write_report

            write_report(html, halves[0].path, halves[1].path, pairs=matched, waivers=waivers)
    diff = replace(diff, facts=replace(diff.facts, before=both[0].label, after=both[1].label))
    reasons = diff.reasons(fail_on)
    SHOW[form](console(), diff, reasons)
    return 1 if reasons else 0


def _sides(given: Sequence[str], before: str | None, after: str | None) -> tuple[UpgradeSide, UpgradeSide]:
    rest = [upgrade_sides.side(text) for text in given]
    if len(rest) + bool(before) + bool(after) != 2:
        raise UsageError("expected two sides: BEFORE and AFTER, or requirement files with --from and --to")
    first = upgrade_sides.side_of_file(before) if before else rest.pop(0)
    return first, upgrade_sides.side_of_file(after) if after else rest.pop(0)


def _all_differ(names: Sequence[str], chosen: Sequence[Target]) -> None:
    """The targets are those of the names, in their order, if none is there twice. What is said of conventions bears the
    name of an implementation: that of the adapter, in its environment."""
    if len(chosen) < len(names):
        raise UsageError(f"{', '.join(names)}: one of these targets is there twice; expected two sides that differ")
    shared = {t.implementation for t in chosen[::2]} & {t.implementation for t in chosen[1::2]}
    if shared:
        raise UsageError(f"both sides have adapters that are called {shared.pop()}; give one of them another name")


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


def _play(halves: Sequence[_Half], calls: Sequence[Call], deck: Deck, waivers: Sequence[str], jobs: int) -> bool:
    """Write both records in one run, so that both sides share the truth and the state of the machine.

    False if it was interrupted.
    """
    several = [t for half in halves for t in half.targets]
    book, clock, start = waivers_in_force(several, waivers), Clock(), time.perf_counter()
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                Writer(h.path, record_header(h.targets, calls, deck=deck.size, seed=deck.seed, filters=deck.filters))
            )
            for h in halves
        ]
        tick = stack.enter_context(progress(len(several) * sum(len(c.outputs) for c in calls)))
        try:
            for raw in run(several, calls, clock, jobs=jobs):
                o = book.mark(raw)
                for half, writer in zip(halves, writers, strict=True):
                    if half.says(o):
                        writer.write(o)
                        half.summary.add(o)
                tick(o, sum(half.summary.failed for half in halves))
        except KeyboardInterrupt:
            click.echo("lossproof: interrupted", err=True)
            return False
        clock.close(several)
        for half, writer in zip(halves, writers, strict=True):
            part = clock.part([t.name for t in half.targets])
            facts = {"seconds": time.perf_counter() - start, "clock": part, "verdicts": dict(half.summary.total)}
            writer.end(facts)
    for half in halves:
        reasons = half.summary.reasons(book, strict=False, complete=False)
        console(stderr=True).print(last_line(half.summary, [t.name for t in half.targets], reasons))
    return True
