"""The audit: the radius of every vectorised oracle contains Arb's value, in every family, dtype, op and output."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases.call_maker import make_call
from lossproof.cases.families import FAMILIES
from lossproof.cases.family import Family
from lossproof.cases.picker import SeededPicker
from lossproof.cases.signature import NOTHING, Signature, Uses
from lossproof.core.batch import Batch, stack
from lossproof.core.formats import FORMATS
from lossproof.truth.bounds.allowed import allow
from lossproof.truth.bounds.error_model import Model
from lossproof.truth.oracle import in_balls, in_double_double, in_float64
from lossproof.truth.oracle.enclosure import Enclosure
from lossproof.truth.oracle.number_systems import precision
from lossproof.truth.row_quantities import Rows, analyse
from tests.support.thinned import WHOLE, at_least

# A tenth of a batch may be rows that no enclosure is used for; at night 20 000 entries of each family and dtype stay.
ENOUGH = 22_500 if WHOLE else 400
_WHOLE_SHAPES = ((37, 13), (60, 2), (7, 130), (1100, 2), (400, 1))
SHAPES = _WHOLE_SHAPES if WHOLE else ((7, 13), (20, 2), (2, 70), (300, 2), (30, 1))
SOFTMAX = (Signature("softmax"), Signature("log_softmax"))
NLL = tuple(
    Signature("nll_loss", reduction, uses)
    for reduction, uses in (("none", Uses.WEIGHT), ("mean", Uses.WEIGHT | Uses.IGNORE_INDEX), ("sum", NOTHING))
)
LOSSES = tuple(
    Signature("cross_entropy", reduction, uses)
    for reduction, uses in (
        ("none", NOTHING),
        ("mean", NOTHING),
        ("mean", Uses.WEIGHT | Uses.IGNORE_INDEX),
        ("sum", Uses.IGNORE_INDEX),
        ("none", Uses.SMOOTHING | Uses.WEIGHT),
        ("mean", Uses.SMOOTHING | Uses.IGNORE_INDEX),
        ("mean", Uses.PROBABILITIES),
        ("none", Uses.PROBABILITIES | Uses.WEIGHT),
        ("mean", Uses.PROBABILITIES | Uses.SMOOTHING | Uses.WEIGHT),
    )
)
# Of two formats of a family each takes every other one where the tests are not whole.
SIGNATURES = (*SOFTMAX, *NLL, *LOSSES)


def batches(f: Family, dtype: str) -> list[Batch]:
    """One batch for each signature, in the shapes that the family takes in turn, with at least ENOUGH elements."""
    shapes = [shape for shape in SHAPES if f.needs(*shape)] or [s for s in _WHOLE_SHAPES if f.needs(*s)]
    found, count, turn = [], 0, 0
    while count < ENOUGH:
        for sig in SIGNATURES if WHOLE else SIGNATURES[list(FORMATS).index(dtype) % 2 :: 2]:
            if sig.op == "nll_loss" and f.regular and not f.log_probs:
                continue
            shape = shapes[turn % len(shapes)]
            pick = SeededPicker(f"audit/{f.name}/{dtype}/{sig.key}/{turn}")
            batch = stack([make_call(pick, f, sig, shape=shape, fmt=FORMATS[dtype], provenance="").problem])
            found.append(batch)
            count += elements(batch)
            turn += 1
    return found


def elements(batch: Batch) -> int:
    """Entries of value and VJP."""
    value = batch.x.size if not batch.is_loss else batch.n if batch.reduction == "none" else 1
    return value + batch.x.size


def excess(inner: Enclosure, outer: Enclosure) -> float:
    """The farthest point of ``inner`` from the centre of ``outer``, in radii of ``outer``: contained if at most 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs((inner.mid - outer.mid) + (inner.low - outer.low)) + inner.rad
    both_infinite = np.isinf(inner.mid) & (np.isinf(outer.rad) | (inner.mid == outer.mid))
    away = np.where(both_infinite | (away == 0), 0.0, away)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.isinf(outer.rad), 0.0, away / outer.rad)
    ratio = np.where(away == 0, 0.0, ratio)
    assert not np.isnan(ratio).any()
    return float(ratio.max(initial=0.0))


# Families whose float64 logits leave double-double's range.
BEYOND = ("near_overflow", "scaled_overflow")


def judged(batch: Batch, rows: Rows) -> bool:
    """Whether the mean's denominator is certain: elsewhere no enclosure is used."""
    return not allow(batch, rows, Model(batch.fmt, "W")).unjudged.any()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_radius_contains_arb(name: str, dtype: str) -> None:
    checked = 0
    for batch in batches(FAMILIES[name], dtype):
        if dtype == "float64" and not in_double_double.suitable(batch).all():
            # Beyond the range of double-double Arb itself is the oracle.
            assert name in BEYOND
            continue
        checked += audit(batch)
    assert checked >= 0.9 * ENOUGH or (name in BEYOND and dtype == "float64")


