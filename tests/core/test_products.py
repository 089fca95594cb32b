"""Products of logits and a factor are exact, and the error of their rounding is bounded."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.operations import validate
from lossproof.core.products import product


def scaled(dtype: str, x: list[float], factor: float) -> Problem:
    return Problem("softmax", dtype, FORMATS[dtype].round(np.array([x])), scale=factor)


@pytest.mark.parametrize("dtype", FORMATS)
def test_high_and_low_sum_to_the_product_and_the_error_covers_its_rounding(dtype: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(1)
    sizes = 2.0 ** rng.integers(fmt.emin // 2, fmt.emax // 2, 200)
    for factor in (3.0, -1.25, float(fmt.round(np.array(0.1)))):
        p = scaled(dtype, list(rng.normal(size=200) * sizes), factor)
        made = product(p)
        assert made is not None
        exact = [Fraction(v) * Fraction(factor) for v in p.x[0]]
        assert [Fraction(a) + Fraction(b) for a, b in zip(made.high[0], made.low[0], strict=True)] == exact
        lost = [abs(Fraction(float(r)) - e) for r, e in zip(fmt.round(made.high)[0], exact, strict=True)]
        assert all(a <= Fraction(b) for a, b in zip(lost, made.error[0], strict=True))
        assert any(lost)
        assert made.low.any() == (dtype == "float64")


def test_a_product_of_few_bits_has_no_error_and_one_beyond_the_range_is_infinite() -> None:
    made = product(scaled("float32", [1.5, -2.25, 3e38, np.inf, -np.inf], 3.0))
    assert made is not None
    assert made.high.tolist() == [[4.5, -6.75, np.inf, np.inf, -np.inf]]
    assert not made.error.any()
    assert product(scaled("float32", [1.5], 1.0)) is None


def test_products_that_are_rounded_are_valid_and_factors_that_no_format_has_are_not() -> None:
    validate(scaled("float32", [0.1, 0.7], 3.0))
    for factor, words in ((0.1, "no number of float32"), (0.0, "is 0"), (np.inf, "is 0 or no number")):
        with pytest.raises(UsageError, match=words):
            validate(scaled("float32", [0.1], factor))
    with pytest.raises(UsageError, match="choose larger numbers"):
        validate(scaled("float64", [1e-300], 3.0))
