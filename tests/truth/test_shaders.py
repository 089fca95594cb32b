"""Profile S: shaders that use their contracts to the full are within the bounds, and those one class beyond are not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.batch import stack
from lossproof.core.errors import UsageError
from lossproof.core.formats import F64, FORMATS
from lossproof.core.profiles import STRICTNESS, Declared, known_profile
from lossproof.judging.fused.regular_calls import judge_regular
from lossproof.truth.bounds import error_model
from lossproof.truth.bounds.error_model import Model
from tests.support.thinned import WHOLE, nightly

from .test_bounds import LOSS_OPTIONS, REDUCTIONS, Machine, adversarial, bound, share

FMT = FORMATS["float32"]


@dataclass
class Shader(Machine):
    """A shader in float32 whose every rounding and every elementary function errs by all that it may, to one side.

    ``side`` is 1 or -1, ``base2`` whether exponentials and logarithms are those of base 2. The error of the function
    ``beyond`` (``exp``, ``log``, ``quotient``, ``sums``) is ``times`` that of the contract.
    """

    side: int = 1
    base2: bool = False
    beyond: str = ""
    times: float = 16.0

    def _share(self, function: str) -> float:
        # A little less than all: what the formulas leave out beyond the second order is of that size.
        return self.times if self.beyond == function else 1 - 2.0**-10

    def el(self, a: Any) -> Any:
        """Round in the direction of the side; flush what is subnormal, if told so."""
        a = np.asarray(a, dtype=np.float64)
        r = FMT.round(a)
        short = (r < a) if self.side > 0 else (r > a)
        r = np.where(short & np.isfinite(r), np.nextafter(r.astype(np.float32), np.float32(self.side * np.inf)), r)
        r = np.asarray(r, dtype=np.float64)
        return np.where(np.abs(r) < FMT.min_normal, 0.0, r) if self.flush else r

    def io(self, a: np.ndarray) -> np.ndarray:
        return np.asarray(self.el(a))

    def total(self, a: np.ndarray) -> np.ndarray:
        a = self.el(a)
        s = a[..., :1]
        for j in range(1, a.shape[-1]):
            s = self.el(s + a[..., j : j + 1])
        if self.beyond == "sums":
            s = s * (1 + self.times * a.shape[-1] * 2.0**-23)
        return np.asarray(s)

    def _off(self, exact: np.ndarray, ulp: Any) -> np.ndarray:
        """A result that is off by so many ULP, without a rounding of its own."""
        return np.asarray(FMT.round(exact + self.side * ulp * FMT.spacing(exact)))

    def exp(self, a: np.ndarray) -> np.ndarray:
        a, n = self.el(a), self._share("exp")
        if self.base2:
            constant = float(np.nextafter(np.float32(math.log2(math.e)), np.float32(2)))
            a = self.el(a * constant)
        exact = np.exp2(a) if self.base2 else np.exp(a)
        # Half an ULP is left to the rounding of what is computed here.
        off = self._off(exact, np.maximum(n * (3 + 2 * np.abs(a)) - 0.5, 0))
        return np.where(exact < FMT.min_normal, 0.0 if self.flush else exact, off)

    def _log(self, a: np.ndarray) -> np.ndarray:
        n = self._share("log")
        exact = np.log2(a) if self.base2 else np.log(a)
        inside = (a >= 0.5) & (a <= 2)
        near = FMT.round(exact + self.side * n * 2.0**-21 * (1 - 2.0**-4))
        y = np.where(inside, near, self._off(exact, n * 3 - 0.5))
        return np.asarray(self.el(y * float(np.float32(math.log(2)))) if self.base2 else y)

    def divide(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b, n = self.el(a), self.el(b), self._share("quotient")
        if self.reciprocal:
            return np.asarray(self.el(a * self._off(1 / b, n * 2.5 - 0.5)))
        return self._off(a / b, n * 2.5 - 0.5)

    def softmax(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self.el(x)
        d = self.el(x - x.max(axis=-1, keepdims=True))
        e = self.exp(d)
        s = self.total(e)
        return self.divide(e, s), self.el(d - self._log(s))


STYLES: list[dict[str, Any]] = [
    {},
    {"side": -1, "saved": True},
    {"base2": True, "reciprocal": True},
    {"side": -1, "base2": True, "flush": True},
    {"reciprocal": True, "saved": True, "flush": True},
]


# One in so many of all calls.
STEP = 8 if WHOLE else 19


def calls(step: int) -> list[Problem]:
    found = [("softmax", "", "mean"), ("log_softmax", "", "mean")]
    found += [("cross_entropy", options, reduction) for options in LOSS_OPTIONS for reduction in REDUCTIONS]
    return [
        adversarial("float32", seed, op, options, reduction)
        for op, options, reduction in found
        for seed in range(sum(map(ord, op + options + reduction)) % step, 40, step)
        if seed % 5 != 3  # rows of 400 classes are left to test_bounds
    ]


def worst(shader: Shader, profile: str, several: list[Problem]) -> float:
    shares = [0.0]
    for p in several:
        shares += [share(p, profile, output, got) for output, got in shader(p).items() if np.isfinite(got).all()]
    return max(shares)


@pytest.mark.parametrize("style", STYLES)
def test_shaders_that_use_their_contracts_to_the_full_are_within(style: dict[str, Any]) -> None:
    found = worst(Shader(FMT, "S", **style), "S", calls(STEP))
    assert 0.3 < found <= 1


def test_profile_w_is_too_narrow_for_them() -> None:
    assert worst(Shader(FMT, "S", base2=True, reciprocal=True), "W", calls(2 * STEP)) > 1.5


@pytest.mark.parametrize("beyond", ["exp", "log", "quotient", "sums"])
@pytest.mark.parametrize("base2", [False, pytest.param(True, marks=nightly)])
def test_a_shader_beyond_one_contract_is_outside(beyond: str, base2: bool) -> None:
    assert worst(Shader(FMT, "S", beyond=beyond, base2=base2), "S", calls(STEP)) > 1


def test_logarithms_near_one_have_an_absolute_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside a class that is far ahead the sum is 1, of which a logarithm may be off by 2^-21; that of 3 may not.
    several = [Problem("log_softmax", "float32", np.array([x])) for x in ([0.0, -30.0], [0.0, 0.0, 0.0])]
    before = [bound(p, "S").outputs["value"][0] for p in several]
    monkeypatch.setitem(error_model._CONTRACTS, "S", replace(Model(FMT, "S").contract, near_one=0.0))
    near, far = (b - bound(p, "S").outputs["value"][0] for b, p in zip(before, several, strict=True))
    assert np.all(np.abs(near / 2.0**-21 - 1) < 1e-4)
    assert np.all(far == 0)


def test_the_profiles_contain_each_other() -> None:
    assert STRICTNESS == ("W", "F", "S", "N", "")
    for p in calls(20 if WHOLE else 36):
        wide, fast, shader = (bound(p, profile).outputs for profile in "WFS")
        for name in wide:
            assert np.all(wide[name] <= fast[name]), name
            assert np.all(fast[name] <= shader[name]), name
            assert np.any(fast[name] < shader[name]), name


def test_the_compiled_pass_leaves_profile_s_to_the_arrays() -> None:
    p = Problem("softmax", "float32", np.zeros((2, 3)))
    answers: dict[str, F64] = {"value": np.full((1, 1, 2, 3), 1 / 3)}
    assert judge_regular(stack([p]), answers, [Declared("W")], random=False) is not None
    assert judge_regular(stack([p]), answers, [Declared("S")], random=False) is None


def test_profile_s_is_for_narrow_formats() -> None:
    known_profile("S", "float32")
    known_profile("S", "float16")
    with pytest.raises(UsageError, match="at most 32 bits"):
        known_profile("S", "float64")
    with pytest.raises(UsageError, match="unknown error profile"):
        known_profile("X", "float32")
    assert Model(FMT, "S").u_o == 2 * Model(FMT, "W").u_o
