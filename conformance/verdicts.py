"""From judged stacks to observations: profiles, conventions, escalation of undecided cases, and the messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem
from lossproof.batch import flat
from lossproof.call import Call, detail
from lossproof.expect import Truth, truth
from lossproof.floats import F64, FORMATS
from lossproof.judge import Judged, Observation, bits_digest, conventions, judge
from lossproof.ops import value_shape
from lossproof.oracle.balls import PRECISIONS


@dataclass(frozen=True)
class Declared:
    """What a target says of itself for one op and dtype: its error profile, and whether it rescales partial sums."""

    profile: str
    online: bool = False


def default_profile(dtype: str) -> str:
    """W for float64 and float32, N for the 16-bit formats."""
    return "N" if FORMATS[dtype].is_narrow else "W"


def observe(
    calls: Sequence[Call], exact: Truth, outcomes: Sequence[Outcome], target: str, declared: Declared
) -> list[Observation]:
    """Judge one target's outcomes for a stack of calls; one observation per call and output, in order."""
    per_output = [_observe_output(name, calls, exact, outcomes, target, declared) for name in exact.expected]
    return [observation for row in zip(*per_output, strict=True) for observation in row]


def _observe_output(
    name: str, calls: Sequence[Call], exact: Truth, outcomes: Sequence[Outcome], target: str, declared: Declared
) -> list[Observation]:
    expected, fmt = exact.expected[name], exact.batch.fmt
    layout = expected.exact.mid.shape
    stacked = np.full(layout, np.nan)
    trouble: dict[int, Observation] = {}
    for i, (call, outcome) in enumerate(zip(calls, outcomes, strict=True)):
        base = Observation(call.id, name, target, "fail", profile=declared.profile, seconds=outcome.seconds)
        problem = _trouble(base, call, name, outcome)
        if problem is None:
            stacked[i] = flat(outcome.outputs[name].data, call.problem).reshape(layout[1:])
        else:
            trouble[i] = problem
    bounds = _profiles(exact, name, declared)
    bound = bounds[declared.profile]
    judgements = {profile: judge(expected, b, stacked, fmt) for profile, b in bounds.items()}
    judged = judgements[declared.profile]
    graded = _beyond_grade(calls, exact, name, stacked, declared)
    result = []
    for i, call in enumerate(calls):
        if i in trouble:
            result.append(trouble[i])
            continue
        if judged.undecided[i]:
            result.append(_escalate(call, name, outcomes[i], target, declared))
            continue
        met = next((p for p in ("W", "F", "N") if p in judgements and judgements[p].ok[i]), "")
        result.append(_one(call, name, outcomes[i], target, declared, expected, bound, judged, stacked, i, met, graded[i]))
    return result


def _trouble(base: Observation, call: Call, name: str, outcome: Outcome) -> Observation | None:
    """Errors, missing outputs, and outputs of the wrong shape or dtype."""
    p = call.problem
    if outcome.error == "unsupported":
        return replace(base, verdict="unsupported", message=outcome.message)
    verdict, wrong = "fail", ""
    wanted = p.x.shape if name == "vjp" else value_shape(p)
    got = outcome.outputs.get(name)
    if outcome.error in ("crash", "timeout", "resource"):
        verdict, wrong = outcome.error, outcome.message
    elif outcome.error is not None:
        wrong = f"raised {outcome.error}: {outcome.message}"
    elif got is None:
        return replace(base, verdict="unsupported", message=f"no {name} on offer")
    elif got.data.shape != wanted:
        wrong = f"{name} has shape {got.data.shape}, expected {wanted}"
    elif got.dtype != p.dtype:
        wrong = f"{name} has dtype {got.dtype}, expected {p.dtype}"
    if not wrong:
        return None
    message = f"{p.op}({_describe(call)}): {wrong}"
    return replace(base, verdict=verdict, share=np.inf, ulp=np.inf, message=message, call=call.to_json())


def _profiles(exact: Truth, name: str, declared: Declared) -> dict[str, F64]:
    """Allowances of one output under each profile that makes sense for the dtype."""
    profiles = {"W", declared.profile} | ({"N"} if exact.batch.fmt.is_narrow else set())
    return {p: getattr(exact.allowed(p, online=declared.online), name) for p in sorted(profiles)}


