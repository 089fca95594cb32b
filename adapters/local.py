"""The adapter in this process: it is found here, and problems are put to it so that every answer is an outcome."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from .normalised import sums_to_one
from .protocol import (
    ARRAYS,
    ERROR_KINDS,
    REDUCTIONS,
    Adapter,
    Capabilities,
    Meter,
    Outcome,
    Problem,
    ProcessLost,
    UnsupportedProblem,
)
from .watch import Watch, watching

# Of each dtype the roundoff, and what a probability may lose by underflow, as the engine's formats have them.
_ROUNDING = {
    "float64": (2.0**-53, 3 * 2.0**-1022),
    "float32": (2.0**-24, 3 * 2.0**-126),
    "bfloat16": (2.0**-8, 3 * 2.0**-126),
    "float16": (2.0**-11, 2.0**-24),
}
# Exceptions that may be those of one output only.
_REFUSALS = tuple(kind for kind in ERROR_KINDS if kind not in ("unsupported", "resource"))
# Which tiers of calls are worth their compilation: see ``Call.tier``.
_TAKEN = {"none": ("core", "full", "spare", "free"), "cheap": ("core", "full"), "dear": ("core",)}


def load(value: str) -> Adapter:
    """Import the adapter that ``module:ATTRIBUTE`` or ``path/to/file.py:ATTRIBUTE`` names.
    Whatever its import raises passes through; TypeError if it is no adapter.
    """
    place, _, attribute = value.rpartition(":")
    found: Any = from_file(place) if place.endswith(".py") else importlib.import_module(place)
    for part in attribute.split("."):
        found = getattr(found, part)
    if not isinstance(found, Adapter):
        own = "; lossproof check judges a function" if callable(found) else ""
        raise TypeError("%s is not an adapter; expected the members of adapters.protocol.Adapter%s" % (value, own))
    return found


def from_file(path: str) -> Any:
    """Import a file as a module of its name, its neighbours importable. Whatever its import raises passes through."""
    path = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(path))[0]
    # Its neighbours are importable, as they are for a script; last, so that none of them hides an installed package.
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, path)
    # sanity check: a path that ends in .py has a loader
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def device_of(capabilities: Capabilities, given: str) -> str:
    """Return the device that is meant: by default the first one, for ``cuda`` the first ``cuda:N``."""
    found = (d for d in capabilities.devices if not given or d == given or d.partition(":")[0] == given)
    return next(found, given)


def takes(capabilities: Capabilities, tier: str) -> bool:
    """Tell whether calls of a tier are worth their compilation here."""
    return tier in _TAKEN[capabilities.compile_cost]


def refusal(name: str, capabilities: Capabilities, p: Problem) -> str:
    """Return why a problem is outside the capabilities of the adapter ``name``; an empty text if it is inside."""
    support = capabilities.ops.get(p.op)
    if support is None:
        return "%s has no %s" % (name, p.op)
    if p.dtype not in capabilities.dtypes:
        return "%s has no %s" % (name, p.dtype)
    # What has one op alone is a function, which is named by itself.
    whose = name if len(capabilities.ops) == 1 else "%s's %s" % (name, p.op)
    kind = "probability" if p.has_probability_target else "index"
    if p.target is not None and kind not in support.targets:
        return "%s takes no %s targets" % (whose, kind)
    if capabilities.normalised_targets and not _normalised(p):
        return "%s takes only targets that sum to 1" % whose
    if p.layout not in capabilities.layouts:
        return "%s has no layout %s" % (name, p.layout)
    if p.omit and p.op not in capabilities.omits:
        return "%s leaves no argument to its default" % whose
    if p.scale != 1.0 and p.op not in capabilities.scales:
        return "%s takes no factor on its input" % whose
    missing = [part for part in p.variant_parts if part not in capabilities.variants]
    if missing:
        return "%s is no variant with %s" % (whose, ", ".join(missing))
    if p.laid and p.laid not in capabilities.laid:
        return "%s has no layout of %s alone" % (name, p.laid)
    if p.out_dtype is not None and p.op not in capabilities.out_dtypes:
        return "%s offers no %s in a dtype wider than the input" % (name, p.op)
    if capabilities.ranks and p.x.ndim not in capabilities.ranks:
        return "%s takes no input of %d axes" % (name, p.x.ndim)
    return _loss_refusal(name, capabilities, p) if p.is_loss else ""


def _loss_refusal(name: str, capabilities: Capabilities, p: Problem) -> str:
    # What is no reduction at all is asked of everyone: the answer is an error.
    if p.reduction in REDUCTIONS and p.reduction not in capabilities.reductions:
        return "%s has no reduction %s" % (name, p.reduction)
    if p.label_smoothing == 1.0 and not capabilities.full_smoothing:
        return "%s takes no label_smoothing of 1" % name
    fixed = capabilities.fixed_ignore_index
    if fixed is None or p.has_probability_target:
        return ""
    if p.ignore_index not in (None, fixed):
        return "%s ignores no label but %d" % (name, fixed)
    if p.ignore_index is None and p.target is not None and bool((p.target == fixed).any()):
        return "%s always ignores the label %d" % (name, fixed)
    return ""


def _normalised(p: Problem) -> bool:
    """Tell whether every row of probability targets sums to 1, but for the rounding of its entries."""
    if p.target is None or not p.has_probability_target:
        return True
    roundoff, lost = _ROUNDING[p.result_dtype]
    return bool(np.all(sums_to_one(p.target, roundoff, lost, p.axis)))


def answer(
    adapter: Adapter, problem: Problem, device: str, mode: str, *, watch: bool = False, alone: str = ""
) -> Outcome:
    """Put a problem to an adapter. A framework's exception is an outcome, never a traceback.

    With ``watch`` the outcome names the inputs that are no longer what they were; the caller's arrays stay as they are.
    The output ``alone`` is asked again, without the others, where they were all refused together: the exception may be
    that of another one.
    """
    reason = refusal(adapter.name, adapter.capabilities().in_mode(mode, device), problem)
    if reason:
        return Outcome(error="unsupported", message=reason)
    # Who writes into its inputs must not change those of the next target.
    given = _private(problem)
    meter = getattr(adapter, "meter", Meter())
    programs, seconds = meter.programs, meter.seconds
    start = time.perf_counter()
    with watching(watch) as tensors:
        outcome = _evaluated(adapter, given, device, mode)
    if outcome.error == "unsupported":
        return outcome
    if outcome.error in _REFUSALS and not outcome.last and alone in problem.want and len(problem.want) > 1:
        outcome = _apart(outcome, problem, alone, _evaluated(adapter, _only(problem, alone), device, mode))
    return replace(
        outcome,
        seconds=time.perf_counter() - start,
        programs=meter.programs - programs,
        compile_seconds=meter.seconds - seconds,
        modified=_written(problem, given, tensors) if watch and outcome.error is None else (),
    )


def _only(problem: Problem, name: str) -> Problem:
    """Ask for one output alone; without a cotangent for the value, as those who want no gradient do."""
    if name == "value":
        if problem.laid == "cotangent":
            problem = replace(problem, layout="contiguous", laid="")
        problem = replace(problem, cotangent=None, tangent=None, target_tangent=None, wrt_target=False)
        return replace(_private(problem), repeat_backward=False)
    return replace(_private(problem), only=(name,))


def _apart(refused: Outcome, problem: Problem, name: str, found: Outcome) -> Outcome:
    """Take one output from the answer to it alone, where there is one; the others stay refused."""
    if found.error == "unsupported":
        return refused
    error, message = refused.error or "", refused.message
    failures = dict.fromkeys(problem.want, (error, message))
    if found.error is None and name in found.outputs:
        del failures[name]
        return Outcome(outputs={name: found.outputs[name]}, failures=failures, last=found.last)
    if found.error is not None:
        failures[name] = (found.error, found.message)
    return replace(refused if name == "value" else Outcome(failures=failures), last=found.last)


def _evaluated(adapter: Adapter, problem: Problem, device: str, mode: str) -> Outcome:
    try:
        # NumPy's own defaults: an answer depends neither on the caller's settings nor on those of an earlier call.
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return sorted_outcome(adapter, adapter.evaluate(problem, device, mode))
    except UnsupportedProblem as error:
        return Outcome(error="unsupported", message=str(error))
    except MemoryError as error:
        return Outcome(error="resource", message=("out of memory: %s" % error).rstrip(": "))
    except ProcessLost as lost:
        return Outcome(error=lost.kind, message=said(lost.__cause__ or lost), last=True)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the boundary to foreign code: whatever it raises is its answer, SystemExit too
        return Outcome(error=kind_of(adapter, error), message=said(error))


def sorted_outcome(adapter: Adapter, found: Mapping[str, Any]) -> Outcome:
    """Sort what was computed from what raised."""
    failed = {name: a for name, a in found.items() if isinstance(a, BaseException)}
    failures = {name: (kind_of(adapter, error), said(error)) for name, error in failed.items()}
    return Outcome(outputs={name: a for name, a in found.items() if name not in failed}, failures=failures)


def kind_of(adapter: Adapter, error: BaseException) -> str:
    """Return the kind of an exception, of ``ERROR_KINDS``."""
    return adapter.error_kind(error) if isinstance(error, Exception) else "internal"


def said(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    # A plain function notes where in its own code it was.
    place = next((note for note in getattr(error, "__notes__", ()) if note.startswith("at ")), "")
    # Messages are lines.
    text = " ".join(str(error).split())[:500]
    return "%s: %s" % (type(error).__name__, text) + (" (%s)" % place if place else "")


def _arrays(p: Problem) -> List[Tuple[str, np.ndarray]]:
    named = ((name, getattr(p, name)) for name in ARRAYS)
    return [(name, a) for name, a in named if isinstance(a, np.ndarray)]


def _written(before: Problem, after: Problem, tensors: Watch) -> Tuple[str, ...]:
    """Name the inputs that are no longer what they were, bit for bit: arrays, or the tensors made of them."""
    pairs = zip(_arrays(before), _arrays(after))
    changed = {name for (name, a), (_, b) in pairs if a.tobytes() != b.tobytes()}
    changed.update(tensors.modified())
    return tuple(name for name, _ in _arrays(before) if name in changed)


def _private(p: Problem) -> Problem:
    """Copy a problem with all its arrays."""
    copies: Dict[str, Any] = {name: np.array(a) for name, a in _arrays(p)}
    return replace(p, **copies)
