"""Without a compiler a run says so and why, and comes to the same verdicts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

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


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_what_is_compiled_is_kept_for_the_sources_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of any source that a loop may call from leads to another folder; what nobody has used for longest goes,
    and nothing of a framework's compiler."""
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path / "cache"))
    for room in ("core", "truth", "judging"):
        (tmp_path / "sources" / room).mkdir(parents=True)
    source = tmp_path / "sources" / "core" / "products.py"
    monkeypatch.setattr(compiler, "files", lambda _: tmp_path / "sources")
    programs = compiler.folders() / "jax-0123456789ab"
    programs.mkdir(parents=True)
    os.utime(programs, (0, 0))

    def folder_of(k: int) -> Path:
        source.write_text(f"A = {k}\n", encoding="utf-8")
        compiler.folder.cache_clear()
        return compiler.folder()

    found = []
    for k in range(compiler._KEPT):
        found.append(folder_of(k))
        os.utime(found[-1], (k, k))
    assert folder_of(compiler._KEPT - 1) == found[-1]
    assert folder_of(0) == found[0]
    found.append(folder_of(-1))
    assert len(set(found)) == len(found)
    assert [p.is_dir() for p in found] == [k != 1 for k in range(compiler._KEPT + 1)]
    assert programs.is_dir()

    @compiler.compiled
    def double(a: float) -> float:
        return 2 * a

    before = pytest.importorskip("numba").config.CACHE_DIR
    assert double(1.5) == 3
    assert list(found[-1].rglob("*.nbi"))
    assert before == pytest.importorskip("numba").config.CACHE_DIR
    assert compiler.forget() > 0
    assert not compiler.folders().exists()
    compiler.folder.cache_clear()


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_two_installations_compile_once(tmp_path: Path) -> None:
    """What is kept belongs to the sources, wherever they are installed and whenever."""
    kept = tmp_path / "cache"
    before: set[Path] = set()
    for k, place in enumerate(("one", "another")):
        installed = tmp_path / place / "lossproof"
        shutil.copytree(str(files("lossproof")), installed, symlinks=False)
        for path in installed.rglob("*.py"):
            os.utime(path, (k, k))
        program = (
            "from lossproof.judging.fused import double_double_scalars as scalars; "
            "print(scalars.__file__, *scalars.two_sum(1.0, 2.0**-60))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "LOSSPROOF_CACHE": str(kept), "PYTHONPATH": str(installed.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        # sanity check: it is that installation
        assert done.stdout.startswith(str(installed))
        assert done.stdout.endswith(f" 1.0 {2.0**-60}\n")
        now = set(kept.rglob("*.nbc"))
        assert now
        assert not before or now == before
        before = now


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_processes_that_compile_variants_at_one_time_do_not_mix_them_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has read an index in which neither is, as of two that are compiled at the same moment."""
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path))
    compiler.folder.cache_clear()

    def double(x: float) -> float:
        return x + x

    files_of = []
    for _ in range(2):
        made: Any = compiler.compiled(double)
        kept = made._cache._cache_file
        monkeypatch.setattr(kept, "_load_index", dict)
        files_of.append(kept)
    compiler.folder.cache_clear()
    for kept, variant in zip(files_of, ("of floats", "of integers"), strict=True):
        kept.save((variant, "this processor"), variant)
    variants = type(kept)._load_index(kept)
    assert [kept._load_data(name) for name in variants.values()] == [variant for variant, _ in variants]
    assert len(list(tmp_path.rglob("*.nbc"))) == 2
