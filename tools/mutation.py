"""Mutation tests of the parts that the kill matrix does not reach: a change of the program that no test sees.

``python -m tools.mutation --sample 400`` copies the tree, measures which tests run which line, makes mutants with the
operators of cosmic-ray (``tools/code_mutants.py``), runs for each the tests of its line, and prints what survived.
``--write`` puts the figures into ``tests/README.md``. Survivors that are no defect of the tests are explained in
``tools/survivors.toml``; the exit code is 1 where one is not.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tools import backend, code_mutants, code_patch, covering_tests
from tools.code_mutants import CodeMutant

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "tests" / "README.md"
EXPLAINED = ROOT / "tools" / "survivors.toml"
PARTS: Mapping[str, tuple[str, ...]] = {
    "command line": ("conformance/cli",),
    "views": ("conformance/views",),
    "environments": ("conformance/targets/environments",),
    "records": ("conformance/records",),
    "detached runs": (
        "conformance/running/carried.py",
        "conformance/running/detached.py",
        "conformance/running/gpu_bundle.py",
    ),
}
# Those that take longest for what they see of these parts are left out.
TESTS = (
    *("records", "views", "targets/test_environments.py", "targets/test_packages.py", "cli/test_commands.py"),
    *(
        "cli/test_cases.py",
        "cli/test_help.py",
        "cli/test_details.py",
        "cli/test_selecting.py",
        "cli/test_doctor.py",
        "cli/test_closed_pipe.py",
        "cli/test_bisect.py",
        "cli/test_malloc_options.py",
    ),
    *("cli/test_upgrade.py", "running/test_detached.py", "running/test_carried.py", "running/test_gpu_steps.py"),
    "running/test_merged_sweep.py",
    *("cli/test_check.py", "cli/test_sweep.py", "cli/test_new_adapter.py", "api/test_public_names.py"),
)
# What looks at all commands and options, which are made by an import and so run no line in a test of their own.
OF_OPTIONS = ("tests/api/test_public_names.py", "tests/cli/test_help.py::test_every_option")
# Processor seconds of tests, unmutated, that a mutant is worth.
MOST = 8.0
_MARKS = re.compile(r"(<!-- mutation:[^\n]*-->\n).*?(<!-- end -->)", re.S)


@dataclass(frozen=True)
class Result:
    """What became of a mutant: its tests, whether one of them failed, or none ended in time."""

    mutant: CodeMutant
    tests: int
    outcome: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether a test saw it."""
        return self.outcome != "survived"


class Kept:
    """Results of runs before, in a file: a mutant that a test has seen is not judged again, one that survived is.

    So a run that was cut off goes on, and one after new tests asks for the survivors alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = map(json.loads, path.read_text("utf-8").splitlines()) if path.exists() else ()
        self.results = {row.pop("mutant"): row for row in rows}

    def of(self, mutant: CodeMutant) -> Result | None:
        """What became of a mutant, if one of its tests has seen it."""
        row = self.results.get(_digest(mutant))
        result = Result(mutant, **row) if row else None
        return result if result and result.killed else None

    def keep(self, result: Result) -> None:
        """Put a result into the file."""
        about = {"tests": result.tests, "outcome": result.outcome, "seconds": result.seconds}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'mutant': _digest(result.mutant), **about})}\n")


def _digest(mutant: CodeMutant) -> str:
    return hashlib.sha256(f"{mutant.path}\0{mutant.text}".encode()).hexdigest()


def copied(tree: Path) -> None:
    """Copy what git knows, or would add, to a new folder, with links by which it is imported."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        source, new = ROOT / name, tree / name
        if source.is_file():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, new)
    subprocess.run([sys.executable, "tools/backend.py"], cwd=tree, capture_output=True, check=True)


