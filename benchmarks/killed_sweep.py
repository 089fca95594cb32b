"""A sweep that is killed at random, coordinator and workers, and gone on with, has the record of an undisturbed one.

    python -m benchmarks.killed_sweep [--kills N] [--seed N] [--target TARGET] [-- OPTION ...]

Sweeps twice with ``--workers 2``: once undisturbed, and once with so many kills (SIGKILL), each when the record has
grown by a random number of lines, of a process that is drawn among the coordinator and its workers. Exit code 1 where
the two records differ in anything but times. OPTIONS are those of ``lossproof sweep``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_OPTIONS = ("--kind", "gaps16", "--op", "softmax", "--op", "nll_loss")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a record without what no two runs share."""
    found: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    for line in found:
        line.pop("seconds", None)
    found[0] = {k: v for k, v in found[0].items() if k != "command"}
    end = found[-1].get("end", {})
    found[-1] = {"end": {k: v for k, v in end.items() if k not in ("seconds", "clock")}}
    return found


def grown(path: Path) -> int:
    """The number of lines that a record has so far."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes of the workers of a coordinator."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    # What else multiprocessing starts is no worker.
    return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def disturbed(command: list[str], path: Path, kills: int, draw: random.Random, most: int) -> list[str]:
    """Sweep to the end, with so many kills, and say who was killed."""
    killed: list[str] = []
    while True:
        process = subprocess.Popen([*command, "-o", str(path), "--resume"], stdout=subprocess.DEVNULL)
        until = grown(path) + draw.randint(1, max(1, most // (kills + 1)))
        while process.poll() is None:
            time.sleep(0.005)
            if len(killed) < kills and grown(path) >= until:
                workers = workers_of(process)
                victim = draw.choice([process.pid, *workers])
                os.kill(victim, signal.SIGKILL)
                killed.append(f"{'coordinator' if victim == process.pid else 'worker'} after {grown(path)} lines")
                until = grown(path) + draw.randint(1, max(1, most // (kills + 1)))
        if process.returncode != -signal.SIGKILL:
            return killed


def main() -> int:
    """Sweep twice, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", default="numpy")
    parser.add_argument("options", nargs="*", metavar="OPTION", default=_OPTIONS)
    options = parser.parse_args()
    command = [sys.executable, "-m", "lossproof", "sweep", options.target, *options.options, "--workers", "2", "-q"]
    with tempfile.TemporaryDirectory(prefix="lossproof-") as folder:
        whole, path = Path(folder, "whole.jsonl"), Path(folder, "killed.jsonl")
        subprocess.run([*command, "-o", str(whole)], stdout=subprocess.DEVNULL, check=False)
        expected = lines_of(whole)
        killed = disturbed(command, path, options.kills, random.Random(options.seed), len(expected))
        found = lines_of(path)
    print(f"{len(expected)} lines; killed: {'; '.join(killed) or 'nobody'}")
    same = found == expected and len(killed) == options.kills
    print("the record is that of an undisturbed sweep" if same else "the records differ, or too few were killed")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
