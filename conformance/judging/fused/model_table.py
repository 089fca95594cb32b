"""A table of error models, one row each: what the compiled pass needs of them, in the letters of docs/bounds.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossproof.truth.bounds.allowed import ROUND_UP
from lossproof.truth.bounds.error_model import Model, log_loss, t
from lossproof.truth.bounds.losses import unscaled_error
from lossproof.truth.bounds.softmax import exp_error

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
)
# The dtype of a row.
MODEL = np.dtype([(name, np.float64) for name in _FIELDS])


def model_table(models: Sequence[Model], n: int, k: int) -> NDArray[Any]:
    """The constants of models for problems of n rows and k classes, a structured array (M,).

    ``h_k``, ``h_n``, ``h_nk`` are roundings of sums of k, n and n k terms, ``lam`` the relative error of a logarithm,
    ``quotient`` the roundings of p's division, ``round_up`` what covers the roundings of the bound itself: the pass
    adds in the order of classes and rows, term by term, and not in pairs as the arrays do. The others have the names
    of :class:`Model` and of the bounds.
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
    return table