def modules(part: str, root: Path = ROOT) -> list[str]:
    """The paths of a part's modules."""
    several = (root / name for name in PARTS[part])
    found = [file for path in several for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [file.relative_to(root).as_posix() for file in found]


def environ(tree: Path) -> dict[str, str]:
    """What the tests of a tree run with."""
    path = os.pathsep.join([str(tree / backend.LINKS.name), str(tree)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def mutated(tree: Path, mutant: CodeMutant) -> Iterator[None]:
    """A tree in which a module is a mutant."""
    path = tree / mutant.path
    before, times = path.read_bytes(), path.stat()
    path.write_text(mutant.text, "utf-8")
    # What is compiled is known by date and size: a second later than ever.
    os.utime(path, (times.st_atime, times.st_mtime + 3600))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, (times.st_atime, times.st_mtime))


class Loop:
    """A pytest plugin that runs, in place of all tests once, those of each mutant in a fork of their own.

    What is imported and collected is so once. ``results`` are those so far, ``tests`` those that mutants are put to.
    """

    def __init__(
        self, tree: Path, mutants: Sequence[CodeMutant], covering: covering_tests.Covering, folder: Path
    ) -> None:
        self.tree, self.mutants, self.covering, self.log = tree, mutants, covering, folder / "log"
        self.kept = Kept(folder / "results.jsonl")
        self.results: list[Result] = []
        self.tests: Sequence[str] = ()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge the mutants, one after the other."""
        items = {item.nodeid: item for item in session.items}
        self.tests = [name for name in items if name in self.covering.seconds]
        for mutant in self.mutants:
            before = self.kept.of(mutant)
            if before:
                self.results.append(before)
                continue
            imported = mutant.shows_at_import(ROOT)
            covering = self.covering.of(mutant.path, mutant.first, mutant.last, MOST, imported=imported)
            tests = [t for t in covering if t in items]
            if part_of(mutant.path) == "command line":
                tests = list(dict.fromkeys([*(t for t in items if t.startswith(OF_OPTIONS)), *tests]))
            limit = 120 + 40 * sum(self.covering.seconds.get(t, 0.0) for t in tests)
            started = time.monotonic()
            with mutated(self.tree, mutant):
                outcome = self._forked(mutant, [items[t] for t in tests], limit) if tests else "survived"
            self.results.append(Result(mutant, len(tests), outcome, time.monotonic() - started))
            self.kept.keep(self.results[-1])
            _show(self.results[-1])
        return True

    def _forked(self, mutant: CodeMutant, items: Sequence[pytest.Item], seconds: float) -> str:
        """``survived``, ``killed``, or ``hung`` after so many seconds."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = self._in_fork(mutant, items)
            finally:
                os._exit(code)
        end = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                _end(pid)
                os.waitpid(pid, 0)
                return "hung"
            time.sleep(0.02)
        _end(pid)
        return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"

    def _in_fork(self, mutant: CodeMutant, items: Sequence[pytest.Item]) -> int:
        os.setsid()
        with self.log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        path, before = (self.tree / mutant.path).resolve(), (ROOT / mutant.path).read_text("utf-8")
        if code_patch.patched(path, before, mutant.text):
            following = [*items[1:], None]
            reports = (runtestprotocol(i, log=False, nextitem=n) for i, n in zip(items, following, strict=True))
            return int(any(report.failed for several in reports for report in several))
        # It shows at an import: everything is imported again.
        for name in [n for n in sys.modules if n.partition(".")[0] in ("tests", "lossproof")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return int(pytest.main(["-x", "-q", "--tb=line", "-p", "no:cacheprovider", *(i.nodeid for i in items)]))


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def judge(
    tree: Path, mutants: Sequence[CodeMutant], covering: covering_tests.Covering, tests: Sequence[str], folder: Path
) -> Loop:
    """The loop that has judged each mutant, in this process, which belongs to the tree from then on."""
    sys.dont_write_bytecode = True
    for name in [n for n in sys.modules if n.partition(".")[0] in ("tests", "lossproof")]:
        del sys.modules[name]
    own = (ROOT, ROOT / backend.LINKS.name)
    others = [p for p in sys.path if p and Path(p).resolve() not in own]
    sys.path[:] = [str(tree / backend.LINKS.name), str(tree), *others]
    os.environ.update(environ(tree))
    os.chdir(tree)
    loop = Loop(tree, mutants, covering, folder)
    pytest.main(["-s", "-q", "-p", "no:cacheprovider", *tests], plugins=[loop])
    return loop


def explanation(mutant: CodeMutant) -> str:
    """Why no test can see a mutant, or nothing."""
    if not EXPLAINED.exists():
        return ""
    change = [line.strip() for line in mutant.change(ROOT).splitlines()]
    for entry in tomllib.loads(EXPLAINED.read_text("utf-8"))["survivor"]:
        if entry["module"] == mutant.path and [x.strip() for x in entry["change"].strip().splitlines()] == change:
            return str(entry["why"])
    return ""


def part_of(path: str) -> str:
    """The part that a module belongs to."""
    return next(part for part, names in PARTS.items() if any(path == n or path.startswith(f"{n}/") for n in names))


def table(results: Sequence[Result], places: Mapping[str, int]) -> str:
    """The figures in Markdown."""
    rows = ["| part | possible mutants | made | killed | explained | alive |", "|---|---|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for part in places:
        mine = [r for r in results if part_of(r.mutant.path) == part]
        explained = sum(not r.killed and bool(explanation(r.mutant)) for r in mine)
        killed = sum(r.killed for r in mine)
        counts = (places[part], len(mine), killed, explained, len(mine) - killed - explained)
        rows.append(f"| {part} | {' | '.join(map(str, counts))} |")
        for n, count in enumerate(counts):
            sums[str(n)] += count
    rows.append(f"| all | {' | '.join(str(sums[str(n)]) for n in range(5))} |")
    return "\n".join(rows) + "\n"


def run_was(options: argparse.Namespace, loop: Loop) -> str:
    """What was run, in a sentence that stands over its table."""
    only = [*(f"--part '{p}'" for p in options.part or ()), *([f"--module {options.module}"] if options.module else [])]
    only += [f"--tests {t}" for t in options.tests or ()]
    command = " ".join(["python -m tools.mutation", f"--sample {options.sample} --seed {options.seed}", *only])
    operators = len({r.mutant.operator for r in loop.results})
    several = len({t.partition("::")[0] for t in loop.tests})
    return (
        f"`{command}` of {time.strftime('%Y-%m-%d')}: {len(loop.results)} mutants by {operators} operators, put "
        f"to {len(loop.tests)} tests in {several} files."
    )


def _show(result: Result) -> None:
    m = result.mutant
    print(
        f"{m.path}:{m.first} {m.operator}: {result.outcome}, {result.tests} tests, {result.seconds:.1f} s", flush=True
    )
    if not result.killed:
        why = explanation(m)
        print(f"{m.change(ROOT)}\n{f'explained: {why}' if why else 'ALIVE'}\n", flush=True)


def main() -> int:
    """Make mutants, run their tests and say what survived; the exit code is 1 where a survivor is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--sample", type=int, default=400, metavar="N", help="mutants in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=[*PARTS], action="append", help="this part alone; may be repeated")
    parser.add_argument("--module", default="", metavar="TEXT", help="only modules with this in their path")
    parser.add_argument(
        "--tests", action="append", metavar="PATH", help="part of tests/, in place of all that count; may be repeated"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        required=True,
        help="for the copy, what is measured and results; may stay",
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    tree, measured = options.folder.resolve() / "tree", options.folder.resolve() / "measured"
    copied(tree)
    parts = options.part or [*PARTS]
    sources = [name for names in PARTS.values() for name in names]
    tests = [f"tests/{t}" for t in options.tests or TESTS]
    covering_tests.measure(tree, measured, sources, tests, environ(tree))
    paths = {part: [p for p in modules(part) if options.module in p] for part in parts}
    several = code_mutants.operators()
    places = {part: sum(len(code_mutants.places_of(ROOT, p, several)) for p in paths[part]) for part in parts}
    mutants = code_mutants.sample(ROOT, [p for part in parts for p in paths[part]], options.sample, options.seed)
    covering = covering_tests.read(tree, measured)
    loop = judge(tree, mutants, covering, covering_tests.files(tree, tests), options.folder.resolve())
    results = loop.results
    print(table(results, places), end="")
    if options.write:
        said = f"{run_was(options, loop)}\n\n{table(results, places)}"
        PAGE.write_text(_MARKS.sub(lambda m: m[1] + said + m[2], PAGE.read_text("utf-8")), "utf-8")
    return int(any(not r.killed and not explanation(r.mutant) for r in results))


if __name__ == "__main__":
    raise SystemExit(main())
