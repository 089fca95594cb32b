"""``lossproof targets``: what can be judged in this environment."""

from __future__ import annotations

import shlex

from rich.markup import escape

from lossproof.adapters.protocol import DTYPES
from lossproof.core.errors import UsageError
from lossproof.targets import selection
from lossproof.targets.target import Target, known, spec
from lossproof.views.terminal import console


def targets_command() -> int:
    """Print every adapter, installed ones first."""
    out = console()
    found = selection.start_each([spec(name) for name in known()], selection.PROCESSES)
    here = [t for t in found if isinstance(t, Target)]
    for target in here:
        for line in _lines(target):
            out.print(escape(line), soft_wrap=True)
    selection.close(here)
    missing = [str(wrong) for wrong in found if isinstance(wrong, UsageError)]
    if missing:
        out.print("not here:")
        for line in missing:
            out.print(escape(f"  {line}"), soft_wrap=True)
    return 0


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