def _beyond_grade(calls: Sequence[Call], exact: Truth, name: str, stacked: F64, declared: Declared) -> np.ndarray:
    """Calls with randomly ordered data whose error exceeds the statistical grade."""
    random = np.array([c.random_order for c in calls], dtype=bool)
    if not random.any() or max(exact.batch.k, exact.batch.n) < 83:
        return np.zeros(len(calls), dtype=bool)
    bound = getattr(exact.allowed(declared.profile, randomly_ordered=True, online=declared.online), name)
    return random & ~judge(exact.expected[name], bound, stacked, exact.batch.fmt).ok


def _escalate(call: Call, name: str, outcome: Outcome, target: str, declared: Declared) -> Observation:
    """An undecided case: raise Arb's precision until the verdict is certain."""
    for precision in PRECISIONS:
        exact = truth([call.problem], precision=precision)
        expected = exact.expected[name]
        bound = getattr(exact.allowed(declared.profile, online=declared.online), name)
        stacked = flat(outcome.outputs[name].data, call.problem).reshape(expected.exact.mid.shape)
        judged = judge(expected, bound, stacked, exact.batch.fmt)
        if not judged.undecided[0]:
            return _one(call, name, outcome, target, declared, expected, bound, judged, stacked, 0, "", False)
    base = Observation(call.id, name, target, "error", profile=declared.profile, call=call.to_json())
    return replace(base, message=f"undecided at {PRECISIONS[-1]} bits: got value sits on the bound")


def _one(call, name, outcome, target, declared, expected, bound, judged: Judged, stacked, i, met, beyond) -> Observation:  # type: ignore[no-untyped-def]
    p = call.problem
    got = outcome.outputs[name].data
    shown = {c: s for c, s in conventions(expected, stacked[i], i).items() if not (c == "7" and s == "limit")}
    verdict = "fail" if not judged.ok[i] else "suspect" if beyond else "convention" if shown else "pass"
    flat_index = int(judged.worst[i])
    base = Observation(
        call.id,
        name,
        target,
        verdict,
        share=float(judged.share[i]),
        ulp=float(judged.ulp[i]),
        conventions=shown,
        profile=declared.profile,
        met=met,
        bits=bits_digest(got),
        seconds=outcome.seconds,
    )
    if not stacked[i].size:
        return base
    at = np.unravel_index(flat_index, stacked[i].shape)
    base = replace(
        base,
        index=_own_index(at, got.shape, p),
        got=float(stacked[i][at]),
        exact=expected.exact.ends((i, *map(int, at))),
        allowed=float(bound[i][at]),
    )
    if verdict in ("pass", "convention"):
        return base
    return replace(base, message=_message(call, base), call=call.to_json())


def _own_index(at: tuple[np.intp, ...], shape: tuple[int, ...], p: Problem) -> tuple[int, ...]:
    """A batch-layout index as an index of the output's own shape."""
    if shape == ():
        return ()
    axis = p.axis % p.x.ndim
    rest = p.x.shape[:axis] + p.x.shape[axis + 1 :]
    outer = [int(v) for v in np.unravel_index(int(at[0]), rest)] if rest else []
    if len(at) == 1:
        return tuple(outer)
    return tuple([*outer[:axis], int(at[1]), *outer[axis:]])


def _describe(call: Call) -> str:
    return f"{call.problem.dtype} {call.family} {detail(call.problem)}"


def _message(call: Call, o: Observation) -> str:
    # sanity check: set by the caller
    assert o.exact is not None
    where = "[" + ", ".join(map(str, o.index)) + "]"
    lo, hi = o.exact
    truth_text = f"exact in [{lo:.9g}, {hi:.9g}]" if lo != hi else f"exact {lo:.9g}"
    size = f"{o.share:.3g}x the bound" if np.isfinite(o.share) else "not an accepted value"
    kind = "statistical grade exceeded; " if o.verdict == "suspect" else ""
    return (
        f"{call.problem.op}({_describe(call)}): {kind}{o.output} got {o.got:.9g} at {where}, {truth_text}, "
        f"allowed {o.allowed:.3g} (profile {o.profile}), {size}"
    )
