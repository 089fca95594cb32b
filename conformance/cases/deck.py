"""The drawn calls of the deck: families x signatures x shapes x dtypes, the same bytes everywhere for the same seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from lossproof.adapters.protocol import DTYPES, Problem
from lossproof.cases.coincidences import coincidence_calls
from lossproof.cases.coverage.covering_shapes import covering_calls
from lossproof.cases.coverage.sentinels import sentinel_calls
from lossproof.cases.deck_part import GOLDEN, VERSION, WHOLE_DECK, DeckPart
from lossproof.cases.drawn import drawn, family_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.family import Family
from lossproof.cases.forms.every_option import every_option_calls
from lossproof.cases.forms.laid_inputs import laid_calls
from lossproof.cases.forms.left_out import left_out_calls
from lossproof.cases.forms.wider_losses import wider_loss_calls
from lossproof.cases.scaled_logits import scaled_calls
from lossproof.cases.shape_sweeps import sweep_calls
from lossproof.cases.signature import Signature, Uses
from lossproof.cases.signatures import (
    CUBE,
    MENU,
    SECOND,
    SMOKE,
    WHOLE_IN,
    WORKED,
    Shape,
    at_axis,
    combinations,
    is_core,
    is_full,
)
from lossproof.cases.sizes.grids import grid_calls
from lossproof.cases.sizes.tall_batches import tall_batch_calls
from lossproof.cases.sizes.unbatched import unbatched_calls
from lossproof.cases.sizes.wide_rows import wide_row_calls
from lossproof.cases.wider_outputs import wider_output_calls
from lossproof.core.call import Call
from lossproof.core.formats import FORMATS

# Big shapes are for what only size provokes: these families, each on every third signature.
_BIG = frozenset(
    (
        "ordinary",
        "confident",
        "offset",
        "rows_apart",
        "spread",
        "equal",
        "two_level",
        "ascending",
        "descending",
        "dominating",
        "last_class",
        "stagnation",
        "near_overflow",
        "masked",
        "nan_row",
        "wide",
        "long_batch",
        "binary",
        "full_mantissas",
    )
)
_BIG_ELEMENTS, _BIG_SKIP, _SECOND_SKIP, _COMBINED_SKIP = 1000, 3, 3, 6
_CORE_SMOOTHING = (0.0, 0.1)
# Of the second derivatives: gradients with respect to targets.
_SECOND_CORE = 6
# Every combination of options, where a new shape costs nothing: rows and classes are different numbers.
_SMALL = (3, 5)


@dataclass(frozen=True)
class DeckSize:
    """A size of deck: the signatures of its (shape, dtype) ``pairs``, on each of which one family in ``skip`` draws.

    ``extras`` says whether it has what is beside the menu, second derivatives and sweeps among it; with ``to_all``
    every call goes to every target, whatever it costs there. ``budget`` is what a test holds it to.
    """

    name: str
    pairs: dict[tuple[Shape, str], tuple[Signature, ...]]
    skip: int = 1
    extras: bool = False
    to_all: bool = False
    budget: dict[str, int] = field(default_factory=dict)


_DECKS: dict[str, DeckSize] = {
    "smoke": DeckSize(
        "smoke", SMOKE, skip=2, budget={"pairs": 7, "signatures": 64, "core": 14, "compiled": 450, "calls": 620}
    ),
    "default": DeckSize(
        "default",
        {(shape, dtype): signatures for dtype in DTYPES for shape, signatures in MENU.items()},
        extras=True,
        budget={"pairs": 152, "signatures": 510, "core": 136, "compiled": 3100, "calls": 10980},
    ),
}
DECKS = {**_DECKS, "full": replace(_DECKS["default"], name="full", to_all=True)}


def deck_calls(deck: str = "default", part: DeckPart = WHOLE_DECK) -> list[Call]:
    """Draw the calls of a part of a deck (one of ``DECKS``), each once, neighbours sharing a signature."""
    calls: dict[str, Call] = {}
    for call in _calls(DECKS[deck], part):
        # A family may draw the same inputs twice (equal logits, say); one of them is enough.
        calls.setdefault(call.id, call)
    return list(calls.values())


def digest(calls: Iterable[Call]) -> str:
    """Return the sha256 of the ids, which contain the inputs' digests: equal decks have equal digests."""
    h = hashlib.sha256(f"deck {VERSION}".encode())
    for call in calls:
        h.update(call.id.encode() + b"\n")
    return h.hexdigest()


def _calls(size: DeckSize, part: DeckPart) -> Iterator[Call]:
    for (shape, dtype), signatures in size.pairs.items():
        if dtype not in part.dtypes:
            continue
        for position, signature in enumerate(signatures):
            tier = _tier(size, shape, dtype, position)
            if shape == WORKED and signature.axis == 1 and part.keeps(signature.op, GOLDEN, dtype, shape):
                yield golden_call(signature, dtype, tier)
            place = _Place(signature, shape, dtype, tier, position, thinned=size.extras)
            for call in _family_calls(place, part, every=size.skip):
                yield _of_few_constants(call) if size.extras else call
    for dtype in (d for d in DTYPES if d in part.dtypes):
        if size.extras:
            yield from _extras(dtype, part)
        yield from unbatched_calls(dtype, part, smoke=not size.extras)
        yield from every_option_calls(dtype, part)