def audit(batch: Batch) -> int:
    """Assert that the radii of a batch contain Arb's values; the number of entries checked."""
    rows = analyse(batch)
    if not judged(batch, rows):
        return 0
    vectorised = in_double_double.enclosures_in_double_double, in_float64.enclosures_in_float64
    quick = vectorised[batch.fmt.name != "float64"](batch, rows)
    arb = in_balls.enclosures_in_balls(batch, rows)
    assert excess(arb["value"], quick["value"]) <= 1
    assert excess(arb["vjp"], quick["vjp"]) <= 1
    return elements(batch)


@pytest.mark.parametrize("dtype", FORMATS)
def test_radii_hold_for_products_with_a_factor(dtype: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(11)
    for factor in (3.0, -1.25, float(fmt.round(np.array(0.07216878364870323)))):
        for offset in (0.0, 40.0, -300.0, fmt.max / 2**12):
            x = fmt.round(rng.normal(size=(30, 7)) * 3 + offset)
            for op, target in (("softmax", None), ("log_softmax", None), ("cross_entropy", rng.integers(0, 7, 30))):
                batch = stack([Problem(op, dtype, x, target, scale=factor)])
                if dtype == "float64" and not in_double_double.suitable(batch).all():
                    continue
                rows = analyse(batch)
                vectorised = in_double_double.enclosures_in_double_double, in_float64.enclosures_in_float64
                quick = vectorised[dtype != "float64"](batch, rows)["value"]
                assert excess(in_balls.enclosures_in_balls(batch, rows)["value"], quick) <= 1


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_logits_are_the_exact_products(dtype: str) -> None:
    fmt, rng = FORMATS[dtype], np.random.default_rng(12)
    x, factor = fmt.round(rng.normal(size=(9, 5)) * 20), float(fmt.round(np.array(0.07216878364870323)))
    batch = stack([Problem("log_softmax", dtype, x, scale=factor)])
    (value,) = in_balls.enclosures_in_balls(batch, analyse(batch)).values()
    with precision(300):
        for row, mid, low in zip(x, value.mid[0], value.low[0], strict=True):
            z = [in_balls.exactly(v) * in_balls.exactly(factor) for v in row]
            log_sum = sum(v.exp() for v in z).log()
            for v, m, rest in zip(z, mid, low, strict=True):
                assert abs(v - log_sum - in_balls.exactly(m) - in_balls.exactly(rest)) < 1e-30


@pytest.mark.parametrize("dtype", FORMATS)
def test_radii_hold_for_awkward_options(dtype: str) -> None:
    fmt, checked = FORMATS[dtype], 0
    top = min(fmt.max, 1e30)
    for seed in range(at_least(40, to=4)):
        rng = np.random.default_rng([7, seed])
        n, k = (5, 7) if seed % 2 else (9, 3)
        x = fmt.round(rng.normal(size=(n, k)) * rng.choice([0.1, 3.0, 40.0, 1000.0]))
        w = fmt.round(rng.normal(size=k) * 3)
        q = fmt.round(rng.normal(size=(n, k)))
        # (1 - eps) q and eps / K cancel as far as the format allows.
        eps = float(rng.choice([0.0, 0.1, 0.5, 0.999]))
        q[:, 0] = fmt.round(np.full(n, -eps / k / (1 - eps)))
        g = fmt.round(np.asarray(rng.choice([1.0, -top, 2.0**-10])))
        labels = rng.integers(0, k, n)
        rest = fmt.round(rng.normal(size=n) * rng.choice([1.0, top / 64]))
        for target in (labels, q):
            for reduction, cot in (("none", rest), ("sum", g), ("mean", g)):
                p = Problem("cross_entropy", dtype, x, target, w, cot, -1, reduction, None, eps)
                checked += audit(stack([p]))
        v = fmt.round(rng.normal(size=(n, k)) * rng.choice([1.0, top / 64]))
        checked += audit(stack([Problem("softmax", dtype, x, cotangent=v)]))
        checked += audit(stack([Problem("log_softmax", dtype, x, cotangent=v)]))
    assert checked > at_least(5000, to=4)


def test_the_audit_can_fail() -> None:
    batch = batches(FAMILIES["ordinary"], "float32")[0]
    rows = analyse(batch)
    quick, arb = (
        in_float64.enclosures_in_float64(batch, rows)["value"],
        in_balls.enclosures_in_balls(batch, rows)["value"],
    )
    assert excess(arb, quick) <= 1
    assert excess(arb, Enclosure(quick.mid * (1 + 1e-12), quick.low, quick.rad)) > 1
    assert excess(arb, Enclosure(quick.mid, quick.low, quick.rad * 1e-3)) > 1
