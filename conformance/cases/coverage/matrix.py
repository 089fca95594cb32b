"""Coverage in numbers says how often the calls that a target is given ask each cell of the matrix, and which are empty.

What a target must be asked depends on what a new signature costs it. Where that is nothing: every cell of each op in
each dtype. Where operations or programs are compiled in fractions of a second: every cell of softmax, of log_softmax
and of a loss, in some dtype. Where that takes seconds: every cell, of some op in some dtype.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lossproof.adapters import local
from lossproof.adapters.protocol import LAYOUTS, LOSSES, OPS, OUTPUTS, Capabilities, Support
from lossproof.cases.coverage.cells import ARRAYS_LAID, CoverageCell, all_cells, cells, concerns
from lossproof.cases.coverage.exempt import exempt
from lossproof.core.call import Call

# A cell of an op in a dtype.
Asked = tuple[CoverageCell, str, str]


@dataclass(frozen=True)
class Coverage:
    """The counts of how often each cell is asked of a target with these capabilities, by op and dtype."""

    capabilities: Capabilities
    counts: Counter[Asked]

    @property
    def ops(self) -> list[str]:
        """The ops on offer."""
        return list(self.capabilities.ops)

    def reason(self, cell: CoverageCell, op: str, dtype: str) -> str:
        """Say why a cell is not asked for; an empty text where it is."""
        if not concerns(op, cell):
            return f"{op} has no such input"
        return exempt(self.capabilities, cell, op, dtype)

    def empty(self) -> Iterator[str]:
        """Yield, in words, each cell that the target must be asked and is not."""
        ops, dtypes = self.ops, self.capabilities.dtypes
        cost = self.capabilities.compile_cost
        losses = [op for op in ops if op in LOSSES]
        by_kind = [*([op] for op in ops if op not in LOSSES), *([losses] if losses else [])]
        several: list[tuple[list[str], list[str]]]
        if cost == "none":
            several = [([op], [dtype]) for op in ops for dtype in dtypes]
        else:
            several = [(some, list(dtypes)) for some in (by_kind if cost == "cheap" else [ops])]
        for cell in all_cells():
            for some, formats in several:
                wanted = [(op, d) for op in some for d in formats if not self.reason(cell, op, d)]
                if wanted and not any(self.counts[cell, op, d] for op, d in wanted):
                    yield f"{cell[0]}: {cell[1]}: {' or '.join(some)} in {' or '.join(formats)}"


def unlimited(compile_cost: str = "none") -> Capabilities:
    """Return the capabilities of a target that offers everything, at one cost of a new signature."""
    ops = {op: Support("native") for op in OPS}
    return Capabilities(
        ops,
        outputs=OUTPUTS,
        layouts=LAYOUTS,
        laid=ARRAYS_LAID,
        out_dtypes=OPS,
        scales=OPS,
        compile_cost=compile_cost,
    )


def coverage(calls: Iterable[Call], capabilities: Capabilities) -> Coverage:
    """Count what a deck asks of a target with these capabilities: what it is given and does not refuse."""
    counts: Counter[Asked] = Counter()
    # Labels and probabilities are looked at by those alone that refuse some.
    looks = capabilities.normalised_targets or capabilities.fixed_ignore_index is not None
    for call in calls:
        if not local.takes(capabilities, call.tier):
            continue
        for each in call.calls:
            p = each.problem if looks else each.outline
            if not local.refusal("", capabilities, p):
                counts.update((cell, p.op, p.dtype) for cell in _filled(each))
    return Coverage(capabilities, counts)


# By content: several targets, or modes of one, are asked about one deck, whose large problems are made again each time.
_FILLED: dict[str, frozenset[CoverageCell]] = {}


def _filled(call: Call) -> frozenset[CoverageCell]:
    if call.content not in _FILLED:
        _FILLED[call.content] = frozenset(cells(call.problem))
    return _FILLED[call.content]
