"""A table of error models, one row each: what the compiled pass needs of them, in the letters of docs/bounds.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.judging.fused.entries import FADING
from lossproof.truth.bounds.allowed import ROUND_UP
from lossproof.truth.bounds.error_model import Model, log_loss, t
from lossproof.truth.bounds.losses import unscaled_error
from lossproof.truth.bounds.softmax import exp_error
from lossproof.truth.oracle.in_float64 import ORACLE_MODEL

_FIELDS = (
    "u_o",
    "u_s",
    "u_i",
    "t_s",
    "t_i",
    "L_o",
    "c_d",
    "e_exp",
    "lam",
    "tau",
    "tau_i",
    "narrow",
    "sixteen",
    "online",
    "h_k",
    "h_n",
    "h_nk",
    "quotient",
    "unscaled",
    "min_normal",
    "sums_min_normal",
    "round_up",
    "edge",
    "least",
    "of_inner",
    "of_total",
    "of_log",
    "of_hard",
    "of_soft",
    "of_smoothed",
    "Q_hard",
    "Q_soft",
    "Q_smoothed",
    "c_soft",
    "c_smoothed",
)
# The dtype of a row.
MODEL = np.dtype([(name, np.float64) for name in _FIELDS])


def model_table(models: Sequence[Model], n: int, k: int) -> NDArray[Any]:
    """The constants of models for problems of n rows and k classes, a structured array (M,).

    ``h_k``, ``h_n``, ``h_nk`` are roundings of sums of k, n and n k terms, ``lam`` the relative error of a logarithm,
    ``quotient`` the roundings of p's division, ``round_up`` what covers the roundings of the bound itself: the pass
    adds in the order of classes and rows, term by term, and not in pairs as the arrays do. ``edge`` is from where on
    exponentials underflow (A1); what has a factor p below ``least`` is nothing beside the underflow of the model.
    ``of_inner``, ``of_total`` are the relative errors of a scalar product and of a sum in a VJP, ``of_log`` what rounds
    its probabilities; ``of_hard`` and its like are those of the products of a row's loss by kind of target, ``Q_hard``
    those of Q and ``c_soft`` those of c. The others have the names of :class:`Model` and of the bounds.
    """
    table = np.zeros(len(models), dtype=MODEL)
    for row, model in zip(table, models, strict=True):
        row["u_o"], row["u_s"], row["u_i"] = model.u_o, model.u_s, model.u_i
        row["t_s"], row["t_i"], row["L_o"] = t(model.u_s), t(model.u_i), log_loss(model.u_o)
        row["c_d"], row["e_exp"] = model.c_d, exp_error(model)
        row["lam"] = model.lam
        row["tau"], row["tau_i"] = model.tau, model.tau_i
        row["narrow"], row["sixteen"], row["online"] = model.narrow, model.sixteen, model.online
        row["h_k"], row["h_n"] = model.roundings_of_sum(k), model.roundings_of_sum(n)
        row["h_nk"] = model.roundings_of_sum(n * k)
        row["quotient"] = 0.0 if model.narrow else model.division
        row["unscaled"] = unscaled_error(model)
        row["round_up"] = ROUND_UP + (n + k) * 2.0**-52
        row["min_normal"], row["sums_min_normal"] = model.fmt.min_normal, model.fmt.sums.min_normal
        row["edge"] = -math.log(2.0 * model.tau_i / model.u_i)
        # Beside an underflow from that of the oracle on (``entries.is_nothing``).
        row["least"] = FADING if min(model.tau, model.tau_i) >= ORACLE_MODEL.tau_i else 0.0
        _add_sums(row, model, k)
    return table


def _add_sums(row: Any, model: Model, k: int) -> None:
    """Add the relative errors of sums of k products: of a VJP, of a loss, of its Q and its c (docs/bounds.md, sections
    5 and 6)."""
    h, ts, L = model.roundings_of_sum(k), t(model.u_s), log_loss(model.u_o)
    extra = 2 * L if model.narrow else 0.0
    row["of_inner"] = math.expm1((h + 2) * ts + (2 * model.u_o if model.narrow else 0.0))
    row["of_total"], row["of_log"] = math.expm1(h * ts + extra), math.exp(extra)

    def products(several: float, roundings: int) -> float:
        return math.expm1(several * ts + (roundings * L if model.sixteen else 0.0))

    row["of_hard"] = products(1.0, 2 if model.narrow else 1)
    row["of_soft"] = products(h + 2, 4 if model.narrow else 1)
    row["of_smoothed"] = products(h + 7, 8 if model.narrow else 5)
    more = 6 if model.narrow else 4
    row["Q_hard"], row["Q_soft"], row["Q_smoothed"] = (products(n, more) for n in (1.0, h + 3, h + 8))
    row["c_soft"], row["c_smoothed"] = products(3.0, more), products(7.0, more)
