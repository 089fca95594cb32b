"""Random rows, and how they are changed by those who climb on the share of the bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, Problem
from lossproof.cases.picker import Picker, SeededPicker, bell
from lossproof.cases.sweeps.forms import Form, form_call
from lossproof.cases.sweeps.kind import SweepKind, family_of
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS, Format

_NAME = "search"
_CHUNKS = 1 << 12
# Calls of one row that a search starts from, and how often the worst are changed.
POPULATION, _GENERATIONS = 128, 8
# Calls that are kept for each output: those with the largest shares.
KEPT_OF_EACH = 4
# Powers of two by which rows are wide, and by which they are off.
_SCALES, _OFFSETS = range(-6, 6), (None, None, None, 0, 3, 6, 9)


def _row(pick: Picker, fmt: Format, k: int) -> F64:
    x = bell(pick, (1, k)) * 2.0 ** pick.choice(_SCALES)
    offset = pick.choice(_OFFSETS)
    return fmt.round(x if offset is None else x + pick.choice((-1.0, 1.0)) * 2.0**offset)


def _make(op: str, dtype: str, bin: int) -> Iterator[Call]:
    """Calls of one row each, of one signature: 2 to 16 classes by turns; every second loss has probabilities."""
    pick, k = SeededPicker(f"sweep/{_NAME}/{op}/{bin}"), 2 + bin % 15
    form = Form(derivatives=False, dense=op == "cross_entropy" and bin % 2 == 1)
    for _ in range(POPULATION):
        rows = _row(pick, FORMATS[dtype], k)
        rows = -np.abs(rows) if op == "nll_loss" else rows
        yield form_call(op, dtype, family_of(_NAME, bin), rows, form, label=pick.integer(0, k - 1))


def changed(pick: Picker, p: Problem) -> Problem:
    """A problem of one row that is a little different: a logit moved by a few spacings, drawn anew or taken from
    another class, or all of them scaled."""
    fmt, x = FORMATS[p.dtype], p.x.copy()
    at, way = pick.integer(0, x.shape[1] - 1), pick.integer(0, 3)
    if way == 0:
        x[0, at] += pick.integer(-8, 8) * fmt.spacing(x[0, at : at + 1])[0]
    elif way == 1:
        x[0, at] = _row(pick, fmt, 1)[0, 0]
    elif way == 2:
        x[0, at] = x[0, pick.integer(0, x.shape[1] - 1)]
    else:
        x *= 1 + pick.choice((-1.0, 1.0)) * 2.0 ** -pick.integer(1, 8)
    x = fmt.round(x)
    return replace(p, x=-np.abs(x) if p.op == "nll_loss" else x)


SEARCH = SweepKind(
    name=_NAME,
    says="random rows, of which the worst are changed again and again, to climb on the share of the bound",
    dtypes=DTYPES,
    bins=lambda dtype: _CHUNKS,
    together=lambda dtype: 1,
    make=_make,
    span=lambda dtype, bin: (float(bin), float(bin)),
    swept="chunk",
    inputs=lambda dtype: POPULATION * (1 + _GENERATIONS),
    generations=_GENERATIONS,
)
