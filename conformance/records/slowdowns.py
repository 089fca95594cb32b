"""Times of kernels in records: seconds beside those of a copy of the same bytes, and what became slower by them.

A time is a grade and never a verdict. It is told in copies, so that two machines, or two hours of one, can be compared:
what slows the machine down slows the copy, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lossproof.core.errors import UsageError

COPY = "copy"
# A kernel is slower if it takes so many times as many copies as before, and at least so many seconds: docs/targets.md
# has the measurement of what noise does.
FACTOR = 5.0
FLOOR = 100e-6

# Of one target: by op, dtype and shape in one text, the seconds of a copy and of outputs by name.
SecondsByKernel = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class KernelTime:
    """The time of an output (``vjp`` is value and gradient together) of an op in a dtype; ``shape`` is that of the
    logits, such as ``8x16384``. ``copies`` is the time as a multiple of that of a copy of the logits."""

    op: str
    dtype: str
    shape: str
    output: str
    seconds: float
    copies: float


@dataclass(frozen=True)
class Slowdown:
    """A kernel of a target that takes ``factor`` times as many copies as before; ``seconds`` and ``copies`` are before
    and after."""

    target: str
    op: str
    dtype: str
    shape: str
    output: str
    seconds: tuple[float, float]
    copies: tuple[float, float]

    @property
    def factor(self) -> float:
        """The number of times that it became slower."""
        return self.copies[1] / self.copies[0]


def key(op: str, dtype: str, shape: tuple[int, int]) -> str:
    """Name a kernel in a record, ``softmax float32 8x16384``."""
    return f"{op} {dtype} {shape[0]}x{shape[1]}"


def kernel_times(recorded: SecondsByKernel) -> list[KernelTime]:
    """Read the times of a target, in order; what has no copy beside it, or took no time, is none.

    A copy of the same bytes is the same whatever is computed beside it: the best of all counts. Raises
    :class:`UsageError` for what is no times of kernels.
    """
    try:
        return _kernel_times(recorded)
    except (AttributeError, TypeError, ValueError, KeyError):
        raise UsageError("the times of kernels at the end of a record are damaged") from None


def _kernel_times(recorded: SecondsByKernel) -> list[KernelTime]:
    parted = [(*_parted(name), times) for name, times in recorded.items()]
    copies: dict[tuple[str, int], float] = {}
    for _, dtype, shape, times in parted:
        size = dtype, _entries(shape)
        if times.get(COPY, 0.0) > 0:
            copies[size] = min(times[COPY], copies.get(size, times[COPY]))
    return [
        KernelTime(op, dtype, shape, output, seconds, seconds / copies[dtype, _entries(shape)])
        for op, dtype, shape, times in parted
        if (dtype, _entries(shape)) in copies
        for output, seconds in times.items()
        if output != COPY and seconds > 0
    ]


def slowdowns(target: str, before: SecondsByKernel, after: SecondsByKernel) -> list[Slowdown]:
    """List the kernels of a target that became slower from one record to another, the worst first.

    What one of them did not time, as older records did not time anything, is not among them.
    """
    was = {(t.op, t.dtype, t.shape, t.output): t for t in kernel_times(before)}
    found = [
        Slowdown(target, *where, (one.seconds, t.seconds), (one.copies, t.copies))
        for t in kernel_times(after)
        if (one := was.get(where := (t.op, t.dtype, t.shape, t.output))) is not None
    ]
    return sorted((s for s in found if s.factor >= FACTOR and s.seconds[1] >= FLOOR), key=lambda s: -s.factor)


def best(one: SecondsByKernel, other: SecondsByKernel) -> dict[str, dict[str, float]]:
    """Join two measurements of one target on one machine: of each time the least."""
    found = {name: dict(times) for name, times in one.items()}
    for name, times in other.items():
        mine = found.setdefault(name, {})
        mine.update({output: min(seconds, mine.get(output, seconds)) for output, seconds in times.items()})
    return found


def of_clock(end: Mapping[str, object] | None) -> Mapping[str, SecondsByKernel]:
    """Return the times by target from what is at the end of a record; nothing of one that has none."""
    clock = (end or {}).get("clock")
    found = clock.get("kernels") if isinstance(clock, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _parted(name: str) -> tuple[str, str, str]:
    op, dtype, shape = name.split(" ")
    return op, dtype, shape


def _entries(shape: str) -> int:
    rows, classes = shape.split("x")
    return int(rows) * int(classes)
