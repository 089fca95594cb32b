"""The pytest front door, run as a user runs it: from another directory, with and without the suite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.thinned import nightly
from tests.support.views import install, python

BOTH = ("--lossproof-target", "crooked", "--lossproof-target", "numpy")
SUITE = ("-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "lossproof.suite", "--lossproof-deck", "smoke")
# Where nothing is explored, hypothesis's own plugin is a second that nobody needs.
REPLAY = (*SUITE, "-p", "no:hypothesispytest")
# What is deselected of a deck is drawn all the same.
SOFTMAX = ("--lossproof-op", "softmax", "--lossproof-dtype", "float32")
# All ops are explored where the suite itself is run (tox.ini).
ONE_EXPLORED = ("-k", "not explore or cross_entropy")


def test_a_correct_target_passes_from_any_directory(tmp_path: Path) -> None:
    # In all dtypes the suite itself is run.
    options = ("-q", "--lossproof-target", "numpy", *SOFTMAX, "-k", "not explore and (ordinary or relation or conv)")
    result = python(*REPLAY, *options, cwd=tmp_path, compiled=True)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "subtests passed" in result.stdout


@nightly
def test_numpy_may_be_told_to_raise(tmp_path: Path) -> None:
    """By another plugin, or by the project whose tests these run beside."""
    (tmp_path / "strict.py").write_text("import numpy\nnumpy.seterr(all='raise')\n")
    options = ("-q", "-p", "strict", "--lossproof-target", "numpy", "--lossproof-dtype", "float16", *ONE_EXPLORED)
    result = python(*SUITE, *options, path=tmp_path, cwd=tmp_path, compiled=True)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "subtests passed" in result.stdout


# Waivers and a wrong target choose items by these names.
@nightly
def test_items_are_named_by_target_op_dtype_and_family(tmp_path: Path) -> None:
    some = ("--collect-only", "-q", "--lossproof-dtype", "float32")
    result = python(*REPLAY, *some, "--lossproof-target", "numpy", cwd=tmp_path)
    assert "test_replay[numpy-softmax-float32-ordinary]" in result.stdout
    assert "test_explore[cross_entropy]" in result.stdout


def test_a_crooked_target_fails_with_message_and_hint(tmp_path: Path) -> None:
    site = install(tmp_path / "site")
    select = ("-k", "test_replay and softmax and float32 and ordinary", "--lossproof-seed", "3", *SOFTMAX)
    result = python(*REPLAY, *BOTH, *select, path=site, cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(
        r"lossproof explain softmax/float32/ordinary/\S+ --target crooked --deck smoke --seed 3", result.stdout
    )
    assert "x the bound" in result.stdout
    assert "Traceback" not in result.stdout
    assert "FAILED" not in "".join(line for line in result.stdout.splitlines() if "numpy-" in line)
    failed = {line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED ")}
    assert re.search(rf"= {len(failed)} failed", result.stdout), "an item counts once, whatever its cases"
    assert "hidden" not in result.stdout


@pytest.mark.parametrize(
    "option", [("--lossproof-target", "nosuch"), pytest.param(("--lossproof-deck", "smock"), marks=nightly)]
)
def test_a_mistake_is_one_line_on_several_workers(tmp_path: Path, option: tuple[str, str]) -> None:
    pytest.importorskip("xdist")
    result = python(*REPLAY, *option, "-n", "2", cwd=tmp_path)
    assert result.returncode == 4
    lines = (result.stdout + result.stderr).strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ERROR: lossproof: unknown ")


def test_a_target_that_is_not_installed_is_one_line_on_several_workers(tmp_path: Path) -> None:
    """Only a worker can find that out, and none of its tests runs."""
    pytest.importorskip("xdist")
    site = install(tmp_path / "site")
    result = python(*REPLAY, *SOFTMAX, "-q", "--lossproof-target", "ghost", "-n", "2", path=site, cwd=tmp_path)
    assert result.returncode == 4, result.stdout
    said = [line for line in (result.stdout + result.stderr).splitlines() if "ghost" in line]
    assert len(said) == 1
    assert said[0].startswith("ERROR: lossproof: target ghost: ")
    assert "failed" not in result.stdout


def test_waivers_make_expected_failures(tmp_path: Path) -> None:
    site = install(tmp_path / "site")
    (tmp_path / "w.toml").write_text(
        "adapter = 'crooked'\n[[waiver]]\nname = 'one-percent'\ncases = 'softmax/*'\nsymptom = 'inaccurate'\n"
        "reason = 'off by 1 %'\nissue = 'https://example.org/1'\nseen = '1.2.0'\n"
    )
    select = ("-k", "test_replay and crooked-softmax-float32-ordinary", "-rx", "--lossproof-waivers", "w.toml")
    result = python(*REPLAY, *SOFTMAX, "--lossproof-target", "crooked", *select, path=site, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "1 xfailed" in result.stdout
    assert "one-percent: off by 1 % (https://example.org/1)" in result.stdout


def test_exploration_finds_and_shrinks_a_defect(tmp_path: Path) -> None:
    site = install(tmp_path / "site")
    select = (*SOFTMAX, "-k", "test_explore and softmax and not log_softmax", "--lossproof-to", "found")
    result = python(*SUITE, *BOTH, *select, path=site, cwd=tmp_path)
    assert result.returncode == 1
    assert "crooked: softmax(" in result.stdout
    assert "numpy: softmax(" not in result.stdout
    assert "lossproof explain --call FILE --target crooked" in result.stdout
    assert '{"op":"softmax",' in result.stdout
    (kept,) = (tmp_path / "found").glob("softmax-*.json")
    assert f"kept as {Path('found') / kept.name}" in result.stdout
    dtype, family = kept.name.split("-")[1:3]
    kept_ones = ("-k", f"test_replay and crooked-softmax-{dtype}-{family}", "--lossproof-calls", "found")
    deck = ("--lossproof-op", "softmax", "--lossproof-dtype", dtype)
    again = python(*REPLAY, *deck, "--lossproof-target", "crooked", *kept_ones, path=site, cwd=tmp_path)
    assert f"lossproof explain {kept.stem.split('-')[0]}/{dtype}/{family}/" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # Two workers say the first in one line, too; what is wrong is found by what every command reads it with.
        pytest.param(("--lossproof-target", "nosuch"), "unknown target 'nosuch'", marks=nightly),
        pytest.param(("--lossproof-deck", "huge"), "unknown deck 'huge'", marks=nightly),
        pytest.param(("--lossproof-waivers", "no.toml"), "cannot read waivers no.toml", marks=nightly),
        pytest.param(("--lossproof-calls", "."), "no call in .; expected *.json files", marks=nightly),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
    result = python(*REPLAY, *SOFTMAX, "-q", "--lossproof-target", "numpy", *arguments, cwd=tmp_path)
    assert result.returncode == 4, result.stdout
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_without_hypothesis_exploration_is_skipped_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "without.py").write_text("import sys\nsys.modules['hypothesis'] = None\n")
    plugins = ("-p", "no:hypothesispytest", "-p", "without", "--lossproof-dtype", "float32")
    result = python(*SUITE, "-q", "-rs", "-k", "explore", "--lossproof-target", "numpy", *plugins, path=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "exploration needs the package hypothesis; pip install 'lossproof[explore]'" in result.stdout
    assert "4 skipped" in result.stdout


def test_other_projects_are_unaffected(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'lossproof.plugin' in sys.modules\n"
        "    others = {m for m in sys.modules if m.startswith('lossproof.')} - {'lossproof.plugin'}\n"
        "    assert not others\n"
        "    assert not {'numpy', 'flint', 'torch', 'jax'} & set(sys.modules)\n"
    )
    result = python("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-q", cwd=tmp_path)
    assert result.returncode == 0, result.stdout
