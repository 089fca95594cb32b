"""Calls of a variant (docs/variants.md): logits of the deck's families and of some that only variants need, weights of
rows, every reduction and option. They are no part of the deck: a function that declares the variant is asked them.

The draws depend on the seed, the op and the call, so the same declaration gets the same calls, with the same ids, on
every machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.call_maker import make_call
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.families import FAMILIES
from lossproof.cases.family import Family, row_choice
from lossproof.cases.picker import Picker, bell, fraction, full_bell
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import F64, FORMATS, Format
from lossproof.core.operations import check_parts, validate, validate_constants
from lossproof.core.variant import Variant, varied

# Families of the deck that mean something for the logits of a variant, too.
_OF_DECK = (
    *("ordinary", "confident", "hot", "offset", "rows_apart", "all_negative", "spread", "cliff", "equal", "two_level"),
    *("ascending", "dominating", "last_class", "late_peak", "stagnation", "single", "subnormal", "half_cliff"),
    *("masked", "masked_target", "nan_row", "all_masked_row", "ignored_garbage", "full_mantissas"),
)
# Many functions take nothing but labels and one that is ignored: nearly half of the calls ask for no more.
_USES = (
    *(NOTHING, Uses.IGNORE_INDEX, Uses.WEIGHT | Uses.IGNORE_INDEX, Uses.PROBABILITIES, Uses.SMOOTHING),
    *(Uses.IGNORE_INDEX, Uses.WEIGHT, NOTHING, Uses.WEIGHT | Uses.IGNORE_INDEX | Uses.SMOOTHING, Uses.ANY_SUM),
    *(
        NOTHING,
        Uses.IGNORE_INDEX,
        Uses.PROBABILITIES | Uses.SMOOTHING,
        Uses.PROBABILITIES | Uses.WEIGHT,
        Uses.IGNORE_INDEX,
    ),
)
_SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    *(((3, 5), -1), ((4, 2), -1), ((1, 7), -1), ((6, 33), -1), ((5, 1), -1), ((2, 129), -1), ((48, 3), -1)),
    *(((7,), -1), ((2, 3, 4), -1), ((2, 5, 3), 1)),
)
_LARGE: tuple[tuple[tuple[int, ...], int], ...] = (((2, 1000), -1), ((300, 4), -1), ((40, 65), -1))
# Draws of each family, by deck.
_ROUNDS: Mapping[str, int] = {"smoke": 1, "default": 5, "full": 12}


def variant_calls(
    op: str, dtypes: Collection[str], variant: Variant, *, deck: str = "default", seed: int = 0
) -> list[Call]:
    """Draw the calls of a variant of an op.

    Raises :class:`UsageError` for parts that the op does not have, for constants beyond a dtype, and for an unknown
    deck.
    """
    check_parts(op, variant.parts)
    if deck not in _ROUNDS:
        raise UsageError(f"unknown deck {deck!r}; expected one of {', '.join(_ROUNDS)}")
    found: dict[str, Call] = {}
    for dtype in dtypes:
        validate_constants(varied(variant, Problem(op, dtype, np.zeros((1, 1)))))
        for call in _calls(op, FORMATS[dtype], variant, deck, seed):
            found.setdefault(call.id, call)
    return list(found.values())


def _calls(op: str, fmt: Format, variant: Variant, deck: str, seed: int) -> Iterator[Call]:
    part = DeckPart(seed=seed)
    families = [FAMILIES[name] for name in _OF_DECK] + [
        family for family in own_families(variant) if deck != "smoke" or family.regular
    ]
    for i, family in enumerate(families):
        if deck == "smoke" and i % 3 and family.name in FAMILIES:
            continue
        for j in range(_ROUNDS[deck]):
            pick = part.picker("variant", op, *variant.parts, family.name, j)
            shapes = _SHAPES if j < _ROUNDS[deck] - 1 or deck == "smoke" else _LARGE
            fitting = [s for s in (*shapes, *_SHAPES, *_LARGE) if family.needs(*_rows(*s))]
            shape, axis = fitting[(i + 3 * j) % len(fitting)] if shapes is _SHAPES else fitting[0]
            signature = _signature(pick, op, i + 7 * j, axis)
            if family.labels == "ignored" and signature.is_loss:
                signature = replace(signature, uses=Uses.IGNORE_INDEX)
            call = make_call(pick, family, signature, shape=shape, fmt=fmt, provenance=part.provenance, tier="core")
            weight = _row_weights(pick, fmt, call, full=family.full) if variant.sample_weight else None
            made = call.with_problem(varied(variant, call.problem, weight))
            if _is_defined(made):
                yield made


def as_variant(call: Call, variant: Variant) -> Call | None:
    """Return a call of an op as one of a variant of it, with weights of rows that follow from the call; None where that
    has no result."""
    p = replace(call.problem, tangent=None, wrt_target=False, target_tangent=None, repeat_backward=False, scale=1.0)
    weight = None
    if variant.sample_weight and call.problem.x.size:
        pick = DeckPart().picker("variant", call.digest)
        weight = _row_weights(pick, FORMATS[p.dtype], call, full=False)
    made = call.with_problem(varied(variant, replace(p, out_dtype=None), weight))
    return made if _is_defined(made) else None


def _rows(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    k = shape[axis]
    return math.prod(shape) // k, k


def _signature(pick: Picker, op: str, i: int, axis: int) -> Signature:
    if op != "cross_entropy":
        return Signature(op, axis=axis)
    reduction = ("mean", "none", "sum", "mean")[pick.integer(0, 3)]
    return Signature(op, reduction, _USES[(i + 5 * pick.integer(0, 2)) % len(_USES)], axis)


def _is_defined(call: Call) -> bool:
    """Whether the call has a result: products with the scale may overflow."""
    try:
        validate(call.problem)
    except UsageError:
        return False
    return True


def _row_weights(pick: Picker, fmt: Format, call: Call, *, full: bool) -> F64:
    """Weights of rows between 1/16 and 8, with few bits or all; by turns among them: zeros, one that dominates, a
    negative one, nothing but zeros."""
    p = call.problem
    n = math.prod(p.row_shape)
    fine = fraction(pick, (n,)) * (1 if full else pick.integer(0, 1))
    w = fmt.round(np.ldexp(1 + pick.bits(4, (n,)) / 16 + fine / 16, pick.bits(2, (n,)) - 1))
    kind, at = pick.integer(0, 15), pick.integer(0, n - 1)
    if kind < 4:
        w = np.where(pick.bits(1, (n,)) == 1, 0.0, w)
    elif kind == 4:
        w[at] = 1024.0
    elif kind == 5:
        w[at] = -w[at] / 4
    elif kind == 6:
        w = np.zeros(n)
    return w.reshape(p.row_shape)


def own_families(variant: Variant) -> list[Family]:
    """Families of logits that a variant needs: around its cap, and around what its log-sum-exp squares."""
    size = 1.0 / abs(variant.logit_scale)
    found: list[Family] = []

    def add(name: str, provokes: str, make: object, *, regular: bool = True, labels: str = "any") -> None:
        def rounded(pick: Picker, fmt: Format, n: int, k: int) -> F64:
            x: F64 = make(pick, fmt, n, k)  # type: ignore[operator]
            with np.errstate(over="ignore"):
                return np.where(np.isfinite(x), np.clip(fmt.round(x), -fmt.max, fmt.max), x)

        found.append(Family(name, provokes, rounded, _any_shape, labels, regular=regular))

    if variant.softcap:
        unit = variant.softcap * size
        add(
            "around_cap",
            "scaled logits around the cap: the bend of tanh, where value and slope both count",
            lambda pick, fmt, n, k: full_bell(pick, (n, k)) * unit * pick.choice((0.5, 1.0)),
        )
        add(
            "beyond_cap",
            "logits far beyond the cap: tanh is 1 but for rounding, its slope 1 - tanh^2 cancels, classes tie",
            lambda pick, fmt, n, k: bell(pick, (n, k)) * unit * pick.choice((4.0, 16.0, 256.0)),
        )
        add(
            "below_cap",
            "logits far below the cap: the cap changes nothing but the last digits",
            lambda pick, fmt, n, k: full_bell(pick, (n, k)) * unit * pick.choice((2.0**-4, 2.0**-8)),
        )
        add(
            "one_beyond_cap",
            "one class far beyond the cap and the others small: only the maximum is bent",
            lambda pick, fmt, n, k: bell(pick, (n, k)) * size + row_choice(pick, n, k) * 3 * unit,
            labels="top",
        )
        add(
            "infinite_capped",
            "infinite logits, which the cap makes finite: what divides or multiplies them unfolded is NaN",
            _with_infinities,
            regular=False,
        )
    add(
        "sum_near_one",
        "log-sum-exp around 0 and below it: its square and its slope change sign",
        lambda pick, fmt, n, k: (full_bell(pick, (n, k)) / 4 - math.log(k) + pick.choice((0.0, -0.5, -3.0))) * size,
    )
    add(
        "large_sum",
        "a large log-sum-exp: the squared one dwarfs the loss, and leaves the range of float16",
        lambda pick, fmt, n, k: (bell(pick, (n, k)) + pick.choice((40.0, 240.0, 280.0, -300.0))) * size,
    )
    return found


def _any_shape(n: int, k: int) -> bool:
    return True


def _with_infinities(pick: Picker, fmt: Format, n: int, k: int) -> F64:
    x = bell(pick, (n, k))
    hit = row_choice(pick, n, k) > 0
    return np.where(hit, np.where(pick.bits(1, (n, 1)) == 1, np.inf, -np.inf), x)
