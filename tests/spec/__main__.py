"""``python -m tests.spec`` writes docs/spec-coverage.md: it puts the clauses' mutants to the default deck."""

from __future__ import annotations

from lossproof.cases.catalogue import select
from tests.mutants.matrix.kill import matrix
from tests.mutants.matrix.registry import collect

from .registry import CLAUSES
from .table import PATH, render

wanted = {name: collect()[name] for clause in CLAUSES.values() for name in clause.mutants}
PATH.write_text(render(CLAUSES, matrix(wanted, select())), encoding="utf-8")
print(f"{len(CLAUSES)} clauses, {len(wanted)} mutants: {PATH.name}")
