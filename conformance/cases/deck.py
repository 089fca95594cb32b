"""The deck: families x signatures x shapes x dtypes -> calls, the same bytes on every machine for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from lossproof.adapters.protocol import DTYPES, Problem
from lossproof.cases.call_maker import Sig, make_call
from lossproof.cases.coincidences import crafted
from lossproof.cases.families import FAMILIES
from lossproof.cases.family import Family
from lossproof.cases.picker import SeededPicker
from lossproof.cases.scaled_logits import scaled_calls
from lossproof.cases.shape_sweeps import sweeps
from lossproof.cases.signatures import CUBE, MENU, SECOND, SMOKE, WORKED, combinations, is_core, is_full, moved
from lossproof.cases.wider_outputs import widened
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS

VERSION = 3

# Big shapes are for what only size provokes: these families, each on every third signature.
_BIG = frozenset(
    (
        *("ordinary", "confident", "offset", "rows_apart", "spread", "equal", "two_level", "ascending", "descending"),
        *(
            "dominating",
            "last_class",
            "stagnation",
            "near_overflow",
            "masked",
            "nan_row",
            "wide",
            "long_batch",
            "binary",
        ),
    )
)
_BIG_ELEMENTS, _BIG_SKIP, _SECOND_SKIP, _COMBINED_SKIP = 1000, 3, 3, 6
_CORE_SMOOTHING = (0.0, 0.1)
# Every combination of options, where a new shape costs nothing: rows and classes are different numbers.
_SMALL = (3, 5)


@dataclass(frozen=True)
class DeckSize:
    """A size of deck: its (shape, dtype) pairs with their signatures, and how many families share a signature."""

    name: str
    pairs: dict[tuple[tuple[int, ...], str], tuple[Sig, ...]]
    skip: int = 1
    extras: bool = False
    budget: dict[str, int] = field(default_factory=dict)


DECKS: dict[str, DeckSize] = {
    "smoke": DeckSize(
        "smoke", SMOKE, skip=2, budget={"pairs": 3, "signatures": 40, "core": 12, "compiled": 300, "calls": 300}
    ),
    "default": DeckSize(
        "default",
        {(shape, dtype): sigs for dtype in DTYPES for shape, sigs in MENU.items()},
        extras=True,
        budget={"pairs": 16, "signatures": 220, "core": 56, "compiled": 3500, "calls": 8000},
    ),
}


def deck_calls(
    *,
    deck: str = "default",
    seed: int = 0,
    ops: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    families: Iterable[str] | None = None,
) -> list[Call]:
    """All calls of a deck, neighbours sharing a signature. Raises :class:`UsageError` for an unknown name."""
    chosen = DECKS.get(deck)
    if chosen is None:
        raise UsageError(f"unknown deck {deck!r}; expected one of {', '.join(DECKS)}")
    keep_op, keep_dtype = _filter("op", ops, OPERATIONS), _filter("dtype", dtypes, DTYPES)
    keep_family = _filter("family", families, [*FAMILIES, "golden"])
    calls: dict[str, Call] = {}
    for call in _calls(chosen, seed, keep_op, keep_dtype, keep_family):
        # A family may draw the same inputs twice (equal logits, say); one of them is enough.
        calls.setdefault(call.id, call)
    return list(calls.values())


def digest(calls: Iterable[Call]) -> str:
    """sha256 of the ids, which contain the inputs' digests: equal decks have equal digests."""
    h = hashlib.sha256(f"deck {VERSION}".encode())
    for call in calls:
        h.update(call.id.encode() + b"\n")
    return h.hexdigest()


def _filter(what: str, given: Iterable[str] | None, known: Iterable[str]) -> frozenset[str]:
    names = frozenset(known)
    wanted = names if given is None else frozenset(given)
    if not wanted <= names:
        unknown = ", ".join(sorted(wanted - names))
        raise UsageError(f"unknown {what} {unknown}; expected one of {', '.join(sorted(names))}")
    return wanted or names


