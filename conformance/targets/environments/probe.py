"""The probe asks another interpreter what it has installed, and whether that can be imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from lossproof.core.errors import UsageError
from lossproof.targets.environments.installers import error_tail

_INSPECT = """\
import json
from importlib.metadata import distributions

found = {}
for d in distributions():
    tops = {str(f).split("/")[0] for f in d.files or ()}
    modules = {top[:-3] if top.endswith(".py") else top for top in tops}
    found[d.metadata["Name"]] = [d.version, sorted(m for m in modules if m.isidentifier())]
print(json.dumps(found))
"""
_IMPORT = """\
import importlib, sys

for name in sys.argv[1:]:
    importlib.import_module(name)
"""
# A release that is older than the packages that it was installed with does not know their bounds.
_OLD_NUMPY_API = re.compile(
    r"_ARRAY_API|compiled (using|against) NumPy|numpy\.core\.multiarray failed|numpy\.dtype size"
)
_OLD_NUMPY_NAMES = re.compile(r"module 'numpy' has no attribute|np\.\w+` was (a deprecated alias|removed)")
# Modules that releases import without requiring their distributions.
_UNDECLARED = {
    "distutils": "setuptools",
    "h5py": "h5py",
    "ml_dtypes": "ml-dtypes",
    "optree": "optree",
    "packaging": "packaging",
    "pkg_resources": "setuptools<81",
    "scipy": "scipy",
    "six": "six",
    "typing_extensions": "typing-extensions",
}
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w*)")
# Front ends that compute with one of several packages, and the variable that says with which.
_BACKENDS = {"keras": ("KERAS_BACKEND", ("tensorflow", "jax", "torch"))}
_OLD_PROTOBUF = re.compile(r"Descriptors cannot (not )?be created directly|google\.protobuf")


class LackingError(UsageError):
    """Installed modules do not import together; ``advice`` is what to install besides, where that is known, and
    ``why`` says why."""

    def __init__(self, text: str, why: str = "", advice: str = "") -> None:
        super().__init__(text)
        self.why, self.advice = why, advice


def without_backend(distributions: Sequence[str]) -> str:
    """Return words for what a list of distributions lacks that no distribution requires; empty if that is nothing."""
    names = [canonicalize_name(name) for name in distributions]
    for front, (_, backends) in _BACKENDS.items():
        if front in names and not any(n == b or n.startswith(f"{b}-") for n in names for b in backends):
            return f"{front} computes with another package and requires none; add one of {', '.join(backends)}"
    return ""


def importable_versions(python: Path, distributions: Sequence[str]) -> dict[str, str]:
    """Return the versions of everything installed, once the modules of these distributions import together.

    Raises :class:`LackingError` with the end of the traceback, and what to add to the requirements.
    """
    done = _run(python, _INSPECT)
    if done.returncode:
        raise UsageError(f"{python} cannot list what is installed: {error_tail(done.stderr)}")
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    installed = {canonicalize_name(name): modules for name, (_, modules) in found.items()}
    modules = ["numpy"]
    for name in map(canonicalize_name, distributions):
        # tensorflow_cpu brings tensorflow; what else a distribution brings is its own affair.
        modules += [m for m in installed.get(name, []) if name.replace("-", "_").startswith(m.lower())]
    modules = list(dict.fromkeys(modules))
    done = _run(python, _IMPORT, *modules, variables=_chosen_backends({m for some in installed.values() for m in some}))
    versions = {name: version for name, (version, _) in found.items()}
    # Without NumPy's interface a framework may still import, with a warning.
    if done.returncode or _OLD_NUMPY_API.search(done.stderr):
        end = error_tail(done.stderr) or f"exit code {done.returncode}"
        why, advice = _advice(done.stderr, versions)
        hint = f"; {why}: add '{advice}'" if advice else ""
        raise LackingError(f"{', '.join(modules)} do not import together: {end}{hint}", why, advice)
    return versions


def _chosen_backends(modules: Collection[str]) -> dict[str, str]:
    """The variables that choose the first backend that is there."""
    chosen = {
        variable: next((b for b in backends if b in modules), "")
        for front, (variable, backends) in _BACKENDS.items()
        if front in modules
    }
    return {variable: backend for variable, backend in chosen.items() if backend}


def _advice(text: str, versions: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong where an import failed, and the requirement to add: a package is too new for the others, or one is
    missing that releases use without requiring it."""
    numpy = next((v for name, v in versions.items() if canonicalize_name(name) == "numpy"), "")
    if _OLD_NUMPY_API.search(text):
        return f"numpy {numpy} is too new for the others", "numpy<2"
    if _OLD_NUMPY_NAMES.search(text):
        return f"numpy {numpy} is too new for the others (before 2021 even 'numpy<1.20')", "numpy<1.24"
    if _OLD_PROTOBUF.search(text):
        return "protobuf is too new for the others", "protobuf<3.21"
    missing = _MISSING.findall(text)
    if missing and missing[-1] in _UNDECLARED:
        return f"{missing[-1]} is missing, which they do not require", _UNDECLARED[missing[-1]]
    return "", ""


def _run(
    python: Path, program: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-I", "-c", program, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, **(variables or {})},
    )
