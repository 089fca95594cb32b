"""Files that look at whole decks are tested in one process; workers collect one after another."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.one_worker import scope

ROOT = Path(__file__).parents[2]


def test_what_looks_at_decks_is_together_and_nothing_else() -> None:
    files = [str(path) for path in (ROOT / "tests").rglob("test_*.py")]
    sizes = Counter(map(scope, files))
    ((together, count),) = sizes.most_common(1)
    assert set(sizes.values()) == {1, count}
    names = {Path(file).name for file in files if scope(file) == together}
    assert names > {"test_deck.py", "test_mutants.py", "test_independence.py"}
    # sanity check: they are no more than a worker has time for
    assert count < len(files) / 5


# The first that is imported gives the other worker time to begin.
_TEST = """\
import os
import time

with open({log!r}, "a+") as log:
    first = not log.tell()
    print(os.environ["PYTEST_XDIST_WORKER"], file=log, flush=True)
    time.sleep(2 if first else 0)


def test_{name}(worker_id):
    print("{name} at", worker_id)
"""


def test_workers_have_it_so(tmp_path: Path) -> None:
    """Of four files those two that look at decks have one worker; one imports all four before the other begins."""
    pytest.importorskip("xdist")
    log = tmp_path / "imported.txt"
    for name in "abcd":
        first = "# as one with tests.support.decks\n" if name in "ab" else ""
        (tmp_path / f"test_{name}.py").write_text(first + _TEST.format(name=name, log=str(log)), "utf-8")
    options = ["-n", "2", "--dist", "loadfile", "-rP", "-p", "tests.support.one_worker", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", *options, str(tmp_path)]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    places = dict(re.findall(r"^(\w) at (gw\d)$", done.stdout, re.M))
    assert sorted(places) == list("abcd")
    assert places["a"] == places["b"]
    assert [(worker, len([*times])) for worker, times in itertools.groupby(log.read_text("utf-8").split())] in (
        [("gw0", 4), ("gw1", 4)],
        [("gw1", 4), ("gw0", 4)],
    )