def _calls(
    size: DeckSize, seed: int, ops: frozenset[str], dtypes: frozenset[str], families: frozenset[str]
) -> Iterator[Call]:
    for (shape, dtype), sigs in size.pairs.items():
        for position, sig in enumerate(sigs):
            if sig.op not in ops or dtype not in dtypes:
                continue
            tier = _tier(size, shape, dtype, position)
            if shape == WORKED and sig.axis == 1 and "golden" in families:
                yield golden_call(sig, dtype, tier)
            yield from _of_signature(sig, shape, dtype, seed, tier, position, size.skip, families)
    if not size.extras:
        return
    for dtype in (d for d in DTYPES if d in dtypes):
        for position, sig in enumerate(SECOND):
            for shape in (WORKED, CUBE) if sig.op in ops else ():
                # One shape and dtype of them for targets that pay for every new signature, too.
                tier = "full" if (shape, dtype) == (WORKED, "float32") else "free"
                yield from _of_signature(moved(sig, 1), shape, dtype, seed, tier, position, _SECOND_SKIP, families)
        for position, sig in enumerate(combinations()):
            if sig.op in ops:
                at = moved(sig, 1 - position % 2)
                yield from _of_signature(at, _SMALL, dtype, seed, "free", position, _COMBINED_SKIP, families)
        yield from sweeps(dtype, seed, ops, families, VERSION)
        yield from widened(dtype, seed, ops, families, VERSION)
        yield from scaled_calls(dtype, seed, ops, families, VERSION)
        yield from (c for c in crafted(dtype) if c.problem.op in ops and c.family in families)


def _of_signature(
    sig: Sig,
    shape: tuple[int, ...],
    dtype: str,
    seed: int,
    tier: str,
    position: int,
    skip: int,
    families: frozenset[str],
) -> Iterator[Call]:
    """The families that make sense for a signature; of the big shapes, and where ``skip`` says so, some of them."""
    k, elements = shape[sig.axis], int(np.prod(shape))
    suitable = [f for f in FAMILIES.values() if f.needs(elements // k, k) and _fits(f, sig, k)]
    big = elements > _BIG_ELEMENTS
    suitable = [f for f in suitable if not big or f.name in _BIG]
    skip = max(skip, _BIG_SKIP if big else 1)
    for order, f in enumerate(suitable):
        if (order + position) % skip == 0 and f.name in families:
            # The draws are the same in every dtype, so that conventions can be compared across dtypes.
            key = f"{VERSION}/{seed}/{f.name}/{shape}/{sig}"
            provenance = f"seed {seed}"
            call = make_call(SeededPicker(key), f, sig, shape, FORMATS[dtype], provenance=provenance, tier=tier)
            yield replace(call, tier=_affordable(call))


def _tier(size: DeckSize, shape: tuple[int, ...], dtype: str, position: int) -> str:
    if is_core(shape, dtype, position):
        return "core"
    return "full" if is_full(dtype, position) or not size.extras else "spare"


def _affordable(call: Call) -> str:
    """The tier of a call of a family: where programs are dear, their smoothing is a constant, and has one value."""
    return "full" if call.tier == "core" and call.problem.label_smoothing not in _CORE_SMOOTHING else call.tier


def _fits(f: Family, sig: Sig, k: int) -> bool:
    if f.labels == "ignored" and "i" not in sig.uses:
        return False
    return sig.op != "nll_loss" or f.log_probs or not f.regular or k == 1


def golden_call(sig: Sig, dtype: str, tier: str = "full") -> Call:
    """The worked example of SPEC section 6 under a signature."""
    fmt = FORMATS[dtype]
    x = fmt.round(np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]]))
    if sig.op == "nll_loss":
        # The published four decimals are themselves a fine set of log-probabilities.
        x = fmt.round(np.array([[-1.5425, -1.4425, -1.3425, -1.2425], [-1.3863] * 4]))
    is_loss = sig.op in ("nll_loss", "cross_entropy")
    labels = np.array([2, 3], dtype=np.int64)
    target: np.ndarray | None = np.eye(4)[labels] if "q" in sig.uses else labels
    shape = x.shape if not is_loss else (2,) if sig.reduction == "none" else ()
    problem = Problem(
        op=sig.op,
        dtype=dtype,
        x=x,
        target=target if is_loss else None,
        weight=np.ones(4) if "w" in sig.uses else None,
        cotangent=np.ones(shape),
        axis=-1,
        reduction=sig.reduction if is_loss else "mean",
        ignore_index=-100 if "i" in sig.uses else None,
        label_smoothing=0.1 if "s" in sig.uses else 0.0,
    )
    return Call(problem, "golden", "SPEC section 6", tier=tier)
