"""The packages that adapters need, as far as they are installed: metadata says so, nothing is imported or started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lossproof.targets.target import known

_OURS = "lossproof"


@dataclass(frozen=True)
class AdapterPackages:
    """The packages that an adapter needs: ``versions`` of those that are installed, empty where the metadata does not
    say which, and the requirements that are ``lacking``, with what is there instead."""

    name: str
    versions: Mapping[str, str]
    lacking: Sequence[str]

    def __str__(self) -> str:
        if not self.lacking:
            return ": ".join([self.name, *filter(None, [", ".join(_listed(self.versions))])])
        return f"{self.name}: {', '.join(self.lacking)}; pip install 'lossproof[{self.name}]'"


def adapter_packages() -> list[AdapterPackages]:
    """Look for the packages of every adapter that is installed as an entry point."""
    return [_of(entry) for entry in known().values()]


def _of(entry: EntryPoint) -> AdapterPackages:
    versions: dict[str, str] = {}
    lacking: list[str] = []
    for r in _requirements(entry):
        found = _found(r, entry.name)
        if found is None:
            lacking.append(f"{r.name} is not installed")
        elif found[1] and not r.specifier.contains(found[1], prereleases=True):
            lacking.append(f"{' '.join(found)} is installed, {r.name}{r.specifier} is needed")
        else:
            versions[found[0]] = found[1]
    return AdapterPackages(entry.name, versions, lacking)


def _requirements(entry: EntryPoint) -> list[Requirement]:
    """What the adapter's package requires for it: by the extra of the adapter's name, or else the package of that name,
    or else everything."""
    try:
        every = [*((entry.dist.requires if entry.dist else None) or ())]
    except (OSError, TypeError):
        # Of a package that is being installed or removed, or half of it: which of the two depends on who reads it.
        every = []
    always = [parsed_requirement(text) for text in every if is_wanted(text, "")]
    extra = [parsed_requirement(text) for text in every if is_wanted(text, entry.name) and not is_wanted(text, "")]
    named = [r for r in always if canonicalize_name(r.name) == canonicalize_name(entry.name)]
    return extra or named or [r for r in always if canonicalize_name(r.name) != _OURS]


# A package with many adapters is asked what it requires for each of them.
@cache
def parsed_requirement(text: str) -> Requirement:
    """Return a requirement as it is written in metadata."""
    return Requirement(text)


@cache
def is_wanted(text: str, extra: str) -> bool:
    """Return whether a requirement is one of this interpreter with an extra, or with none."""
    marker = parsed_requirement(text).marker
    return marker is None or marker.evaluate({"extra": extra})


def _found(r: Requirement, name: str) -> tuple[str, str] | None:
    """The distribution that a requirement asks for, or another build of the framework, and its version."""
    others = [name] if f"{canonicalize_name(r.name)}-".startswith(f"{canonicalize_name(name)}-") else []
    for distribution in (r.name, *others):
        try:
            return distribution, version(distribution)
        except PackageNotFoundError:
            continue
    # Builds have names of their own, the module has one.
    return next(((module, "") for module in others if _is_module(module)), None)


def _is_module(name: str) -> bool:
    """Whether something can be imported by that name; a folder that happens to bear it is nothing."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


def _listed(versions: Mapping[str, str]) -> list[str]:
    return [f"{name} {version or '(of a version that no package tells)'}" for name, version in versions.items()]
