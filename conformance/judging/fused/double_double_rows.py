"""Exponentials of a row in double-double, block by block: each step runs over a block that stays in the cache, and in
the lanes of the processor."""

from __future__ import annotations

from typing import Any

from lossproof.judging.fused import double_double_scalars as dd
from lossproof.judging.fused.compiler import compiled
from lossproof.truth.oracle.double_double import SQUARINGS


@compiled
def exp_row(a: Any, a_low: Any, out: Any, out_low: Any, block: Any) -> None:
    """Fill in the exponentials of numbers that are at most 0: ``exp_scalar``, bit for bit.

    ``block`` (3, a block's size) is worked in.
    """
    size = block.shape[1]
    for start in range(0, a.shape[0], size):
        end = min(a.shape[0], start + size)
        _exp_block(a[start:end], a_low[start:end], out[start:end], out_low[start:end], block[0], block[1], block[2])


@compiled
def _exp_block(a: Any, a_low: Any, out: Any, out_low: Any, k: Any, r: Any, r_low: Any) -> None:
    for j in range(a.shape[0]):
        k[j], r[j], r_low[j] = dd.reduce_argument(a[j], a_low[j])
        out[j], out_low[j] = 0.0, 0.0
    for i in range(dd.TERMS):
        c, c_low = dd.COEFFICIENTS[i, 0], dd.COEFFICIENTS[i, 1]
        for j in range(a.shape[0]):
            s, s_low = dd.add(out[j], out_low[j], c, c_low)
            out[j], out_low[j] = dd.multiply(s, s_low, r[j], r_low[j])
    for _ in range(SQUARINGS):
        for j in range(a.shape[0]):
            s, s_low = out[j], out_low[j]
            p, p_low = dd.multiply(s, s_low, s, s_low)
            out[j], out_low[j] = dd.add(2.0 * s, 2.0 * s_low, p, p_low)
    for j in range(a.shape[0]):
        s, s_low = dd.add(out[j], out_low[j], 1.0, 0.0)
        out[j], out_low[j] = dd.scaled_down(s, k[j]), dd.scaled_down(s_low, k[j])
