"""Giant problems: a small problem spread over tensors of billions of elements, and what is told of the results.

Row r of the giant tensor is row r modulo n of the small problem, so that the results of equal rows can be compared with
one exact result. Nothing large crosses a pipe: tensors are made where they are used, and of the results the lowest and
the highest entry of all equal ones come back. This module knows no framework; an adapter that offers giant problems
has a :class:`GiantDriver` as ``giant``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional, Protocol, Tuple

import numpy as np

from . import local
from .given import Given
from .memory import HostMemory
from .outcome import GiantOutcome, Outcome, ProcessLost, Tensor, UnsupportedProblem
from .protocol import Adapter, Giant, Problem

# Elements that are pulled back at once.
BLOCK = 1 << 22
# Bytes of each row of a loss: its label, and what is made of it.
ROW_BYTES = 16
# Bytes of the entries that are looked at together, as they are pulled back and as float64.
READ_BYTES = 12 * BLOCK
_STORED = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}


class GiantDriver(Protocol):
    """A giant driver makes tensors of a framework without a detour through float64, and lets blocks of results be read.

    A tensor is given as an array of the dtype's own type; of bfloat16, which NumPy lacks, as its bits in uint16.
    """

    def bytes_each(self, op: str, dtype: str, *, gradient: bool) -> float:
        """Return the bytes that an op takes at its peak for each logit, the input included."""
        ...

    def place(self, a: np.ndarray, dtype: str, device: str) -> Any:
        """Make a tensor on a device of an array, which may share its memory. Labels have the dtype ``int64``."""
        ...

    def compute(self, problem: Problem, given: Given, device: str, mode: str) -> Dict[str, Any]:
        """Compute the outputs that are wanted, as the framework's tensors. The numbers of ``problem`` but for its
        target mean nothing."""
        ...

    def block(self, t: Any, index: Tuple[slice, ...]) -> np.ndarray:
        """Return a part of a tensor exactly, in float32 or float64."""
        ...

    def dtype_of(self, t: Any) -> str:
        """Return the name of a tensor's dtype."""
        ...

    def memory(self, device: str) -> HostMemory:
        """Return the meter of the memory that a device takes tensors from."""
        ...


def answer(
    adapter: Adapter, giant: Giant, device: str, mode: str, *, most: int = 0, block: int = BLOCK
) -> GiantOutcome:
    """Put a giant problem to an adapter. A framework's exception is an outcome, never a traceback.

    What would take more memory than there is, or than ``most`` bytes (0: no limit), is refused: ``resource``.
    """
    driver: Optional[GiantDriver] = getattr(adapter, "giant", None)
    if driver is None:
        return _refused("unsupported", "%s takes no giant problems" % adapter.name)
    reason = local.refusal(adapter.name, adapter.capabilities().in_mode(mode, device), giant.problem)
    if reason:
        return _refused("unsupported", reason)
    memory = driver.memory(device)
    needed, available = needs(driver, giant), memory.available()
    available = min(available, most or available)
    if needed > available:
        text = "it takes about %.2f GiB of memory, and %.2f GiB are there" % (needed / 2.0**30, available / 2.0**30)
        return replace(_refused("resource", text), needed=needed, available=available)
    start = time.perf_counter()
    try:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            found = _computed(driver, giant, device, mode, memory, block)
    except UnsupportedProblem as error:
        return _refused("unsupported", str(error))
    except MemoryError as error:
        found = _refused("resource", ("out of memory: %s" % error).rstrip(": "))
    except ProcessLost as lost:
        found = _refused(lost.kind, local.said(lost.__cause__ or lost))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the boundary to foreign code: whatever it raises is its answer
        found = _refused(local.kind_of(adapter, error), local.said(error))
    timed = replace(found.outcome, seconds=time.perf_counter() - start)
    return replace(found, outcome=timed, needed=needed, available=available)


def needs(driver: GiantDriver, giant: Giant) -> int:
    """Return the bytes that a giant problem takes at its peak, by the shape and what the driver says of the op."""
    p = giant.problem
    each = driver.bytes_each(p.op, p.dtype, gradient="vjp" in p.want)
    logits = giant.rows * giant.classes
    return int(each * logits) + (ROW_BYTES * giant.rows if p.is_loss else 0) + min(READ_BYTES, 12 * logits)


def _refused(error: str, message: str) -> GiantOutcome:
    return GiantOutcome(Outcome(error=error, message=message))


def _computed(
    driver: GiantDriver, giant: Giant, device: str, mode: str, memory: HostMemory, block: int
) -> GiantOutcome:
    p = giant.problem
    labels = None if p.target is None else giant.labels()
    x = driver.place(spread(giant, stored(p.x, p.dtype)), p.dtype, device)
    target = None if labels is None else driver.place(labels, "int64", device)
    cotangent = None
    if p.cotangent is not None:
        cotangent = driver.place(_spread_cotangent(giant, stored(p.cotangent, p.dtype)), p.dtype, device)
    held = memory.begin()
    outputs = driver.compute(outline(giant, labels), Given(x, target, cotangent=cotangent), device, mode)
    peak = memory.peak()
    lowest, highest, rows = {}, {}, {}
    for name in sorted(outputs):
        t = outputs[name]
        if isinstance(t, BaseException):
            raise t
        low, high, at = extremes(driver, t, giant, p.shape_of(name), block)
        dtype = driver.dtype_of(t)
        lowest[name], highest[name], rows[name] = Tensor(low, dtype), Tensor(high, dtype), at
    return GiantOutcome(Outcome(outputs=lowest), highest, rows, held=held, peak=peak)


