"""Without a compiler a run says so and why, and comes to the same verdicts."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.judging.fused import compiler, machine_code
from tests.support.thinned import WHOLE, nightly

_PART = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32")
RUN = ("-m", "lossproof", "run", "numpy", *_PART, "--no-cache", "--in-process")
# What a run says; of one reason a run is asked, of the others at night.
ASKED = RUN if WHOLE else ("-c", "from lossproof.judging.fused.compiler import missing; print(missing())")
REFUSES = "Numba needs NumPy 2.5 or less"


def run(*, command: Sequence[str] = RUN, **environment: str) -> str:
    path = os.pathsep.join([environment.pop("FIRST", ""), *sys.path]).strip(os.pathsep)
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said(reason: str, text: str) -> bool:
    """Say whether a run says why it is slower, or the compiler why it is missing."""
    return f"not compiled, and so slower: {reason}" in text if WHOLE else text == f"{reason}\n"


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_with_it_nothing_is_said() -> None:
    assert "not compiled" not in run()


def test_switched_off() -> None:
    assert "not compiled, and so slower: LOSSPROOF_COMPILED=0" in run(LOSSPROOF_COMPILED="0")


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_switched_off_by_the_compiler_s_own_switch() -> None:
    """Which people set to see into functions of their own."""
    assert said("NUMBA_DISABLE_JIT=1", run(command=ASKED, NUMBA_DISABLE_JIT="1"))


def test_a_numba_that_refuses_to_be_imported(tmp_path: Path) -> None:
    """As it does beside a NumPy that is too new for it: with its own words, and no traceback."""
    (tmp_path / "numba.py").write_text(f"raise ImportError({REFUSES!r})\n", encoding="utf-8")
    assert said(REFUSES, run(command=ASKED, FIRST=str(tmp_path)))


def test_no_numba(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')\n", encoding="utf-8"
    )
    assert said("numba is not installed", run(command=ASKED, FIRST=str(tmp_path)))


KIND = (bool, (machine_code.F8, 1), (machine_code.F8, 2), (machine_code.BOOL, 1))
NAME = "judge_nll_rows"


def sum_rows(negative: bool, factors: Any, x: Any, positive: Any) -> None:
    """Fill in whether the sums of rows are positive, and the sums for the first factor of each."""
    for n in range(x.shape[0]):
        for j in range(1, x.shape[1]):
            x[n, 0] += x[n, j]
        x[n, 0] *= -factors[0] if negative else factors[0]
        positive[n] = x[n, 0] > 0


def rows() -> tuple[Any, ...]:
    return True, np.array([2.0]), np.array([[1.0, -3.0, 5.0], [-1.0, -2.0, -4.0]]), np.zeros(2, dtype=bool)


def check(loop: Any) -> None:
    negative, factors, x, positive = rows()
    loop(negative, factors, x, positive)
    assert x[:, 0].tolist() == [-6.0, 14.0]
    assert positive.tolist() == [False, True]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is kept yet."""
    monkeypatch.setattr(compiler, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiler, "kept", dict)
    monkeypatch.setattr(sum_rows, "__name__", NAME)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine code of the loop, which is compiled once."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "folder", lambda: place)
        patch.setattr(compiler, "kept", dict)
        patch.setattr(sum_rows, "__name__", NAME)
        check(compiler.loop(*KIND)(sum_rows))
    (file,) = place.iterdir()
    return file


