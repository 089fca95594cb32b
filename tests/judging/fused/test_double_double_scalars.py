"""The compiled double-double numbers are those of the arrays, bit for bit but for the logarithm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import reload

import numpy as np
import pytest

from lossproof.judging.fused import compiler, double_double_rows
from lossproof.judging.fused import double_double_scalars as scalars
from lossproof.truth.oracle import double_double as arrays
from lossproof.truth.oracle.double_double import DD

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> Iterator[None]:
    """Compile them here: where the machine code of the loops is kept nothing that they call is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "kept", dict)
        for module in (scalars, double_double_rows):
            reload(module)
        # sanity check
        assert hasattr(scalars.add, "py_func")
        yield
    for module in (scalars, double_double_rows):
        reload(module)


def numbers(seed: int) -> DD:
    random = np.random.default_rng(seed)
    high = random.normal(size=700) * 2.0 ** random.integers(-60, 9, size=700)
    return DD(high, high * 2.0**-54 * random.uniform(-1, 1, size=700))


def each(f: Callable[..., tuple[float, float]], *operands: DD) -> list[tuple[float, float]]:
    parts = [part.tolist() for a in operands for part in (a.hi, a.lo)]
    return [f(*entry) for entry in zip(*parts, strict=True)]


def pairs(a: DD) -> list[tuple[float, float]]:
    return list(zip(a.hi.tolist(), a.lo.tolist(), strict=True))


@pytest.mark.parametrize(
    ("scalar", "array"),
    [
        ("add", lambda a, b: a + b),
        ("multiply", lambda a, b: a * b),
        ("divide_scalars", lambda a, b: a / b),
    ],
)
def test_arithmetic(scalar: str, array: Callable[[DD, DD], DD]) -> None:
    a, b = numbers(1), numbers(2)
    assert each(getattr(scalars, scalar), a, b) == pairs(array(a, b))


def test_exponentials_and_logarithms() -> None:
    a = numbers(3)
    below = DD(-np.abs(a.hi), np.where(a.hi < 0, a.lo, -a.lo))
    # Results below the smallest float64 number, too.
    below.hi[:4] = [-1100.5, -746.0, -744.4, -709.0]
    assert each(scalars.exp_scalar, below) == pairs(arrays.exp(below))
    # The float64 logarithm that both begin with is another one.
    for (high, low), (other, other_low) in zip(
        each(scalars.log1p_scalar, -below), pairs(arrays.log1p(-below)), strict=True
    ):
        assert abs((high - other) + (low - other_low)) <= 2.0**-100 * high


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_a_row_of_exponentials(size: int) -> None:
    a = numbers(4)
    high, low = -np.abs(a.hi[:size]), a.lo[:size]
    out, out_low = np.empty(size), np.empty(size)
    double_double_rows.exp_row(high, low, out, out_low, np.empty((3, 256)))
    expected = arrays.exp(DD(high, low))
    assert np.array_equal(out, expected.hi)
    assert np.array_equal(out_low, expected.lo)