def outline(giant: Giant, labels: Optional[np.ndarray]) -> Problem:
    """Return a problem of the giant shapes, whose numbers take no memory and mean nothing, but for the labels."""
    p, shape = giant.problem, (giant.rows, giant.classes)
    several = shape if not p.is_loss else shape[:1] if p.reduction == "none" else ()
    cotangent = None if p.cotangent is None else np.broadcast_to(np.float64(1.0), several)
    return replace(p, x=np.broadcast_to(np.float64(0.0), shape), target=labels, cotangent=cotangent)


def stored(a: np.ndarray, dtype: str) -> np.ndarray:
    """Return numbers that a dtype represents as they are stored; those of bfloat16 as bits."""
    if dtype != "bfloat16":
        return a.astype(_STORED[dtype])
    bits = np.asarray(a, dtype=np.float32).view(np.uint32) >> np.uint32(16)
    return np.asarray(bits).astype(np.uint16)


def spread(giant: Giant, table: np.ndarray) -> np.ndarray:
    """Return the giant array of a table ``(n, k)``: rows repeated, classes at their places, the last one elsewhere."""
    out = np.empty((giant.rows, giant.classes), dtype=table.dtype)
    for rows, some in _wholes(out, table):
        if giant.places.size:
            rows[...] = some[:, -1:]
            rows[:, :, giant.places] = some[:, :-1]
        else:
            rows[...] = some
    return out


def _spread_cotangent(giant: Giant, table: np.ndarray) -> np.ndarray:
    if not giant.problem.is_loss:
        return spread(giant, table)
    return giant.repeated(table) if table.ndim else table


def _wholes(out: np.ndarray, table: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield the whole repetitions of a table's rows, ``(m, n, k)``, and what is left of one."""
    n = len(table)
    whole = len(out) // n
    yield out[: whole * n].reshape(whole, n, -1), table
    yield out[whole * n :][None], table[: len(out) - whole * n]


def extremes(
    driver: GiantDriver, t: Any, giant: Giant, shape: Tuple[int, ...], block: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lowest and the highest entry of all equal rows and classes, NaN if one is, each of the ``shape`` that
    the small problem's output has; and near which rows they were, ``(2, ...)``."""
    if not shape:
        a = driver.block(t, ()).astype(np.float64).reshape(())
        return a, a, np.zeros((2,), dtype=np.int64)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    at = np.zeros((2, *shape), dtype=np.int64)
    parts = _far_apart if giant.places.size and len(shape) > 1 else _near
    for start, rows, a, b in parts(driver, t, giant, shape, block):
        # NaN is no number, and neither lower nor higher: it stays.
        lower, higher = ~(a >= low[rows]) & ~np.isnan(low[rows]), ~(b <= high[rows]) & ~np.isnan(high[rows])
        at[0][rows] = np.where(lower, start, at[0][rows])
        at[1][rows] = np.where(higher, start, at[1][rows])
        low[rows], high[rows] = np.where(lower, a, low[rows]), np.where(higher, b, high[rows])
    return low, high, at


_Part = Tuple[int, slice, np.ndarray, np.ndarray]


def _near(driver: GiantDriver, t: Any, giant: Giant, shape: Tuple[int, ...], block: int) -> Iterator[_Part]:
    """Yield the extremes of blocks of whole repetitions, with the first row of each."""
    n, width = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    step = max(1, block // (n * width)) * n
    for start in range(0, giant.rows, step):
        a = driver.block(t, (slice(start, min(start + step, giant.rows)),))
        whole = len(a) // n
        if whole:
            several = a[: whole * n].reshape(whole, n * width)
            yield start, slice(0, n), several.min(0).reshape(shape), several.max(0).reshape(shape)
        rest = a[whole * n :]
        if len(rest):
            yield start + whole * n, slice(0, len(rest)), rest, rest


def _far_apart(driver: GiantDriver, t: Any, giant: Giant, shape: Tuple[int, ...], block: int) -> Iterator[_Part]:
    """Yield the extremes of single rows, some classes at a time: counted classes, and all others as the last one."""
    n, k = shape
    for row in range(giant.rows):
        low, high = np.full((1, k), np.inf), np.full((1, k), -np.inf)
        for left in range(0, giant.classes, block):
            right = min(left + block, giant.classes)
            a = driver.block(t, (slice(row, row + 1), slice(left, right))).reshape(-1)
            here = np.flatnonzero((giant.places >= left) & (giant.places < right))
            own = giant.places[here] - left
            low[0, here] = high[0, here] = a[own]
            others = np.delete(a, own) if len(own) else a
            if len(others):
                low[0, -1], high[0, -1] = np.minimum(low[0, -1], others.min()), np.maximum(high[0, -1], others.max())
        yield row, slice(row % n, row % n + 1), low, high
