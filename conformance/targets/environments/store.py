"""Isolated environments by name: other Python interpreters with other releases, made once and kept.

They lie in a folder of the user's (``LOSSPROOF_HOME`` names another one). A virtual environment cannot be moved, so
it is made in place, and its description is written last: a folder without one is what an interrupted creation left,
which nothing uses and the next creation replaces.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from packaging.utils import canonicalize_name

from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.targets.environments import installers, interpreters, probe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*$")
_DESCRIPTION = "lossproof.json"
# In a folder without a description: the Python of an environment whose packages were installed and do not import.
_INSTALLED = "lossproof-installed"
# Requirements that are added to what was asked for, one after the other.
_MOST_ADDED = 4


@dataclass(frozen=True)
class Environment:
    """An environment is described by its requirements as asked for, by those that were ``added`` because they lacked
    them, and by what both resolved to."""

    name: str
    requirements: tuple[str, ...]
    python: str
    packages: Mapping[str, str]
    installer: str
    created: str
    added: tuple[str, ...] = ()

    @property
    def interpreter(self) -> Path:
        """The interpreter to start."""
        return _folder(self.name) / "bin" / "python"

    def __str__(self) -> str:
        """One line: name, Python, the packages that were asked for."""
        asked = {canonicalize_name(distribution(r)) for r in self.requirements} | {"numpy"}
        versions = [f"{name} {v}" for name, v in sorted(self.packages.items()) if canonicalize_name(name) in asked]
        return f"{self.name}: Python {self.python}, {', '.join(versions)}"


def home() -> Path:
    """Return the folder where lossproof keeps what outlives a run."""
    own = os.environ.get("LOSSPROOF_HOME")
    return Path(own).expanduser().absolute() if own else platformdirs.user_data_path("lossproof", appauthor=False)


def interpreter(name_or_path: str) -> Path:
    """Return the Python of ``@NAME``, ``@/path/to/python`` or ``@/path/to/environment``, with or without the ``@``.

    Raises :class:`UsageError` if there is none.
    """
    text = name_or_path.removeprefix("@")
    if os.sep in text or text.startswith(("~", ".")):
        path = Path(text).expanduser().absolute()
        # Not resolved: a virtual environment's interpreter is a link that says where its packages are.
        path = path / "bin" / "python" if path.is_dir() else path
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise UsageError(f"environment {text}: {path} is no interpreter; expected a path such as ./venv/bin/python")
        return path
    found = _read(text)
    if found is None:
        raise UsageError(_unknown(text))
    if not found.interpreter.exists():
        raise UsageError(
            f"environment {text!r}: the Python {found.python} that it was made of is gone; "
            f"make it again: lossproof env create {text} --force {' '.join(found.requirements)}"
        )
    return found.interpreter


def environments() -> list[Environment]:
    """List every environment that is complete, by name."""
    return [e for name in _names() if (e := _read(name)) is not None]


def create(
    name: str,
    requirements: Sequence[str],
    *,
    python: str | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Environment, bool]:
    """Make or keep the environment of these requirements and NumPy; say whether it was made now.

    ``python`` is a version or a path, by default the running interpreter. An environment of that name with the same
    requirements and Python is kept, one with others is an error without ``force``. What the requirements lack is added,
    as far as it is known of old releases. Raises :class:`UsageError` if they cannot be installed, of which nothing is
    left, or if they do not import together: what is installed is kept for the next try then.
    """
    wanted = tuple(sorted({requirement(r) for r in requirements}))
    with _locked(name, say):
        kept = None if force else _read(name)
        if kept is not None:
            if kept.requirements == wanted and interpreters.fits(kept.python, python) and kept.interpreter.exists():
                return kept, False
            raise UsageError(
                f"environment {name!r} exists, with Python {kept.python} and {_listed(kept.requirements)}; asked for "
                f"Python {python or 'of this process'} and {_listed(wanted)}: choose another name, or replace it with "
                "--force"
            )
        lacking = probe.without_backend([distribution(r) for r in wanted])
        if lacking:
            raise UsageError(f"environment {name!r}: {lacking}")
        base = interpreters.find_interpreter(python)
        return _made(name, wanted, base, say, fresh=force), True


def remove(name: str) -> None:
    """Delete an environment, complete or not. Raises :class:`UsageError` if there is none of that name."""
    folder = _folder(name)
    if not folder.is_dir():
        raise UsageError(_unknown(name))
    with _locked(name, lambda text: None):
        _delete(folder)


def _made(
    name: str,
    wanted: tuple[str, ...],
    base: interpreters.Interpreter,
    say: Callable[[str], None],
    *,
    fresh: bool,
) -> Environment:
    folder, log = _folder(name), home() / "logs" / f"{name}.log"
    everything = wanted if any(canonicalize_name(distribution(r)) == "numpy" for r in wanted) else (*wanted, "numpy")
    again = not fresh and _is_installed(folder, base.release)
    if not again:
        _delete(folder)
    try:
        plan = installers.install_plan(base.path, folder, everything)
        kept = " into what is there" * again
        say(f"{name}: Python {base.release} ({base.path}), {plan.installer} install {' '.join(everything)}{kept}")
        installers.install(plan.without_making() if again else plan, log)
        (folder / _INSTALLED).write_text(base.release, encoding="utf-8")
        packages, added = _completed(name, folder, base, everything, log, say)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        made = Environment(name, wanted, base.release, packages, plan.installer, created, added)
        whole = folder / f"{_DESCRIPTION}.part"
        whole.write_text(json.dumps(asdict(made), indent=1) + "\n", encoding="utf-8")
        whole.replace(folder / _DESCRIPTION)
    except probe.LackingError as error:
        raise UsageError(f"{error} (what is installed is kept; create {name} again with more requirements)") from None
    except BaseException:
        _delete(folder)
        raise
    log.unlink(missing_ok=True)
    return made


def _completed(
    name: str,
    folder: Path,
    base: interpreters.Interpreter,
    everything: tuple[str, ...],
    log: Path,
    say: Callable[[str], None],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The versions of everything installed, and the requirements that were added until it imports together."""
    added: tuple[str, ...] = ()
    while True:
        try:
            asked = [distribution(r) for r in everything]
            return probe.importable_versions(folder / "bin" / "python", asked), added
        except probe.LackingError as error:
            if not error.advice or error.advice in (*everything, *added) or len(added) == _MOST_ADDED:
                raise
            added = (*added, error.advice)
            say(f"{name}: {error.why}; installing {error.advice}")
            more = installers.install_plan(base.path, folder, (*everything, *added)).without_making()
            try:
                installers.install(more, log)
            except UsageError as failed:
                raise probe.LackingError(f"{error}, which failed: {failed}") from None


