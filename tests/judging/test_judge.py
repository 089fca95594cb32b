"""The judge on hand-made enclosures: inside, undecided, overflow, special values, conventions, the worst entry."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.adapters.protocol import Problem
from lossproof.core.call import Call
from lossproof.core.formats import FLOAT16, FLOAT32, FLOAT64, FORMATS
from lossproof.core.observation import FAILING, VERDICTS, Observation, bits_digest
from lossproof.judging.judge import Judged, accepted, conventions, judge_stack
from lossproof.judging.messages import message
from lossproof.truth.expected import ANY, NAN, NINF, OVERFLOW, PINF, ZERO, Expected
from lossproof.truth.oracle.enclosure import Enclosure

N, INF = math.nan, math.inf
CODES = {NAN: [N], PINF: [INF], NINF: [-INF], ZERO: [0.0, -0.0]}


def expect(mid: Any, rad: Any = 0.0, low: Any = 0.0, accept: Any = 0, clause: Any = 0, strict: Any = False) -> Expected:
    """An expectation for one problem, from one number or a list for each field."""
    m = np.asarray(mid, dtype=np.float64)[None]

    def like(a: Any, dtype: Any) -> Any:
        return np.broadcast_to(np.asarray(a, dtype=dtype), m.shape).copy()

    exact = Enclosure(m, like(low, np.float64), like(rad, np.float64))
    return Expected(exact, like(accept, np.uint8), like(clause, np.uint8), like(strict, bool))


def look(e: Expected, allowed: Any, got: Any, dtype: str = "float64") -> Judged:
    a = np.broadcast_to(np.asarray(allowed, dtype=np.float64), e.exact.mid.shape)
    return judge_stack(e, a, np.asarray(got, dtype=np.float64)[None], FORMATS[dtype])


def test_inside_and_outside() -> None:
    e = expect([1.0, -2.0])
    assert look(e, 0.25, [1.25, -2.25]).ok[0]
    assert not look(e, 0.25, [1.2500001, -2.0]).ok[0]
    assert not look(e, 0.25, [1.0, -1.7]).ok[0]
    assert look(e, 0.0, [1.0, -2.0]).ok[0]
    for wrong in (N, INF, -INF):
        assert not look(e, 0.25, [wrong, -2.0]).ok[0]
        assert not look(e, 0.25, [wrong, -2.0]).undecided[0]


def test_the_low_part_counts() -> None:
    e = expect([1.0], low=[1e-20])
    assert look(e, 1e-20, [1.0]).ok[0]
    assert not look(e, 0.9e-20, [1.0]).ok[0]


def test_undecided_within_the_radius_of_the_bound() -> None:
    e = expect([1.0], rad=[0.01])
    inside, edge, outside = (look(e, 0.1, [v]) for v in (1.085, 1.1, 1.115))
    assert (inside.ok[0], inside.undecided[0]) == (True, False)
    assert (edge.ok[0], edge.undecided[0]) == (False, True)
    assert (outside.ok[0], outside.undecided[0]) == (False, False)


def test_an_accepted_entry_is_never_undecided() -> None:
    e = expect([0.1], rad=[0.01], accept=[ZERO])
    judged = look(e, 0.1, [0.0])
    assert judged.ok[0]
    assert not judged.undecided[0]
    assert judged.share[0] == 0


def test_strict_entries_allow_nothing() -> None:
    assert look(expect([0.0], strict=[True]), 1.0, [0.0]).ok[0]
    assert look(expect([0.0], strict=[True]), 1.0, [-0.0]).ok[0]
    judged = look(expect([0.0], strict=[True]), 1.0, [5e-324])
    assert not judged.ok[0]
    assert judged.share[0] == INF


def test_required_special_values() -> None:
    for want, others in ((N, (INF, -INF, 0.0)), (INF, (N, -INF, 1e308)), (-INF, (N, INF, -1e308))):
        assert look(expect([want]), 1e300, [want]).ok[0]
        for other in others:
            judged = look(expect([want]), 1e300, [other])
            assert not judged.ok[0]
            assert judged.share[0] == judged.ulp[0] == INF


def test_overflow_needs_the_threshold_and_the_sign() -> None:
    for fmt in (FLOAT64, FLOAT32, FLOAT16):
        top = fmt.max
        at = expect([top])
        assert look(at, top * fmt.u * 1.01, [INF], fmt.name).ok[0]
        assert not look(at, top * fmt.u * 0.9, [INF], fmt.name).ok[0]
        assert not look(at, top * fmt.u * 1.01, [-INF], fmt.name).ok[0]
        assert not look(expect([-top / 2]), top * fmt.u, [-INF], fmt.name).ok[0]
        assert look(expect([-top]), top * fmt.u * 1.01, [-INF], fmt.name).ok[0]
    assert not look(expect([1e39]), 1e30, [FLOAT32.max], "float32").ok[0]


@pytest.mark.parametrize("code", range(1, 32))
def test_accepted_codes(code: int) -> None:
    accept = np.full(5, code, dtype=np.uint8)
    got = np.array([N, INF, -INF, 0.0, 0.5])
    want = [bool(code & (bit | ANY)) for bit in (NAN, PINF, NINF, ZERO)] + [bool(code & ANY)]
    assert accepted(accept, got).tolist() == want
    assert OVERFLOW == NAN | PINF | NINF


def test_share_and_ulp() -> None:
    judged = look(expect([1.0, 2.0]), [0.5, 0.5], [1.1, 2.4], "float32")
    assert judged.share[0] == pytest.approx(0.8)
    assert judged.worst[0] == 1
    assert judged.ulp[0] == pytest.approx(0.4 / 2.0**-22)
    # An accepted outcome has no share; a failing entry is shown even if another has the larger error.
    judged = look(expect([1.0, N, 4.0], accept=[0, 0, NAN]), 0.5, [1.4, 3.0, N])
    assert judged.worst[0] == 1
    assert judged.share[0] == INF
    assert judged.entries.tolist() == [[True, False, True]]


def test_zero_allowance() -> None:
    assert look(expect([1.0]), 0.0, [1.0]).share[0] == 0
    assert look(expect([1.0]), 0.0, [np.nextafter(1.0, 2)]).share[0] == INF


def test_stacks_are_reduced_problem_by_problem() -> None:
    mid = np.zeros((3, 2, 2))
    e = Expected(Enclosure(mid, mid * 0, mid * 0), mid.astype(np.uint8), mid.astype(np.uint8), mid > 1)
    got = mid.copy()
    got[1, 1, 0] = 5.0
    got[2, 0, 1] = 0.5
    judged = judge_stack(e, np.ones_like(mid), got, FLOAT64)
    assert judged.ok.tolist() == [True, False, True]
    assert judged.worst.tolist() == [0, 2, 1]
    assert judged.share.tolist() == [0.0, 5.0, 0.5]


def test_empty_outputs_pass() -> None:
    mid = np.zeros((2, 0))
    e = Expected(Enclosure(mid, mid, mid), mid.astype(np.uint8), mid.astype(np.uint8), mid > 0)
    judged = judge_stack(e, mid, mid, FLOAT32)
    assert judged.ok.tolist() == [True, True]
    assert judged.share.tolist() == judged.ulp.tolist() == [0.0, 0.0]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 1e300),
    st.floats(0, 1e300),
)
def test_one_entry_is_ok_undecided_or_neither_and_nothing_is_nan(
    mid: float, got: float, rad: float, allowed: float
) -> None:
    judged = look(expect([mid], rad=[rad]), allowed, [got])
    assert not (judged.ok[0] and judged.undecided[0])
    assert not np.isnan(judged.share[0])
    assert not np.isnan(judged.ulp[0])
    assert judged.ok[0] or not judged.share[0] < 1 or judged.undecided[0]


def test_conventions_name_what_is_shown() -> None:
    e = expect([1.0, -INF, 0.0, N], accept=[NAN] * 4, clause=[4, 4, 6, 10])
    got = np.array([1.0, N, 0.0, 0.0])
    assert conventions(e, got, 0, np.zeros((1, 1))) == {"4": "limit|nan", "6": "limit", "10": "zero"}
    assert conventions(e, np.array([INF, -INF, N, -INF]), 0, np.zeros((1, 1))) == {
        "4": "inf|limit",
        "6": "nan",
        "10": "-inf",
    }
    assert conventions(expect([1.0]), np.array([1.0]), 0, np.zeros((1, 1))) == {}


def test_digest_of_bits() -> None:
    a = np.array([0.0, 1.0])
    assert bits_digest(a) == bits_digest(np.array([0.0, 1.0]))
    assert bits_digest(a) != bits_digest(np.array([-0.0, 1.0]))
    assert len(bits_digest(a)) == 16
    payloads = np.array([0x7FF8000000000000, 0xFFFFFC0000000000], dtype=np.uint64).view(np.float64)
    assert bits_digest(payloads[:1]) == bits_digest(payloads[1:]), "NaN is one value"
    assert bits_digest(np.array([np.inf])) != bits_digest(payloads[:1])


@pytest.mark.parametrize("size", [0, 1, (1 << 15) - 1, 1 << 15, (1 << 16) + 3])
def test_the_digest_is_that_of_the_whole_output(size: int) -> None:
    """Whatever is hashed at once, with NaN in the last block or without, and in the order of the output's axes."""
    for values in (np.arange(size, dtype=np.float64), np.where(np.arange(size) == size - 1, np.nan, 0.5)):
        assert bits_digest(values) == hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()[:16]
    square = np.arange(size // 4 * 4, dtype=np.float64).reshape(4, -1)
    assert bits_digest(square.T) == bits_digest(np.ascontiguousarray(square.T))


def test_failing_verdicts_are_verdicts() -> None:
    assert set(VERDICTS) >= FAILING
    assert not FAILING & {"pass", "convention", "suspect", "unsupported", "waived"}


def test_ends_round_outward() -> None:
    e = Enclosure(np.array([1.0, 2.0, N]), np.array([0.0, 1e-20, 0.0]), np.array([0.0, 1e-20, 0.0]))
    assert e.ends((0,)) == (1.0, 1.0)
    lo, hi = e.ends((1,))
    assert lo < 2.0 < hi
    assert math.isnan(e.ends((2,))[0])


@pytest.mark.parametrize(
    ("exact", "said"), [(np.nan, "exact nan, not"), (-np.inf, "exact -inf, not"), (0.5, "exact 0.5, allowed 0.25")]
)
def test_nothing_is_allowed_beside_what_is_no_number(exact: float, said: str) -> None:
    call = Call(Problem("softmax", "float32", np.zeros((1, 2))), "ordinary")
    o = Observation.of(call, "value", "numpy", profile="W")
    found = message(call, replace(o, got=1.0, exact=(exact, exact), allowed=0.25, share=np.inf, index=(0, 1)))
    assert f"value got 1 at [0, 1], {said}" in found
