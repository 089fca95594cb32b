"""All clauses, and the words of sections 2 to 5 that state none."""

from __future__ import annotations

from . import (
    section_2,
    section_3,
    section_5,
    special_infinite,
    special_labels,
    special_nan,
    special_range,
    special_rows,
)
from .clause import Clause

_SECTION_4 = (special_nan, special_infinite, special_range, special_rows, special_labels)
CLAUSES: dict[str, Clause] = {
    clause.id: clause for module in (section_2, section_3, *_SECTION_4, section_5) for clause in module.CLAUSES
}
# Literal text, and why it needs no test.
EXPLANATORY = {
    "## 2. Operations (forward)": "heading",
    "| op | definition |": "heading",
    "## 3. Gradients": "heading",
    "- Second order (where an adapter offers it):": "what is not offered is not judged; the formulas that follow are",
    "## 4. Special values": "heading",
    "An implementation of profile N (`bounds.md`, section 1) rounds sums to the IO format where they are within its "
    "range, and keeps those beyond it wide.": "what clause 7 makes of a profile; 4.7-classes and 4.7-batch judge it",
    "## 5. Relations that hold whatever the values (metamorphic)": "heading",
    "On finite rows (clauses 3, 4, 10 excluded), within the sum of the bounds involved:": "scope of the relations",
}
