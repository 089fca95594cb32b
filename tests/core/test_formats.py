"""Formats: exact rounding against NumPy and ml_dtypes, spacing, ranges, hexadecimal texts."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.adapters import local
from lossproof.core.formats import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, FORMATS, Format, from_hex, hex_list

NATIVE = {"float64": np.float64, "float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def native_round(fmt: Format, a: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return a.astype(NATIVE[fmt.name]).astype(np.float64)


def every_value(fmt: Format) -> np.ndarray:
    """All 65 536 bit patterns of a 16-bit format."""
    with np.errstate(invalid="ignore"):
        return np.arange(2**16, dtype=np.uint16).view(NATIVE[fmt.name]).astype(np.float64)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_constants_are_those_of_the_format(fmt: Format) -> None:
    info = ml_dtypes.finfo(NATIVE[fmt.name])
    assert fmt.u == float(info.eps) / 2
    assert fmt.max == float(info.max)
    assert fmt.min_normal == float(info.smallest_normal)
    assert fmt.min_subnormal == float(info.smallest_subnormal)
    assert fmt.bits == info.bits
    assert fmt.is_narrow == (info.bits == 16)


@pytest.mark.parametrize("fmt", [BFLOAT16, FLOAT16], ids=["bfloat16", "float16"])
def test_narrow_formats_hold_their_values_and_round_midpoints_to_even(fmt: Format) -> None:
    values = every_value(fmt)
    assert np.array_equal(fmt.round(values), values, equal_nan=True)
    assert fmt.holds(values)
    finite = np.unique(values[np.isfinite(values)])
    low, high = finite[:-1], finite[1:]
    middle = (low + high) / 2
    # Exhaustive: every midpoint, and the nearest float64 to either side of it.
    for a, want in (
        (np.nextafter(middle, -np.inf), low),
        (np.nextafter(middle, np.inf), high),
        (middle, native_round(fmt, middle.astype(np.float32).astype(np.float64))),
    ):
        np.testing.assert_array_equal(fmt.round(a), want)
    assert not fmt.holds(middle[:5])


def test_float32_rounding_is_numpys() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64)
    exponents = rng.integers(-160, 130, 200_000)
    near = np.ldexp(rng.uniform(-2, 2, 200_000), exponents)
    halves = np.ldexp(rng.integers(-(2**25), 2**25, 200_000).astype(np.float64) / 2, exponents - 24)
    for a in (bits, near, halves):
        np.testing.assert_array_equal(FLOAT32.round(a), native_round(FLOAT32, a))


@pytest.mark.parametrize("fmt", [FLOAT32, BFLOAT16, FLOAT16], ids=["float32", "bfloat16", "float16"])
def test_large_arrays_are_rounded_as_small_ones_are(fmt: Format) -> None:
    a = np.random.default_rng(1).standard_normal((37, 1001)) * 1e4
    rows = np.stack([fmt.round(row) for row in a])
    assert not np.array_equal(rows, a)
    np.testing.assert_array_equal(fmt.round(a), rows)
    np.testing.assert_array_equal(fmt.round(a.T), rows.T)
    np.testing.assert_array_equal(fmt.round(a[:, ::2]), rows[:, ::2])
    np.testing.assert_array_equal(fmt.round(a[0, 0]), rows[0, 0])


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(width=64), st.sampled_from([FLOAT32, FLOAT16]))
def test_rounding_of_any_double(a: float, fmt: Format) -> None:
    np.testing.assert_array_equal(fmt.round(np.array([a])), native_round(fmt, np.array([a])))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(width=32))
def test_bfloat16_rounding_of_any_float32(a: float) -> None:
    # ml_dtypes rounds from float32; from float64 it would round twice.
    got = BFLOAT16.round(np.array([a]))
    np.testing.assert_array_equal(got, np.array([a], dtype=np.float32).astype(ml_dtypes.bfloat16).astype(np.float64))


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_overflow_threshold_and_signs(fmt: Format) -> None:
    if fmt is FLOAT64:
        return
    threshold = (2 - fmt.u) * 2.0**fmt.emax
    a = np.array([threshold, np.nextafter(threshold, 0), -threshold, np.inf, -np.inf, np.nan, -0.0])
    got = fmt.round(a)
    np.testing.assert_array_equal(got, [np.inf, fmt.max, -np.inf, np.inf, -np.inf, np.nan, -0.0])
    assert np.signbit(got[-1])


def test_float64_rounds_to_itself() -> None:
    a = np.array([0.1, -np.inf, 5e-324, np.nan])
    assert FLOAT64.round(a) is a
    assert FLOAT64.holds(a)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_spacing(fmt: Format) -> None:
    a = np.array([1.0, np.nextafter(1.0, 0), 1.5, 2.0, -3.0, 0.0, fmt.min_normal, fmt.min_subnormal, fmt.max, 1e-320])
    one = 2 * fmt.u
    tiny = fmt.min_subnormal
    want = [one, one / 2, one, 2 * one, 2 * one, tiny, tiny, tiny, 2.0**fmt.emax * one, tiny]
    np.testing.assert_array_equal(fmt.spacing(a), want)
    special = fmt.spacing(np.array([np.inf, -np.inf, np.nan]))
    assert np.all(np.isfinite(special) & (special > 0))
    if fmt.is_narrow:
        finite = np.unique(every_value(fmt))
        finite = finite[(finite >= 0) & np.isfinite(finite)]
        np.testing.assert_array_equal(fmt.spacing(finite[:-1]), np.diff(finite))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.floats(width=64), max_size=6))
def test_hexadecimal_texts_are_exact(values: list[float]) -> None:
    a = np.array(values, dtype=np.float64)
    back = from_hex(hex_list(a), a.shape)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, a)
    numbers = ~np.isnan(a)
    assert back[numbers].tobytes() == a[numbers].tobytes()


def test_hexadecimal_shape_and_rubbish() -> None:
    assert from_hex(["0x1p+0"] * 6, (2, 3)).shape == (2, 3)
    assert from_hex([], (0, 3)).shape == (0, 3)
    with pytest.raises(ValueError, match="invalid hexadecimal"):
        from_hex(["zebra"], (1,))
    with pytest.raises(ValueError, match="reshape"):
        from_hex(["0x1p+0"], (2,))
    assert hex_list(np.array([math.pi])) == ["0x1.921fb54442d18p+1"]


def test_adapters_know_the_rounding_of_the_formats() -> None:
    for name, (roundoff, lost) in local._ROUNDING.items():
        fmt = FORMATS[name]
        assert roundoff == fmt.u
        assert lost == (fmt.min_subnormal if fmt.gradual_underflow else 3 * fmt.min_normal)
    assert local._ROUNDING.keys() == FORMATS.keys()
