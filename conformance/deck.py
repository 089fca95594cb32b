"""The deck: families x signatures x shapes x dtypes -> calls, the same bytes on every machine for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lossproof.adapters.protocol import DTYPES, Problem
from lossproof.call import Call
from lossproof.errors import UsageError
from lossproof.families import FAMILIES, Family
from lossproof.floats import F64, FORMATS, Format
from lossproof.ops import OPS
from lossproof.picker import Picker, SeededPicker, bell

VERSION = 1


@dataclass(frozen=True)
class Sig:
    """The static part of a call. Letters of ``uses``: s smoothing, w weight, i ignore_index, q probability targets."""

    op: str
    reduction: str = "mean"
    uses: str = ""
    axis: int = -1


_SOFTMAX = (Sig("softmax"), Sig("log_softmax"))
_NLL = (Sig("nll_loss", "none"), Sig("nll_loss", "mean", "wi"))
_CE = (
    Sig("cross_entropy", "mean"),
    Sig("cross_entropy", "none"),
    Sig("cross_entropy", "sum", "i"),
    Sig("cross_entropy", "mean", "s"),
    Sig("cross_entropy", "none", "sw"),
    Sig("cross_entropy", "mean", "w"),
    Sig("cross_entropy", "mean", "wi"),
    Sig("cross_entropy", "mean", "swi"),
    Sig("cross_entropy", "none", "si"),
    Sig("cross_entropy", "mean", "q"),
    Sig("cross_entropy", "none", "qw"),
    Sig("cross_entropy", "mean", "qsw"),
)
_ALL = _SOFTMAX + _NLL + _CE


def _on(axis: int, sigs: Iterable[Sig]) -> tuple[Sig, ...]:
    return tuple(Sig(s.op, s.reduction, s.uses, axis) for s in sigs)


WORKED, CUBE, WIDE, LONG = (2, 4), (1, 17, 24), (4, 1000), (4096, 2)
# Four shapes, seven class counts: the axes of the cube have 1, 17 and 24 classes, the others are read both ways.
MENU: dict[tuple[int, ...], tuple[Sig, ...]] = {
    WORKED: _on(1, _ALL) + _on(0, (*_SOFTMAX, _CE[3], _CE[10])),
    CUBE: _on(1, _ALL[:13]) + _on(2, (*_SOFTMAX, _CE[7], _CE[10])) + _on(0, (_SOFTMAX[1], _CE[4], _CE[11])),
    WIDE: _on(1, _ALL) + _on(0, (*_SOFTMAX, _CE[0], _CE[3])),
    LONG: _on(
        1, (*_NLL, *_CE, Sig("nll_loss", "sum", "w"), Sig("cross_entropy", "sum"), Sig("cross_entropy", "sum", "q"))
    ),
}
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
_BIG_ELEMENTS, _BIG_SKIP = 1000, 3
_SMOKE = {
    WORKED: _on(1, (*_SOFTMAX, _NLL[1], _CE[0], _CE[1], _CE[3], _CE[7], _CE[9], _CE[11])),
    CUBE: _on(1, (*_SOFTMAX, _NLL[1], _CE[1], _CE[3], _CE[7])) + _on(2, (_SOFTMAX[1], _CE[7])) + _on(0, (_CE[4],)),
}


@dataclass(frozen=True)
class Profile:
    """A size of deck: its (shape, dtype) pairs with their signatures, and how many families share a signature."""

    name: str
    pairs: dict[tuple[tuple[int, ...], str], tuple[Sig, ...]]
    skip: int = 1
    budget: dict[str, int] = field(default_factory=dict)


PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        "smoke",
        {
            (WORKED, "float32"): _SMOKE[WORKED],
            (CUBE, "float32"): _SMOKE[CUBE],
            (WORKED, "float16"): _SMOKE[WORKED],
        },
        skip=2,
        budget={"pairs": 3, "signatures": 40, "calls": 300},
    ),
    "default": Profile(
        "default",
        {(shape, dtype): sigs for dtype in DTYPES for shape, sigs in MENU.items()},
        budget={"pairs": 16, "signatures": 320, "calls": 5000},
    ),
}


def build(
    *,
    profile: str = "default",
    seed: int = 0,
    ops: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
    families: Iterable[str] | None = None,
) -> list[Call]:
    """All calls of a profile, neighbours sharing a signature. Raises :class:`UsageError` for an unknown name."""
    chosen = PROFILES.get(profile)
    if chosen is None:
        raise UsageError(f"unknown profile {profile!r}; expected one of {', '.join(PROFILES)}")
    keep_op, keep_dtype = _filter("op", ops, OPS), _filter("dtype", dtypes, DTYPES)
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
    profile: Profile, seed: int, ops: frozenset[str], dtypes: frozenset[str], families: frozenset[str]
) -> Iterator[Call]:
    for (shape, dtype), sigs in profile.pairs.items():
        for position, sig in enumerate(sigs):
            if sig.op not in ops or dtype not in dtypes:
                continue
            if shape == WORKED and sig.axis == 1 and "golden" in families:
                yield golden_call(sig, dtype)
            k = shape[sig.axis]
            suitable = [f for f in FAMILIES.values() if f.needs(int(np.prod(shape)) // k, k)]
            suitable = [f for f in suitable if sig.op != "nll_loss" or f.log_probs or not f.regular or k == 1]
            big = int(np.prod(shape)) > _BIG_ELEMENTS
            suitable = [f for f in suitable if not big or f.name in _BIG]
            skip = max(profile.skip, _BIG_SKIP if big else 1)
            # The draws are the same in every dtype, so that conventions can be compared across dtypes.
            for order, f in enumerate(suitable):
                if (order + position) % skip == 0 and f.name in families:
                    key = f"{VERSION}/{seed}/{f.name}/{shape}/{sig}"
                    yield make_call(SeededPicker(key), f, sig, shape, FORMATS[dtype], provenance=f"seed {seed}")


def make_call(pick: Picker, f: Family, sig: Sig, shape: tuple[int, ...], fmt: Format, *, provenance: str) -> Call:
    """One call of a family: logits by the family, options and cotangent by the signature."""
    axis = sig.axis % len(shape)
    k = shape[axis]
    rest = shape[:axis] + shape[axis + 1 :]
    n = int(np.prod(rest))
    rows = f.make(pick, fmt, n, k)
    if sig.op == "nll_loss":
        rows = -np.abs(rows)
    is_loss = sig.op in ("nll_loss", "cross_entropy")
    target: np.ndarray | None = None
    weight, ignore, eps = None, None, 0.0
    if is_loss:
        target, ignore = _targets(pick, f, sig, rows, fmt)
        weight = _weights(pick, fmt, k) if "w" in sig.uses else None
        eps = pick.choice((0.1, 0.1, 0.3, 0.0009765625, 1.0)) if "s" in sig.uses else 0.0
    x = np.moveaxis(rows.reshape(*rest, k), -1, axis)
    if target is not None:
        target = np.moveaxis(target.reshape(*rest, k), -1, axis) if "q" in sig.uses else target.reshape(rest)
    problem = Problem(
        op=sig.op,
        dtype=fmt.name,
        x=np.ascontiguousarray(x),
        target=None if target is None else np.ascontiguousarray(target),
        weight=weight,
        cotangent=_cotangent(pick, sig, fmt, x.shape, rest),
        axis=sig.axis if sig.axis != len(shape) - 1 else -1,
        reduction=sig.reduction if is_loss else "mean",
        ignore_index=ignore,
        label_smoothing=eps,
    )
    return Call(problem, f.name, provenance, f.random_order)


def _targets(pick: Picker, f: Family, sig: Sig, rows: F64, fmt: Format) -> tuple[np.ndarray, int | None]:
    n, k = rows.shape
    if "q" in sig.uses:
        return _probabilities(pick, n, k), None
    labels = pick.bits(16, (n,)) * k >> 16
    if f.labels == "top":
        labels = np.where(pick.bits(2, (n,)) > 0, np.argmax(rows, axis=1), labels)
    elif f.labels == "unmasked":
        hidden = np.isneginf(rows[np.arange(n), labels])
        labels = np.where(hidden, np.argmax(rows, axis=1), labels)
    if "i" not in sig.uses:
        return labels, None
    ignore = pick.choice((-100, -1, 255, 0, k - 1))
    drop = pick.bits(2, (n,)) == 0
    drop[pick.integer(0, n - 1)] = pick.integer(0, 7) == 0
    return np.where(drop, ignore, labels), ignore


def _probabilities(pick: Picker, n: int, k: int) -> F64:
    """Rows of multiples of 1/128 that sum to exactly 1; zeros and one-hot rows among them."""
    parts = min(k, 6) if pick.integer(0, 3) else 1
    cuts = np.sort(pick.bits(7, (n, parts - 1)), axis=1) if parts > 1 else np.zeros((n, 0), dtype=np.int64)
    ends = np.concatenate([np.zeros((n, 1), np.int64), cuts, np.full((n, 1), 128)], axis=1)
    first = pick.bits(16, (n, 1)) * k >> 16
    q = np.zeros((n, k))
    np.put_along_axis(q, (first + np.arange(parts) * max(1, k // parts)) % k, np.diff(ends, axis=1) / 128, axis=1)
    return q


def _weights(pick: Picker, fmt: Format, k: int) -> F64:
    """Between 1/16 and 8, with few significant bits or with all that the format has; now and then a zero."""
    fine = pick.bits(32, (k,)) * (2.0**-32 * pick.integer(0, 1))
    w = fmt.round(np.ldexp(1 + pick.bits(4, (k,)) + fine, pick.bits(2, (k,)) - 4))
    if pick.integer(0, 3) == 0 and k > 1:
        w[pick.integer(0, k - 1)] = 0.0
    return w


def _cotangent(pick: Picker, sig: Sig, fmt: Format, shape: tuple[int, ...], rest: tuple[int, ...]) -> F64:
    if sig.op in ("softmax", "log_softmax"):
        kind = pick.integer(0, 3)
        return np.ones(shape) if kind == 0 else fmt.round(_normal(bell(pick, shape)))
    if sig.reduction != "none":
        return np.asarray(pick.choice((1.0, 1.0, -1.0, 0.375, 3.0)))
    return fmt.round(_normal(bell(pick, rest)))


def _normal(v: F64) -> F64:
    # Clause 9: cotangents in the deck are 0 or far from the underflow range.
    return np.where(np.abs(v) < 2.0**-6, 0.0, v)


def golden_call(sig: Sig, dtype: str) -> Call:
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
    return Call(problem, "golden", "SPEC section 6")
