"""Which tests run a line of the program: measured once with coverage.py, each test a context of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Programs that tests start are measured, too: an interpreter imports this module of any folder on its path. Those of
# other environments have no coverage.py, and must say nothing of it.
_HOOK = """\
try:
    import coverage
except ImportError:
    pass
else:
    coverage.process_startup()
"""
_CONTEXT = "LOSSPROOF_MEASURED_TEST"
_CONFIG = """\
[run]
data_file = {folder}/measured
parallel = true
source = {sources}
context = ${{{context}}}
"""
# What a test leaves in the environment of the next is no part of its own context.
BEFORE = "collection"


@dataclass(frozen=True)
class Covering:
    """The tests of each line, ``lines[path][number]``, and the processor seconds of each test that passed."""

    lines: Mapping[str, Mapping[int, frozenset[str]]]
    seconds: Mapping[str, float]

    def of(self, path: str, first: int, last: int, most: float, *, imported: bool = False) -> list[str]:
        """The tests that run one of some lines of a module, cheap ones first, until they take ``most`` seconds.

        Lines that only an import runs, or that are ``imported``, are any test's that runs something else of the module.
        """
        by_line = self.lines.get(path, {})
        found = {test for number in range(first, last + 1) for test in by_line.get(number, ())}
        if imported or not found:
            found = {test for tests in by_line.values() for test in tests}
        chosen: list[str] = []
        spent = 0.0
        for test in sorted(found, key=lambda name: (self.seconds[name], name)):
            spent += self.seconds[test]
            if chosen and spent > most:
                break
            chosen.append(test)
        return chosen


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _Contexts:
    """A pytest plugin that gives each test its context and its time."""

    def __init__(self, times: Path) -> None:
        self.times = times
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        import coverage

        measuring = coverage.Coverage.current()
        # sanity check: the process measures itself
        assert measuring is not None
        measuring.switch_context(item.nodeid)
        os.environ[_CONTEXT] = item.nodeid
        before = _processor_seconds()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = _processor_seconds() - before
            measuring.switch_context(BEFORE)
            os.environ[_CONTEXT] = BEFORE

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # What a browser shows takes long, and is not what these mutants are about.
        items[:] = [item for item in items if "browser" not in getattr(item, "fixturenames", ())]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        seconds = {name: spent for name, spent in self.seconds.items() if name not in self.failed}
        self.times.write_text(json.dumps(seconds), "utf-8")


def measure(tree: Path, folder: Path, sources: Sequence[str], tests: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run tests of a tree under coverage.py and leave in a folder what they ran; files that changed since, anew."""
    folder.mkdir(parents=True, exist_ok=True)
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_HOOK, "utf-8")
    # What is measured are folders: a module by itself is none that coverage.py looks for.
    folders = dict.fromkeys(tree / s if (tree / s).is_dir() else (tree / s).parent for s in sources)
    paths = "\n    ".join(map(str, folders))
    config = folder / "config"
    config.write_text(_CONFIG.format(folder=folder, sources=paths, context=_CONTEXT), "utf-8")
    path = os.pathsep.join([str(hook), environ["PYTHONPATH"]])
    about = {"COVERAGE_PROCESS_START": str(config), _CONTEXT: BEFORE, "PYTHONPATH": path}
    for file in files(tree, tests):
        version = hashlib.sha256((tree / file).read_bytes()).hexdigest()[:8]
        times = folder / f"{file.replace('/', '-')}-{version}.json"
        if not times.exists():
            command = [sys.executable, "-m", "tools.covering_tests", str(times), file]
            subprocess.run(command, cwd=tree, env={**environ, **about}, check=False)


def files(tree: Path, tests: Sequence[str]) -> list[str]:
    """The files of tests that some paths mean, each a process of its own: what is measured of one is there at once."""
    several = (tree / name for name in tests)
    found = [file for path in several for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]
    return [file.relative_to(tree).as_posix() for file in found]


def read(tree: Path, folder: Path) -> Covering:
    """Read what :func:`measure` has left."""
    import coverage

    seconds: dict[str, float] = {}
    for times in folder.glob("*.json"):
        seconds |= json.loads(times.read_text("utf-8"))
    data = coverage.CoverageData(str(folder / "combined"))
    for part in folder.glob("measured.*"):
        other = coverage.CoverageData(str(part))
        other.read()
        data.update(other)
    lines: dict[str, dict[int, frozenset[str]]] = {}
    for file in data.measured_files():
        found: Mapping[int, Sequence[Any]] = data.contexts_by_lineno(file)
        name = Path(file).resolve().relative_to(tree.resolve()).as_posix()
        lines[name] = {n: frozenset(map(_test, contexts)) & seconds.keys() for n, contexts in found.items()}
    return Covering(lines, seconds)


def _test(context: str) -> str:
    """The test of a context: of this process it follows what the configuration says, of another it is that."""
    return context.removeprefix(f"{BEFORE}|")


if __name__ == "__main__":
    arguments = ["-q", "-p", "no:cacheprovider", *sys.argv[2:]]
    raise SystemExit(pytest.main(arguments, plugins=[_Contexts(Path(sys.argv[1]))]))
