"""The judge of error cases finds which of the accepted readings an answer to an invalid or empty problem shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import ERROR_KINDS, Outcome, Problem
from lossproof.core.batch import flat
from lossproof.core.call import detail
from lossproof.core.formats import F64
from lossproof.core.observation import Observation, bits_digest
from lossproof.judging.check import Hearing, Judge
from lossproof.judging.messages import own_index


@dataclass(frozen=True)
class Reading:
    """A reading is one accepted answer: a sum of exact results of valid problems, times factors, within their bounds.

    In the ``rows`` the answer is ``fill`` instead, or with ``slope`` the gradient ``g Q p`` of a row without a target,
    or if ``unbounded`` anything that is not finite, and 0 where nothing is multiplied; a ``loose`` reading accepts NaN
    in the other rows.
    ``shown`` names the convention; an empty one is what the specification requires. ``needs`` names the capability
    that must be declared; ``outputs`` the outputs that it speaks of.
    """

    shown: str
    terms: tuple[tuple[float, Problem], ...] = ()
    rows: tuple[int, ...] = ()
    fill: float = np.nan
    slope: bool = False
    loose: bool = False
    unbounded: bool = False
    needs: str = ""
    outputs: tuple[str, ...] = ("value", "vjp")


def answers_judge(clause: str, what: str, readings: Sequence[Reading], *, errors: bool) -> Judge:
    """Make a judge that accepts the readings, and clean errors if ``errors``."""

    def judge(hearing: Hearing) -> list[Observation]:
        outcome = hearing.outcomes[0]
        if outcome.error is not None:
            return [_raised(hearing, outcome, "value", clause, what, errors=errors)]
        own = {name: outcome.of(name) for name in hearing.check.outputs}
        return [
            _answered(hearing, answer, name, clause, what, readings)
            if answer.error is None
            else _raised(hearing, answer, name, clause, what, errors=errors)
            for name, answer in own.items()
        ]

    return judge


def _raised(hearing: Hearing, outcome: Outcome, name: str, clause: str, what: str, *, errors: bool) -> Observation:
    base = replace(hearing.blank(name), message=outcome.message)
    if outcome.error == "unsupported":
        return replace(base, verdict="unsupported")
    if outcome.error in ("crash", "timeout", "resource"):
        return _failed(replace(base, verdict=outcome.error), hearing, what, outcome.message)
    # sanity check: adapters name an error by the taxonomy
    assert outcome.error in ERROR_KINDS
    if errors:
        return replace(base, verdict="convention", conventions={clause: f"error:{outcome.error}"})
    return _failed(base, hearing, what, f"raised {outcome.error}: {outcome.message}")


def _answered(
    hearing: Hearing, outcome: Outcome, name: str, clause: str, what: str, readings: Sequence[Reading]
) -> Observation:
    p, base = hearing.check.problem, hearing.blank(name)
    tensor = outcome.outputs.get(name)
    if tensor is None:
        return replace(base, verdict="unsupported", message=f"no {name} on offer")
    wanted = p.shape_of(name)
    if tensor.data.shape != wanted:
        return _failed(base, hearing, what, f"{name} has shape {tensor.data.shape}, expected {wanted}")
    if tensor.dtype != p.dtype:
        return _failed(base, hearing, what, f"{name} has dtype {tensor.dtype}, expected {p.dtype}")
    got = flat(tensor.data, p)
    base = replace(base, bits=bits_digest(got))
    open_to = [
        r for r in readings if name in r.outputs and (not r.needs or getattr(hearing.target.capabilities, r.needs))
    ]
    for reading in open_to:
        if matches(hearing, reading, got, name):
            shown = {clause: reading.shown} if reading.shown else {}
            return replace(base, verdict="convention" if shown else "pass", conventions=shown)
    accepted = ", ".join(dict.fromkeys(r.shown or "the exact result" for r in open_to)) or "no value"
    numbers = np.array2string(tensor.data.reshape(-1)[:8], precision=9, separator=", ", max_line_width=1000)
    # What would be right if it were declared tells what the target does.
    closed = (r for r in readings if name in r.outputs and r not in open_to)
    declared = next((f", as {r.needs} declares" for r in closed if matches(hearing, r, got, name)), "")
    text = f"silently gives {name} {numbers}{declared}"
    if got.size:
        at = tuple(int(v) for v in np.unravel_index(int(np.isfinite(got).argmax()), got.shape))
        base = replace(base, got=float(got[at]), index=own_index(at, p, name))
    return _failed(base, hearing, what, f"{text}; accepted values: {accepted}")


def matches(hearing: Hearing, reading: Reading, got: F64, name: str) -> bool:
    """Say whether an output is what a reading says."""
    if not reading.terms:
        return bool(np.all(_same(got, np.full(got.shape, reading.fill))))
    total, allowed = np.zeros(got.shape), np.zeros(got.shape)
    with np.errstate(all="ignore"):
        for factor, p in reading.terms:
            centre, bound = _exact(hearing, p, name)
            total, allowed = total + factor * centre, allowed + abs(factor) * bound
        if reading.slope:
            # g (p - onehot) + g onehot: the gradient of a row that has no target.
            first = reading.terms[0][1]
            # sanity check: slopes are asked of index targets with reduction none and unit cotangents
            assert first.target is not None
            for row in reading.rows:
                total[row, first.target.reshape(-1)[row]] += _scale(first, row)
        close = (np.abs(got - total) <= allowed) | _same(got, total) | (reading.loose & np.isnan(got))
    if not reading.slope and reading.rows:
        rows = list(reading.rows)
        close[rows] = _same(got[rows], np.full(got[rows].shape, reading.fill))
        if reading.unbounded:
            close[rows] = ~np.isfinite(got[rows]) | (got[rows] == 0)
            close[rows] &= ~np.isfinite(got[rows]).all(axis=-1, keepdims=True)
    return bool(close.all())


def _scale(p: Problem, row: int) -> float:
    # sanity check: a gradient was asked for
    assert p.cotangent is not None
    # sanity check: losses have labels
    assert p.target is not None
    g = np.broadcast_to(p.cotangent, p.target.shape).reshape(-1)[row]
    return float(g / p.target.size if p.reduction == "mean" else g)


def _exact(hearing: Hearing, p: Problem, name: str) -> tuple[F64, F64]:
    exact, declared = hearing.truth(p), hearing.target.declared(p.op, p.result_dtype)
    expected = exact.expected[name]
    bound = exact.allowed(declared.profile, online=declared.online).outputs[name]
    e = expected.exact
    return e.mid[0] + e.low[0], np.where(expected.strict, 0.0, bound)[0] + e.rad[0]


def _same(a: F64, b: F64) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _failed(base: Observation, hearing: Hearing, what: str, text: str) -> Observation:
    p = hearing.check.problem
    message = f"{p.op}({p.dtype} {detail(p)}): {what}: {text}"
    return replace(base, message=message, share=np.inf, ulp=np.inf, call=hearing.check)
