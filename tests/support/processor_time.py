"""A pytest plugin that says which test files took the most processor time, their child processes included."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

PROPERTY = "processor_seconds"
SHOWN = 25
# Below this many seconds a file is not worth a line.
LEAST = 3.0

_started = pytest.StashKey[float]()
_spent: dict[str, float] = defaultdict(float)


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """The clock of a test starts before its fixtures."""
    item.stash[_started] = processor_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """The report of the teardown carries what the whole test took: reports travel from workers, clocks do not."""
    report = yield
    if report.when == "teardown":
        report.user_properties.append((PROPERTY, processor_seconds() - item.stash[_started]))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add what a test took to its file's."""
    _spent[report.nodeid.partition("::")[0]] += sum(
        value for name, value in report.user_properties if name == PROPERTY and isinstance(value, float)
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the files that took most."""
    most = sorted(_spent.items(), key=lambda entry: entry[1], reverse=True)[:SHOWN]
    lines = [(spent, name) for name, spent in most if spent >= LEAST]
    if lines:
        terminalreporter.section(f"processor seconds by file, {sum(_spent.values()):.0f} in all")
        for spent, name in lines:
            terminalreporter.line(f"{spent:7.1f} {name}")
