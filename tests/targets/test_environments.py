"""Environments by name. NumPy and the frameworks are stand-ins: wheels of a few lines, installed without a network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.targets.environments import installers, interpreters, probe, store
from tests.support.thinned import nightly

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# A uv that installs every wheel of WHEELS, says what it was asked for, and hangs if it is told to.
UV = """\
#!{python} -IS
import glob, json, os, sys, time, venv, zipfile

with open({log!r}, "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
if sys.argv[1] == "venv":
    sys.exit(venv.create(sys.argv[5], symlinks=True))
if sys.argv[1] == "pip":
    if os.path.exists({hang!r}):
        time.sleep(900)
    if "missing" in sys.argv:
        sys.exit("error: No solution found\\n  cause: there is no version of missing")
    inner = sys.argv[sys.argv.index("--python") + 1]
    (site,) = glob.glob(os.path.dirname(inner) + "/../lib/python*/site-packages")
    for wheel in glob.glob({wheels!r} + "/*.whl"):
        if "/packaging-" in wheel and "packaging" not in sys.argv:
            continue
        zipfile.ZipFile(wheel).extractall(site)
else:
    print({pythons!r})
"""


def wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{path},sha256={urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    folder.mkdir(exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, a folder of wheels, no network, no interpreters but this one."""
    wheel(tmp_path / "wheels", "numpy", "1.2.3", "__version__ = '1.2.3'\n")
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOSSPROOF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def uv(box: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in for uv on PATH; the file that it keeps its arguments in. What is configured for pip is asked of pip
    where a process of its own makes an environment, and where uv is the real one."""
    monkeypatch.setattr(installers, "pip_settings", lambda: {"no-index": "1"})
    paths = {name: str(box / name) for name in ("log", "hang", "wheels", "pythons")}
    executable(box / "bin" / "uv", UV.format(python=sys.executable, **paths))
    return box / "log"


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def fake_python(path: Path, version: str, implementation: str = "cpython", own: bool = True) -> Path:
    """A script that answers what an interpreter of that version answers."""
    numbers = [int(n) for n in version.split(".")]
    return executable(path, f"#!/bin/sh\necho '{json.dumps([str(path), numbers, implementation, own])}'\n")


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="lossproof")


# Interpreters


def test_interpreters_are_found_with_pyenv_and_uv_and_on_path(box: Path, uv: Path) -> None:
    of_pyenv = fake_python(box / "pyenv" / "versions" / "3.8.7" / "bin" / "python", "3.8.7")
    of_uv = fake_python(box / "pythons" / "cpython-3.9" / "bin" / "python3", "3.9.1")
    on_path = fake_python(box / "bin" / "python3.10", "3.10.2")
    found = {wanted: interpreters.find_interpreter(wanted) for wanted in ("3.8", "python3.9", "3.10.2")}
    assert [(i.path, i.source) for i in found.values()] == [(of_pyenv, "pyenv"), (of_uv, "uv"), (on_path, "PATH")]
    assert interpreters.find_interpreter(str(on_path)).release == "3.10.2"
    assert interpreters.find_interpreter(None).path == Path(sys.executable)


def test_the_newest_that_is_no_virtual_environment_is_taken(box: Path) -> None:
    for version in ("3.8.2", "3.8.10"):
        fake_python(box / "pyenv" / "versions" / version / "bin" / "python", version)
    fake_python(box / "pyenv" / "versions" / "virtual" / "bin" / "python", "3.8.12", own=False)
    fake_python(box / "pyenv" / "versions" / "pypy" / "bin" / "python", "3.8.16", implementation="pypy")
    executable(box / "bin" / "python3.8", "#!/bin/sh\necho 'no version is set' >&2\nexit 127\n")
    assert interpreters.find_interpreter("3.8").release == "3.8.10"


def test_a_missing_interpreter_is_an_error_that_says_what_was_found(box: Path) -> None:
    fake_python(box / "pyenv" / "versions" / "3.9.4" / "bin" / "python", "3.9.4")
    with pytest.raises(
        UsageError, match=r"no Python 3\.8 with pyenv, uv or on PATH; found 3\.9\.4 \(pyenv\), .*install"
    ):
        interpreters.find_interpreter("3.8")
    with pytest.raises(UsageError, match="no Python interpreter 'three'; expected a version"):
        interpreters.find_interpreter("three")
    fake_python(box / "bin" / "python3.7", "3.7.3")
    with pytest.raises(UsageError, match=r"Python 3\.7\.3 is too old; targets need 3\.8"):
        interpreters.find_interpreter("3.7")


# Installers


def test_pip_settings_are_read_with_their_precedence() -> None:
    text = (
        "WARNING: noise\n:env:.find-links='/from/variable'\nglobal.find-links='/from/file'\n"
        "global.constraint='a b'\ninstall.constraint='c'\nfreeze.timeout='10'\nglobal.broken='\n"
    )
    assert installers.read_settings(text) == {"find-links": "/from/variable", "constraint": "c"}


def test_uv_is_told_what_pip_would_have_known(tmp_path: Path) -> None:
    settings = {
        "find-links": f"{tmp_path} /no/such/folder https://example.org/wheels",
        "index-url": "https://example.org/simple",
        "extra-index-url": "file:///one file:///two",
        "no-index": "true",
    }
    own = {"UV_INDEX_URL": "https://example.org/mine"}
    options = installers.uv_options(settings, own)
    assert " ".join(options) == (
        f"--find-links {tmp_path} --find-links https://example.org/wheels --extra-index-url file:///one "
        "--extra-index-url file:///two --index-strategy unsafe-best-match --no-index"
    )
    assert installers.uv_options({}, {}) == []


def test_the_end_of_an_output_begins_with_its_first_error() -> None:
    text = "Collecting x\nERROR: Ignored the following versions: many\nERROR: " + "x" * 999 + "\n\nERROR: No x\n"
    first, last = installers.error_tail(text).split(" / ")
    assert first.startswith("ERROR: xxx")
    assert len(first) < 320
    assert last == "ERROR: No x"


# Environments


def test_an_environment_is_made_once_and_kept(uv: Path) -> None:
    made, is_new = store.create("one", ["numpy>=1.0, <2"])
    assert is_new
    assert (made.requirements, made.packages, made.installer) == (("numpy<2,>=1.0",), {"numpy": "1.2.3"}, "uv")
    assert str(made) == f"one: Python {interpreters.running().release}, numpy 1.2.3"
    program = "import numpy; print(numpy.__version__)"
    for text in ("one", "@one", f"@{made.interpreter}", str(made.interpreter.parents[1])):
        python = store.interpreter(text)
        assert subprocess.check_output([python, "-c", program], text=True) == "1.2.3\n"
    calls = uv.read_text()
    assert store.create("one", ["numpy<2,>=1.0"], python=VERSION) == (made, False)
    assert store.environments() == [made]
    assert uv.read_text() == calls, "the second time nothing is installed"


def test_other_requirements_need_another_name_or_force(uv: Path, box: Path) -> None:
    first, _ = store.create("one", [])
    assert json.loads(uv.read_text().splitlines()[-1])[-1] == "numpy", "NumPy is always there"
    wheel(box / "wheels", "frame", "0.1", "import numpy\n")
    with pytest.raises(
        UsageError, match=r"no requirement but numpy; asked for .* frame: choose another name, or .*force"
    ):
        store.create("one", ["frame"])
    with pytest.raises(UsageError, match=r"asked for Python 3\.2 and"):
        store.create("one", [], python="3.2")
    assert store.environments() == [first]
    second, is_new = store.create("one", ["frame"], force=True)
    assert is_new
    assert store.environments() == [second]
    assert second.packages == {"frame": "0.1", "numpy": "1.2.3"}


def test_a_failed_creation_is_one_line_and_leaves_nothing(uv: Path, box: Path) -> None:
    with pytest.raises(
        UsageError, match=r"uv could not install missing numpy: error: No solution found / cause: .*log: "
    ):
        store.create("one", ["missing"])
    assert not (box / "home" / "environments" / "one").exists()
    assert "No solution" in (box / "home" / "logs" / "one.log").read_text()
    with pytest.raises(UsageError, match="no environment 'one'; there are: none yet"):
        store.interpreter("one")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise AttributeError(\"module 'numpy' has no attribute 'object'\")", "numpy 1.2.3 is too new .*'numpy<1.24'"),
        ("import sys; print('Failed to initialize NumPy: _ARRAY_API not found', file=sys.stderr)", "add 'numpy<2'"),
        # Another line of the table of hints.
        pytest.param("raise TypeError('Descriptors cannot be created directly')", "add 'protobuf<3.21'", marks=nightly),
        ("import os; os._exit(7)", "numpy, frame do not import together: exit code 7"),
    ],
)
def test_modules_that_do_not_import_together_are_refused_with_a_hint(
    uv: Path, box: Path, source: str, message: str
) -> None:
    wheel(box / "wheels", "frame", "0.1", source + "\n")
    with pytest.raises(UsageError, match=message):
        store.create("one", ["frame==0.1"])
    assert store.environments() == []


def asked(uv: Path) -> list[str]:
    """What uv was asked for: venv, or pip with its requirements."""
    lines = [json.loads(line) for line in uv.read_text().splitlines()]
    return [words[0] if words[0] == "venv" else " ".join(words[words.index("install") + 1 :]) for words in lines]


def test_what_old_releases_lack_is_said_and_added(uv: Path, box: Path) -> None:
    wheel(box / "wheels", "frame", "0.1", "import packaging\n")
    wheel(box / "wheels", "packaging", "24", "")
    said: list[str] = []
    made, _ = store.create("one", ["frame==0.1"], say=said.append)
    assert said[1:] == ["one: packaging is missing, which they do not require; installing packaging"]
    assert made.added == ("packaging",)
    assert made.packages["packaging"] == "24"
    assert [line.split()[-1] for line in asked(uv)] == ["venv", "numpy", "packaging"]
    # It is the environment of what was asked for.
    assert store.create("one", ["frame==0.1"]) == (made, False)
    assert store.environments() == [made]


def test_what_was_installed_is_kept_for_the_next_try(uv: Path, box: Path) -> None:
    wheel(box / "wheels", "frame", "0.1", "import nowhere_to_be_found\n")
    with pytest.raises(UsageError, match=r"'nowhere_to_be_found' \(what is installed is kept; create one"):
        store.create("one", ["frame==0.1"])
    assert store.environments() == []
    with pytest.raises(UsageError, match="environment 'one' was not completed"):
        store.interpreter("one")
    wheel(box / "wheels", "nowhere_to_be_found", "1", "")
    said: list[str] = []
    made, is_new = store.create("one", ["frame==0.1", "nowhere_to_be_found"], say=said.append)
    assert is_new
    assert said[0].endswith("numpy into what is there")
    assert asked(uv).count("venv") == 1
    assert store.environments() == [made]
    store.create("one", ["frame==0.1"], force=True)
    assert asked(uv).count("venv") == 2


def test_a_front_end_without_a_backend_is_refused_before_anything_is_installed(uv: Path) -> None:
    words = (
        "environment 'one': keras computes with another package and requires none; add one of tensorflow, jax, torch"
    )
    with pytest.raises(UsageError, match=words):
        store.create("one", ["keras==3.3.3"])
    assert not uv.exists()


def test_a_front_end_is_tried_with_the_backend_that_is_there(uv: Path, box: Path) -> None:
    wheel(box / "wheels", "keras", "3", "import os\nassert os.environ['KERAS_BACKEND'] == 'jax'\n")
    wheel(box / "wheels", "jax", "1", "")
    made, _ = store.create("one", ["keras==3", "jax"])
    assert made.packages["keras"] == "3"


def test_a_distribution_is_tried_by_the_module_that_it_is_named_after(uv: Path, box: Path) -> None:
    """tensorflow-cpu has tensorflow; a module of another name is not imported."""
    wheel(box / "wheels", "frame", "0.1", "raise ImportError('only on another machine')\n")
    made, _ = store.create("one", [])
    assert probe.importable_versions(made.interpreter, ["numpy"]) == {"frame": "0.1", "numpy": "1.2.3"}
    with pytest.raises(UsageError, match="only on another machine"):
        probe.importable_versions(made.interpreter, ["frame"])


def test_a_creation_that_was_killed_is_not_used_and_can_be_repeated(uv: Path, box: Path) -> None:
    (box / "hang").touch()
    command = [sys.executable, "-m", "lossproof", "env", "create", "one"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_for(lambda: uv.exists() and "pip" in uv.read_text())
        os.killpg(process.pid, signal.SIGKILL)
    assert (box / "home" / "environments" / "one").is_dir()
    assert store.environments() == []
    with pytest.raises(UsageError, match="environment 'one' was not completed; run lossproof env create one"):
        store.interpreter("one")
    (box / "hang").unlink()
    made, is_new = store.create("one", [])
    assert is_new
    assert store.interpreter("one") == made.interpreter


def test_an_interrupted_creation_leaves_nothing(uv: Path, box: Path) -> None:
    (box / "hang").touch()
    command = [sys.executable, "-m", "lossproof", "env", "create", "one"]
    # Where the tests run in the background of a shell, interrupts are ignored, here and by whatever is started.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed
    ) as process:
        wait_for(lambda: uv.exists() and "pip" in uv.read_text())
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=900)
    assert process.returncode == 130
    assert told.endswith("lossproof: interrupted\n")
    assert not (box / "home" / "environments" / "one").exists()


def test_two_processes_make_an_environment_once(uv: Path) -> None:
    command = [sys.executable, "-m", "lossproof", "env", "create", "one"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE) for _ in range(2)]
    told = sorted(process.communicate(timeout=900)[0].partition(" (")[2].partition(";")[0] for process in both)
    assert told == ["kept", "made"]
    assert sum('"pip"' in line for line in uv.read_text().splitlines()) == 1


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_an_environment_whose_python_is_gone_says_so(uv: Path, box: Path) -> None:
    made, _ = store.create("one", ["numpy"])
    made.interpreter.unlink()
    made.interpreter.symlink_to(box / "gone")
    with pytest.raises(UsageError, match=r"that it was made of is gone; .* lossproof env create one --force numpy"):
        store.interpreter("one")
    with pytest.raises(UsageError, match=r"environment .*/gone: .* is no interpreter; expected a path"):
        store.interpreter(f"@{box / 'gone'}")


@pytest.mark.parametrize("installer", [pytest.param("pip", marks=nightly), "uv"])
def test_the_real_installers_work_without_a_network(box: Path, installer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if installer == "uv":
        real = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.defpath]))
        if real is None:
            pytest.skip("uv is not installed")
        (box / "bin" / "uv").symlink_to(real)
        monkeypatch.setenv("UV_CACHE_DIR", str(box / "cache"))
    made, _ = store.create("one", [str(wheel(box / "local", "frame", "0.1", "import numpy\n"))])
    assert made.installer == installer
    assert {"frame": "0.1", "numpy": "1.2.3"}.items() <= made.packages.items()
    with pytest.raises(UsageError, match=f"{installer} could not install numpy==9: .*numpy==9"):
        store.create("two", ["numpy==9"])


def test_a_target_runs_in_an_environment_by_its_name(uv: Path) -> None:
    made, _ = store.create("one", [])
    (site,) = made.interpreter.parents[1].glob("lib/python*/site-packages")
    # The real NumPy in place of the stand-in.
    (site / "numpy.py").unlink()
    (site / "real.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    result = lossproof("run", "numpy@one", "--deck", "smoke", "--op", "softmax", "--quiet")
    assert result.stdout.startswith("OK (numpy@one: "), result.output
    told = lossproof("run", "numpy@two", "--deck", "smoke")
    assert told.exit_code == 2
    assert "no environment 'two'; there are: one. Make one: lossproof env create two" in told.stderr


# The command line


def test_environments_on_the_command_line(uv: Path) -> None:
    empty = lossproof("env", "list")
    assert (empty.exit_code, empty.stdout.partition(";")[0]) == (0, "no environments")
    made = lossproof("env", "create", "one", "numpy==1.2.3")
    assert made.exit_code == 0, made.output
    assert made.stdout.endswith("numpy 1.2.3 (made; judge it with TARGET@one)\n")
    assert "uv install numpy==1.2.3" in made.stderr
    assert lossproof("env", "list").stdout.startswith("one: Python ")
    assert lossproof("env", "remove", "one").stdout == "removed one\n"
    assert lossproof("env", "list").stdout == empty.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "../x"), "cannot name an environment '../x'; expected letters"),
        (("create", "x", "nu mpy"), "cannot read requirement 'nu mpy': "),
        (("create", "x", "--python", "3.2"), "no Python 3.2 with pyenv, uv or on PATH; found "),
        (("remove", "x"), "no environment 'x'; there are: none yet. Make one: lossproof env create x"),
        (("remove", ".."), "cannot name an environment '..'"),
        (("remove",), "Missing argument 'NAME...'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line(box: Path, arguments: tuple[str, ...], message: str) -> None:
    result = lossproof("env", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"lossproof: error: {message}")
    assert len(result.stderr.splitlines()) == 1


def test_a_home_that_cannot_be_written_to_is_one_line(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (box / "file").touch()
    monkeypatch.setenv("LOSSPROOF_HOME", str(box / "file"))
    result = lossproof("env", "create", "x")
    assert result.exit_code == 2
    assert "set LOSSPROOF_HOME" in result.stderr
