"""Error profiles that a wrong answer is within, though not within the declared one (docs/bounds.md, section 1)."""

from __future__ import annotations

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import flat
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.judging.judge import judge_stack
from lossproof.truth.truth import truth

# Profiles for wide internals, the strictest first, with what each assumes besides.
_ASSUMED = {
    "W": "",
    "F": "an exponential that is computed as a power of two",
    "S": "functions as good as the shading languages of GPUs promise",
}
_RESCALED = "partial sums that are rescaled as the running maximum grows"


def within_others(p: Problem, output: str, answer: np.ndarray, profile: str, *, online: bool) -> list[str]:
    """Say under which declarations an answer would be right, the strictest first."""
    names, dtype = list(_ASSUMED), p.result_dtype
    if profile not in names or output not in p.want or answer.shape != p.shape_of(output):
        return []
    try:
        exact = truth([p])
        expected, fmt = exact.expected[output], exact.batch.format_of(output)
    except (UsageError, ValueError, KeyError, IndexError):
        return []
    got = flat(answer, p).reshape(expected.exact.mid.shape)

    def is_within(other: str, *, rescales: bool) -> bool:
        return bool(judge_stack(expected, exact.allowed(other, online=rescales).outputs[output], got, fmt).ok[0])

    found = []
    if not online and is_within(profile, rescales=True):
        found.append(f"it is within what is allowed for {_RESCALED}: online=True (--online) declares that")
    for weaker in names[names.index(profile) + 1 :]:
        if (weaker != "S" or FORMATS[dtype].bits <= 32) and is_within(weaker, rescales=online):
            how = f"error_profiles={{{dtype!r}: {weaker!r}}} (--profile {dtype}={weaker})"
            found.append(f"it is within what is allowed for {_ASSUMED[weaker]}: {how} declares that")
    return found
