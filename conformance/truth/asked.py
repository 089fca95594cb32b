"""The part of a problem that some of its outputs need: what nobody has answered is neither evaluated nor bounded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.outputs import TABLE
from lossproof.adapters.protocol import Problem
from lossproof.truth.oracle.in_double_double import LARGEST

# The formulas and the special values of these are the same whatever else is asked; the value is a part of all others.
_VALUE = "value"
_APART = frozenset((_VALUE, "vjp"))


def narrowed_to(problems: Sequence[Problem], outputs: Collection[str]) -> list[Problem]:
    """Narrow problems of one signature to the value and some more of their outputs.

    The truth of these is the same to the bit. So everything stays where a derivative beyond the VJP is among them, the
    special values of which directions decide, and where without them float64 had another number system.
    """
    once = {_VALUE, *(TABLE[name].repeats or name for name in outputs)}
    if not once <= _APART or set(problems[0].want) <= once.union(outputs):
        return list(problems)
    unused = ("tangent", "target_tangent", *(("cotangent",) if once == {_VALUE} else ()))
    if any(_is_large(getattr(p, name)) for p in problems for name in unused):
        return list(problems)
    left: dict[str, Any] = dict.fromkeys(unused) | {"wrt_target": False}
    return [replace(p, **left, repeat_backward=p.repeat_backward and not once.issuperset(outputs)) for p in problems]


def _is_large(a: np.ndarray | None) -> bool:
    return a is not None and bool(np.any(np.abs(np.where(np.isfinite(a), a, 0.0)) >= LARGEST))
