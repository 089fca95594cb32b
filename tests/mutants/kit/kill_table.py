"""Entries for rows of the kill table (``matrix/kill_table.json``)."""

from __future__ import annotations

from collections.abc import Callable

from .loss_steps import Loss
from .mutant import WIDE_DTYPES, Mutant, options
from .softmax_steps import PLAIN, Array, Softmax, Step, over_rows, over_rows_vjp


def softmax_row(
    name: str, why: str, of: Softmax | Step, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = ""
) -> Mutant:
    """A row of softmax."""
    value = over_rows(of.p if isinstance(of, Softmax) else of)
    return Mutant(name, "softmax", "softmax", why, value, expect=expect, options=options("softmax"), family=family)


def log_softmax_row(
    name: str, why: str, of: Softmax | Step, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = ""
) -> Mutant:
    """A row of log_softmax."""
    value = over_rows(of.y if isinstance(of, Softmax) else of)
    row = "log_softmax"
    return Mutant(name, row, row, why, value, expect=expect, options=options("log_softmax"), family=family)


def plain_row(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    """A row of cross_entropy's mean for index targets."""
    return _loss_row("ce_mean", name, why, of, frozenset({"axis"}), expect, family)


def smoothed_row(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    """A row of the smoothed mean for index targets."""
    return _loss_row("smooth_mean", name, why, of, frozenset({"axis", "label_smoothing"}), expect, family)


def weighted_row(name: str, why: str, of: Loss, *, expect: tuple[str, ...] = WIDE_DTYPES, family: str = "") -> Mutant:
    """A row of the weighted mean for index targets."""
    return _loss_row("wce_mean", name, why, of, frozenset({"axis", "weight", "ignore_index"}), expect, family)


def _loss_row(
    row: str, name: str, why: str, of: Loss, takes: frozenset[str], expect: tuple[str, ...], family: str
) -> Mutant:
    return Mutant(
        name, "cross_entropy", row, why, of.value, expect=expect, options=takes, targets=("index",), family=family
    )


def vjp_row(row: str, name: str, why: str, f: Callable[[Array, Array], Array]) -> Mutant:
    """A row of the vector-Jacobian product of softmax or log_softmax."""
    op = row.removeprefix("vjp_")
    value = over_rows(PLAIN.p if op == "softmax" else PLAIN.y)
    return Mutant(name, op, row, why, value, over_rows_vjp(f), options=options(op))
