"""Mutants of softmax, or of it and log_softmax, at NaN, infinite and masked logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.mutants.kit.clause_kit import infinities, masked, of_rows
from tests.mutants.kit.entries import SIBLING, both, bug
from tests.mutants.kit.mutant import ONE_OF_EACH, Mutant
from tests.mutants.kit.softmax_mistakes import FINITE
from tests.mutants.kit.softmax_steps import F16, PLAIN, Array, Softmax, over_rows, row_sum
from tests.mutants.kit.sources import MASK


def _skips_nan(x: Array) -> Array:
    hidden = np.where(np.isnan(x), -np.inf, x)
    top = np.max(hidden, axis=-1, keepdims=True)
    e = np.exp(hidden - np.where(np.isneginf(top), 0, top))
    # The output of the NaN entry itself stays NaN.
    return np.where(np.isnan(x) | np.isneginf(top), np.nan, e / row_sum(e))


NAN = SIBLING + "torch-linear-cross-entropy-masked-row"


def _masked_as(value: Callable[[Array], float]) -> Softmax:
    return Softmax(enter=lambda x: np.where(np.isneginf(x), x.dtype.type(value(x)), x))


def _uniform(x: Array) -> Array:
    p = PLAIN.p(x)
    return np.where(np.isneginf(x).all(-1, keepdims=True), 1 / x.shape[-1], p).astype(x.dtype)


def _nothing(x: Array) -> Array:
    return np.where(np.isneginf(x).all(-1, keepdims=True), 0, PLAIN.p(x)).astype(x.dtype)


def _shared_infinity(x: Array) -> Array:
    top = np.isposinf(x)
    share = top / np.maximum(row_sum(top.astype(x.dtype)), 1)
    clean = ~np.isnan(x).any(-1, keepdims=True)
    return np.where(top.any(-1, keepdims=True) & clean, share, PLAIN.p(x)).astype(x.dtype)


def _one_infinity_nan_elsewhere(x: Array) -> Array:
    top = np.isposinf(x)
    return np.where(top.any(-1, keepdims=True), np.where(top, 0.5, np.nan), PLAIN.p(x)).astype(x.dtype)


def _limit(x: Array) -> Array:
    one = (infinities(x) == 1)[..., None]
    return np.where(one, np.isposinf(x), PLAIN.p(x)).astype(x.dtype)


def _limit_in_float16(x: Array, *, axis: int = -1) -> Array:
    return over_rows(_limit if x.dtype == F16 else PLAIN.p)(x, axis=axis)


def _first_masked_counts(x: Array) -> Array:
    _, e, s = PLAIN.steps(x)
    return e / (s + masked(x)[..., :1])


MUTANTS: tuple[Mutant, ...] = (
    *both(
        "mask of finite value",
        "-inf is replaced by -10000: masked classes keep a finite log p",
        "unsloth-softcap-padding-mass (unslothai/unsloth#10616), the constant of fp16 attention masks",
        Softmax(enter=lambda x: np.where(np.isneginf(x), x.dtype.type(-10000), x)),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "infinite logits made finite",
        "nan_to_num before the exponential: two +inf share the mass",
        "torch-compile-scaled-softmax-hides-nan (pytorch/pytorch#161150)",
        over_rows(FINITE.p),
        expect=("float16",),
    ),
    *both(
        "NaN taken for a masked class",
        "the guard of an online softmax is written x > -inf and skips NaN",
        "torch-linear-cross-entropy-masked-row (pytorch/pytorch#195829)",
        Softmax(enter=lambda x: np.where(x > -np.inf, x, -np.inf).astype(x.dtype)),
        family="nan_row",
    ),
    bug(
        "softmax",
        "NaN dropped",
        "[nan, 0, 1] gives [nan, 0.27, 0.73]",
        "measured: softmax of TensorFlow's oneDNN kernels",
        over_rows(_skips_nan),
        family="nan_row",
    ),
    *both(
        "NaN-dropping sum",
        "nansum: the other entries of the row stay finite",
        NAN,
        Softmax(
            shift=lambda x: np.fmax.reduce(x, axis=-1, keepdims=True),
            total=lambda e: np.nansum(e, axis=-1, keepdims=True),
        ),
    ),
    *both(
        "NaN taken for 0",
        "nan_to_num before the exponential",
        NAN,
        Softmax(enter=lambda x: np.where(np.isnan(x), 0, x).astype(x.dtype)),
    ),
    *both(
        "NaN hidden by the maximum",
        "comparisons with NaN are false: NaN in the first place is replaced",
        NAN,
        Softmax(enter=lambda x: np.where(x == x, x, np.finfo(F16).min).astype(x.dtype)),
    ),
    *both(
        "mask of -1e9",
        "-inf is replaced by -1e9: masked classes keep a finite log p",
        "jax-logsoftmax-where-masked-entries-finite",
        _masked_as(lambda x: -1e9),
    ),
    *both(
        "mask of the dtype's minimum",
        "-inf is replaced by the most negative number",
        MASK,
        _masked_as(lambda x: float(np.finfo(x.dtype).min)),
    ),
    *both("mask of -100", "a finite mask that confident logits reach", MASK, _masked_as(lambda x: -100)),
    bug(
        "softmax",
        "all -inf row uniform",
        "1/K for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_uniform),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "all -inf row 0",
        "safe softmax: 0 for a row without a class",
        "sibling of jax-logsumexp-all-neginf-grad-nan",
        over_rows(_nothing),
        family="all_masked_row",
    ),
    bug(
        "softmax",
        "two +inf share the mass",
        "each gets 1/2 instead of NaN",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_shared_infinity),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "+inf gets 1/2",
        "a finite value that is not the limit",
        "torch-compile-scaled-softmax-hides-nan",
        over_rows(_one_infinity_nan_elsewhere),
        family="positive_infinity",
    ),
    bug(
        "softmax",
        "infinite logits saturate",
        "clip to the largest finite number of float16",
        "sibling of torch-compile-scaled-softmax-hides-nan",
        over_rows(Softmax(enter=lambda x: np.clip(x, -65504, 65504)).p),
    ),
    of_rows(
        "softmax",
        "4.0-mode",
        "limit at +inf",
        "one-hot where a logit is +inf; the parent gives NaN",
        _limit,
        allowed="section 4, clause 4",
    ),
    of_rows(
        "softmax",
        "4.0-dtype",
        "limit at +inf in float16 only",
        "one-hot in float16, NaN in the other formats",
        value=_limit_in_float16,
        expect=ONE_OF_EACH,
    ),
    of_rows(
        "softmax",
        "4.2-p",
        "masked classes keep 2^-24",
        "a floor under probabilities",
        lambda x: np.where(masked(x), 2.0**-24, PLAIN.p(x)).astype(x.dtype),
    ),
    of_rows(
        "softmax",
        "4.2-absent",
        "a masked first class counts",
        "the sum starts at 1, as if the first class were the maximum",
        _first_masked_counts,
    ),
    of_rows(
        "softmax",
        "4.3-one-class",
        "one class is certain",
        "K = 1 is answered without a look at the logit",
        lambda x: np.ones_like(x) if x.shape[-1] == 1 else PLAIN.p(x),
    ),
    of_rows(
        "softmax",
        "4.4-one",
        "one +inf gets 1/2",
        "a finite value that is not the limit",
        lambda x: np.where((infinities(x) == 1)[..., None], np.isposinf(x) / 2, PLAIN.p(x)).astype(x.dtype),
    ),
    of_rows(
        "softmax",
        "4.4-two-elsewhere",
        "1/4 beside two +inf",
        "the other classes keep mass",
        lambda x: np.where((infinities(x) > 1)[..., None] & ~np.isposinf(x), 0.25, PLAIN.p(x)).astype(x.dtype),
    ),
)
