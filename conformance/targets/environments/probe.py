"""The probe asks another interpreter what it has installed, and whether that can be imported."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
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
_OLD_PROTOBUF = re.compile(r"Descriptors cannot (not )?be created directly|google\.protobuf")


def importable_versions(python: Path, distributions: Sequence[str]) -> dict[str, str]:
    """Return the versions of everything installed, once the modules of these distributions import together.

    Raises :class:`UsageError` with the end of the traceback, and what to add to the requirements.
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
    done = _run(python, _IMPORT, *modules)
    versions = {name: version for name, (version, _) in found.items()}
    # Without NumPy's interface a framework may still import, with a warning.
    if done.returncode or _OLD_NUMPY_API.search(done.stderr):
        end = error_tail(done.stderr) or f"exit code {done.returncode}"
        raise UsageError(f"{', '.join(modules)} do not import together: {end}{requirement_hint(done.stderr, versions)}")
    return versions


def requirement_hint(text: str, versions: Mapping[str, str]) -> str:
    """Return words for what to add to the requirements, if an import failed on a package too new for the others."""
    numpy = next((v for name, v in versions.items() if canonicalize_name(name) == "numpy"), "")
    if _OLD_NUMPY_API.search(text):
        return f"; numpy {numpy} is too new for the others: add 'numpy<2'"
    if _OLD_NUMPY_NAMES.search(text):
        return f"; numpy {numpy} is too new for the others: add 'numpy<1.24', or 'numpy<1.20' for releases before 2021"
    if _OLD_PROTOBUF.search(text):
        return "; protobuf is too new for the others: add 'protobuf<3.21'"
    return ""


def _run(python: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-I", "-c", program, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
