"""``lossproof targets NAME``: what targets offer here, which takes starting them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
from rich.markup import escape

from lossproof.adapters.protocol import DTYPES
from lossproof.core.errors import UsageError
from lossproof.targets import selection
from lossproof.targets.packages import adapter_packages
from lossproof.targets.target import Target, spec
from lossproof.views.terminal import console


def offers_command(names: Sequence[str]) -> int:
    """Start targets, every installed adapter for ``all``, and print what each offers. The exit code is 1 where one does
    not start."""
    out = console()
    wanted = dict.fromkeys(n for name in names for n in (_installed() if name == "all" else (name,)))
    found = selection.start_each([spec(name) for name in wanted], selection.PROCESSES)
    here = [t for t in found if isinstance(t, Target)]
    for target in here:
        for line in _lines(target):
            out.print(escape(line))
    selection.close(here)
    missing = [str(wrong) for wrong in found if isinstance(wrong, UsageError)]
    for line in missing:
        click.echo(f"lossproof: {line}", err=True)
    return 1 if missing else 0


def _installed() -> list[str]:
    return [adapter.name for adapter in adapter_packages() if not adapter.lacking]


def _lines(target: Target) -> list[str]:
    d, c = target.describe(), target.capabilities
    versions = " ".join(f"{name} {version}" for name, version in d.versions.items())
    lines = [f"{target.adapter.name}: {versions}", f"  devices: {', '.join(c.devices)}; modes: {', '.join(c.modes)}"]
    for how in sorted({s.how for s in c.ops.values()}, reverse=True):
        lines.append(f"  {how}: {', '.join(op for op, s in c.ops.items() if s.how == how)}")
    lines += [f"    {op}: {s.note}" for op, s in c.ops.items() if s.note]
    lines.append(f"  dtypes: {', '.join(d for d in DTYPES if d in c.dtypes)}")
    if c.mean != "mean":
        lines.append(f"  reduction mean is {c.mean}")
    if c.variables:
        of = f"{target.adapter.name}%{c.variables[0]}"
        lines.append(f"  environment variables, as in {shlex.quote(of)}: {', '.join(c.variables)}")
    if d.facts:
        lines.append("  " + "; ".join(f"{k}: {v}" for k, v in d.facts.items()))
    return lines
