"""The kernels of targets are timed when a run is over, one target at a time, so that nothing else runs beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lossproof.core.formats import BFLOAT16, FLOAT32
from lossproof.records.slowdowns import best, key
from lossproof.targets.lost import TargetLostError
from lossproof.targets.target import Target

RowsClasses = tuple[int, int]
# Rows and classes, wide and tall: enough entries that kernels take longer than it takes to call them, which on an
# accelerator are many more.
_ON_CPU: tuple[RowsClasses, ...] = ((8, 16384), (16384, 8))
_ON_ACCELERATOR: tuple[RowsClasses, ...] = ((512, 32768), (2_097_152, 8))
# What is compiled for each of them is asked of the shape of language models alone, in the dtypes of training.
_DTYPES_IF_COMPILED = (FLOAT32.name, BFLOAT16.name)
# Each kernel is timed so many times, with all the others between: what slows a machine down for a moment is over then.
_ROUNDS = 3


def timed(targets: Iterable[Target], pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, dict[str, float]]]:
    """Time the kernels of each target for pairs of ops and dtypes; targets without any are left out.

    Those whose every program takes seconds to be compiled are not timed, and one that ends over it is not asked on.
    """
    found = {target.name: _of_target(target, pairs) for target in targets}
    return {name: times for name, times in found.items() if times}


def _of_target(target: Target, pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    wanted = list(_wanted(target, pairs))
    try:
        for _ in range(_ROUNDS):
            for op, dtype, shape in wanted:
                times = target.kernel_times(op, dtype, shape)
                if times:
                    found = best(found, {key(op, dtype, shape): times})
    except TargetLostError:
        pass
    return found


def _wanted(target: Target, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, RowsClasses]]:
    c = target.capabilities
    shapes = _ON_CPU if target.device.partition(":")[0] == "cpu" else _ON_ACCELERATOR
    if c.compile_cost == "dear":
        return
    for op, dtype in pairs:
        if op not in c.ops or dtype not in c.dtypes:
            continue
        if c.compile_cost == "none":
            yield from ((op, dtype, shape) for shape in shapes)
        elif dtype in _DTYPES_IF_COMPILED:
            yield op, dtype, shapes[0]