def _is_installed(folder: Path, release: str) -> bool:
    """Say whether there are packages, of the same Python, that an earlier creation has installed."""
    try:
        same = (folder / _INSTALLED).read_text("utf-8") == release
    except OSError:
        return False
    return same and (folder / "bin" / "python").exists()


def requirement(text: str) -> str:
    """Return a requirement in normal form, or the absolute path of a file to install."""
    # Imported here: a run, which imports this module, parses no requirement.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return str(Requirement(text))
    except InvalidRequirement as error:
        path = Path(text).expanduser()
        if path.suffix in (".whl", ".gz", ".zip") and path.is_file():
            return str(path.absolute())
        reason = str(error).splitlines()[0]
        raise UsageError(f"cannot read requirement {text!r}: {reason}; expected one such as numpy==1.19.5") from None


def distribution(requirement: str) -> str:
    """Return the distribution that a requirement, in normal form, asks for."""
    from packaging.requirements import Requirement

    return Path(requirement).name.split("-")[0] if os.sep in requirement else Requirement(requirement).name


def _listed(requirements: Sequence[str]) -> str:
    return " ".join(requirements) or "no requirement but numpy"


def _folder(name: str) -> Path:
    if not _NAME.match(name):
        raise UsageError(f"cannot name an environment {name!r}; expected letters, digits, '.', '_' and '-'")
    return home() / "environments" / name


def _names() -> list[str]:
    root = home() / "environments"
    return sorted(p.name for p in root.iterdir() if p.is_dir() and _NAME.match(p.name)) if root.is_dir() else []


def _read(name: str) -> Environment | None:
    """The description of an environment; None if there is none or its creation was not completed."""
    path = _folder(name) / _DESCRIPTION
    try:
        return _environment(parsed_json(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError, OSError):
        raise UsageError(f"cannot read {path}; delete the environment: lossproof env remove {name}") from None


def _environment(data: dict[str, Any]) -> Environment:
    """An environment of its description. Raises ValueError, TypeError or AttributeError where that is none."""
    packages = {str(name): str(version) for name, version in data["packages"].items()} if "packages" in data else {}
    lists = {name: tuple(map(str, data.get(name, ()))) for name in ("requirements", "added")}
    found = Environment(**{**data, **lists, "packages": packages})
    # It can be said in one line.
    if not str(found).isprintable():
        raise ValueError("a name that cannot be printed")
    return found


def _unknown(name: str) -> str:
    names = _names()
    if name in names:
        return f"environment {name!r} was not completed; run lossproof env create {name} again"
    known = ", ".join(names) or "none yet"
    return f"no environment {name!r}; there are: {known}. Make one: lossproof env create {name} REQUIREMENT..."


@contextlib.contextmanager
def _locked(name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from the environment of that name. The lock goes with the process that holds it."""
    path = _folder(name).with_name(f".{name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UsageError(f"cannot write to {path.parent}: {error.strerror}; set LOSSPROOF_HOME") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: waiting for another process that is at work on it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _delete(folder: Path) -> None:
    """Delete an environment, its description first: what is left of an interrupted deletion is not complete."""
    (folder / _DESCRIPTION).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None