def _extras(dtype: str, part: DeckPart) -> Iterator[Call]:
    """What the default deck has beside its menu, in one dtype."""
    for position, signature in enumerate(SECOND):
        for shape in (WORKED, CUBE):
            # One shape and dtype of them for targets that pay for every new signature, too.
            tier = "free" if (shape, dtype) != (WORKED, WHOLE_IN) else "core" if position == _SECOND_CORE else "full"
            place = _Place(at_axis(signature, 1), shape, dtype, tier, position)
            yield from _family_calls(place, part, every=_SECOND_SKIP)
    for position, signature in enumerate(combinations()):
        place = _Place(at_axis(signature, 1 - position % 2), _SMALL, dtype, "free", position)
        yield from _family_calls(place, part, every=_COMBINED_SKIP)
    yield from sweep_calls(dtype, part)
    yield from wider_output_calls(dtype, part)
    yield from scaled_calls(dtype, part)
    yield from laid_calls(dtype, part)
    yield from wider_loss_calls(dtype, part)
    yield from left_out_calls(dtype, part)
    yield from (c for c in coincidence_calls(dtype) if part.has(c.outline, c.family))
    yield from wide_row_calls(dtype, part)
    yield from tall_batch_calls(dtype, part)
    yield from covering_calls(dtype, part)
    yield from sentinel_calls(dtype, part)
    yield from grid_calls(dtype, part)


@dataclass(frozen=True)
class _Place:
    """A signature in a table: with a shape, a dtype and a tier, and at a position among those of its shape.

    Of those that are ``thinned`` not every family goes to targets that compile.
    """

    signature: Signature
    shape: Shape
    dtype: str
    tier: str
    position: int
    thinned: bool = False


def _family_calls(place: _Place, part: DeckPart, *, every: int) -> Iterator[Call]:
    """The calls of the families that make sense for a signature: of one family in ``every``, or in more where the shape
    is big."""
    signature, shape = place.signature, place.shape
    k, size = shape[signature.axis], math.prod(shape)
    suitable = [f for f in FAMILIES.values() if f.needs(size // k, k) and _fits(f, signature, k)]
    if size > _BIG_ELEMENTS:
        suitable = [f for f in suitable if f.name in _BIG]
        every = max(every, _BIG_SKIP)
    for order, f in enumerate(suitable):
        if (order + place.position) % every == 0 and part.keeps(
            signature.op, f.name, place.dtype, shape, signature.axis
        ):
            tier = _affordable(place, order)
            key = (f.name, shape, signature.key)
            call = drawn(
                part, partial(family_call, part, f, signature, shape=shape, dtype=place.dtype, key=key, tier=tier)
            )
            yield call.at_tier(_same_program(call))


def _tier(size: DeckSize, shape: Shape, dtype: str, position: int) -> str:
    if is_core(shape, dtype, position):
        return "core"
    return "full" if is_full(dtype, position) or not size.extras else "spare"


def _affordable(place: _Place, order: int) -> str:
    """The tier of a call, by the order of its family: where a signature has all families in float32, every second one
    is enough in another dtype, since those who compile operations one by one pay for each gradient, too."""
    other = place.thinned and place.tier == "full" and place.dtype != WHOLE_IN
    return "spare" if other and (order + place.position // 2) % 2 else place.tier


def _same_program(call: Call) -> str:
    """The tier of a call of a family: where programs are dear, their smoothing is a constant, and has one value."""
    return "full" if call.tier == "core" and call.outline.label_smoothing not in _CORE_SMOOTHING else call.tier


def _of_few_constants(call: Call) -> Call:
    """The call, as a spare one if its smoothing is a number of all bits: each would be a program of its own."""
    rare = FAMILIES[call.family].full and call.outline.label_smoothing not in _CORE_SMOOTHING
    return call.at_tier("spare") if rare else call


def _fits(f: Family, signature: Signature, k: int) -> bool:
    if f.labels == "ignored" and Uses.IGNORE_INDEX not in signature.uses:
        return False
    return signature.op != "nll_loss" or f.log_probs or not f.regular or k == 1


def golden_call(signature: Signature, dtype: str, tier: str = "full") -> Call:
    """Make a call of the worked example (specification, section 6) under a signature."""
    fmt = FORMATS[dtype]
    x = fmt.round(np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]]))
    if signature.op == "nll_loss":
        # The published four decimals are themselves a fine set of log-probabilities.
        x = fmt.round(np.array([[-1.5425, -1.4425, -1.3425, -1.2425], [-1.3863] * 4]))
    is_loss = signature.is_loss
    labels = np.array([2, 3], dtype=np.int64)
    target: np.ndarray | None = np.eye(4)[labels] if signature.has_probability_target else labels
    shape = x.shape if not is_loss else (2,) if signature.reduction == "none" else ()
    problem = Problem(
        op=signature.op,
        dtype=dtype,
        x=x,
        target=target if is_loss else None,
        weight=np.ones(4) if Uses.WEIGHT in signature.uses else None,
        cotangent=np.ones(shape),
        axis=-1,
        reduction=signature.reduction if is_loss else "mean",
        ignore_index=-100 if Uses.IGNORE_INDEX in signature.uses else None,
        label_smoothing=0.1 if Uses.SMOOTHING in signature.uses else 0.0,
    )
    return Call(problem, GOLDEN, "specification, section 6", tier=tier)
