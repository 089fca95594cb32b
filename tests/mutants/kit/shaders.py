"""Softmax as a shader computes it that uses profile S to the full: every elementary function and every rounding errs by
all that it may (docs/bounds.md, section 1), to one side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .softmax_steps import Array, Softmax

F64 = np.dtype(np.float64)
_TINY = float(np.finfo(np.float32).tiny)
_LOG2E = float(np.nextafter(np.float32(math.log2(math.e)), np.float32(2)))
_LN2 = float(np.float32(math.log(2)))
# A little less than all: the formulas leave out what is beyond the second order, which is of that size.
_FULL = 1 - 2.0**-10


@dataclass(frozen=True)
class Shader:
    """A shader in base 2, in float32. ``side`` is 1 or -1; the error of a function is ``_FULL`` of its contract, or so
    many times that. Numbers of float32 are kept in float64, so that every rounding is done here."""

    side: int = 1
    exp: float = _FULL
    log: float = _FULL
    quotient: float = _FULL
    sums: float = _FULL

    @property
    def softmax(self) -> Softmax:
        """Its steps."""
        return Softmax(
            inner=F64,
            gap=self._rounded,
            exp=self._exp,
            total=self._total,
            divide=self._divide,
            log=self._log,
        )

    def p(self, x: Array) -> Array:
        """Softmax of rows; of one class it is 1 (specification, section 4, clause 8)."""
        p = self.softmax.p(x)
        return np.where(np.isfinite(p), x.dtype.type(1), p) if x.shape[-1] == 1 else p

    def y(self, x: Array) -> Array:
        """Log-softmax of rows; of one class it is 0."""
        y = self.softmax.y(x)
        return np.where(np.isfinite(y), x.dtype.type(0), y) if x.shape[-1] == 1 else y

    def _rounded(self, a: Array) -> Array:
        """Round to float32 in the direction of the side."""
        r = a.astype(np.float32)
        short = ((r < a) if self.side > 0 else (r > a)) & np.isfinite(r)
        return np.where(short, np.nextafter(r, np.float32(self.side * np.inf)), r).astype(F64)

    def _off(self, exact: Array, ulp: Array | float) -> Array:
        """A result that is off by so many ULP, of which half a one is left to its rounding."""
        spacing = np.spacing(np.abs(exact).astype(np.float32)).astype(F64)
        return (exact + self.side * np.maximum(ulp - 0.5, 0) * spacing).astype(np.float32).astype(F64)

    def _exp(self, d: Array) -> Array:
        a = self._rounded(d * _LOG2E)
        exact = np.exp2(a)
        return np.where(exact < _TINY, exact.astype(np.float32), self._off(exact, self.exp * (3 + 2 * np.abs(a))))

    def _total(self, e: Array) -> Array:
        exact = np.sum(e, axis=-1, keepdims=True)
        return self._rounded(exact * (1 + self.side * self.sums * (e.shape[-1] - 1) * 2.0**-23))

    def _log(self, s: Array) -> Array:
        exact = np.log2(s)
        near = exact + self.side * self.log * (2.0**-21 * (1 - 2.0**-4))
        binary = np.where((s >= 0.5) & (s <= 2), near.astype(np.float32), self._off(exact, self.log * 3))
        return self._rounded(binary * _LN2)

    def _divide(self, e: Array, s: Array) -> Array:
        return self._rounded(e * self._off(1 / s, self.quotient * 2.5))
