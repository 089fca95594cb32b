"""Which targets a run is about: names given by a person, ``all``, or whatever is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lossproof.errors import UsageError
from lossproof.targets import Target, installed, parse


def targets(names: Iterable[str]) -> list[Target]:
    """The targets of these names, in order and once each; every installed adapter if there are none.

    ``all`` stands for every installed adapter on every device and in every mode.
    """
    names = list(names)
    found: dict[str, Target] = {}
    for name in names or [""]:
        several = everything() if name == "all" else [parse(name)] if name else installed()
        for target in several:
            found.setdefault(target.name, target)
    if not found:
        raise UsageError("no target is installed; pip install 'lossproof[torch]', or see lossproof targets")
    return list(found.values())


def everything() -> list[Target]:
    """Every installed adapter on every device and in every mode."""
    return [
        Target(t.adapter, mode, device)
        for t in installed()
        for device in t.capabilities.devices
        for mode in t.capabilities.modes
    ]


def missing(required: Iterable[str], chosen: Sequence[Target]) -> list[str]:
    """Of the required targets, adapters and devices (``cuda`` is any ``cuda:N``), those that the run does not have."""
    present = {n for t in chosen for n in (t.name, t.adapter.name, t.device, t.device.split(":")[0])}
    return [r for r in required if r not in present]
