"""Recipes: a large problem is drawn when it is asked for, kept for a while, and outlined for nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.core.batch import signature
from lossproof.core.call import Call, detail
from lossproof.core.recipe import Recipe, outline_of, size

PROBLEM = Problem(
    "cross_entropy",
    "float32",
    np.arange(12.0).reshape(3, 4),
    np.array([0, 1, 2]),
    weight=np.ones(4),
    cotangent=np.ones(()),
    label_smoothing=0.25,
)


class Draws:
    """Draws a problem of a size, and counts how often."""

    def __init__(self, n: int = 4) -> None:
        self.count, self.n = 0, n

    def __call__(self) -> Problem:
        self.count += 1
        return replace(PROBLEM, x=np.full((3, self.n), 7.0), weight=None)


def recipe(draws: Draws) -> Recipe:
    return Recipe(draws, outline_of(replace(PROBLEM, weight=None)), "01234567")


def test_an_outline_has_everything_but_the_numbers() -> None:
    outline = outline_of(PROBLEM)
    assert signature(outline) == signature(PROBLEM)
    assert detail(outline) == detail(PROBLEM)
    assert outline.want == PROBLEM.want
    for f in fields(Problem):
        mine, other = getattr(outline, f.name), getattr(PROBLEM, f.name)
        if f.name not in ARRAYS or other is None:
            assert mine == other
        else:
            assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
            # One number, however long the array.
            assert set(mine.strides) <= {0}


def test_a_problem_is_drawn_once_for_those_who_ask_one_after_another() -> None:
    draws = Draws()
    made = recipe(draws)
    assert draws.count == 0
    assert made.problem is made.problem
    assert draws.count == 1


def test_what_was_drawn_long_ago_is_not_kept() -> None:
    draws, large = Draws(), [Draws(1 << 18) for _ in range(8)]
    made = recipe(draws)
    first = made.problem.x
    assert sum(size(recipe(each).problem) for each in large) > 1 << 24
    again = made.problem.x
    assert draws.count == 2
    assert np.array_equal(first, again)


def test_what_somebody_holds_is_not_drawn_again() -> None:
    draws, large = Draws(), [Draws(1 << 18) for _ in range(8)]
    made = recipe(draws)
    held = made.problem
    assert sum(size(recipe(each).problem) for each in large) > 1 << 24
    assert made.problem is held
    assert draws.count == 1


def test_a_problem_too_large_to_be_kept_is_drawn_all_the_same() -> None:
    draws = Draws(1 << 21)
    made = recipe(draws)
    first, second = made.problem.x.shape, made.problem.x.shape
    assert first == second == (3, 1 << 21)
    assert draws.count == 2


def test_what_a_call_says_of_a_recipe_draws_nothing() -> None:
    draws = Draws()
    call = Call(recipe(draws), "ordinary")
    assert call.id == "cross_entropy/float32/ordinary/n3-k4-mean-ls0.25/01234567"
    assert call.outputs == PROBLEM.want
    assert call.at_tier("free").id == call.id
    assert signature(call.outline) == signature(call.problem)
    assert draws.count == 1


def test_a_call_with_another_problem_has_another_id() -> None:
    call = Call(recipe(Draws()), "ordinary")
    other = call.with_problem(PROBLEM)
    assert other.problem is PROBLEM
    assert other.id != call.id
    with pytest.raises(ValueError, match="read-only"):
        call.outline.x[0, 0] = 1.0
