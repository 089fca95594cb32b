"""The selection of targets for a run: names given by a person, ``all``, or whatever is installed."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from lossproof.adapters.protocol import Capabilities
from lossproof.core.errors import UsageError
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.lost import NotStartingError
from lossproof.targets.target import Spec, Target, import_failure, known, spec, target_here

# Windows has no process groups, and no pipes that can be waited for like files: targets are in this process there.
PROCESSES = None if os.name == "nt" else Processes()
# A target, or why there is none.
TargetOrError = Target | UsageError


def choose_targets(names: Iterable[str], processes: Processes | None = None) -> list[Target]:
    """Start the targets of these names, in order and once each; every installed adapter if there are none.

    ``all`` stands for every installed adapter on every device and in every mode. With ``processes`` each target is in
    a process of its own, started here, and no framework is imported in this one. Raises :class:`UsageError` for a name
    that stands for no target.
    """
    names = target_names(names) or [""]
    wanted = {name: spec(name) for name in names if name not in ("", "all")}
    every = [spec(name) for name in known()] if len(wanted) < len(names) else []
    started = start_each([*wanted.values(), *every], processes)
    named, several = dict(zip(wanted, started, strict=False)), _targets(started[len(wanted) :])
    # What does not import is not installed. What dies at its start is, and nobody would miss it.
    found: list[TargetOrError] = [one for one in started[len(wanted) :] if isinstance(one, NotStartingError)]
    for name in names:
        found += several if name == "" else start_every_mode(several, processes) if name == "all" else [named[name]]
    chosen: dict[str, Target] = {}
    for target in _targets(found):
        chosen.setdefault(target.name, target)
    wrong = next((w for w in found if isinstance(w, UsageError)), None)
    close(t for t in _targets([*started, *found]) if wrong or t is not chosen.get(t.name))
    if wrong:
        raise wrong
    if not chosen:
        raise UsageError("no target is installed; pip install 'lossproof[torch]', or see lossproof targets")
    return list(chosen.values())


def _targets(found: Iterable[TargetOrError]) -> list[Target]:
    return [t for t in found if isinstance(t, Target)]


def target_names(names: Iterable[str]) -> list[str]:
    """Return the names of targets, once each. Raises :class:`UsageError` for one that cannot be read or that no adapter
    has; nothing is started."""
    given = list(dict.fromkeys(names))
    if "" in given:
        raise UsageError("a target has an empty name; expected one such as torch or jax+jit, or none for every adapter")
    for name in given:
        if name != "all":
            spec(name)
    return given


def start_each(specs: Sequence[Spec], processes: Processes | None) -> list[TargetOrError]:
    """Start a target for each string, side by side; an error stands for one that does not start."""
    if processes is None:
        return [_caught(target_here, s) for s in specs]
    with ThreadPoolExecutor(processes.side_by_side) as pool:
        return list(pool.map(lambda s: _caught(lambda s: _elsewhere(s, processes), s), specs))


def start_every_mode(several: Sequence[Target], processes: Processes | None) -> list[TargetOrError]:
    """Start these adapters on every device and in every mode."""
    every = [(t, device, mode) for t in several for device, mode in _devices_and_modes(t.adapter.capabilities())]
    specs = [replace(spec(_called(t)), device=device, mode=mode) for t, device, mode in every]
    at_hand = {(_called(t), t.device, t.mode): t for t in several}
    others = [s for s in specs if (s.name, s.device, s.mode) not in at_hand]
    started = iter(start_each(others, processes))
    return [at_hand.get((s.name, s.device, s.mode)) or next(started) for s in specs]


def _called(target: Target) -> str:
    return target.place or target.adapter.name


def _devices_and_modes(c: Capabilities) -> Iterator[tuple[str, str]]:
    devices = {mode: c.in_mode(mode).devices for mode in c.modes}
    for device in dict.fromkeys(device for own in devices.values() for device in own):
        yield from ((device, mode) for mode in c.modes if device in devices[mode])


def missing_targets(required: Iterable[str], chosen: Sequence[Target]) -> list[str]:
    """Return the required targets, adapters and devices (``cuda`` is any ``cuda:N``) that the run does not have."""
    present = {n for t in chosen for n in (t.name, t.adapter.name, t.device, t.device.split(":")[0])}
    return [r for r in required if r not in present]


def close(several: Iterable[Target]) -> None:
    """End the processes of targets, where they have any."""
    for target in several:
        if target.player is not None:
            target.player.close()


def _caught(make: Callable[[Spec], Target], s: Spec) -> TargetOrError:
    try:
        return make(s)
    except UsageError as error:
        return error


def _elsewhere(s: Spec, processes: Processes) -> Target:
    # POSIX only, and not needed by who stays in one process.
    from lossproof.targets.lane import NotImportableError
    from lossproof.targets.remote import Remote
    from lossproof.targets.replies import elsewhere

    remote = Remote(s.name, Launch(s.value, s.mode, s.device, s.environment, s.variables), processes)
    atexit.register(remote.close)
    try:
        remote.connect()
        target = s.target(remote)
        where = elsewhere(remote.hello, target.mode, target.device)
        if where:
            asked = f"asked to compute in mode {target.mode!r} on {target.device!r}"
            raise UsageError(f"target {s.text}: it was {asked}, and says that it does so {where}")
        return target
    except NotStartingError as error:
        hint = f"; {s.environment} has to be a Python 3.8 or newer with numpy" if s.environment else ""
        hint = "; a command has to say hello and to answer as docs/adapter-protocol.md says" if s.is_command else hint
        raise NotStartingError(f"target {s.text}: {error}{hint}") from None
    except NotImportableError as error:
        raise import_failure(s, str(error), error.missing) from None
    except UsageError as error:
        remote.close()
        raise UsageError(
            f"target {s.text}: {error}" if s.is_command and s.text not in str(error) else str(error)
        ) from None
