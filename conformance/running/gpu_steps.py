"""The order in which a machine with a GPU is judged: what is quick and tells most comes first, what may hang last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from lossproof.adapters.protocol import Capabilities

CPU = "cpu"
# Interfaces that a processor may serve as well as a card.
SOFTWARE = ("cl", "webgpu", "webgl", "vulkan")
_SMOKE = "smoke"


@dataclass(frozen=True)
class GpuStep:
    """One run of targets on one device with one deck."""

    targets: tuple[str, ...]
    device: str
    deck: str

    @property
    def name(self) -> str:
        """The name of the step's files: its last target and its deck."""
        return f"{self.deck}-" + re.sub(r"\W+", "-", PurePosixPath(self.targets[-1]).name)

    def arguments(self) -> list[str]:
        """Return the arguments of ``lossproof`` that are always there."""
        return ["run", *self.targets, "--deck", self.deck, "--require", self.device]


def chosen_devices(c: Capabilities, kinds: Sequence[str], *, software: bool) -> list[str]:
    """Return the devices of an adapter that are judged: those of these kinds (``cuda`` is any ``cuda:N``), else all
    that are no CPU; with ``software`` also those that a processor may serve."""
    every = dict.fromkeys(d for mode in c.modes for d in c.in_mode(mode).devices)
    if kinds:
        return [d for d in every if d in kinds or _kind(d) in kinds]
    return [d for d in every if _kind(d) != CPU and (software or _kind(d) not in SOFTWARE)]


def gpu_steps(offers: Mapping[str, Capabilities], devices: Mapping[str, Sequence[str]], deck: str) -> list[GpuStep]:
    """Put the steps of adapters on their devices in order.

    Smoke in the first mode of each device, beside the adapter's CPU, whose conventions have to be the same; smoke in
    the other modes; the deck in all of these; then smoke and the deck in modes in which a call takes its time, as those
    that compile, each of which is a step of its own.
    """
    places = [(name, c, device) for name, c in offers.items() for device in devices[name]]
    decks = [_SMOKE] if deck == _SMOKE else [_SMOKE, deck]
    found: list[GpuStep] = []
    for size in decks:
        found += [GpuStep(_first(name, c, device), device, size) for name, c, device in places]
        found += [GpuStep(tuple(several), device, size) for device, several in _others(places, compiled=False)]
    for size in decks:
        found += [GpuStep((t,), device, size) for device, several in _others(places, compiled=True) for t in several]
    return [step for step in found if step.targets]


def _others(places: Sequence[tuple[str, Capabilities, str]], *, compiled: bool) -> Iterator[tuple[str, list[str]]]:
    """Of each device the targets in its other modes: those that compile, or the rest."""
    for name, c, device in places:
        modes = [m for m in c.modes[1:] if device in c.in_mode(m).devices]
        yield device, [f"{name}+{m}:{device}" for m in modes if _compiles(c, m, device) == compiled]


def _first(name: str, c: Capabilities, device: str) -> tuple[str, ...]:
    """The first mode on a device, beside the adapter's first device; nothing where that mode does not have it."""
    there = c.in_mode(c.modes[0]).devices
    return tuple(f"{name}:{d}" for d in dict.fromkeys([there[0], device])) if device in there else ()


def _compiles(c: Capabilities, mode: str, device: str) -> bool:
    return c.in_mode(mode, device).compile_cost != "none"


def _kind(device: str) -> str:
    return device.partition(":")[0]
