"""A player of an exported deck: it puts the deck to every device that it finds, and writes one folder of answers.

It runs where lossproof is not, on a machine with Python 3.8 or newer, numpy and a framework. Each target is a worker of
its own, which is started again after its own answers where it ends or is ended; a target that stops answering costs
itself alone. ``summary.json`` says of each target with which command it ran, how long and how it ended.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import local, wire
from .protocol import THREADS, Capabilities

FRAMEWORKS = ("torch", "jax", "tensorflow")
HERE = os.path.dirname(os.path.abspath(__file__))
SUFFIX = ".answers"
NO_DEVICE = 2
# What the engine sets for its workers, where nobody has.
_VARIABLES = {**dict.fromkeys(THREADS, "1"), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
# A worker that ends so often without a further answer is not going to give one.
_FRUITLESS = 2
_TARGET = re.compile(r"(?P<name>.+?\.py:\w+|\w+)(?:\+(?P<mode>[\w-]+))?(?::(?P<device>.+))?")
_COSTS = ("none", "cheap", "dear")


class Step(NamedTuple):
    """One target is played: an adapter in a mode, on a device."""

    adapter: str
    mode: str
    device: str

    @property
    def target(self) -> str:
        """The target string."""
        return "%s+%s:%s" % self


def main(arguments: Sequence[str], deck: str) -> int:
    """Play a deck, a file, for the targets that are named, or that are found; the exit code, 2 where there is none."""
    options = _parser().parse_args(arguments)
    bundle = os.path.abspath(options.bundle)
    if os.path.exists(bundle) and (not os.path.isdir(bundle) or os.listdir(bundle)):
        raise SystemExit("%s exists; expected the name of a new folder" % options.bundle)
    wanted = [_parsed(text) for text in options.target]
    os.makedirs(bundle, exist_ok=True)
    _write(bundle, "nvidia-smi.txt", nvidia_smi())
    about: Dict[str, Any] = {"python": sys.version, "platform": platform.platform(), "numpy": np.__version__}
    offers = {name: _offer(name, options.seconds) for name in dict.fromkeys(w[0] for w in wanted or _by_default())}
    about["adapters"] = {name: found if isinstance(found, str) else "starts" for name, found in offers.items()}
    steps = plan(wanted, {name: c for name, c in offers.items() if isinstance(c, Capabilities)})
    done: List[Dict[str, Any]] = []
    for step in steps:
        sys.stderr.write("%s ...\n" % step.target)
        done.append(_played(step, offers[step.adapter], deck, bundle, options.seconds))
        sys.stderr.write("%s: %s, %.0f s\n" % (step.target, done[-1]["ended"], done[-1]["seconds"]))
        _write(bundle, "summary.json", json.dumps({**about, "steps": done}, indent=1))
    _write(bundle, "summary.json", json.dumps({**about, "steps": done}, indent=1))
    with tarfile.open(bundle + ".tar.gz", "w:gz") as tar:
        tar.add(bundle, os.path.basename(bundle))
    for name, found in offers.items():
        if isinstance(found, str):
            sys.stderr.write("%s: %s\n" % (name, found))
    if not steps:
        sys.stderr.write("nothing to play: no framework here has a device besides the CPU (--target plays a CPU)\n")
        return NO_DEVICE
    sys.stderr.write("%s.tar.gz: judge it with lossproof judge\n" % bundle)
    missing = wanted and any(isinstance(found, str) for found in offers.values())
    return 1 if missing or any(one["ended"] != "done" for one in done) else 0


def plan(wanted: Sequence[Tuple[str, str, str]], offers: Dict[str, Capabilities]) -> List[Step]:
    """Order what is played: the first mode of each device, then the other modes, those that compile last.

    Without ``wanted`` (adapter, mode, device; empty for the first) that is every mode on every device that is no CPU.
    """
    if wanted:
        found = []
        for name, mode, device in wanted:
            if name in offers:
                mode = mode or offers[name].modes[0]
                found.append(Step(name, mode, local.device_of(offers[name].in_mode(mode), device)))
        return found
    ranked = []
    for name, c in offers.items():
        for place, mode in enumerate(c.modes):
            for device in c.in_mode(mode).devices:
                if not device.startswith("cpu"):
                    cost = _COSTS.index(c.in_mode(mode, device).compile_cost) if place else -1
                    ranked.append((cost, Step(name, mode, device)))
    return [step for _, step in sorted(ranked, key=lambda one: one[0])]


def nvidia_smi(*asked: str) -> str:
    """Return what nvidia-smi says of the cards, everything by default, or why it says nothing."""
    if shutil.which("nvidia-smi") is None:
        return "nvidia-smi: not found\n"
    try:
        return subprocess.run(
            ["nvidia-smi", *(asked or ("-q",))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return "nvidia-smi: %s\n" % error


def memory() -> str:
    """Return a line for each card: its memory in use and free, in MiB. What a step leaves in use is a leak of its own
    or somebody else's work; a card that is lost has no line."""
    return nvidia_smi("--query-gpu=index,memory.used,memory.free", "--format=csv,noheader,nounits").strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Play the deck that this file carries for every device that torch, jax and tensorflow find."
    )
    parser.add_argument("bundle", nargs="?", default="lossproof-bundle", help="the new folder that is written")
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME[+MODE][:DEVICE]", help="only this (repeatable)"
    )
    parser.add_argument(
        "--seconds", type=float, default=3600.0, help="the most that one target may take (default: 3600)"
    )
    return parser


