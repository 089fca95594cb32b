"""``lossproof doctor``: versions, devices, flags, thread counts and caches, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import click

from lossproof.running.doctor import Complaint, State, complaints, look

_GIB = 2**30


def doctor_command(*, start: bool, as_json: bool) -> int:
    """Print the state of this installation and what is wrong with it. The exit code is 1 where something is."""
    seen = look(start=start)
    found = complaints(seen)
    if as_json:
        click.echo(json.dumps({**asdict(seen), "complaints": [asdict(f) for f in found]}, indent=1, default=str))
    else:
        click.echo("\n".join([*_lines(seen), *_verdict(found)]))
    return 1 if any(f.is_problem for f in found) else 0


def _lines(s: State) -> Iterator[str]:
    yield f"lossproof {s.version}, Python {'.'.join(map(str, s.python))}, {s.platform}"
    memory = f", {s.memory / _GIB:.0f} GiB of memory" if s.memory else ""
    features = s.cpu.get("features")
    sets = " ".join(map(str, features)) if isinstance(features, list) else ""
    yield f"processor: {s.cpu.get('model') or 'unknown'}, {s.cores} cores{memory}"
    yield f"  instruction sets: {sets or 'unknown'}"
    yield f"packages: {', '.join(f'{name} {v}' for name, v in s.packages.items() if v)}"
    absent = [name for name, v in s.packages.items() if not v]
    if absent:
        yield f"  not here: {', '.join(absent)}"
    started = {target.name for target in s.started}
    yield "targets:"
    for target in s.started:
        if target.error:
            yield f"  {target.name}: does not start"
            continue
        versions = " ".join(f"{name} {v}" for name, v in target.versions.items())
        yield f"  {target.name}: {versions}; devices {', '.join(target.devices)}; modes {', '.join(target.modes)}"
        if target.facts:
            yield f"    {'; '.join(f'{k}: {v}' for k, v in target.facts.items() if v)}"
    yield from (f"  {a}" for a in s.adapters if not a.lacking and a.name not in started)
    yield f"  not here: {', '.join(a.name for a in s.adapters if a.lacking) or 'none'}"
    yield f"threads of targets: {_pairs(s.threads)}"
    yield f"flags: {_pairs(s.flags)}"
    yield f"switches: {_pairs(s.switches)}"
    for folder in s.folders:
        free = "" if folder.free is None else f", {folder.free / _GIB:.1f} GiB free"
        yield f"folder of {folder.purpose}: {folder.path}{free}"
    yield f"cache of judgements: {s.cached_answers} answers; judge: {s.not_compiled or 'compiled'}"


def _verdict(found: list[Complaint]) -> Iterator[str]:
    for f in found:
        yield f"{'PROBLEM' if f.is_problem else 'note'}: {f.text}; {f.remedy}"
    problems = sum(f.is_problem for f in found)
    yield f"{problems} problem{'s' * (problems != 1)}" if problems else "nothing is wrong"


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items()) or "none"
