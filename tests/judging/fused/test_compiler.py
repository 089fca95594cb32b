"""Without a compiler a run says so and why, and comes to the same verdicts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lossproof.judging.fused import compiler

RUN = ("run", "numpy", "--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--no-cache")
REFUSES = "Numba needs NumPy 2.5 or less"


def run(**environment: str) -> str:
    path = os.pathsep.join([environment.pop("FIRST", ""), *sys.path]).strip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-m", "lossproof", *RUN],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_with_it_nothing_is_said() -> None:
    assert "not compiled" not in run()


def test_switched_off() -> None:
    assert "not compiled, and so slower: LOSSPROOF_COMPILED=0" in run(LOSSPROOF_COMPILED="0")


def test_a_numba_that_refuses_to_be_imported(tmp_path: Path) -> None:
    """As it does beside a NumPy that is too new for it: with its own words, and no traceback."""
    (tmp_path / "numba.py").write_text(f"raise ImportError({REFUSES!r})\n", encoding="utf-8")
    assert f"not compiled, and so slower: {REFUSES}" in run(FIRST=str(tmp_path))


def test_no_numba(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')\n", encoding="utf-8"
    )
    assert "not compiled, and so slower: numba is not installed" in run(FIRST=str(tmp_path))


def test_a_folder_that_cannot_be_written_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba refuses to keep what it compiles where it has no folder for that."""
    if compiler.missing():
        pytest.skip(compiler.missing())
    numba = pytest.importorskip("numba")
    made = numba.njit

    def refusing(*functions: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return made(*functions, **options)

    monkeypatch.setattr(numba, "njit", refusing)

    @compiler.compiled
    def double(a: float) -> float:
        return 2 * a

    assert double(1.5) == 3
