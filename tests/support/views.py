"""Shared by the tests of the views: wrong adapters that are installed for the duration of a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lossproof.cli.main import cli

CROOKED = '''
"""NumPy's adapter with three defects: softmax 1 % off, the loss NaN on confident rows, a crash on K = 17."""
import dataclasses

import numpy as np

from lossproof.adapters.numpy import NumpyAdapter


class Crooked(NumpyAdapter):
    name = "crooked"

    def describe(self):
        return dataclasses.replace(super().describe(), versions={"crooked": "1.2.0"})

    def evaluate(self, problem, device, mode):
        out = super().evaluate(problem, device, mode)
        value = out["value"]
        if problem.op == "softmax":
            out["value"] = dataclasses.replace(value, data=value.data * 1.01)
        if problem.op == "cross_entropy" and np.ptp(np.nan_to_num(problem.x, posinf=0, neginf=0)) > 6:
            out["value"] = dataclasses.replace(value, data=value.data * np.nan)
        if problem.op == "nll_loss":
            raise RuntimeError("no kernel for you")
        return out


ADAPTER = Crooked()
'''


def install(site: Path) -> Path:
    """A folder for PYTHONPATH with adapters ``crooked`` (wrong) and ``ghost`` (its framework is not installed)."""
    info = site / "crooked-1.2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: crooked\nVersion: 1.2.0\nRequires-Dist: numpy\nProvides-Extra: ghost\n"
        'Requires-Dist: no_such_framework>=2; extra == "ghost"\n'
    )
    (info / "entry_points.txt").write_text(
        "[lossproof.adapters]\ncrooked = crooked_adapter:ADAPTER\nghost = ghost_adapter:ADAPTER\n"
    )
    (site / "crooked_adapter.py").write_text(CROOKED)
    (site / "ghost_adapter.py").write_text("import no_such_framework\n")
    return site


def python(
    *arguments: str, path: Path | None = None, cwd: Path | None = None, compiled: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter, with ``path`` in front of the installed packages, and ``compiled`` loops where much is
    judged."""
    # The pytest that runs this test is none of the business of the one that it starts.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    # To load what is compiled takes longer than to judge a few calls by arrays.
    environment |= {} if compiled else {"LOSSPROOF_COMPILED": "0"}
    environment |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        check=False,
        timeout=1800,
    )


def lossproof(*arguments: str) -> Any:
    """The command in this process: its result, unless it ends in a traceback."""
    result = CliRunner().invoke(cli, arguments, prog_name="lossproof")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def without_progress(stderr: str) -> str:
    """What a command has said on standard error besides the lines that say how far it is."""
    lines = r"lossproof \S+: starting |\d+ calls for |the judge is compiled |\d+/\d+ outputs judged, "
    return re.sub(rf"^({lines}).*\n", "", stderr, flags=re.M)
