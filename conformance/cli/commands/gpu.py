"""``lossproof gpu``: every framework on every GPU of this machine, in steps, and one bundle of what comes out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lossproof.core.errors import UsageError
from lossproof.running.gpu_bundle import SUMMARY, Steps, write_bundle
from lossproof.running.gpu_steps import chosen_devices, gpu_steps
from lossproof.targets import selection
from lossproof.targets.packages import adapter_packages
from lossproof.targets.target import Target, spec
from lossproof.views.html import page


def gpu_command(
    names: Sequence[str],
    *,
    bundle: str,
    devices: Sequence[str],
    software: bool,
    seconds: float,
    only_plan: bool,
    size: str,
    timeout: float,
) -> int:
    """Look, plan, run; the exit code is 1 where a step found something or was cut short."""
    wanted = names or [adapter.name for adapter in adapter_packages() if not adapter.lacking]
    started = selection.start_each([spec(name) for name in wanted], selection.PROCESSES)
    found = {name: t for name, t in zip(wanted, started, strict=True) if isinstance(t, Target)}
    silent = {name: str(t) for name, t in zip(wanted, started, strict=True) if isinstance(t, UsageError)}
    offers = {name: t.adapter.capabilities() for name, t in found.items()}
    described = {name: _evidence(t) for name, t in found.items()}
    selection.close(found.values())
    for line in silent.values():
        click.echo(f"lossproof: {line}", err=True)
    places = {name: chosen_devices(c, devices, software=software) for name, c in offers.items()}
    steps = gpu_steps(offers, places, size)
    if not steps:
        meant = " or ".join(devices) if devices else "GPU"
        hint = "" if software or devices else "; --software also takes OpenCL, WebGPU and Vulkan"
        raise UsageError(f"no {meant} here: {', '.join(offers) or 'no adapter'} found none{hint} (docs/gpu.md)")
    if only_plan:
        for step in steps:
            click.echo(shlex.join(["lossproof", *step.arguments()]))
        return 0
    how = Steps(options=("--timeout", f"{timeout:g}"), seconds=seconds, pages=not page.lacking())
    facts = {"adapters": described, "not_started": silent}
    done = write_bundle(Path(bundle), steps, how, facts, lambda line: click.echo(line, err=True))
    click.echo(f"{bundle}: {len(done)} steps; {SUMMARY} says what became of each")
    return 1 if (silent and names) or any(one["exit_code"] != 0 for one in done) else 0


def _evidence(target: Target) -> dict[str, Any]:
    described = target.describe()
    return {
        "versions": dict(described.versions),
        "facts": dict(described.facts),
        "devices": list(target.adapter.capabilities().devices),
    }
