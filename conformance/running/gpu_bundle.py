"""The steps on a GPU, each in a process of its own, and the bundle of what comes out of them."""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossproof import __version__
from lossproof.adapters.play import memory, nvidia_smi
from lossproof.core.errors import UsageError
from lossproof.running.detached import new_folder
from lossproof.running.gpu_steps import GpuStep

SUMMARY = "summary.json"
# An interrupted run closes its record and ends its targets; one that does not is killed.
_FAREWELL = 30.0


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps are started with ``command``, which is lossproof, and with ``options`` beside their own arguments; each may
    take ``seconds``, and with ``pages`` each gets a report."""

    command: Sequence[str] = (sys.executable, "-m", "lossproof")
    options: Sequence[str] = ()
    seconds: float = 3600.0
    pages: bool = False


def write_bundle(
    folder: Path, steps: Sequence[GpuStep], how: Steps, facts: Mapping[str, Any], tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Run the steps one after the other, and return what became of each.

    The folder gets a record of each step, what it printed, nvidia-smi's text before and after, and ``summary.json``,
    written again after every step. Raises :class:`UsageError` for a folder in use.
    """
    new_folder(folder)
    done: list[dict[str, Any]] = []
    about = {"suite": __version__, "python": sys.version, "platform": platform.platform(), **facts}
    try:
        (folder / "nvidia-smi.txt").write_text(nvidia_smi(), "utf-8")
        for number, step in enumerate(steps, 1):
            name = f"{number:02d}-{step.name}"
            tell(f"{number}/{len(steps)} {' '.join(step.arguments())}")
            done.append({"name": name, **_run(folder, name, step, how)})
            tell(f"{name}: {done[-1]['ended']}, {done[-1]['seconds']:.0f} s")
            _write_summary(folder, about, done)
        _write_summary(folder, about, done)
        (folder / "nvidia-smi-after.txt").write_text(nvidia_smi(), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from None
    return done


def _write_summary(folder: Path, about: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> None:
    (folder / SUMMARY).write_text(json.dumps({**about, "steps": done}, indent=1) + "\n", "utf-8")


def _run(folder: Path, name: str, step: GpuStep, how: Steps) -> dict[str, Any]:
    """One step: its command, exit code (None where its time was over), seconds, in words how it ended, the last line
    that it printed, and the memory of the cards before and after it."""
    record, page = folder / f"{name}.jsonl", folder / f"{name}.html"
    options = [*how.options, "--record", str(record), *(["--html", str(page)] if how.pages else [])]
    command = [*how.command, *step.arguments(), *options]
    begun, before = time.monotonic(), memory()
    with (folder / f"{name}.txt").open("wb") as printed:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT)
        try:
            code: int | None = process.wait(how.seconds)
        except subprocess.TimeoutExpired:
            code = None
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_FAREWELL)
        finally:
            process.kill()
            process.wait()
    ended = _WORDS.get(code, f"died with exit code {code}")
    seconds = round(time.monotonic() - begun, 3)
    cards = {"memory_before": before, "memory_after": memory()}
    said = _last_line(folder / f"{name}.txt")
    return {"command": command, "exit_code": code, "seconds": seconds, "ended": ended, "said": said, **cards}


def _last_line(printed: Path) -> str:
    lines = printed.read_text("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


_WORDS: Mapping[int | None, str] = {
    0: "all well",
    1: "findings",
    2: "could not be carried out",
    None: "ended after its time",
}
