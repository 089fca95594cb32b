"""The state of an installation, which results depend on, and complaints about it: ``lossproof doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lossproof import __version__
from lossproof.core.errors import UsageError
from lossproof.judging.fused import compiler
from lossproof.records.judgement_store import JudgementStore
from lossproof.running import header, judgement_cache
from lossproof.targets import launch, selection
from lossproof.targets.environments import store
from lossproof.targets.packages import AdapterPackages, adapter_packages, is_wanted, parsed_requirement
from lossproof.targets.target import Target, spec

_GIB = 2**30
# With less a run may end in the middle of a record or of a framework's compilation.
_LEAST_DISK = _GIB
_LEAST_MEMORY = 2 * _GIB
# Variables that let a framework compute with fewer digits than the dtype has.
_NARROWING = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
_FAST_MATH = "xla_cpu_enable_fast_math=true"


@dataclass(frozen=True)
class Folder:
    """A folder that outlives a run: what it is for, where it is, whether it may be written to, and the bytes that its
    disk has left (None where there is no such disk)."""

    purpose: str
    path: str
    is_writable: bool
    free: int | None


@dataclass(frozen=True)
class Started:
    """A target that was started: what it says of itself, or the error with which it did not start."""

    name: str
    versions: Mapping[str, str]
    devices: Sequence[str] = ()
    modes: Sequence[str] = ()
    facts: Mapping[str, str] | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of an installation: everything that complaints are made of.

    ``packages`` are the versions of what lossproof requires or can use, empty where one is not installed. ``memory`` is
    in bytes, 0 where that is not known. ``not_compiled`` says why loops are not compiled, ``cache_trouble`` why the
    cache of judgements cannot be used. ``command`` is the program ``lossproof`` on PATH, ``interpreter`` the Python
    that runs this.
    """

    version: str
    python: tuple[int, int, int]
    system: str
    platform: str
    cpu: Mapping[str, object]
    cores: int
    memory: int
    packages: Mapping[str, str]
    adapters: Sequence[AdapterPackages]
    started: Sequence[Started]
    flags: Mapping[str, str]
    threads: Mapping[str, str]
    switches: Mapping[str, str]
    folders: Sequence[Folder]
    cached_answers: int
    cache_trouble: str
    not_compiled: str
    command: str
    interpreter: str


@dataclass(frozen=True)
class Complaint:
    """A complaint: what is the matter and what to do. A problem is in the way of runs or falsifies them, another is
    good to know."""

    is_problem: bool
    text: str
    remedy: str


def look(*, start: bool) -> State:
    """Look at this installation; ``start`` also starts every adapter whose packages are there, which takes seconds."""
    adapters = adapter_packages()
    cache = JudgementStore(judgement_cache.store_path())
    answers = cache.usage().entries if judgement_cache.store_path().is_file() else 0
    trouble = cache.trouble
    cache.close()
    environment = launch.environment()
    return State(
        version=__version__,
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        system=platform.system(),
        platform=platform.platform(),
        cpu=header.cpu(),
        cores=launch.cores(),
        memory=launch.physical_memory(),
        packages=dict(_packages()),
        adapters=adapters,
        started=_started([a.name for a in adapters if not a.lacking]) if start else (),
        flags=header.flags(os.environ),
        threads={name: environment[name] for name in launch.ONE_THREAD},
        switches={name: value for name, value in sorted(os.environ.items()) if name.startswith("LOSSPROOF_")},
        folders=[
            _folder("caches", launch.cache_folder()),
            _folder("environments", store.home()),
        ],
        cached_answers=answers,
        cache_trouble=str(trouble or ""),
        not_compiled=compiler.missing(),
        command=shutil.which("lossproof") or "",
        interpreter=sys.executable,
    )


def complaints(s: State) -> list[Complaint]:
    """Return what is wrong in a state, problems first."""
    return sorted([*_of_machine(s), *_of_adapters(s), *_of_settings(s)], key=lambda f: not f.is_problem)


def _of_machine(s: State) -> Iterator[Complaint]:
    if s.python < (3, 11, 0):
        yield Complaint(True, f"Python {_dotted(s.python)} is too old", "make an environment with Python 3.11 or newer")
    if s.system == "Windows":
        yield Complaint(False, "on Windows a target has no process of its own", "give --in-process to run and check")
    if s.memory and s.memory < _LEAST_MEMORY:
        text = f"the machine has {s.memory / _GIB:.1f} GiB of memory"
        yield Complaint(True, text, "judge one target at a time with --jobs 1, and the smoke deck")
    for folder in s.folders:
        if not folder.is_writable:
            name = "LOSSPROOF_CACHE" if folder.purpose == "caches" else "LOSSPROOF_HOME"
            text = f"the folder of {folder.purpose} cannot be written to: {folder.path}"
            yield Complaint(True, text, f"name another with the variable {name}")
        elif folder.free is not None and folder.free < _LEAST_DISK:
            text = f"the disk of {folder.path} has {folder.free / _GIB:.2f} GiB left"
            yield Complaint(True, text, "make room, such as with lossproof cache --clear and lossproof env remove")
    if s.cache_trouble and all(folder.is_writable for folder in s.folders):
        yield Complaint(True, f"the cache of judgements: {s.cache_trouble}", "delete it with lossproof cache --clear")
    for name, wanted, found in _unmet(s.packages):
        yield Complaint(True, f"{name} {found} is installed, {wanted} is needed", f"pip install '{name}{wanted}'")
    if s.command and Path(s.command).parent != Path(s.interpreter).parent:
        text = f"the command on PATH is {s.command}, which is not that of {s.interpreter}"
        yield Complaint(False, text, "activate the environment that you mean, or call python -m lossproof")


