"""Error profiles: W, N and F, which one a target declares, and the strictest that its results meet."""

from __future__ import annotations

from dataclasses import dataclass

from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation


@dataclass(frozen=True)
class Declared:
    """The declaration of a target for one op and dtype.

    ``profile``  its error profile, W, N or F
    ``online``   whether it rescales partial sums when the running maximum grows
    ``mean``     which mean its reduction ``mean`` is, of ``MEANS``
    """

    profile: str
    online: bool = False
    mean: str = "mean"


def default_profile(dtype: str) -> str:
    """The error profile of a target that declares none for a dtype: W for float64 and float32, N in 16 bits."""
    return FORMATS[dtype].default_profile


STRICTNESS = ("W", "F", "N", "")


_GOOD = ("pass", "convention", "suspect")


def met(o: Observation) -> str:
    """The strictest profile that an output meets; empty if it meets none."""
    return met_of(o.verdict, o.profile, o.met)


def met_of(verdict: str, declared: str, met: str) -> str:
    """The strictest profile that an output meets, from the three fields of an observation that decide it."""
    # A case that took more precision to decide names no profile: it was judged by the declared one.
    return met or (declared if verdict in _GOOD else "")
