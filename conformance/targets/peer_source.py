"""The cases of another project's tests, read by a process of their own: the engine imports no framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lossproof.adapters import wire
from lossproof.adapters.peers import SOURCES, PeerCase
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.targets.environments.store import interpreter
from lossproof.targets.launch import adapters_folder, environment

_UNTIL = 600.0


@dataclass(frozen=True)
class PeerSource:
    """A source of cases, as it was read: the ``package`` that they come with, in a ``version``, and the ``cases``."""

    package: str
    version: str
    cases: Sequence[PeerCase]


def read_source(text: str) -> PeerSource:
    """Read the cases of ``NAME`` or ``NAME@ENVIRONMENT``. Raises :class:`UsageError` for another name, and where they
    cannot be read there."""
    name, _, place = text.partition("@")
    known_names("source of cases", [name], list(SOURCES))
    messages = _heard(name, _command(name, place), place)
    head = messages[0]
    if head["kind"] == "failed":
        where = f"in {place}" if place else "beside lossproof"
        hint = f"; install {head['missing']} {where}" if head["missing"] else ""
        raise UsageError(f"the cases of {text} cannot be read: {head['message']}{hint}")
    cases = [PeerCase(m["name"], m["problem"], m["answer"], m["reason"]) for m in messages[1:]]
    if len(cases) != head["cases"]:
        raise UsageError(f"the cases of {text} end after {len(cases)} of {head['cases']}")
    return PeerSource(head["package"], head["version"], cases)


def _command(name: str, place: str) -> list[str]:
    folder = str(adapters_folder())
    path = [] if place else ["--sys-path", json.dumps([os.path.abspath(entry) for entry in sys.path])]
    return [str(interpreter(place)) if place else sys.executable, "-I", f"{folder}/boot.py", folder, *path]


def _heard(name: str, command: Sequence[str], place: str) -> list[wire.Message]:
    """What a process says of a source, which is at least one message."""
    try:
        done = subprocess.run(
            [*command, "--peer", name], env=environment(), capture_output=True, check=False, timeout=_UNTIL
        )
        reader = wire.Reader()
        reader.feed(done.stdout)
        messages = list(reader.messages())
    except subprocess.TimeoutExpired:
        raise UsageError(f"the cases of {name} were not read within {_UNTIL:g} seconds") from None
    except (OSError, wire.WireError) as error:
        raise UsageError(f"the cases of {name} cannot be read: {error}") from None
    if not messages:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        why = said[0] if said else f"its exit code is {done.returncode}"
        raise UsageError(f"the cases of {name} cannot be read{f' in {place}' if place else ''}: {why}")
    return messages
