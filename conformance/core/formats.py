"""Floating-point formats: unit roundoff, ranges, exact rounding from float64, spacing, bit patterns.

Every value of the four IO formats is exactly a float64, so the engine keeps all data widened; ``Format`` knows
what the narrow format would have done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """A binary interchange format. ``precision`` counts the hidden bit; exponents are of ``1.f * 2**e``."""

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def u(self) -> float:
        """Unit roundoff, half the spacing of numbers just above 1."""
        return 2.0**-self.precision

    @property
    def max(self) -> float:
        """Largest finite value."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def min_normal(self) -> float:
        """Smallest positive normal value."""
        return 2.0**self.emin

    @property
    def min_subnormal(self) -> float:
        """Smallest positive value."""
        return float(np.ldexp(1.0, self.emin - self.precision + 1))

    @property
    def bits(self) -> int:
        """Storage width."""
        return {"float64": 64, "float32": 32}.get(self.name, 16)

    @property
    def is_narrow(self) -> bool:
        """Whether this is one of the 16-bit formats."""
        return self.bits == 16

    def spacing(self, a: F64) -> F64:
        """The distance between neighbouring values of the format around ``|a|`` (one ULP); at least one subnormal."""
        _, exponent = np.frexp(np.where(np.isfinite(a), a, 0.0))
        floor = self.emin - self.precision + 1
        exponent = np.where(a == 0, floor, np.maximum(exponent - self.precision, floor))
        return np.ldexp(1.0, exponent)

    def round(self, a: F64) -> F64:
        """Round to nearest, ties to even, exactly, with gradual underflow; beyond the range gives infinity."""
        a = np.asarray(a, dtype=np.float64)
        if self.name == "float64":
            return a
        quantum = self.spacing(a)
        with np.errstate(invalid="ignore", over="ignore"):
            rounded = np.where(np.isfinite(a), np.rint(a / quantum) * quantum, a)
        return np.where(np.abs(rounded) > self.max, np.copysign(np.inf, a), rounded)

    def holds(self, a: F64) -> bool:
        """Whether every entry is exactly a value of this format."""
        return bool(np.array_equal(self.round(a), a, equal_nan=True))


FLOAT64 = Format("float64", 53, -1022, 1023)
FLOAT32 = Format("float32", 24, -126, 127)
BFLOAT16 = Format("bfloat16", 8, -126, 127)
FLOAT16 = Format("float16", 11, -14, 15)
FORMATS: dict[str, Format] = {f.name: f for f in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}


def hex_list(a: F64) -> list[str]:
    """Flat hexadecimal texts of an array, exact to the bit (NaN payloads excepted)."""
    return [float(v).hex() for v in np.ravel(a)]


def from_hex(texts: list[str], shape: tuple[int, ...]) -> F64:
    """The inverse of :func:`hex_list`."""
    return np.array([float.fromhex(t) for t in texts], dtype=np.float64).reshape(shape)
