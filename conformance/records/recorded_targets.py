"""Recorded targets are what the header of a record says of targets.

That is enough to apply waivers and to compare, without their frameworks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lossproof.adapters.protocol import Description
from lossproof.core.errors import UsageError
from lossproof.records.record import Record


@dataclass(frozen=True)
class RecordedAdapter:
    """The adapter of a recorded target, of which the name is known."""

    name: str


@dataclass(frozen=True)
class Recorded:
    """A target of a record. ``conventions`` are those that its adapter declares, by clause, op and output."""

    name: str
    adapter: RecordedAdapter
    device: str
    mode: str
    implementation: str
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def describe(self) -> Description:
        """Tell versions and build facts of the framework, as they were recorded."""
        return Description(dict(self.versions), dict(self.facts))


def recorded_targets(record: Record) -> list[Recorded]:
    """List the targets of a record, in the order of the run. Raises :class:`UsageError` where the header has none."""
    described = record.header.get("targets")
    try:
        # sanity check: a mapping of mappings; the header may be anything
        assert isinstance(described, Mapping)
        found = [_target(name, d) for name, d in described.items()]
        # sanity check: texts, which are compared and counted
        assert all(isinstance(v, str) for t in found for named in (t.versions, t.facts) for v in named.values())
        return found
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
        raise UsageError(f"{record.path} is not a lossproof record; its header does not describe its targets") from None


def _target(name: str, d: Mapping[str, Mapping[str, str]]) -> Recorded:
    declared = {}
    for key, shown in d.get("conventions", {}).items():
        clause, op, output = key.split(" ")
        declared[clause, op, output] = shown
    adapter, device, mode = (str(d[key]) for key in ("adapter", "device", "mode"))
    implementation = str(d.get("implementation", name))
    versions, facts = (dict(d.get(key, {})) for key in ("versions", "facts"))
    return Recorded(name, RecordedAdapter(adapter), device, mode, implementation, versions, facts, declared)
