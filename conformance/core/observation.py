"""An observation: what the judge says of one output of one call by one target."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossproof.core.formats import F64

VERDICTS = (
    "pass",
    "convention",
    "suspect",
    "unsupported",
    "waived",
    "fail",
    "crash",
    "timeout",
    "resource",
    "unexpected_pass",
    "error",
)


FAILING = frozenset({"fail", "crash", "timeout", "resource", "unexpected_pass", "error"})


@dataclass(frozen=True)
class Observation:
    """One output of one call on one target, judged.

    ``share`` is the worst error over the allowed error (infinite where a required special value is missing); ``ulp``
    the worst error in units of the dtype's spacing at the exact value; ``index`` the worst entry in the output's own
    shape; ``exact`` and ``allowed`` belong to it. ``met`` is the strictest profile whose bound the output meets.
    ``note`` says what is remarkable about the way to the answer.
    """

    id: str
    output: str
    target: str
    verdict: str
    share: float = 0.0
    ulp: float = 0.0
    index: tuple[int, ...] = ()
    got: float | None = None
    exact: tuple[float, float] | None = None
    allowed: float | None = None
    message: str = ""
    conventions: dict[str, str] = field(default_factory=dict)
    profile: str = ""
    met: str = ""
    bits: str = ""
    seconds: float = 0.0
    waiver: str = ""
    note: str = ""
    call: dict[str, Any] | None = None


def bits_digest(got: F64) -> str:
    """sha256 of the output's exact values (16 hex digits). The sign and the payload of NaN are no part of them."""
    values = np.where(np.isnan(got), np.nan, got)
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()[:16]
