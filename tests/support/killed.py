"""NumPy's adapter on a device that is lost: one call ends its process, ``ONCE`` or always."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Problem

CULPRIT = os.environ.get("CULPRIT", "")
ONCE = os.environ.get("ONCE", "")


def named(p: Problem) -> str:
    """What tells a problem from the others of a deck."""
    facts = repr((p.op, p.dtype, p.x.shape, p.reduction, p.label_smoothing, p.want)).encode()
    arrays = [b"" if a is None else a.tobytes() for a in (p.x, p.target, p.weight, p.cotangent, p.tangent)]
    return hashlib.sha256(b"|".join([facts, *arrays])).hexdigest()


class Killed(NumpyAdapter):
    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        if named(problem) == CULPRIT and not (ONCE and Path(ONCE).exists()):
            if ONCE:
                Path(ONCE).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(problem, device, mode)


ADAPTER = Killed()
