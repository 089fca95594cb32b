"""The guard against a slower engine: which commit it compares with, and what is a failure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import guard, startup
from tests.support.thinned import nightly


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def commit(*names: str) -> list[str]:
    made = []
    for name in names:
        subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", name], cwd=guard.ROOT, check=True)
        made.append(guard.git("rev-parse", "HEAD"))
    return made


def test_the_base_is_where_a_branch_began_or_the_last_tag_or_the_commit_before(repository: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository, check=True)
    first, second, third = commit("first", "second", "third")
    assert guard.base_of(third) == second
    guard.git("tag", "v1", first)
    assert guard.base_of(third) == first
    guard.git("tag", "v2", third)
    assert guard.base_of(third) == first, "a tag of the commit itself says nothing of it"
    guard.git("checkout", "-q", "-b", "work")
    *_, last = commit("fourth", "fifth")
    assert guard.base_of(last) == third
    guard.git("tag", "-d", "v1")
    assert guard.base_of(first) == ""


def test_without_history_nothing_is_compared(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["guard.py"])
    assert guard.main() == 0
    assert "no history here; no failure" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["guard.py", "nonsense"])
    with pytest.raises(SystemExit, match="nonsense is no commit"):
        guard.main()


class Measured:
    """In place of processes: how many times slower the working tree is, measurement by measurement."""

    def __init__(self, *ratios: float, error: str = "") -> None:
        self.ratios, self.error, self.asked = iter(ratios), error, 0

    def __call__(self, path: Path, kind: str) -> dict[str, float]:
        self.asked += 1
        if path.name == "base":
            return {"error": self.error} if self.error else {"deck": 2.0, "old": 1.0}  # type: ignore[dict-item]
        return {"deck": 2.0 * next(self.ratios), "new": 1.0}


@pytest.mark.parametrize(
    ("ratios", "asked", "code"),
    [
        ([1.0, 1.1, 1.2], 6, 0),
        ([1.4, 1.45, 1.49], 6, 0),
        # A neighbour on the machine: the least counts, and one round more finds it.
        ([9.0, 1.0, 9.0], 6, 0),
        ([9.0, 9.0, 9.0, 1.0], 8, 0),
        ([1.5] * 7, 14, 1),
        ([2.0] * 7, 14, 1),
    ],
)
def test_a_ratio_that_stays_is_a_failure(
    ratios: list[float],
    asked: int,
    code: int,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = Measured(*ratios)
    assert ran(measured, repository, monkeypatch) == code
    assert measured.asked == asked
    assert ("guard: deck takes" in capsys.readouterr().out) == bool(code)


def test_a_base_without_the_interface_is_no_failure(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(Measured(1.0, error="No module named 'lossproof.running'"), repository, monkeypatch) == 0
    assert "not compared with arrays" in capsys.readouterr().out


def ran(measured: Measured, repository: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    @contextmanager
    def checkout(base: str) -> Iterator[Path]:
        yield repository / "base"

    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository, check=True)
    commit("first", "second")
    monkeypatch.setattr(guard, "measured", measured)
    monkeypatch.setattr(guard, "checkout", checkout)
    monkeypatch.setattr(guard, "links", lambda folder: folder)
    monkeypatch.setattr(sys, "argv", ["guard.py", "--no-compiler"])
    return guard.main()


@nightly
def test_this_tree_is_measured() -> None:
    """In a process of its own: the program knows the interfaces, and every piece takes time."""
    here = startup.links(guard.ROOT)
    pieces = guard.measured(here, "arrays")
    assert len(pieces) == 2 + 2 * len(guard.BY_ARRAYS)
    assert min(pieces.values()) > 0
