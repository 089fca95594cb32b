"""A sweep whose coordinator and workers are killed at random moments ends with the record of an undisturbed one.

``pytest -m quality tests/quality`` takes a minute for it; ``tests/running/test_sweep.py`` kills once.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from os import kill
from pathlib import Path

import pytest

from tests.running.test_sweep import timeless
from tests.support import one_pattern
from tests.support.views import lossproof

pytestmark = pytest.mark.quality
KILLS = 5
COMMAND = ("sweep", f"{one_pattern.__file__}:WRONG", "--op", "softmax", "--op", "cross_entropy", "--dtype", "float16")


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are there still."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def started_as(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are looked for in /proc")
@pytest.mark.parametrize("seed", [0, 1])
def test_a_sweep_that_is_killed_five_times_is_the_same(seed: int, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "r.jsonl"
    assert lossproof(*COMMAND, "-o", str(whole)).exit_code == 1
    every, chance = lines(whole), random.Random(seed)
    arguments = (*COMMAND, "--quiet", "--workers", "2", "-o", str(path), "--resume")
    kills = 0
    while kills < KILLS:
        # sanity check: what is killed is not over
        assert lines(path) < every
        process = subprocess.Popen([sys.executable, "-m", "lossproof", *arguments], stdout=subprocess.DEVNULL)
        while kills < KILLS and process.poll() is None:
            # A moment of the work, not of the start.
            moment = lines(path) + chance.randint(1, max(1, every // 8))
            while process.poll() is None and lines(path) < min(moment, every - 1):
                time.sleep(0.01)
            workers = [pid for pid in children(process.pid) if "spawn_main" in started_as(pid)]
            with suppress(OSError):
                kill(chance.choice([process.pid, *workers]), signal.SIGKILL)
                kills += 1
        process.wait(600)
    result = lossproof(*arguments)
    assert result.exit_code == 1, result.output
    assert timeless(path) == timeless(whole)
