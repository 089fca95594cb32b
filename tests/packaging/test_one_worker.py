"""Files that look at whole decks are tested in one process."""

from __future__ import annotations

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


def test_workers_have_it_so(tmp_path: Path) -> None:
    """Of four files those two that look at decks have one worker."""
    pytest.importorskip("xdist")
    for name in "abcd":
        first = "from tests.support.decks import drawn\n\n\n" if name in "ab" else ""
        text = f"{first}def test_{name}(worker_id):\n    print('{name} at', worker_id)\n"
        (tmp_path / f"test_{name}.py").write_text(text, "utf-8")
    options = ["-n", "2", "--dist", "loadfile", "-rP", "-p", "tests.support.one_worker", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    places = dict(re.findall(r"^(\w) at (gw\d)$", done.stdout, re.M))
    assert sorted(places) == list("abcd")
    assert places["a"] == places["b"]
