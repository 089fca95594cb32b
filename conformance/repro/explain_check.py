"""The explanation of relations and error calls: the sentence, every call's inputs, a target's observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lossproof.adapters.protocol import ARRAYS, Problem
from lossproof.core.call import detail
from lossproof.core.errors import UsageError
from lossproof.judging.check import Check
from lossproof.judging.messages import multiple
from lossproof.records.waivers import waivers_in_force
from lossproof.running.loop import run
from lossproof.targets.target import Target

ShowArray = Callable[[str, np.ndarray | None, bool], Iterator[str]]


def check_lines(check: Check, target: Target | None, show: ShowArray, *, full: bool = False) -> Iterator[str]:
    """Write the explanation of a check, line by line; ``show`` writes the lines of an array."""
    yield check.id
    yield f"  {check.name}: {check.provenance}"
    for number, call in enumerate(check.calls, 1):
        yield ""
        yield f"Call {number}: {call.problem.op}, {call.problem.dtype}, {detail(call.problem)}{_layout(call.problem)}"
        for name in ARRAYS:
            yield from show(name, getattr(call.problem, name), full)
    if check.follow is not None:
        yield ""
        yield "Then calls made from these answers."
    yield ""
    if target is None:
        yield "Add --target T, or file.py:FUNCTION, for its verdict, and scripts without lossproof."
        return
    marks = waivers_in_force([target])
    for raw in run([target], [check]):
        o = marks.mark(raw)
        waived = f" (waiver {o.waiver})" if o.waiver else ""
        yield f"{o.target}: {o.output} {o.verdict}{waived}, {multiple(o.share)}" + (
            f", conventions {o.conventions}" if o.conventions else ""
        )
        if o.message:
            yield f"  {o.message}"
    for number, call in enumerate(check.calls, 1):
        yield ""
        yield f"Script {number} ({target.adapter.name} only)"
        yield ""
        try:
            yield from target.script(call.problem).splitlines()
        except (NotImplementedError, UsageError) as error:
            yield f"  none: {error}"


def _layout(p: Problem) -> str:
    return "" if p.layout == "contiguous" else f", layout {p.layout}{f' of {p.laid}' if p.laid else ''}"