@pytest.fixture
def kept(made: Path, folder: Path) -> Path:
    """Where it is kept."""
    return Path(shutil.copy(made, folder))


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_a_loop_is_linked_without_its_compiler_where_its_machine_code_is_kept(
    kept: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # sanity check: it was compiled, and nothing else
    assert list(folder.iterdir()) == [kept]

    def refused(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(machine_code, "compile_loop", refused)
    check(compiler.loop(*KIND)(sum_rows))
    monkeypatch.setattr(compiler, "_ALIVE", {})
    assert compiler.is_still_to_compile()
    for name in compiler.LOOPS:
        machine_code._file(folder, name).write_bytes(machine_code._file(folder, NAME).read_bytes())
    assert not compiler.is_still_to_compile()
    for name in compiler.LOOPS[:-1]:
        machine_code._file(folder, name).unlink()
    # Nothing is linked unless all of it can be.
    assert set(machine_code.link(folder, [NAME])) == {NAME}
    assert not machine_code.link(folder, [NAME, "judge_softmax_rows"])


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def _with_another_byte(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        pytest.param(lambda content: content[:-1], marks=nightly),
        lambda content: _with_another_byte(content, 40),
        # It is an object as before: nothing but the checksum says that it is another one.
        lambda content: _with_another_byte(content, len(content) // 3),
        # What it says of itself is right, but it is no machine code.
        lambda content: hashlib.sha256(b"f\nno code").digest() + b"f\nno code",
    ],
    ids=["empty", "shorter", "another bit", "another instruction", "something else"],
)
def test_machine_code_that_is_damaged_is_made_again(kept: Path, folder: Path, damage: Callable[[bytes], bytes]) -> None:
    # sanity check: as it is, it is linked
    assert machine_code.link(folder, [NAME])
    kept.write_bytes(damage(kept.read_bytes()))
    assert not machine_code.link(folder, [NAME])
    check(compiler.loop(*KIND)(sum_rows))
    assert machine_code.link(folder, [NAME])


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_a_folder_that_cannot_be_written_is_no_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError("no room")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)
    check(compiler.loop(*KIND)(sum_rows))
    assert not list(folder.iterdir())


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
@pytest.mark.parametrize("broken", [1, 2, 3])
@pytest.mark.usefixtures("kept")
def test_a_loop_is_not_given_what_it_was_not_compiled_for(broken: int) -> None:
    loop = compiler.loop(*KIND)(sum_rows)
    given = list(rows())
    given[broken] = given[broken].astype(np.float32) if broken < 3 else given[broken].astype(np.int64)
    with pytest.raises(AssertionError):
        loop(*given)
    given = list(rows())
    given[2] = np.asfortranarray(given[2])
    with pytest.raises(AssertionError):
        loop(*given)


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_what_another_processor_or_compiler_has_made_is_not_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what was made under other settings of the compiler; and without a known release nothing is."""

    def key() -> str:
        machine_code.processor_and_compiler.cache_clear()
        return machine_code.processor_and_compiler()

    llvm = pytest.importorskip("llvmlite.binding")
    keys = [key()]
    with monkeypatch.context() as patch:
        patch.setattr(llvm, "get_host_cpu_name", lambda: "another")
        keys.append(key())
    with monkeypatch.context() as patch:
        patch.setenv("NUMBA_OPT", "1")
        keys.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "9.9.9")
        keys.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(machine_code, "find_spec", lambda name: None)
        assert not key()
    assert key() == keys[0]
    assert len(set(keys)) == len(keys)
    assert all(keys)


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

    monkeypatch.setattr(sum_rows, "__name__", NAME)
    monkeypatch.setattr(compiler, "kept", dict)
    check(compiler.loop(*KIND)(sum_rows))
    assert [p.name.split("-")[0] for p in found[-1].iterdir()] == [NAME]
    assert compiler.forget() > 0
    assert not compiler.folders().exists()
    compiler.folder.cache_clear()


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_two_installations_compile_once(tmp_path: Path) -> None:
    """What is kept belongs to the sources, wherever they are installed and whenever."""
    kept = tmp_path / "cache"
    names = []
    for k, place in enumerate(("one", "another")):
        installed = tmp_path / place / "lossproof"
        shutil.copytree(str(files("lossproof")), installed, symlinks=False)
        for path in installed.rglob("*.py"):
            os.utime(path, (k, k))
        program = (
            "from lossproof.judging.fused import compiler, machine_code; "
            "print(compiler.__file__, compiler.folder() / machine_code.processor_and_compiler())"
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
        names.append(done.stdout.split()[-1])
    assert names[0] == names[1]


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_a_run_that_finds_machine_code_does_not_import_the_compiler() -> None:
    program = "import sys; from lossproof.judging.fused import compiler, regular_calls; print('numba' in sys.modules)"
    if not compiler.kept():
        run(command=RUN[:6])
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
