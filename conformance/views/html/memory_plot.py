"""The plots of memory: what giant calls took beyond their inputs, against classes and against rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lossproof.cases.sweeps.giants import GROWTH_FAMILY
from lossproof.core.clauses import MEMORY
from lossproof.core.observation import Observation

# Target, op, dtype, output.
_Key = tuple[str, str, str, str]


@dataclass
class MemoryPlot:
    """The bytes that each shape took, and the grade where there is one, by target, op, dtype and output."""

    taken: dict[_Key, dict[tuple[int, int], int]] = field(default_factory=dict)
    grades: dict[_Key, str] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Count one observation, if it is of a shape of growth and its memory was measured."""
        case = o.case
        if case.family != GROWTH_FAMILY or o.memory is None or o.rows is None or o.classes is None:
            return
        key = (o.target, case.op, case.dtype, o.output)
        self.taken.setdefault(key, {})[o.rows, o.classes] = o.memory
        if MEMORY in o.conventions:
            self.grades[key] = o.conventions[MEMORY]

    def facts(self) -> Iterator[dict[str, Any]]:
        """Sum up each output in one JSON object: ``classes`` are pairs of a number of classes and MiB, at the most
        rows, and ``rows`` pairs of a number of rows and MiB, at the most classes."""
        for key, taken in self.taken.items():
            target, op, dtype, output = key
            most = max(n for n, _ in taken), max(k for _, k in taken)
            shapes = sorted((*shape, size / 2**20) for shape, size in taken.items())
            yield {
                "target": target,
                "op": op,
                "dtype": dtype,
                "output": output,
                "grade": self.grades.get(key, ""),
                "classes": [(k, size) for n, k, size in shapes if n == most[0]],
                "rows": [(n, size) for n, k, size in shapes if k == most[1]],
            }
