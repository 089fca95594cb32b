"""The judge compares outputs with enclosures and bounds, entry by entry. It knows no framework."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.core.batch import Bools
from lossproof.core.formats import F64, Format
from lossproof.truth.expected import ANY, NAN, NINF, PINF, ZERO, Expected


@dataclass(frozen=True)
class Judged:
    """The judgement of a stack of outputs, entry by entry (``entries``, B, ...) and reduced to each problem (B,)."""

    ok: Bools
    undecided: Bools
    share: F64
    ulp: F64
    worst: NDArray[np.intp]
    entries: Bools


def judge_stack(expected: Expected, allowed: F64, got: F64, fmt: Format) -> Judged:
    """Compare stacked outputs (B, ...) with their enclosures and allowances."""
    b = got.shape[0]
    mid, low, rad = expected.exact.mid, expected.exact.low, expected.exact.rad
    allowed = np.where(expected.strict, 0.0, allowed)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs((got - mid) - low)
        if expected.other is not None:
            # Two formulas are accepted: an entry is measured against the nearer one.
            second = np.abs((got - expected.other.mid) - expected.other.low)
            error = np.where(expected.strict, error, np.fmin(error, second))
        finite = np.isfinite(mid)
        inside = finite & (error + rad <= allowed)
        undecided = finite & ~inside & (error - rad <= allowed)
        special = np.where(np.isnan(mid), np.isnan(got), ~finite & (got == mid))
        # |exact| + bound >= max (1 + u), without forming a sum that float64 cannot hold.
        beyond = (np.abs(mid) - fmt.max) + allowed >= fmt.max * fmt.u
        overflow = np.isinf(got) & finite & (np.sign(got) == np.sign(mid)) & beyond
        ok = inside | special | overflow | accepted(expected.accept, got)
        share = np.where(allowed > 0, error / allowed, np.where(error == 0, 0.0, np.inf))
        share = np.where(ok & (~inside | np.isinf(allowed)), 0.0, np.where(np.isnan(share), np.inf, share))
        ulp = np.where(finite & np.isfinite(got), error / fmt.spacing(mid), np.where(ok, 0.0, np.inf))
    entries = ok
    ok, undecided, share, ulp = (a.reshape(b, -1) for a in (ok, undecided & ~ok, share, ulp))
    # Failing entries first, then the largest share: the reader wants the entry that decides the verdict.
    rank = np.where(ok, share, np.where(np.isnan(share), np.inf, np.maximum(share, 1.0) + 1e6))
    worst = rank.argmax(axis=1) if rank.shape[1] else np.zeros(b, dtype=np.intp)
    pick = (np.arange(b), worst)
    return Judged(
        ok=np.asarray(ok.all(axis=1)),
        undecided=np.asarray(undecided.any(axis=1)),
        share=share[pick] if share.shape[1] else np.zeros(b),
        ulp=ulp.max(axis=1, initial=0.0),
        worst=worst,
        entries=entries,
    )


def accepted(accept: NDArray[np.uint8], got: F64) -> Bools:
    """Say of each entry whether it is one of the outcomes that a may-clause lists."""
    return (
        ((accept & NAN > 0) & np.isnan(got))
        | ((accept & PINF > 0) & np.isposinf(got))
        | ((accept & NINF > 0) & np.isneginf(got))
        | ((accept & ZERO > 0) & (got == 0))
        | (accept & ANY > 0)
    )


def conventions(expected: Expected, got: F64, i: int, allowed: F64) -> dict[str, str]:
    """Return the behaviours that the output ``got`` of problem ``i`` of a stack shows, by clause, joined with ``|``."""
    clauses, mid = expected.clause[i], expected.exact.mid[i]
    found = {} if expected.other is None else _formula(expected.exact.mid[i], expected.other.mid[i], got, allowed[i])
    if not clauses.any():
        return found
    for clause in np.unique(clauses[clauses > 0]):
        seen, centre = got[clauses == clause], mid[clauses == clause]
        other_inf = np.isinf(seen) & (centre != seen)
        rest = ~np.isnan(seen) & ~other_inf
        shown = {
            "nan": np.isnan(seen),
            "inf": other_inf & (seen > 0),
            "-inf": other_inf & (seen < 0),
            "zero": rest & np.isnan(centre),
            "limit": rest & ~np.isnan(centre),
        }
        found[str(clause)] = "|".join(sorted(name for name, where in shown.items() if where.any()))
    return found


def _formula(first: F64, second: F64, got: F64, allowed: F64) -> dict[str, str]:
    """Say which of two accepted gradients is shown, where they can be told apart (specification, section 3)."""
    with np.errstate(invalid="ignore"):
        # NaN and infinity are near neither: they are matters of other clauses.
        apart = (np.abs(first - second) > 4 * allowed) & np.isfinite(got)
        nearer = np.abs(got - first) <= np.abs(got - second)
    shown = {"Q p - w q'": nearer & apart, "p - w q'": ~nearer & apart}
    names = sorted(name for name, where in shown.items() if where.any())
    return {"3": "|".join(names)} if names else {}
