"""Python interpreters on this machine: the running one, and those of pyenv, of uv and on PATH."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lossproof.core.errors import UsageError

OLDEST = (3, 8)
_VERSION = re.compile(r"(?:python)?(\d+(?:\.\d+){0,2})$")
_NAME = re.compile(r"python(3(\.\d+)?)?$")
_ASK = (
    "import json, sys;"
    "print(json.dumps([sys.executable, sys.version_info[:3], sys.implementation.name, sys.prefix == sys.base_prefix]))"
)


@dataclass(frozen=True)
class Interpreter:
    """An interpreter is a CPython with its path, its version and its source.

    ``source`` is ``running``, ``pyenv``, ``uv``, ``PATH`` or ``given``.
    """

    path: Path
    version: tuple[int, int, int]
    source: str
    is_virtual: bool = False

    @property
    def release(self) -> str:
        """The version as a text: ``3.8.18``."""
        return ".".join(map(str, self.version))


def running() -> Interpreter:
    """Return the interpreter of this process."""
    return Interpreter(
        Path(sys.executable), (*sys.version_info[:2], sys.version_info[2]), "running", sys.prefix != sys.base_prefix
    )


def find_interpreter(wanted: str | None) -> Interpreter:
    """Find the interpreter of a version (``3.10``, ``3.10.13``) or at a path; None is the running one.

    Of several, the newest that is no virtual environment. Raises :class:`UsageError` that lists what was found.
    """
    if wanted is None:
        return running()
    match = _VERSION.match(wanted)
    if not match:
        path = Path(wanted).expanduser()
        answer = interpreter_at(path, "given") if path.is_file() else None
        if answer is None:
            raise UsageError(f"no Python interpreter {wanted!r}; expected a version such as 3.10, or a path")
        return _not_too_old(answer)
    found = installed_interpreters()
    fitting = [i for i in found if _is_of(i.release, match[1])]
    if not fitting:
        here = ", ".join(dict.fromkeys(f"{i.release} ({i.source})" for i in found))
        raise UsageError(
            f"no Python {match[1]} with pyenv, uv or on PATH; found {here}; install it "
            f"(pyenv install {match[1]}, or uv python install {match[1]}), or give the path of an interpreter"
        )
    return _not_too_old(max(fitting, key=lambda i: (not i.is_virtual, i.version)))


def fits(release: str, wanted: str | None) -> bool:
    """Say whether :func:`find_interpreter` may give a release for ``wanted``; None leaves its last part open."""
    if wanted is None:
        return _is_of(release, f"{sys.version_info[0]}.{sys.version_info[1]}")
    match = _VERSION.match(wanted)
    return _is_of(release, match[1]) if match else find_interpreter(wanted).release == release


def _is_of(release: str, wanted: str) -> bool:
    """Say whether a release is of a version, the last parts of which may be left open (``3.8``)."""
    return f"{release}.".startswith(f"{wanted}.")


def _not_too_old(interpreter: Interpreter) -> Interpreter:
    if interpreter.version[:2] < OLDEST:
        raise UsageError(f"Python {interpreter.release} is too old; targets need 3.8 or newer")
    return interpreter


def installed_interpreters() -> list[Interpreter]:
    """Find every CPython 3 that answers, once each, by version."""
    found = {running().path: running()}
    for path, source in _candidates():
        answer = interpreter_at(path, source)
        if answer is not None:
            # A virtual environment is known by the place of its link.
            found.setdefault(answer.path if answer.is_virtual else answer.path.resolve(), answer)
    return sorted(found.values(), key=lambda i: i.version)


def _candidates() -> Iterator[tuple[Path, str]]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    yield from ((path, "pyenv") for path in sorted(pyenv.glob("versions/*/bin/python")))
    uv = shutil.which("uv")
    if uv:
        told = _answer([uv, "python", "dir"])
        yield from ((path, "uv") for path in sorted(Path(told).glob("*/bin/python3")) if told)
    for folder in os.get_exec_path():
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        yield from ((Path(folder, name), "PATH") for name in names if _NAME.match(name))


def interpreter_at(path: Path, source: str) -> Interpreter | None:
    """Ask the interpreter at a path for itself; None if it does not answer (an empty shim) or is no CPython."""
    text = _answer([str(path), "-I", "-c", _ASK])
    try:
        executable, version, implementation, own = json.loads(text)
        major, minor, patch = version
    except (ValueError, TypeError):
        return None
    return (
        Interpreter(Path(executable), (major, minor, patch), source, not own) if implementation == "cpython" else None
    )


def _answer(command: list[str]) -> str:
    """The last line that a command prints; empty if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines and done.returncode == 0 else ""
