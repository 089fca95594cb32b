"""Hypothesis draws calls: shapes by theme, logits of the deck's families and of wilder ones, options freely.

Hypothesis draws the same few choices for every call of an op, in the same order: first those that say what kind of
call it is, then a seed and three tapes of bytes. The numbers of a call with few entries are read off the tapes, so that
they shrink to plain ones; those of larger calls come from the seed, so that a call of 70 000 rows is as cheap to draw
and to shrink as a small one. Of a failure of a large call shape and seed shrink, and what is left is simplified.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from lossproof.adapters.protocol import LOSSES, Problem
from lossproof.cases.explore import drawn_options
from lossproof.cases.explore.byte_picker import TapePicker
from lossproof.cases.explore.drawn_options import Wanted
from lossproof.cases.explore.logits import EXPLORED
from lossproof.cases.explore.shapes import DrawnShape, place
from lossproof.cases.families import FAMILIES
from lossproof.cases.family import Family
from lossproof.cases.picker import Picker, SeededPicker
from lossproof.cases.scaled_logits import FACTORS, full_factors
from lossproof.cases.wider_outputs import WIDER
from lossproof.core.call import FROM_EXPLORATION, Call
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.core.operations import may_omit

_T = TypeVar("_T")
# Entries of a call whose numbers hypothesis draws one by one, and bytes for them: past the end they are 0.
_TAPED = 24
_PARTS = {"directions": 160, "options": 160, "values": 256}
# Of 27 examples: how many have logits of each wilder family; the others have one of the deck's.
_WILD = {"plain": 2, "special": 5, "half_masked": 2, "extreme": 2, "large": 1, "tied": 3, "full": 3}
# Families for products with a factor, which are exact, rounded, or overflow.
_SCALED = ("plain", "special", "vast", "vast", "full", "full")
_NAMES = tuple(name for name, share in _WILD.items() for _ in range(share)) + ("",) * 9


class _Structure:
    """The picker of what kind of call it is: hypothesis draws, shrinks and replays each choice by itself."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, lo: int, hi: int) -> int:
        """An integer in ``[lo, hi]``."""
        return self.choice(range(lo, hi + 1))

    def choice(self, options: Sequence[_T]) -> _T:
        """One of the options; the first is the simplest."""
        return self._draw(st.sampled_from(options))

    def bits(self, n: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Not on offer: arrays come from the tape."""
        raise NotImplementedError


@st.composite
def calls(
    draw: st.DrawFn,
    op: str,
    dtypes: Sequence[str] = tuple(FORMATS),
    *,
    free_shapes: bool = True,
    layouts: Sequence[str] = ("contiguous",),
) -> Call:
    """Draw a valid call of an op, in one of the dtypes and layouts.

    ``free_shapes`` is for targets to which a new shape costs nothing; without, shapes are few (``explore_shapes``).
    """
    pick = _Structure(draw)
    is_loss = op in LOSSES
    fmt = FORMATS[pick.choice(dtypes)]
    where = place(pick, fmt, losses=is_loss, free=free_shapes)
    drawn = drawn_options.draw(pick, op, large=where.large, sums=where.theme == "many")
    extras = _extras(pick, op, fmt)
    drawn = replace(drawn, wanted=_wanted(drawn.wanted, extras))
    family = EXPLORED[pick.choice(_SCALED)] if extras.get("scale", 1.0) != 1.0 else _family(pick, where)
    others = [name for name in layouts if name != "contiguous" and (name != "expanded" or (where.n and where.rest))]
    layout = pick.choice(("contiguous",) * max(1, 3 * len(others)) + tuple(others))
    laid = pick.choice(("", "", "x", "cotangent", "target", "weight"))
    size = sum(_PARTS.values())
    pickers = _pickers(draw(st.binary(min_size=size, max_size=size)), where)
    rows = family.make(pickers["values"], fmt, where.n, where.k)
    if op == "nll_loss":
        rows = -np.abs(rows)
    if layout == "expanded":
        rows = np.broadcast_to(rows[:1], rows.shape).copy()
    fields = drawn_options.of_loss(pickers["options"], fmt, family, rows, drawn) if is_loss else {}
    if is_loss:
        target = fields["target"]
        fields["target"] = _placed(target, where) if target.ndim == 2 else target.reshape(where.rest)
    problem = _as_allowed(
        Problem(op, fmt.name, _placed(rows, where), axis=where.axis, layout=layout, **fields, **extras)
    )
    problem = _directed(pickers["directions"], fmt, problem, drawn)
    return Call(_laid_alone(problem, laid), family.name, FROM_EXPLORATION, tier="free")


def _laid_alone(p: Problem, laid: str) -> Problem:
    """The problem with the layout of one array alone, where that is there and need not be constant for it.

    A cotangent is made constant: what the gradient of a sum is.
    """
    a = getattr(p, laid) if laid else None
    if a is None or not a.ndim or p.layout == "contiguous":
        return p
    if p.layout != "expanded":
        return replace(p, laid=laid)
    return replace(p, laid=laid, cotangent=np.full_like(a, a.flat[0])) if laid == "cotangent" else p


def _extras(pick: Picker, op: str, fmt: Format) -> dict[str, Any]:
    """A factor before the op, the backward pass twice, a wider output dtype, or arguments left out, each in one of many
    calls."""
    kind = pick.choice(("",) * 17 + ("scale", "again", "wider", "omit"))
    if kind == "scale" and op != "nll_loss" and fmt.bits >= 32:
        return {"scale": pick.choice((*FACTORS, *full_factors(fmt)))}
    if kind in ("again", "omit"):
        return {"repeat_backward" if kind == "again" else "omit": True}
    wider = WIDER.get(fmt.name)
    return {"out_dtype": wider} if kind == "wider" and wider else {}


def _as_allowed(p: Problem) -> Problem:
    """The problem with arguments left out only where they have their defaults."""
    return replace(p, omit=p.omit and may_omit(p))


def _wanted(wanted: Wanted, extras: dict[str, Any]) -> Wanted:
    """What can be wanted beside the extras: of a factor the value, of a wider output the gradient at most."""
    if "scale" in extras:
        return drawn_options.NOTHING_WANTED
    if "out_dtype" in extras:
        return wanted & Wanted.GRADIENT
    return wanted | Wanted.GRADIENT if "repeat_backward" in extras else wanted


def _family(pick: Picker, where: DrawnShape) -> Family:
    wild = pick.choice(_NAMES)
    tame = pick.choice(tuple(f.name for f in FAMILIES.values() if where.n and f.needs(where.n, where.k)) or ("plain",))
    return EXPLORED[wild] if wild else {**FAMILIES, **EXPLORED}[tame]


def _pickers(tape: bytes, where: DrawnShape) -> dict[str, Picker]:
    if where.n * where.k > _TAPED:
        seed = int.from_bytes(tape[-2:])
        return {name: SeededPicker(f"explore/{seed}/{name}") for name in _PARTS}
    ends = itertools.accumulate(_PARTS.values())
    return {name: TapePicker(tape[end - _PARTS[name] : end]) for name, end in zip(_PARTS, ends, strict=True)}


def _placed(rows: F64, where: DrawnShape) -> F64:
    at = where.axis % len(where.shape)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(*where.rest, where.k), -1, at))


def _directed(pick: Picker, fmt: Format, p: Problem, drawn: drawn_options.Drawn) -> Problem:
    """The problem with the cotangent and the directions that are wanted."""
    wanted = drawn.wanted
    # With smoothing 1 the targets have no influence, and an overflowing derivative times 0 says nothing.
    if not p.has_probability_target or p.label_smoothing == 1.0:
        wanted &= ~(Wanted.TARGET_GRADIENT | Wanted.TARGET_TANGENT)
    result = FORMATS[p.result_dtype]
    cotangent = (
        drawn_options.cotangent(pick, result, p.shape_of("value"), drawn.cotangent)
        if Wanted.GRADIENT in wanted
        else None
    )
    tangent = drawn_options.moderate(pick, fmt, p.x.shape, "zeros") if Wanted.TANGENT in wanted else None
    along = drawn_options.moderate(pick, fmt, p.x.shape, "zeros") if Wanted.TARGET_TANGENT in wanted else None
    return replace(
        p, cotangent=cotangent, tangent=tangent, wrt_target=Wanted.TARGET_GRADIENT in wanted, target_tangent=along
    )
