"""Error profiles: W, F, S and N, which one a target declares, and the strictest that its results meet."""

from __future__ import annotations

from dataclasses import dataclass

from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.names import known_names
from lossproof.core.observation import Observation


@dataclass(frozen=True)
class Declared:
    """The declaration of a target for one op and dtype.

    ``profile``  its error profile, W, F, S or N
    ``online``   whether it rescales partial sums when the running maximum grows
    ``mean``     which mean its reduction ``mean`` is, of ``MEANS``
    """

    profile: str
    online: bool = False
    mean: str = "mean"


def known_profile(profile: str, dtype: str) -> None:
    """Raise :class:`UsageError` for a profile that is unknown, or that a dtype does not have."""
    known_names("error profile", [profile], [name for name in STRICTNESS if name])
    if profile == "S" and FORMATS[dtype].bits > 32:
        raise UsageError(f"error profile S is for formats of at most 32 bits, not for {dtype}; expected W or F")


def default_profile(dtype: str) -> str:
    """The error profile of a target that declares none for a dtype: W for float64 and float32, N in 16 bits."""
    return FORMATS[dtype].default_profile


STRICTNESS = ("W", "F", "S", "N", "")


_GOOD = ("pass", "convention", "suspect")


def met(o: Observation) -> str:
    """The strictest profile that an output meets; empty if it meets none."""
    return met_of(o.verdict, o.profile, o.met)


def met_of(verdict: str, declared: str, met: str) -> str:
    """The strictest profile that an output meets, from the three fields of an observation that decide it."""
    # A case that took more precision to decide names no profile: it was judged by the declared one.
    return met or (declared if verdict in _GOOD else "")
