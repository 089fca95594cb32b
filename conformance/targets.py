"""Targets: an adapter on a device in a mode. Discovery through entry points, parsing of target strings, play."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import numpy as np

from lossproof.adapters.protocol import Adapter, Capabilities, Description, Outcome, Problem, UnsupportedProblem
from lossproof.errors import UsageError
from lossproof.verdicts import Declared, default_profile

GROUP = "lossproof.adapters"
# Frameworks read these when they are imported. One thread each unless the user says otherwise: the calls are small,
# idle threads spin, and thread counts change bits.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_SPEC = re.compile(r"^(?P<name>[A-Za-z_][\w.-]*?)(\+(?P<mode>[\w-]+))?(:(?P<device>[a-z]+(:\d+)?))?$")


@dataclass(frozen=True)
class Target:
    """An implementation under test, ready to be asked."""

    adapter: Adapter
    mode: str = "eager"
    device: str = "cpu"

    @property
    def name(self) -> str:
        """The target string: ``torch``, ``jax+jit``, ``torch:cuda:0``."""
        mode = "" if self.mode == self.capabilities.modes[0] else f"+{self.mode}"
        device = "" if self.device == self.capabilities.devices[0] else f":{self.device}"
        return f"{self.adapter.name}{mode}{device}"

    @property
    def capabilities(self) -> Capabilities:
        """What the adapter offers at run time."""
        return self.adapter.capabilities()

    def describe(self) -> Description:
        """Evidence for the record's header."""
        return self.adapter.describe()

    def declared(self, op: str, dtype: str) -> Declared:
        """The error profile that the adapter declares for an op and dtype."""
        c = self.capabilities
        return Declared(c.profiles.get((op, dtype), default_profile(dtype)), c.online, c.mean)

    def takes(self, tier: str) -> bool:
        """Whether calls of a tier are worth their compilation here: see ``Call.tier``."""
        return (
            tier
            in {"none": ("core", "full", "free"), "cheap": ("core", "full"), "dear": ("core",)}[
                self.capabilities.compile_cost
            ]
        )

    def supports(self, p: Problem) -> str:
        """Empty if the problem is within the capabilities, else the reason why not."""
        c = self.capabilities
        support = c.ops.get(p.op)
        if support is None:
            return f"{self.adapter.name} has no {p.op}"
        if p.dtype not in c.dtypes:
            return f"{self.adapter.name} has no {p.dtype}"
        kind = "probability" if p.has_probability_target else "index"
        if p.target is not None and kind not in support.targets:
            return f"{self.adapter.name}'s {p.op} takes no {kind} targets"
        if c.normalised_targets and not _normalised(p):
            return f"{self.adapter.name}'s {p.op} takes only targets that sum to 1"
        if p.layout not in c.layouts:
            return f"{self.adapter.name} has no layout {p.layout}"
        if p.out_dtype is not None and not c.out_dtypes:
            return f"{self.adapter.name} offers no output dtype wider than the input"
        return ""

    def play(self, problems: Iterable[Problem]) -> Iterator[Outcome]:
        """Put problems to the adapter, one outcome each. A framework's exception is an outcome, never a traceback."""
        for problem in problems:
            reason = self.supports(problem)
            if reason:
                yield Outcome(error="unsupported", message=reason)
                continue
            start = time.perf_counter()
            try:
                outputs = self.adapter.evaluate(problem, self.device, self.mode)
            except UnsupportedProblem as error:
                yield Outcome(error="unsupported", message=str(error))
            except MemoryError as error:
                yield Outcome(error="resource", message=f"out of memory: {error}", seconds=time.perf_counter() - start)
            except Exception as error:  # the boundary to foreign code: whatever it raises is its answer
                text = f"{type(error).__name__}: {str(error).strip()[:500]}"
                yield Outcome(error=self.adapter.error_kind(error), message=text, seconds=time.perf_counter() - start)
            else:
                yield Outcome(outputs=outputs, seconds=time.perf_counter() - start)


def _normalised(p: Problem) -> bool:
    """Whether every row of probability targets sums to 1, exactly: the deck's are multiples of powers of two."""
    return p.target is None or not p.has_probability_target or bool(np.all(p.target.sum(axis=p.axis) == 1.0))


def known() -> dict[str, EntryPoint]:
    """Adapters that are installed as entry points, by name."""
    return {e.name: e for e in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def load(name: str) -> Adapter:
    """Import an adapter. Raises :class:`UsageError` if it is unknown or its framework is not installed."""
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    found = known().get(name)
    if found is None:
        raise UsageError(f"unknown target {name!r}; expected one of {', '.join(known()) or 'none installed'}")
    try:
        adapter = found.load()
    except Exception as error:  # foreign code: a broken installation can raise anything
        missing = getattr(error, "name", None) or name
        raise UsageError(
            f"target {name}: {missing} is not installed or does not import ({error}); pip install 'lossproof[{name}]'"
        ) from error
    if not isinstance(adapter, Adapter):
        raise UsageError(
            f"target {name}: {found.value} is not an adapter; expected the members of adapters.protocol.Adapter"
        )
    return adapter


def parse(text: str) -> Target:
    """A target from a string such as ``torch``, ``jax+jit`` or ``torch:cuda:0``."""
    match = _SPEC.match(text)
    if not match:
        raise UsageError(
            f"cannot read target {text!r}; expected NAME[+MODE][:DEVICE], such as torch, jax+jit or torch:cuda:0"
        )
    adapter = load(match["name"])
    c = adapter.capabilities()
    mode, device = match["mode"] or c.modes[0], match["device"] or c.devices[0]
    if mode not in c.modes:
        raise UsageError(f"target {text!r}: {adapter.name} has no mode {mode!r}; expected one of {', '.join(c.modes)}")
    if device not in c.devices:
        raise UsageError(f"target {text!r}: no device {device!r} here; expected one of {', '.join(c.devices)}")
    return Target(adapter, mode, device)


def installed() -> list[Target]:
    """Every adapter whose framework is installed, in its default mode and device."""
    found = []
    for name in known():
        try:
            found.append(parse(name))
        except UsageError:
            continue
    return found
