"""Times of kernels: a value and a gradient beside a copy of the same bytes, by turns, on one device in one process."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Dict, Mapping, Tuple

import numpy as np

from .given import Given
from .local import refusal
from .protocol import LOSSES, Adapter, Problem

# The name of the copy beside the outputs.
COPY = "copy"
# The bytes of an entry: bfloat16 has no NumPy dtype.
_COPIED = {"float64": np.float64, "float32": np.float32, "bfloat16": np.uint16, "float16": np.float16}
# The best of so many turns: all of them within the seconds, and the least whatever they take.
_LEAST, _MOST, _SECONDS = 2, 10, 0.007

Action = Callable[[], object]
Measure = Callable[[Mapping[str, Action]], Dict[str, float]]


def kernel_times(
    adapter: Adapter, op: str, dtype: str, shape: Tuple[int, int], device: str, mode: str
) -> Tuple[Dict[str, float], str]:
    """Time an op of ``shape`` rows and classes: seconds of ``copy``, ``value`` and, where it is offered, ``vjp``, which
    is value and gradient together; and why there are none, if there are none. On the CPU they are processor seconds.

    An adapter with a method ``timed`` runs the actions on its own tensors. Of another one the whole answer is timed,
    with what it takes to bring arrays to the framework and back, beside a copy by NumPy.
    """
    c = adapter.capabilities().in_mode(mode, device)
    problem = _problem(op, dtype, shape, "mean" if "mean" in c.reductions else c.reductions[0])
    if "vjp" not in c.outputs:
        problem = without_gradient(problem)
    why = refusal(adapter.name, c, problem)
    if why:
        return {}, why
    timed = getattr(adapter, "timed", None)
    # Whoever else is busy on this machine takes none of a process's own time; an accelerator's is nobody's.
    clock = time.process_time if device.partition(":")[0] == "cpu" else time.perf_counter
    measure = partial(measured, clock=clock)
    try:
        with np.errstate(all="ignore"):
            if timed is not None:
                return dict(timed(problem, device, mode, measure)), ""
            return measure(_whole_answers(adapter, problem, device, mode)), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the boundary to foreign code: what raises has no time
        return {}, "%s: %s" % (type(error).__name__, error)


def measured(actions: Mapping[str, Action], clock: Callable[[], float] = time.perf_counter) -> Dict[str, float]:
    """Return the least seconds of each action over several turns. Their first turn, which may compile, is not timed."""
    for action in actions.values():
        action()
    best = dict.fromkeys(actions, float("inf"))
    until = time.perf_counter() + _SECONDS
    for turn in range(_MOST):
        if turn >= _LEAST and time.perf_counter() > until:
            break
        for name, action in actions.items():
            start = clock()
            action()
            best[name] = min(best[name], clock() - start)
    return best


def without_gradient(problem: Problem) -> Problem:
    """Return what is asked of a problem where its value alone is wanted."""
    return replace(problem, cotangent=None)


def of_outputs(problem: Problem, copy: Action, evaluate: Callable[[Problem], object]) -> Dict[str, Action]:
    """Name what is timed: a copy, and the evaluation of a problem without and, if it has one, with its gradient."""
    alone = without_gradient(problem)
    actions: Dict[str, Action] = {COPY: copy, "value": lambda: evaluate(alone)}
    if problem.cotangent is not None:
        actions["vjp"] = lambda: evaluate(problem)
    return actions


def given_of(problem: Problem, given: Given) -> Given:
    """Return the tensors of a problem with those that one without a gradient has, if it is such."""
    return given if problem.cotangent is not None else replace(given, cotangent=None)


def _whole_answers(adapter: Adapter, problem: Problem, device: str, mode: str) -> Dict[str, Action]:
    # Into memory that is there: what fresh memory costs depends on what the process did before.
    source, place = (np.ones(problem.x.shape, _COPIED[problem.dtype]) for _ in range(2))
    return of_outputs(problem, lambda: np.copyto(place, source), lambda p: adapter.evaluate(p, device, mode))


def _problem(op: str, dtype: str, shape: Tuple[int, int], reduction: str) -> Problem:
    """Draw logits that are multiples of 1/8 from -4 to 4, which every format has; log-probabilities of any sum."""
    entries: Any = np.random.RandomState(0).randint(-32, 33, size=shape)
    x = entries / 8.0
    if op not in LOSSES:
        return Problem(op, dtype, x, cotangent=x[::-1].copy())
    labels = (np.arange(shape[0]) * 7919 % shape[1]).astype(np.int64)
    seed = np.ones(shape[0] if reduction == "none" else ())
    return Problem(op, dtype, x, target=labels, cotangent=seed, reduction=reduction)
