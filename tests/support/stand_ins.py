"""Environments that cost nothing: this interpreter under another name, which says what release it stands for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from lossproof.core.errors import UsageError
from lossproof.targets.environments import store
from lossproof.targets.environments.store import Environment

# What pip and uv say where there is none.
NO_NETWORK = ("NewConnectionError", "Failed to establish a new connection", "error sending request", "dns error")
# NumPy's adapter, wrong in the releases from 3 to 5.
ADAPTER = """\
import os
from dataclasses import replace

from lossproof.adapters.numpy import NumpyAdapter


class Released(NumpyAdapter):
    name = "released"

    def describe(self):
        return replace(super().describe(), versions={"released": os.environ["STAND_IN"]})

    def evaluate(self, problem, device, mode):
        out = super().evaluate(problem, device, mode)
        if problem.op == "softmax" and os.environ["STAND_IN"] in ("3", "4", "5"):
            out["value"] = replace(out["value"], data=out["value"].data * 1.25)
        return out


ADAPTER = Released()
"""


class Maker:
    """In place of ``environments.create``: what was asked for, and what cannot be had."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.asked: list[tuple[str, ...]] = []
        self.missing: set[str] = set()
        self.adapter = home / "released.py"
        self.adapter.write_text(ADAPTER)

    @property
    def target(self) -> str:
        return f"{self.adapter}:ADAPTER"

    def create(
        self,
        name: str,
        requirements: Sequence[str],
        *,
        python: str | None = None,
        force: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> tuple[Environment, bool]:
        self.asked.append(tuple(requirements))
        release = requirements[0].partition("==")[2]
        if release in self.missing:
            raise UsageError(f"pip could not install {requirements[0]}")
        folder = self.home / "environments" / name
        made = Environment(name, tuple(requirements), "3.11.0", {"released": release}, "pip", "2026-01-01T00:00:00")
        if folder.exists() and not force:
            return made, False
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        python_here = folder / "bin" / "python"
        python_here.write_text(f'#!/bin/sh\nSTAND_IN="{release}" exec "{sys.executable}" "$@"\n')
        python_here.chmod(0o755)
        (folder / "lossproof.json").write_text(json.dumps(asdict(made)))
        return made, True


def maker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    found = Maker(home)
    monkeypatch.setenv("LOSSPROOF_HOME", str(home))
    monkeypatch.setattr(store, "create", found.create)
    return found
