"""Installers fill an isolated environment: uv where it is on PATH, else the standard venv and pip.

The user's pip configuration (indexes, find-links, constraints, ``no-index``) holds in both cases: pip reads it by
itself, uv is told, unless its own variables say otherwise. Both use their caches, so what was installed once is
installed again without a network.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossproof.core.errors import UsageError

# They lead an interpreter, or what it installs, to another environment.
_ASTRAY = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")
_SETTING = re.compile(r"^(?P<scope>:env:|[\w-]+)\.(?P<key>[\w-]+)=(?P<value>.*)$")
_SCOPES = ("global", "install", ":env:")
# A setting of pip, uv's option for it, and the variables of uv that take precedence.
_OPTIONS = (
    ("find-links", "--find-links", ("UV_FIND_LINKS",)),
    ("index-url", "--index-url", ("UV_DEFAULT_INDEX", "UV_INDEX_URL")),
    ("extra-index-url", "--extra-index-url", ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
    ("constraint", "--constraint", ("UV_CONSTRAINT",)),
    ("trusted-host", "--allow-insecure-host", ("UV_INSECURE_HOST",)),
)
_LINES, _WIDTH = 8, 300


@dataclass(frozen=True)
class InstallPlan:
    """An install plan is the commands that make an environment, each after words for it, and their variables."""

    installer: str
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    environment: Mapping[str, str]

    def without_making(self) -> InstallPlan:
        """Return the plan that installs into the environment that is there."""
        return replace(self, steps=self.steps[1:])


def install_plan(python: Path, folder: Path, requirements: Sequence[str]) -> InstallPlan:
    """Plan a virtual environment of ``python`` in ``folder`` with ``requirements`` in it."""
    environment = {k: v for k, v in os.environ.items() if k not in _ASTRAY}
    inner = str(folder / "bin" / "python")
    make, install = f"make a virtual environment of {python}", "install " + " ".join(requirements)
    uv = shutil.which("uv")
    if uv is None:
        # --user, which a configuration may ask for, is an error in a virtual environment.
        environment |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        pip = (inner, "-m", "pip", "install", "--no-input", *requirements)
        return InstallPlan("pip", ((make, (str(python), "-m", "venv", str(folder))), (install, pip)), environment)
    settings = pip_settings()
    if settings.get("cert"):
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    options = uv_options(settings, environment)
    venv = (uv, "venv", "--no-project", "--python", str(python), str(folder))
    return InstallPlan(
        "uv", ((make, venv), (install, (uv, "pip", "install", "--python", inner, *options, *requirements))), environment
    )


def uv_options(settings: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return the options of ``uv pip install`` that say what a pip configuration says."""
    options = []
    for key, option, own in _OPTIONS:
        if any(name in environment for name in own):
            continue
        for value in settings.get(key, "").split():
            # pip passes over a folder that is not there, uv stops.
            if key != "find-links" or "://" in value or Path(value).expanduser().exists():
                options += [option, value]
    if "--extra-index-url" in options and "UV_INDEX_STRATEGY" not in environment:
        # pip takes the best version of all indexes, uv the first index that has the package.
        options += ["--index-strategy", "unsafe-best-match"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    return options


def pip_settings() -> dict[str, str]:
    """Return the user's pip configuration for ``pip install``, variables included; empty without a pip to ask."""
    text = ""
    for python in dict.fromkeys((sys.executable, getattr(sys, "_base_executable", sys.executable))):
        done = subprocess.run(
            [python, "-m", "pip", "config", "list"], capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode == 0:
            text = done.stdout
            break
    return read_settings(text)


def read_settings(text: str) -> dict[str, str]:
    """Read settings as ``pip config list`` prints them: ``install`` goes over ``global``, variables over both."""
    found: dict[str, tuple[int, str]] = {}
    for match in filter(None, map(_SETTING.match, text.splitlines())):
        if match["scope"] not in _SCOPES:
            continue
        try:
            value = str(ast.literal_eval(match["value"]))
        except (ValueError, SyntaxError):
            continue
        rank = _SCOPES.index(match["scope"])
        if rank >= found.get(match["key"], (0, ""))[0]:
            found[match["key"]] = (rank, value)
    return {key: value for key, (_, value) in found.items()}


def install(plan: InstallPlan, log: Path) -> None:
    """Carry out a plan; its output goes to ``log``. Raises :class:`UsageError` with the end of it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w+", encoding="utf-8", errors="replace") as out:
        for what, command in plan.steps:
            start = out.tell()
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(plan.environment),
                check=False,
            )
            if done.returncode:
                out.seek(start)
                end = error_tail(out.read())
                raise UsageError(f"{plan.installer} could not {what}: {end} (exit code {done.returncode}; log: {log})")
            out.seek(0, os.SEEK_END)


def error_tail(text: str) -> str:
    """Return the end of an installer's output: from its first error on, the last lines, long ones shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "Ignored the following" not in line]
    errors = [i for i, line in enumerate(lines) if re.match(r"(ERROR|error)\b|\N{MULTIPLICATION SIGN}", line)]
    kept = lines[errors[0] if errors else 0 :][-_LINES:]
    half = _WIDTH // 2
    return " / ".join(line if len(line) <= _WIDTH else f"{line[:half]} ... {line[-half:]}" for line in kept)
