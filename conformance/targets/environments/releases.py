"""The releases of a distribution that an index has, as pip sees it: with the user's configuration."""

from __future__ import annotations

import re
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from lossproof.core.errors import UsageError
from lossproof.targets.environments.installers import error_tail
from lossproof.targets.environments.interpreters import Interpreter

_AVAILABLE = re.compile(r"^Available versions: (.*)$", re.MULTILINE)


def releases(package: str, python: Interpreter) -> list[str]:
    """List the releases that have a distribution for an interpreter, oldest first, without pre-releases.

    Raises :class:`UsageError` if pip has none to tell.
    """
    name = Requirement(package).name
    words = ""
    for own in dict.fromkeys((sys.executable, getattr(sys, "_base_executable", sys.executable))):
        done = subprocess.run(
            [own, "-m", "pip", "index", "versions", name, *_for(python)],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        found = _AVAILABLE.search(done.stdout)
        if found:
            return sorted(filter(None, map(str.strip, found[1].split(","))), key=version)
        words = words or error_tail(done.stderr)
    raise UsageError(f"pip has no list of the releases of {name} ({words}); give them with --versions")


def _for(python: Interpreter) -> list[str]:
    if python.version[:2] == sys.version_info[:2]:
        return []
    return ["--python-version", "{}.{}".format(*python.version[:2]), "--only-binary", ":all:"]


def version(text: str) -> Version:
    """Read a version. Raises :class:`UsageError` if it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"cannot read version {text!r}; expected one such as 2.13.0") from None


def versions_between(several: list[str], first: str, last: str) -> list[str]:
    """Return the versions from one to another, both of them included, oldest first, once each."""
    ends = sorted((version(first), version(last)))
    found = {version(v): v for v in several if ends[0] < version(v) < ends[1]}
    found |= {version(v): v for v in (first, last)}
    return [found[v] for v in sorted(found)]
