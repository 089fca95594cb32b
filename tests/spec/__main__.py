"""``python -m tests.spec`` writes docs/spec-coverage.md, of the clauses and of the record of kills."""

from __future__ import annotations

from tests.mutants.matrix.record import read

from .registry import CLAUSES
from .table import PATH, render

PATH.write_text(render(CLAUSES, read()), encoding="utf-8")
print(f"{len(CLAUSES)} clauses: {PATH.name}")
