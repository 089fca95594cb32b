"""Records of made-up runs for tests of the board, without a framework."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lossproof.core.observation import Observation
from lossproof.records.record import Writer

FLOAT32, FLOAT16 = "softmax/float32/hot/n2-k4/0000000", "softmax/float16/hot/n2-k4/0000000"


def header(*targets: str, version: str = "2.13.0", **more: Any) -> dict[str, Any]:
    """The header of a run of torch under the names of these targets."""
    described: Mapping[str, Any] = {
        "adapter": "torch",
        "device": "cpu",
        "mode": "eager",
        "versions": {"torch": version, "numpy": "2.4.6"},
        "facts": {"isa": "avx2"},
        "conventions": {"4 softmax value": "nan"},
        "python": "3.11.7",
        "environment": "/home/me/env/bin/python",
    }
    return {
        "suite": "0.1.0",
        "deck": {"version": 3, "digest": "0" * 64, "size": "smoke", "seed": 0, "calls": 5},
        "filters": {},
        "targets": {name: {**described, "implementation": name} for name in targets},
        "python": "3.11.7",
        "platform": "Linux-6.1.0-a-kernel-x86_64-with-glibc2.36",
        "cpu": {"model": "A processor", "machine": "x86_64"},
        "command": ["lossproof", "run", "/home/me/secret"],
        **more,
    }


def observations(target: str, *, waived: int = 1, failed: int = 0) -> list[Observation]:
    """Five cases and what is said of all: passes, known deviations, failures, a convention, a case not offered."""

    def bounded(i: int, share: float, **more: Any) -> Observation:
        judged = {"verdict": "fail", "met": ""} if share > 1 else {"verdict": "pass", "met": "W"}
        fields = {"got": 0.5, "exact": (0.5, 0.5), "allowed": 1e-7, "profile": "W", **judged, **more}
        return Observation(f"{FLOAT32}{i}", "value", target, share=share, ulp=2 * share, **fields)

    found = [bounded(i, 0.1 * i) for i in range(1, 5 - waived - failed)]
    found += [bounded(5 + i, 3.0, waiver="torch-known", message="off by a lot") for i in range(waived)]
    found += [bounded(7 + i, math.inf, got=math.nan, message="NaN") for i in range(failed)]
    return [
        *found,
        Observation(f"{FLOAT32}0", "value", target, "convention", conventions={"4": "nan"}, profile="W", met="W"),
        Observation(f"{FLOAT16}9", "value", target, "unsupported", message="float16 is not offered"),
        Observation("softmax/all/convention/clause-4/value", "value", target, "pass"),
    ]


def write(path: Path, head: Mapping[str, Any], *found: Iterable[Observation], end: bool = True) -> Path:
    """Write the record of these observations."""
    with Writer(path, head) as out:
        for many in found:
            for o in many:
                out.write(o)
        if end:
            out.end({"seconds": 1.0})
    return path
