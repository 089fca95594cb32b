"""Comparisons of a row's entries, a window of classes at a time, and of losses, where a clause of section 4 of the
specification may speak of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.judging.fused.compiler import compiled
from lossproof.judging.fused.entries import (
    SHOWN_4,
    SHOWN_11,
    compare_either,
    compare_entry,
    compare_infinite,
    compare_special,
    grade,
    note_formula,
    rounded_up,
)
from lossproof.judging.fused.special_rows import accepted_in, clause_of, is_dominated
from lossproof.truth.expected import NAN
from lossproof.truth.row_quantities import MANY_POS, MASKED, ONE_POS


@compiled
def compare_undefined(summary: Any, start: int, got: Any) -> None:
    """Judge the entries of a row in which nothing is a number: they are NaN."""
    for j in range(got.shape[0]):
        compare_infinite(summary, start + j, got[j], np.nan)


@compiled
def compare_ignored(summary: Any, start: int, got: Any, kind: int, fmt: Any) -> None:
    """Judge the gradient of an ignored row: 0, and NaN if its logits are none to begin with (clause 11)."""
    for j in range(got.shape[0]):
        if kind == MASKED:
            compare_entry(summary, start + j, got[j], 0.0, 0.0, 0.0, 0.0, fmt)
        else:
            compare_special(summary, start + j, got[j], 0.0, 0.0, 0.0, 0.0, fmt, NAN, SHOWN_11)


@compiled
def compare_row_apart(
    asked: Any,
    summary: Any,
    b: int,
    n: int,
    with_value: bool,
    values: Any,
    with_vjp: bool,
    vjps: Any,
    kind: int,
    is_kept: bool,
    fmt: Any,
) -> None:
    """Judge the loss, where each row has one, and the gradient of row n of problem b: a kept row in which nothing is a
    number, or an ignored one, whose loss is 0."""
    for t in range(asked.shape[0]):
        for m in range(asked.shape[1]):
            if not asked[t, m]:
                continue
            if with_value and is_kept:
                compare_infinite(summary[t, 0, b, m], n, values[t, b, n], np.nan)
            elif with_value:
                compare_entry(summary[t, 0, b, m], n, values[t, b, n], 0.0, 0.0, 0.0, 0.0, fmt)
            if not with_vjp:
                continue
            s, got = summary[t, 1, b, m], vjps[t, b, n]
            if is_kept:
                compare_undefined(s, n * got.shape[0], got)
            else:
                compare_ignored(s, n * got.shape[0], got, kind, fmt)


@compiled
def compare_probabilities(
    log: bool,
    M: Any,
    summary: Any,
    start: int,
    got: Any,
    x: Any,
    kind: int,
    floor: float,
    beyond: bool,
    mid: Any,
    low: Any,
    rad: Any,
    errors: Any,
    fmt: Any,
) -> None:
    """Judge a window of softmax, or of ``log``-softmax, in a row with +inf, or one that has something ``beyond`` the
    format's range."""
    none, one = (-np.inf, 0.0) if log else (0.0, 1.0)
    accept = accepted_in(kind, beyond)
    clause = clause_of(kind, accept)
    for j in range(x.shape[0]):
        at = start + j
        if kind == MANY_POS and x[j] == np.inf:
            compare_infinite(summary, at, got[j], np.nan)
        elif x[j] <= floor or kind == ONE_POS:
            limit = none if x[j] <= floor else one
            compare_special(summary, at, got[j], limit, 0.0, 0.0, 0.0, fmt, accept, clause)
        else:
            allowed = rounded_up(M, errors[j])
            compare_special(summary, at, got[j], mid[j], low[j], rad[j], allowed, fmt, accept, clause)


@compiled
def compare_gradients(
    strict: bool,
    M: Any,
    summary: Any,
    start: int,
    got: Any,
    x: Any,
    kind: int,
    floor: float,
    beyond: bool,
    mid: Any,
    low: Any,
    has_second: bool,
    second: Any,
    second_low: Any,
    rad: Any,
    errors: Any,
    fmt: Any,
) -> None:
    """Judge a window of a VJP in a row with +inf, or one that has something ``beyond`` the format's range.

    ``strict`` are those that are 0, whatever overflows, where a class has no part in its row, as softmax has it.
    """
    accept = accepted_in(kind, beyond)
    clause = clause_of(kind, accept)
    for j in range(x.shape[0]):
        at = start + j
        if kind == MANY_POS and x[j] == np.inf:
            compare_infinite(summary, at, got[j], np.nan)
        elif strict and x[j] <= floor:
            also = accept & NAN if is_dominated(kind) else 0
            compare_special(summary, at, got[j], 0.0, 0.0, 0.0, 0.0, fmt, also, SHOWN_4 if also else 0)
        else:
            allowed, other = rounded_up(M, errors[j]), np.inf
            if has_second:
                other = abs((got[j] - second[j]) - second_low[j])
                note_formula(summary, got[j], mid[j], second[j], allowed)
            compare_special(summary, at, got[j], mid[j], low[j], rad[j], allowed, fmt, accept, clause, other)


@compiled
def compare_window(
    M: Any,
    summary: Any,
    start: int,
    got: Any,
    mid: Any,
    low: Any,
    has_second: bool,
    second: Any,
    second_low: Any,
    rad: Any,
    errors: Any,
    fmt: Any,
    graded: bool,
    exact: Any,
    size: Any,
    rho: float,
) -> None:
    """Judge a window of a VJP in a row of which no clause speaks, and small results if it is ``graded``, by ``rho``."""
    for j in range(got.shape[0]):
        allowed = rounded_up(M, errors[j])
        if has_second:
            compare_either(summary, start, j, got[j], mid, low, second, second_low, rad, allowed, fmt)
        else:
            compare_entry(summary, start + j, got[j], mid[j], low[j], rad[j], allowed, fmt)
        if graded and not (has_second and second[j] != mid[j]):
            grade(summary, M, got[j], exact[j], size[j] * rho, allowed)


@compiled
def compare_loss(
    summary: Any,
    index: int,
    got: float,
    limit: float,
    kind: int,
    mid: float,
    low: float,
    rad: float,
    allowed: float,
    fmt: Any,
    accept: int,
    clause: int,
) -> None:
    """Judge the loss of a row, or one for all of them: ``limit`` is what it has to be where that is no number, else 0,
    which is also the limit of a row with +inf."""
    if limit != 0 or is_dominated(kind):
        compare_special(summary, index, got, limit, 0.0, 0.0, 0.0, fmt, accept, clause)
    elif accept != 0:
        compare_special(summary, index, got, mid, low, rad, allowed, fmt, accept, clause)
    else:
        compare_entry(summary, index, got, mid, low, rad, allowed, fmt)
