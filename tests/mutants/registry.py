"""The list of all mutants and controls, and the rows of the kill table that they must cover."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from . import (
    clauses_forward,
    clauses_gradients,
    clauses_infinite,
    clauses_labels,
    clauses_nan,
    clauses_range,
    clauses_relations,
    clauses_rows,
    controls,
    gradients,
    log_softmax,
    losses,
    narrow,
    repeated,
    scaled,
    second,
    second_rows,
    softmax,
    upstream,
    upstream_labels,
    upstream_log_softmax,
    upstream_options,
    upstream_smoothing,
    wrong_cotangents,
    wrong_gradients,
    wrong_kernels,
    wrong_labels,
    wrong_layouts,
    wrong_losses,
    wrong_nll,
    wrong_sentinels,
    wrong_smoothing,
    wrong_special,
    wrong_values,
    wrong_vjps,
    wrong_weights,
)
from .mutant import Mutant


@functools.cache
def collect() -> dict[str, Mutant]:
    """All mutants and controls by id."""
    modules = (softmax, log_softmax, losses, gradients, narrow)
    upstreams = (upstream, upstream_log_softmax, upstream_options, upstream_labels, upstream_smoothing)
    found: dict[str, Mutant] = {}
    values = (wrong_values, wrong_special, wrong_kernels, wrong_layouts)
    options = (wrong_losses, wrong_nll, wrong_weights, wrong_smoothing, wrong_labels, wrong_sentinels)
    backward = (wrong_gradients, wrong_cotangents, wrong_vjps, second, second_rows, repeated, scaled)
    special = (clauses_nan, clauses_infinite, clauses_range, clauses_rows, clauses_labels)
    clauses = (clauses_forward, clauses_gradients, *special, clauses_relations)
    others = (*values, *options, *backward, *clauses)
    for module in (*modules, *upstreams, *others, controls):
        for mutant in module.MUTANTS:
            # sanity check: ids are unique, a control must survive
            assert mutant.id not in found, mutant.id
            assert set(mutant.expect) <= set(mutant.dtypes), mutant.id
            assert (mutant.kind == "control") <= (mutant.expect == ()), mutant.id
            found[mutant.id] = mutant
    return found


def manifest() -> list[dict[str, Any]]:
    """The rows of the kill table."""
    rows: list[dict[str, Any]] = json.loads((Path(__file__).parent / "manifest.json").read_text())["rows"]
    return rows
