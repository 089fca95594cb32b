"""The error model: the constants, roundoffs and underflow terms from which every bound is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.core.formats import Format

# docs/bounds.md, section 1: the contracts of the elementary functions, with their sources.
EXP_ULP = 3.0
LOG_ULP = 4.0
DIV_ULP = 3.0
# docs/variants.md.
TANH_ULP = 6.0


@dataclass(frozen=True)
class Contract:
    """A contract is what the elementary functions of a profile promise (docs/bounds.md, section 1).

    ``exp``       error of an exponential, in ULP
    ``argument``  its error for each unit of its argument, in roundoffs: 0, the roundings of a product with log2(e), or
                  what a shading language allows besides
    ``log``       error of a logarithm, in ULP
    ``near_one``  absolute error of the logarithm of a number from 0.5 to 2, where that is larger
    ``division``  error of a quotient, in roundoffs
    ``rounding``  the error of a rounding over that of one to nearest: 2 where the direction is left open
    """

    exp: float = EXP_ULP
    argument: float = 0.0
    log: float = LOG_ULP
    near_one: float = 0.0
    division: float = DIV_ULP
    rounding: float = 1.0


_STANDARD = Contract()
# Section 1, profile S, in roundoffs of a rounding in any direction, 2u: exp2 within 3 + 2 |x| ULP of the product with
# log2(e), and that product; log2 within 3 ULP, and its product with log(2); a reciprocal within 2.5 ULP, and a product.
# The last digits are second-order terms, of float32 (section 3).
_SHADERS = Contract(argument=4.386, log=4.5 + 2.0**-20, near_one=2.0**-21, division=3.5 + 2.0**-20, rounding=2.0)
_CONTRACTS = {"F": Contract(argument=2.0), "S": _SHADERS}


@dataclass(frozen=True)
class Model:
    """A model holds all that is assumed of an implementation (docs/bounds.md, section 1), and so every constant.

    ``fmt``      the IO format
    ``profile``  W: wide internals, one rounding to the IO format at each public tensor. N: every elementwise result
                 rounded to a 16-bit IO format, sums accumulated in at least float32. F: W with an exponential computed
                 as a power of two. S: W within the contracts of shading languages, for formats of at most 32 bits.
    ``online``   whether partial sums are rescaled by ``exp(m_old - m_new)`` when the running maximum grows (section 3)
    ``random``   whether terms are in random order: the statistical summation constant of section 9, for the quality
                 grade only
    ``copies``   how often each row occurs in what is reduced (section 5)
    """

    fmt: Format
    profile: str
    online: bool = False
    random: bool = False
    copies: int = 1

    def roundings_of_sum(self, n: int) -> float:
        """The roundings h(n) that one term meets in a sum of n terms (sections 1 and 9)."""
        return random_sum(n) if self.random else hard_sum(n)

    @property
    def sixteen(self) -> bool:
        """True if the IO format is one of 16 bits, narrower than its accumulators."""
        return self.fmt.is_narrow

    @property
    def narrow(self) -> bool:
        """True if elementwise results are rounded to the 16-bit IO format."""
        return self.profile == "N" and self.sixteen

    @property
    def contract(self) -> Contract:
        """The contract of the elementary functions."""
        return _CONTRACTS.get(self.profile, _STANDARD)

    @property
    def u_o(self) -> float:
        """Roundoff of the IO format."""
        return self.contract.rounding * self.fmt.u

    @property
    def u_s(self) -> float:
        """Roundoff of accumulators."""
        return self.contract.rounding * self.fmt.sums.u

    @property
    def u_i(self) -> float:
        """Roundoff of elementwise intermediates."""
        return self.u_o if self.narrow else self.u_s

    @property
    def c_d(self) -> float:
        """Roundings of the exponent's argument: the shift, and for profile F the product with a rounded log2(e); for
        S that and what the exponential adds."""
        return 1.0 + self.contract.argument

    @property
    def lam(self) -> float:
        """The relative error of a logarithm (section 4)."""
        return 2 * self.contract.log * self.fmt.sums.u + (self.u_o if self.narrow else 0.0)

    @property
    def division(self) -> float:
        """The largest ``|log|`` of a computed quotient over the exact one: D t(u_i)."""
        return self.contract.division * t(self.u_i)

    @property
    def tau(self) -> float:
        """Underflow of a public tensor and what precedes it: three results that may be flushed (numerator, quotient,
        output); where underflow is gradual, the output's, in N the numerator's and the quotient's at two each."""
        if self.fmt.gradual_underflow:
            return (4.0 if self.narrow else 1.0) * self.fmt.underflow
        return 3.0 * self.fmt.underflow

    @property
    def tau_i(self) -> float:
        """Underflow of one elementwise intermediate, in its own format: outside profile N that of accumulators."""
        return self.fmt.underflow if self.narrow else self.fmt.sums.underflow


def t(u: float) -> float:
    """The relative error u / (1 - u) of a rounding in a product chain (section 2)."""
    return u / (1.0 - u)


def log_loss(u: float) -> float:
    """The largest ``|log|`` of a factor 1 + delta with ``|delta|`` <= u: L(u) = -log(1 - u) of section 2."""
    return float(-np.log1p(-u))


def hard_sum(n: int) -> float:
    """The most roundings that one term meets in a sum of n terms, in whatever order (section 1)."""
    return float(max(n - 1, 0))


def random_sum(n: int) -> float:
    """The roundings whose worth a sum of n terms in random order loses at most, but with probability below
    2 exp(-40.5) (section 9)."""
    return float(min(max(n - 1, 0), 9.0 * np.sqrt(max(n - 1, 0))))
