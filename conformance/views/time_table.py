"""The time of a run as a table: wall and processor seconds by target and by phase of the engine, waiting apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from lossproof.running.timing import Clock

# Phases of the engine in the order of a run; each is an attribute of the clock.
_PHASES = ("deck", "oracle", "judge", "record")
TimeRow = tuple[str, str, str, str]


def time_table(clock: Clock, names: Mapping[str, str]) -> Iterator[RenderableType]:
    """Yield the table, what slowed the judge down, and what came from the cache.

    Targets side by side take more wall time together than the run.
    """
    table = Table(title="Time in seconds", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("wall", "processor"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in time_rows(clock, names):
        table.add_row(*map(escape, row))
    yield table
    if clock.uncompiled:
        yield f"  not compiled, and so slower: {clock.uncompiled}; pip install 'lossproof[fast]' brings what it takes"
    if clock.cached:
        again = f"; {clock.checked} answers of it were judged again" if clock.checked else ""
        yield f"  {clock.cached} outputs were judged before (lossproof cache){again}"


def time_rows(clock: Clock, names: Mapping[str, str]) -> Iterator[TimeRow]:
    """Yield what the table has: a target or a phase, its wall and its processor seconds, and remarks."""
    for name, seconds in clock.targets.items():
        start = clock.starts.get(name, 0.0)
        parts = [f"calls {seconds:.1f}", f"the first of each signature {clock.first.get(name, 0.0):.1f}"]
        if name in clock.programs:
            parts.append(f"{clock.programs[name]} compilations {clock.compiling[name]:.1f}")
        if name in clock.starts:
            parts.insert(0, f"start {start:.1f}")
        if name in clock.restarts:
            parts.append(f"{clock.restarts[name]} restarts")
        yield names.get(name, name), f"{start + seconds:.1f}", _known(clock.processor, name), ", ".join(parts)
    for phase in _PHASES:
        remark = f"{clock.known} large calls were known (lossproof cache)" if phase == "deck" and clock.known else ""
        yield phase, f"{getattr(clock, phase):.1f}", _known(clock.phases, phase), remark
    yield "asking", "", _known(clock.phases, "asking"), "requests and answers, while the engine does something else"
    yield "waiting", f"{clock.waiting:.1f}", "", "for targets"


def _known(seconds: Mapping[str, float], name: str) -> str:
    return f"{seconds[name]:.1f}" if name in seconds else ""
