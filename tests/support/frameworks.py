"""A pytest plugin for lanes that have a framework: with ``--only-of`` the tests that say its name, and no others.

All tests of a file run where no framework is installed; those that need one are skipped there, and are what a lane that
has it is for. A test says what it is of in its ID (its file, its name, its parameters) or by ``@pytest.mark.of``. One
that is skipped for want of a framework that it says nothing of would run nowhere: it fails, as does one whose file no
lane of that framework runs.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., Any])

OPTION = "--only-of"
MARK = "of"
# Those that a lane has.
FRAMEWORKS = ("torch", "tensorflow", "jax", "keras")
_SETTINGS = Path(__file__).parents[2] / "tox.ini"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that a lane is called with."""
    told = "run the tests that say one of these names in their ID or by @pytest.mark.of: torch,keras"
    parser.addoption(OPTION, metavar="NAMES", default="", help=told)


def needs(framework: str) -> Callable[[Test], Test]:
    """A decorator of tests that are of a framework: skipped where it is not installed."""
    absent = importlib.util.find_spec(framework) is None
    skipped = pytest.mark.skipif(absent, reason=f"{framework} is not installed here")

    def decorate(test: Test) -> Test:
        return getattr(pytest.mark, MARK)(framework)(skipped(test))

    return decorate


def says(item: pytest.Item, name: str) -> bool:
    """Whether a test says that it is of a framework."""
    marked = {value for mark in item.iter_markers(MARK) for value in mark.args}
    return name in marked or name in item.nodeid


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what says none of the names that were given."""
    names = [name for name in config.getoption(OPTION).split(",") if name]
    if not names:
        return
    left_out = [item for item in items if not any(says(item, name) for name in names)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


class Lane(NamedTuple):
    """What a lane is told: names of frameworks, and files and folders of tests, of a change and of a night."""

    names: tuple[str, ...]
    files: tuple[str, ...]
    night: tuple[str, ...]

    def has(self, item: pytest.Item) -> bool:
        """Whether a test is in the files of a change."""
        return _file(item).startswith(self.files)

    def runs(self, item: pytest.Item) -> bool:
        """Whether a test is run with a change, or, where it is in no file of those, at night, which leaves none out."""
        return any(says(item, name) for name in self.names) if self.has(item) else _file(item).startswith(self.night)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@functools.cache
def lanes(settings: Path = _SETTINGS) -> dict[str, Lane]:
    """The lanes of tox.ini that are told names, by their own."""
    text = settings.read_text("utf-8")
    found = {}
    for lane, names, rest in re.findall(rf"^ *(\w+)-!more: pytest .*{OPTION} ([\w,]+) (.+)$", text, re.M):
        late = re.findall(rf"^ *(?:{lane}-more|more): pytest (.+)$", text, re.M)
        several = [[word for word in line.split() if word.startswith("tests/")] for line in (rest, " ".join(late))]
        found[lane] = Lane(tuple(names.split(",")), *(tuple(words) for words in several))
    return found


def missing(reason: str) -> str:
    """The framework that a test was skipped for want of; an empty text where it was for something else."""
    # Not @tensorflow/tfjs, which is a package for Node.
    there = (name for name in FRAMEWORKS if re.search(rf"(?<![\w@/-]){name}(?![\w/-])", reason))
    return next((name for name in there if importlib.util.find_spec(name) is None), "")


def lost(item: pytest.Item, reason: str) -> str:
    """What is wrong with a test that was skipped for a reason; an empty text where a lane runs it."""
    name = missing(reason)
    able = [lane for lane in lanes().values() if name in lane.names]
    if not name or any(lane.runs(item) for lane in able):
        return ""
    if any(lane.has(item) for lane in able):
        return f"skipped for want of {name}, but lanes that have it leave it out: @pytest.mark.{MARK}({name!r})"
    return f"skipped for want of {name}, and no lane of tox.ini that has it runs {_file(item)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A test that would run nowhere is a failure."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        found = lost(item, report.longrepr[2])
        if found:
            report.outcome, report.longrepr = "failed", found
    return report
