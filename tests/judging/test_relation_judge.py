"""The judge of relations, number by number: what sides are allowed, where they are sure, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.core.observation import Observation, bits_digest
from lossproof.judging.check import Hearing
from lossproof.judging.relation_judge import (
    Answer,
    Comparison,
    U,
    against,
    concatenated,
    decide,
    equal_answers,
    graded,
)

ROWS = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, -32.0]])
ANSWER = Answer(
    got=ROWS,
    allowed=np.full((2, 3), 0.5),
    sure=np.array([[True, True, True], [True, False, True]]),
    centre=ROWS + 1.0,
    radius=np.full((2, 3), 0.25),
    counted=np.array([1.0, 3.0]),
)
BASE = Observation("softmax/float32/relation/n2-k3/00000000", "value", "numpy", "fail", profile="W")
PROBLEM = Problem("softmax", "float32", ROWS)
HEARING = cast(
    Hearing, SimpleNamespace(check=SimpleNamespace(problem=PROBLEM, name="shift", provenance="equal in theory"))
)


def decided(left: Any, right: Any, allowed: Any, sure: Any = True, **grades: str) -> Observation:
    sides = [np.array(np.broadcast_to(np.asarray(a, dtype=np.float64), ROWS.shape)) for a in (left, right, allowed)]
    comparison = Comparison(sides[0], sides[1], sides[2], np.broadcast_to(np.asarray(sure), ROWS.shape), grades)
    with np.errstate(all="ignore"):
        return decide(BASE, HEARING, comparison, sides[0])


def test_a_factor_scales_all_and_its_product_is_rounded() -> None:
    scaled = ANSWER.scaled(-4.0)
    assert np.array_equal(scaled.got, ROWS * -4.0)
    assert np.array_equal(scaled.centre, ANSWER.centre * -4.0)
    assert np.array_equal(scaled.radius, np.ones((2, 3)))
    assert np.array_equal(scaled.allowed - 2.0, np.abs(ROWS * 4.0) * U)
    assert scaled.sure is ANSWER.sure


def test_some_entries_have_what_is_theirs() -> None:
    some = ANSWER.at((slice(None), 1))
    assert some.got.tolist() == [2.0, 16.0]
    assert some.centre.tolist() == [3.0, 17.0]
    assert some.sure.tolist() == [True, False]
    assert some.radius.tolist() == [0.25, 0.25]
    assert some.counted is ANSWER.counted


def test_a_sum_is_allowed_what_its_terms_are_and_two_roundings() -> None:
    total = ANSWER.total()
    assert total.got.tolist() == [7.0, -8.0]
    assert total.centre.tolist() == [10.0, -5.0]
    assert total.radius.tolist() == [0.75, 0.75]
    assert total.sure.tolist() == [True, False], "as sure as the least sure of its terms"
    assert np.array_equal(total.allowed, 1.5 * (1 + 4 * U) + np.array([7.0, 8.0]) * U)


def test_a_sum_is_rounded_once_and_infinity_stays() -> None:
    got = np.array([[1e100, 1.0, -1e100], [np.inf, 1.0, 2.0], [np.nan, 1.0, 1.0]])
    total = replace(
        ANSWER, got=got, allowed=np.zeros((3, 3)), sure=np.isfinite(got), centre=got, radius=np.zeros((3, 3))
    ).total()
    assert total.got[0] == 1.0
    assert total.got[1] == np.inf
    assert np.isnan(total.got[2])


def test_sides_are_sure_where_both_are() -> None:
    other = replace(ANSWER, sure=np.array([[False, True, True], [True, True, True]]), allowed=np.full((2, 3), 2.0))
    sides = equal_answers(ANSWER, other)
    assert sides.sure.tolist() == [[False, True, True], [True, False, True]]
    assert (sides.allowed == 2.5).all()


def test_an_answer_is_compared_with_numbers_within_its_own_bound() -> None:
    sides = against(ANSWER, 1.0)
    assert sides.right.shape == ROWS.shape
    assert (sides.right == 1.0).all()
    assert np.array_equal(sides.allowed, ANSWER.allowed)
    assert sides.left is ANSWER.got


def test_grades_are_of_bits() -> None:
    assert graded(ANSWER, replace(ANSWER, allowed=ANSWER.allowed * 3), "batch").grades == {"batch": "bitwise"}
    assert graded(ANSWER, replace(ANSWER, got=np.nextafter(ROWS, 0)), "batch").grades == {"batch": "varies"}


def test_rows_come_one_after_the_other() -> None:
    both = concatenated([ANSWER, ANSWER.scaled(2.0)])
    assert both.got.tolist() == [*ROWS.tolist(), *(2 * ROWS).tolist()]
    assert both.sure.tolist() == [*ANSWER.sure.tolist(), *ANSWER.sure.tolist()]
    assert both.radius.tolist() == [[0.25] * 3] * 2 + [[0.5] * 3] * 2


@pytest.mark.parametrize(
    ("left", "right", "allowed", "share"),
    [
        (1.5, 1.0, 1.0, 0.5),
        (2.0, 1.0, 1.0, 1.0),
        (1.0, 1.0, 0.0, 0.0),
        (np.inf, 1.0, np.inf, 0.0),
        (1.0, 2.0, np.inf, 0.0),
    ],
)
def test_what_is_within_the_bound_passes(left: float, right: float, allowed: float, share: float) -> None:
    found = decided(left, right, allowed)
    assert (found.verdict, found.share, found.message, found.call) == ("pass", share, "", None)


@pytest.mark.parametrize(
    ("left", "right", "allowed", "share"),
    [
        (3.0, 1.0, 1.0, 2.0),
        (1.0, np.nextafter(1.0, 2), 0.0, np.inf),
        (np.nan, 1.0, 1.0, np.inf),
        (np.nan, np.nan, 1.0, np.inf),
        (np.inf, 1.0, 1.0, np.inf),
    ],
)
def test_what_is_not_fails(left: float, right: float, allowed: float, share: float) -> None:
    found = decided(left, right, allowed)
    assert (found.verdict, found.share) == ("fail", share)
    assert found.call is HEARING.check


def test_what_is_not_sure_is_not_compared() -> None:
    sure = np.ones((2, 3), dtype=bool)
    sure[1, 2] = False
    left = np.zeros((2, 3))
    left[1, 2] = 7.0
    assert decided(left, 0.0, 1.0, sure).verdict == "pass"
    assert decided(left, 0.0, 1.0).verdict == "fail"
    nothing = decided(left, 0.0, 1.0, np.zeros((2, 3), dtype=bool))
    assert (nothing.verdict, nothing.index, nothing.got) == ("pass", (), None)


def test_the_worst_entry_is_told_with_its_place() -> None:
    left = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    allowed = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 2.0]])
    found = decided(left, 0.0, allowed)
    assert found.index == (0, 1)
    assert (found.got, found.exact, found.allowed, found.share) == (3.0, (0.0, 0.0), 1.0, 3.0)
    assert "shift: equal in theory; value has 3 at [0, 1] against 0, allowed 1 (profile W), 3x the sum" in found.message
    assert found.bits == bits_digest(left)


def test_a_grade_that_varies_is_a_convention_unless_it_fails() -> None:
    assert decided(1.0, 1.0, 1.0, batch="varies").verdict == "convention"
    assert decided(1.0, 1.0, 1.0, batch="bitwise").verdict == "pass"
    assert decided(1.0, 1.0, 1.0, False, batch="varies").verdict == "convention"
    failed = decided(9.0, 1.0, 1.0, batch="varies")
    assert (failed.verdict, failed.conventions) == ("fail", {"batch": "varies"})