def _of_adapters(s: State) -> Iterator[Complaint]:
    for adapter in s.adapters:
        wrong = [text for text in adapter.lacking if "is needed" in text]
        # Nobody who has not installed a framework wants what it needs.
        if wrong and len(wrong) == len(adapter.lacking):
            yield Complaint(True, f"{adapter.name}: {', '.join(wrong)}", f"pip install 'lossproof[{adapter.name}]'")
    for target in s.started:
        if target.error:
            remedy = f"see what lossproof targets {target.name} prints"
            yield Complaint(True, f"{target.name} does not start: {target.error}", remedy)
    if all(a.lacking for a in s.adapters if a.name != "numpy"):
        yield Complaint(False, "no framework is installed", "lossproof targets lists how to install one")


def _of_settings(s: State) -> Iterator[Complaint]:
    if s.not_compiled == "numba is not installed":
        yield Complaint(False, "the judge is not compiled: numba is not installed", "pip install 'lossproof[fast]'")
    elif s.not_compiled and not s.not_compiled.startswith(compiler.SWITCH):
        yield Complaint(True, f"numba cannot be used: {s.not_compiled}", "install releases that go together")
    for name, value in s.threads.items():
        if value != "1":
            text = f"{name}={value}: frameworks have several threads"
            yield Complaint(False, text, "other numbers of threads give other bits; unset it for the same as elsewhere")
    for name in _NARROWING:
        if s.flags.get(name) not in (None, "0"):
            text = f"{name}={s.flags[name]}: float32 may be computed with ten bits"
            yield Complaint(True, text, "unset it, or expect failures in float32")
    if _FAST_MATH in s.flags.get("XLA_FLAGS", "").lower():
        yield Complaint(True, f"XLA_FLAGS has {_FAST_MATH}", "take it out, or expect failures at NaN and infinity")
    for name, value in s.switches.items():
        if name in _SWITCHES:
            yield Complaint(False, f"{name}={value}: {_SWITCHES[name]}", "unset it if that is not meant")


_SWITCHES = {
    judgement_cache.OFF: "every answer is judged again",
    compiler.SWITCH: "says whether the judge is compiled",
}


def _packages() -> Iterator[tuple[str, str]]:
    """Each distribution that lossproof requires or that an extra brings, frameworks apart, with the version that is
    installed."""
    for r in _requirements():
        yield canonicalize_name(r.name), _version(r.name)


def _unmet(packages: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for r in _requirements():
        found = packages.get(canonicalize_name(r.name), "")
        if found and not r.specifier.contains(found, prereleases=True):
            yield canonicalize_name(r.name), str(r.specifier), found


def _requirements() -> list[Requirement]:
    """What lossproof and its extras require. What a framework's extra requires is looked at where its adapter is: one
    framework may want a release of NumPy that another refuses."""
    try:
        extras = metadata("lossproof").get_all("Provides-Extra") or []
        every = requires("lossproof") or []
    except PackageNotFoundError:
        return []
    # In metadata an extra's name has hyphens, whatever it is written with.
    others = {"all", "dev", *(canonicalize_name(a.name) for a in adapter_packages())}
    own = ["", *(e for e in extras if canonicalize_name(e) not in others)]
    asked = [parsed_requirement(text) for text in every if any(is_wanted(text, extra) for extra in own)]
    return [r for r in asked if canonicalize_name(r.name) != "lossproof"]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _started(names: Sequence[str]) -> list[Started]:
    """Start adapters, each in a process of its own, and end them again."""
    processes = selection.PROCESSES if platform.system() != "Windows" else None
    found = selection.start_each([spec(name) for name in names], processes)
    told = []
    for name, target in zip(names, found, strict=True):
        if isinstance(target, Target):
            said, offered = target.describe(), target.capabilities
            told.append(Started(name, said.versions, offered.devices, offered.modes, said.facts))
        else:
            error = " ".join(str(target).split()) if isinstance(target, UsageError) else repr(target)
            told.append(Started(name, {}, error=error))
    selection.close([t for t in found if isinstance(t, Target)])
    return told


def _folder(purpose: str, path: Path) -> Folder:
    """Look at a folder that may not be there yet: then the first above it that is."""
    there = next((p for p in (path, *path.parents) if p.exists()), None)
    if there is None:
        return Folder(purpose, str(path), False, None)
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return Folder(purpose, str(path), writable, shutil.disk_usage(there).free)


def _dotted(numbers: Sequence[int]) -> str:
    return ".".join(map(str, numbers))
