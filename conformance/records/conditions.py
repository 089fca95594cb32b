"""Conditions of waivers: ``torch>=2.0,<2.14 and dtype=float16|bfloat16 and device=cpu and mode!=compile``.

Besides these, ``isa=avx512f`` says that the framework's own kernels may use an instruction set there: the processor has
it, and the framework was not told to leave it out. ``onednn=avx512_core`` says the same of kernels of oneDNN, which has
names of its own; ``onednn=off`` that the framework does not use it. ``gpu=SwiftShader`` says that the name of the GPU
has that word. A term holds if one of its values is in the set, ``!=`` if none is. What is not known, because an older
release wrote the record or an adapter does not say, satisfies every term.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from lossproof.adapters.protocol import Description
from lossproof.core.errors import UsageError

FACTS = ("device", "dtype", "mode")
# Sets, as adapters describe them: instructions that the kernels of the framework, and oneDNN's, may use; the words of
# the GPU's name.
SETS = ("isa", "onednn", "gpu")
# What else a description says of them: PyTorch's name for its kernels, and what the user set.
PROCESSOR = ("cpu", "limits")
_TERM = re.compile(r"\s*([A-Za-z][\w.-]*?)\s*((?:[<>=!~]|===).*)$")
_FACT = re.compile(r"(!?)==?\s*([\w:.-]+(?:\s*\|\s*[\w:.-]+)*)$")


class Named(Protocol):
    """An object with a name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Subject(Protocol):
    """A target as far as waivers and records ask: one that runs, or one of a record."""

    @property
    def name(self) -> str:
        """The target string."""
        ...

    @property
    def implementation(self) -> str:
        """The adapter in its environment."""
        ...

    @property
    def adapter(self) -> Named:
        """The adapter."""
        ...

    @property
    def device(self) -> str:
        """The device that it runs on."""
        ...

    @property
    def mode(self) -> str:
        """The mode that it runs in."""
        ...

    def describe(self) -> Description:
        """Its versions."""
        ...


@dataclass(frozen=True)
class Context:
    """A context is the target and the dtype that a condition is asked about.

    An empty ``dtype``, ``isa``, ``onednn`` or ``gpu`` is not known and satisfies every term on it; the latter three are
    sets, with spaces in between.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    package: str = ""
    device: str = "cpu"
    mode: str = "eager"
    dtype: str = ""
    isa: str = ""
    onednn: str = ""
    gpu: str = ""


@dataclass(frozen=True)
class Term:
    """One predicate: a package's version in a specifier set, or a fact that is (not) one of some values, or a set
    that has one (none) of them."""

    name: str
    versions: SpecifierSet | None = None
    values: tuple[str, ...] = ()
    negated: bool = False

    def holds(self, where: Context) -> bool:
        """Say whether the term is true in a context."""
        if self.versions is None:
            value = getattr(where, self.name)
            if self.name in SETS:
                return not value or bool(set(value.split()) & set(self.values)) != self.negated
            # device=cuda speaks of every cuda:N.
            return not value or (any(value == v or value.startswith(v + ":") for v in self.values) != self.negated)
        try:
            return self.versions.contains(Version(where.versions[self.name]), prereleases=True)
        except (KeyError, InvalidVersion):
            return False


@dataclass(frozen=True)
class Condition:
    """Terms that must all hold; no terms always hold."""

    terms: tuple[Term, ...] = ()

    def holds(self, where: Context) -> bool:
        """Say whether every term is true in a context."""
        return all(term.holds(where) for term in self.terms)


def parse(text: str) -> Condition:
    """Read a condition. Raises :class:`UsageError` with the term that cannot be read."""
    if not text.strip():
        return Condition()
    return Condition(tuple(_term(part) for part in re.split(r"\s+and\s+", text.strip())))


def _term(text: str) -> Term:
    match = _TERM.match(text)
    if not match:
        raise UsageError(
            f"cannot read {text!r}; expected terms such as torch>=2.0,<2.14 or dtype=float16, joined by ' and '"
        )
    name, rest = match[1], match[2]
    if name in FACTS + SETS:
        fact = _FACT.match(rest.strip())
        if not fact:
            raise UsageError(f"cannot read {text!r}; expected {name}=VALUE, {name}!=VALUE or {name}=ONE|OTHER")
        return Term(name, values=tuple(v.strip() for v in fact[2].split("|")), negated=bool(fact[1]))
    try:
        return Term(name, versions=SpecifierSet(rest))
    except InvalidSpecifier:
        hint = " (use == for a version)" if re.match(r"=[^=]", rest) else ""
        raise UsageError(
            f"cannot read {text!r}; expected a version specifier such as {name}>=2.0,<2.14{hint}"
        ) from None


def context(target: Subject) -> Context:
    """The context of a target, its dtype left open.

    Adapters describe a set as the fact of its name, and where a mode has another one as ``NAME+MODE``.
    """
    described = target.describe()
    versions = dict(described.versions)
    sets = {name: described.facts.get(f"{name}+{target.mode}", described.facts.get(name, "")) for name in SETS}
    name = target.adapter.name
    package = name if name in versions else next(iter(versions), name)
    return Context(versions, package, target.device, target.mode, **sets)


def is_of_processor(fact: str) -> bool:
    """Say whether a fact of a description is what the machine and its user left to a framework."""
    return fact.partition("+")[0] in (*SETS, *PROCESSOR)
