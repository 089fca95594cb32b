"""Messages say in one line what is wrong with an output, to a framework engineer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.call import Call, detail
from lossproof.core.observation import Observation
from lossproof.core.wrong_result import WrongResult
from lossproof.targets.plain_function import NOT_AN_ARRAY

# Significant digits that are enough for most numbers in a message, and for every float64.
_DIGITS, _ALL_DIGITS = 9, 17


def unusable_answer(base: Observation, call: Call, outcome: Outcome, *, offered: bool = True) -> Observation | None:
    """Return the observation of an error, or of an output that is missing or has a wrong shape or dtype; else None.

    ``offered`` says whether the target has the output at all.
    """
    p, name = call.outline, base.output
    outcome = outcome.of(name)
    if outcome.error == "unsupported":
        return replace(base, verdict="unsupported", message=outcome.message)
    verdict, wrong = "fail", ""
    wanted = p.shape_of(name)
    got = outcome.outputs.get(name)
    if outcome.error is not None and not offered:
        # What fails is an output that it has; this one was not asked.
        return replace(base, verdict="unsupported", message=f"no {name} on offer")
    if outcome.error in ("crash", "timeout", "resource"):
        verdict, wrong = outcome.error, outcome.message
    elif outcome.error is not None:
        wrong = f"raised {outcome.error}: {outcome.message}"
        if outcome.message.startswith(f"{WrongResult.__name__}: "):
            # Nothing was raised but by what took the result.
            wrong = outcome.message.partition(": ")[2]
    elif got is None:
        return replace(base, verdict="unsupported", message=f"no {name} on offer")
    elif got.data.shape != wanted:
        wrong = f"{name} has shape {got.data.shape}, expected {wanted}"
    elif got.dtype != (kind := p.dtype_of(name)):
        wrong = f"{name} has dtype {got.dtype}, expected {kind}"
        if got.dtype.startswith(NOT_AN_ARRAY):
            wrong = f"{name} is not an array of dtype {kind}, but a {got.dtype.removeprefix(NOT_AN_ARRAY)}"
    if not wrong:
        return None
    return replace(
        base,
        verdict=verdict,
        share=np.inf,
        ulp=np.inf,
        message=f"{p.op}({_describe(call)}): {wrong}",
        call=call,
    )


def message(call: Call, o: Observation) -> str:
    """Return ``op(call): got X at [i], exact in [a, b], allowed e, 37x the bound``; without what is allowed where the
    exact result is NaN or infinite."""
    # sanity check: only judged observations have a message of this form
    assert o.exact is not None
    assert o.got is not None
    where = "[" + ", ".join(map(str, o.index)) + "]"
    lo, hi = o.exact
    got, low, high = told_apart(o.got, lo, hi)
    exact = f"exact in [{low}, {high}]" if lo < hi else f"exact {low}"
    # Of what is no number nothing else is allowed, whatever the bound of its neighbours would be.
    allowed = f"allowed {o.allowed:.3g} (profile {o.profile}), " if np.isfinite(lo) else ""
    size = f"{o.share:.3g}x the bound" if np.isfinite(o.share) else "not an accepted value"
    kind = "statistical grade exceeded; " if o.verdict == "suspect" else ""
    return f"{call.problem.op}({_describe(call)}): {kind}{o.output} got {got} at {where}, {exact}, {allowed}{size}"


def multiple(share: float, of: str = "the bound") -> str:
    """Write how far off a result is, as a multiple of what is allowed."""
    return f"{share:.3g}x {of}" if np.isfinite(share) else f"beyond every multiple of {of}"


def told_apart(*numbers: float) -> list[str]:
    """Write numbers with nine digits, or with as many more as tell those that differ apart."""
    for digits in range(_DIGITS, _ALL_DIGITS):
        found = [f"{v:.{digits}g}" for v in numbers]
        if len(set(found)) >= len({v if v == v else None for v in numbers}):
            return found
    return [f"{v:.{_ALL_DIGITS}g}" for v in numbers]


def own_index(at: tuple[int, ...], p: Problem, output: str) -> tuple[int, ...]:
    """Return an index in the batch's layout as an index of the output's own shape."""
    if p.shape_of(output) == ():
        return ()
    axis = p.axis % p.x.ndim
    outer: list[int] = []
    row = int(at[0])
    for size in reversed(p.row_shape):
        row, place = divmod(row, size)
        outer.insert(0, place)
    return tuple(outer) if len(at) == 1 else (*outer[:axis], int(at[1]), *outer[axis:])


def _describe(call: Call) -> str:
    return f"{call.outline.dtype} {call.family} {detail(call.outline)}"