def _parsed(text: str) -> Tuple[str, str, str]:
    found = _TARGET.fullmatch(text)
    if found is None:
        raise SystemExit("target %s: expected NAME[+MODE][:DEVICE], such as torch+compile:cuda" % text)
    return found.group("name"), found.group("mode") or "", found.group("device") or ""


def _by_default() -> List[Tuple[str, str, str]]:
    return [(name, "", "") for name in FRAMEWORKS]


def _command(adapter: str, *options: str) -> List[str]:
    # The modules that this process finds, without those beside the file that it was started with.
    beside = os.path.dirname(os.path.abspath(sys.argv[0]))
    path = [p for p in map(os.path.abspath, sys.path) if p != beside]
    boot = os.path.join(HERE, "boot.py")
    return [sys.executable, "-I", boot, HERE, "--sys-path", json.dumps(path), adapter, *options]


def _environment() -> Dict[str, str]:
    return {**_VARIABLES, **os.environ}


def _offer(adapter: str, seconds: float) -> Any:
    """The capabilities of an adapter, or in words why it does not start."""
    try:
        done = subprocess.run(
            _command(adapter),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it did not start in %g seconds" % seconds
    reader = wire.Reader()
    reader.feed(done.stdout)
    for message in reader.messages():
        return message["capabilities"] if message["kind"] == "hello" else message["message"]
    return "it ended with exit code %s: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[-400:])


def _played(step: Step, c: Capabilities, deck: str, bundle: str, seconds: float) -> Dict[str, Any]:
    """Play one target to its end, and say how that went."""
    for what, name, there in (("mode", step.mode, c.modes), ("device", step.device, c.in_mode(step.mode).devices)):
        if name not in there:
            why = "skipped: %s has no %s %s here; it has %s" % (step.adapter, what, name, ", ".join(there))
            return {"target": step.target, "answers": "", "command": [], "exit_codes": [], "seconds": 0.0, "ended": why}
    name = re.sub(r"\W+", "-", step.target).strip("-")
    answers = os.path.join(bundle, name + SUFFIX)
    command = _command(step.adapter, "--mode", step.mode, "--device", step.device, "--after", answers)
    begun = time.monotonic()
    codes: List[Optional[int]] = []
    fruitless, size, ended = 0, 0, ""
    open(answers, "wb").close()
    while not ended:
        left = begun + seconds - time.monotonic()
        codes.append(_once(command, deck, answers, os.path.join(bundle, name + ".stderr.txt"), left))
        fruitless = fruitless + 1 if os.path.getsize(answers) <= size else 0
        size = os.path.getsize(answers)
        if codes[-1] == 0:
            ended = "done"
        elif codes[-1] is None:
            ended = "ended after %g seconds, with what it had answered" % seconds
        elif fruitless == _FRUITLESS:
            ended = "given up: the worker ends without an answer (exit code %s)" % codes[-1]
    took, cards = time.monotonic() - begun, memory()
    wrong = _refused(answers)
    if wrong:
        os.remove(answers)
    return {
        "target": step.target,
        "answers": "" if wrong else os.path.basename(answers),
        "command": command,
        "exit_codes": codes,
        "seconds": round(took, 3),
        "ended": wrong or ended,
        "memory_after": cards,
    }


def _refused(answers: str) -> str:
    """In words why a file holds no answers; empty if it does."""
    reader = wire.Reader()
    with open(answers, "rb") as file:
        for data in iter(lambda: file.read(1 << 16), b""):
            reader.feed(data)
            for message in reader.messages():
                return str(message["message"]) if message["kind"] == "failed" else ""
    return "the worker did not start"


def _once(command: Sequence[str], deck: str, answers: str, log: str, seconds: float) -> Optional[int]:
    """One worker's exit code, None where its time was over."""
    with open(deck, "rb") as source, open(answers, "ab") as sink, open(log, "ab") as errors:
        worker = subprocess.Popen(command, stdin=source, stdout=sink, stderr=errors, env=_environment())
        try:
            return worker.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None
        finally:
            worker.kill()
            worker.wait()


def _write(bundle: str, name: str, text: str) -> None:
    with open(os.path.join(bundle, name), "w", encoding="utf-8") as file:
        file.write(text)
