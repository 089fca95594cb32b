"""Valid files, each as lossproof writes it: what is mutated."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from lossproof.adapters.protocol import Problem
from lossproof.cli.main import cli
from lossproof.core.call import Call
from lossproof.records.judgement_store import JudgementStore

ROOT = Path(__file__).resolve().parents[2]
PLANTED, ONE_PATTERN = (ROOT / "tests" / "support" / name for name in ("planted.py", "one_pattern.py"))
KEYS = [bytes([n]) * 16 for n in range(40)]
WAIVERS = b"""\
adapter = "planted"

[[waiver]]
name = "no-maximum"
cases = ["softmax/float32/scaled_overflow/*", "softmax/*/relation/shift-*"]
explored = ["softmax/float32/*"]
output = "value|vjp"
when = "numpy>=1.26,<9 and dtype=float32|float16 and device=cpu and mode!=careful and isa!=sve"
symptom = "nonfinite"
expect = "all"
reason = "the maximum is not subtracted"
issue = "none"
seen = ["2.4.6"]

[[waiver]]
name = "clause-4"
cases = ["softmax/all/convention/clause-4/*"]
symptom = "finite"
reason = "another choice"
issue = "none"
seen = ["numpy==2.4.6"]
"""


def judgements(folder: Path) -> bytes:
    """A store of judgements, each of which begins with ``verdict``."""
    path = folder / "judgements.sqlite"
    if not path.exists():
        with contextlib.closing(JudgementStore(path)) as kept:
            for key in KEYS:
                kept.put(key, f"verdict {key[0]} " * 20)
    return path.read_bytes()


def a_record(folder: Path, mode: str = "") -> bytes:
    """The record of an implementation with failures and conventions, or of its mode without failures.

    The times of kernels at its end are written by hand: to take them takes seconds.
    """
    path = folder / f"made{mode}.jsonl"
    if not path.exists():
        patterns = ("softmax/float32/h*", "*/scaled_overflow/*", "*/positive_infinity/*", "*/relation/*n2-k4*")
        chosen = [word for pattern in (*patterns, "*/error/10-nothing*") for word in ("--id", pattern)]
        options = ("--op", "softmax", "--dtype", "float32", "--deck", "smoke", *chosen, "--in-process", "--quiet")
        arguments = ["run", f"{PLANTED}:ADAPTER{mode}", *options, "--record", str(path)]
        result = CliRunner().invoke(cli, arguments, prog_name="lossproof")
        # sanity check: a record with findings, and one without
        assert result.exit_code == (0 if mode else 1), result.output
        times = {"copy": 1e-4, "value": 0.5 if mode else 1e-3, "vjp": 1e-3}
        kernels = json.dumps({f"{PLANTED}:ADAPTER{mode}": {"softmax float32 8x16384": times}})
        path.write_bytes(path.read_bytes().replace(b'"kernels":{}', f'"kernels":{kernels}'.encode()))
    return path.read_bytes()


def shards_of(
    folder: Path, command: str, target: str, options: Sequence[str], codes: tuple[int, int]
) -> tuple[bytes, bytes]:
    """The records of two shards of a run or of a sweep of softmax, which end with these codes."""
    paths = [folder / f"{command}-{i}.jsonl" for i in (1, 2)]
    for i, (path, code) in enumerate(zip(paths, codes, strict=True), 1):
        if not path.exists():
            others = ("--op", "softmax", "--in-process", "--quiet", "--shard", f"{i}/2", "--record", str(path))
            result = CliRunner().invoke(cli, [command, target, *options, *others], prog_name="lossproof")
            # sanity check: a shard
            assert result.exit_code == code, result.output
    return paths[0].read_bytes(), paths[1].read_bytes()


def some_answers(folder: Path) -> bytes:
    """What a worker has answered to an exported deck."""
    deck = folder / "deck"
    if not deck.exists():
        choice = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "hot")
        result = CliRunner().invoke(cli, ["deck", "export", str(deck), *choice], prog_name="lossproof")
        # sanity check: a deck
        assert result.exit_code == 0, result.output
    command = [sys.executable, "-I", "adapters/boot.py", "adapters", "numpy"]
    return subprocess.run(command, cwd=deck, input=(deck / "deck").read_bytes(), capture_output=True, check=True).stdout


def some_calls() -> tuple[tuple[str, Call], ...]:
    """Calls by what is in them."""
    small = Call(Problem("softmax", "float32", np.array([[0.5, 1.0, -2.0]])), "hand")
    rows = np.arange(4000.0).reshape(1000, 4) % 7
    labels = np.arange(1000) % 4
    large = Call(
        Problem("cross_entropy", "float32", rows, target=labels, reduction="mean", label_smoothing=0.1), "hand"
    )
    options: dict[str, Any] = {"axis": 1, "weight": np.arange(3.0), "ignore_index": 1, "layout": "stepped"}
    cube = np.arange(12.0).reshape(2, 3, 2)
    made = Problem(
        *("cross_entropy", "float16", cube),
        target=np.array([[0, 1], [2, 0]]),
        reduction="none",
        cotangent=np.ones((2, 2)),
        tangent=cube,
        **options,
    )
    parts: dict[str, Any] = {"z_loss": 1e-3, "softcap": 30.0, "logit_scale": 2.0, "sample_weight": np.ones(3)}
    variant = Problem("cross_entropy", "float32", rows[:3], target=labels[:3], reduction="sum", **parts)
    wider = Problem("log_softmax", "bfloat16", rows[:3], out_dtype="float32", cotangent=rows[:3], repeat_backward=True)
    several = {"options": made, "a variant": variant, "a wider result": wider}
    return (
        ("call", small),
        ("call with much in it", large),
        *((f"call with {name}", Call(problem, "hand")) for name, problem in several.items()),
    )
