"""Floating-point formats: unit roundoff, ranges, exact rounding from float64, spacing, bit patterns.

Every value of the four IO formats is exactly a float64, so the engine keeps all data widened; ``Format`` knows
what the narrow format would have done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.adapters.protocol import DTYPES

F64 = NDArray[np.float64]
# Numbers that are rounded at once: temporaries of more are slow.
_IN_CACHE = 1 << 13
_EXPONENT = np.uint64(0x7FF0_0000_0000_0000)


@dataclass(frozen=True)
class Format:
    """A binary floating-point format, and what implementations that compute in it are assumed to do.

    ``name``               as in problems and records
    ``precision``          bits of the significand, the hidden one included
    ``emin``, ``emax``     exponents of the smallest normal and of the largest numbers, ``1.f * 2**e``
    ``bits``               storage width
    ``accumulator``        the format in which sums are kept at least, or None: the format itself
    ``default_profile``    error profile of a target that declares none: W, or N where every elementwise result may be
                           rounded to the format (``docs/bounds.md``, section 1)
    ``gradual_underflow``  whether results below the normal range must be rounded; elsewhere they may be flushed to 0
                           (specification, section 4, clause 9)
    ``package``            the Python package that adds the dtype to NumPy, or empty: NumPy has it
    """

    name: str
    precision: int
    emin: int
    emax: int
    bits: int
    accumulator: Format | None = None
    default_profile: str = "W"
    gradual_underflow: bool = False
    package: str = ""

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
    def underflow(self) -> float:
        """The most that one result loses below the normal range: half a spacing, or all where it may be flushed."""
        return self.min_subnormal / 2 if self.gradual_underflow else self.min_normal

    @property
    def sums(self) -> Format:
        """The format in which sums are kept at least."""
        return self.accumulator or self

    @property
    def is_narrow(self) -> bool:
        """True for formats whose sums are kept in a wider one: those of 16 bits."""
        return self.accumulator is not None

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
        if a.size > _IN_CACHE:
            flat, rounded = a.reshape(-1), np.empty(a.size)
            for start in range(0, a.size, _IN_CACHE):
                rounded[start : start + _IN_CACHE] = self.round(flat[start : start + _IN_CACHE])
            return rounded.reshape(a.shape)
        # The power of two below each number, times one at which the spacing of float64 is that of the format here: what
        # is added to it is rounded to the format. Powers that the format does not have are left out: nothing overflows.
        power = np.bitwise_and(a.view(np.uint64), _EXPONENT, out=np.empty(a.shape, np.uint64)).view(np.float64)
        np.maximum(power, self.min_normal, out=power)
        np.minimum(power, 2.0**self.emax, out=power)
        shift = np.multiply(power, 1.5 * 2.0 ** (FLOAT64.precision - self.precision), out=power)
        with np.errstate(invalid="ignore"):
            rounded = np.add(a, shift, out=np.empty(a.shape))
            np.subtract(rounded, shift, out=rounded)
            np.copysign(rounded, a, out=rounded)
            beyond = np.abs(rounded, out=shift) > self.max
        return np.where(beyond, np.copysign(np.inf, a), rounded) if beyond.any() else rounded

    def of_bits(self, patterns: NDArray[np.uint64]) -> F64:
        """Decode bit patterns into values: sign, exponent, significand without its hidden bit."""
        hidden = self.precision - 1
        fraction = (patterns & np.uint64(2**hidden - 1)).astype(np.float64)
        special = self.emax - self.emin + 2
        exponent = (patterns >> np.uint64(hidden) & np.uint64(special)).astype(np.int64)
        with np.errstate(over="ignore"):
            normal = np.ldexp(fraction + 2.0**hidden, exponent - 1 + self.emin - hidden)
        magnitude = np.where(exponent == 0, fraction * self.min_subnormal, normal)
        magnitude = np.where(exponent == special, np.where(fraction == 0, np.inf, np.nan), magnitude)
        return np.where(patterns >> np.uint64(self.bits - 1) & np.uint64(1), -magnitude, magnitude)

    def holds(self, a: F64) -> bool:
        """Tell whether every entry is exactly a value of this format."""
        return bool(np.array_equal(self.round(a), a, equal_nan=True))


FLOAT64 = Format("float64", 53, -1022, 1023, bits=64)
FLOAT32 = Format("float32", 24, -126, 127, bits=32)
BFLOAT16 = Format(
    "bfloat16",
    8,
    -126,
    127,
    bits=16,
    accumulator=FLOAT32,
    default_profile="N",
    package="ml_dtypes",
)
FLOAT16 = Format(
    "float16",
    11,
    -14,
    15,
    bits=16,
    accumulator=FLOAT32,
    default_profile="N",
    gradual_underflow=True,
)
FORMATS: dict[str, Format] = {f.name: f for f in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}
# sanity check: every dtype that a problem may have is a format
assert tuple(FORMATS) == DTYPES


def hex_list(a: F64) -> list[str]:
    """Write an array as flat hexadecimal texts, exact to the bit (NaN payloads excepted)."""
    return [float(v).hex() for v in np.ravel(a)]


def from_hex(texts: list[str], shape: tuple[int, ...]) -> F64:
    """Read the texts of :func:`hex_list` back into an array."""
    return np.array([float.fromhex(t) for t in texts], dtype=np.float64).reshape(shape)
