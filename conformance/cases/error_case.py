"""An error case is an invalid or empty problem with the answers that section 4 of the specification accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.signatures import WHOLE_IN
from lossproof.core.call import LABEL_DTYPES
from lossproof.core.case_id import ERROR
from lossproof.judging.check import Check
from lossproof.judging.error_judge import Reading, answers_judge

# What every target gets, in one dtype: labels below and above the classes, alone and beside an ignored label. One
# program serves them, and those with labels of another type or other options are one each: of types one loss has some.
CORE = frozenset({"minus-one", "minus-five", "k", "far", "minus-hundred", "32-bit", "k-beside", "minus-one-beside"})
# How the names of cases without classes begin.
NO_CLASSES = "no-classes"
# Like unknown labels, these have made kernels read other memory.
_CRASH_PRONE = frozenset({"labels-long", "labels-short", "weight-short", "target-narrow"})


@dataclass(frozen=True)
class ErrorCase:
    """An error case is a problem, what is wrong with it, and what is accepted: readings of a value, and errors."""

    name: str
    clause: str
    what: str
    problem: Problem
    readings: tuple[Reading, ...] = ()
    errors: bool = True

    def check(self) -> Check:
        """Make the check that puts the case to a target."""
        return Check(
            self.problem,
            ERROR,
            f"specification, section 4, clause {self.clause}: {self.what}",
            name=f"{self.clause}-{self.name}",
            outputs=self.problem.want,
            judge=answers_judge(self.clause, self.what, self.readings, errors=self.errors),
            isolate=self.clause == "13" or self.name in _CRASH_PRONE or self.name.startswith(NO_CLASSES),
            # Who raises for an unknown label may do so in the value, and trust that nobody asks the gradient alone.
            alone="vjp" if self.clause == "13" else "",
            tier=self.tier,
        )

    @property
    def tier(self) -> str:
        """The tier says which targets get the case.

        Eager and compiled ones must agree on labels: what programs for the deck's own shapes and options serve goes to
        compiled targets, in one dtype everything, and the core of it to those that compile dearly.
        """
        p = self.problem
        if self.clause not in ("12", "13", "14"):
            return "free"
        if p.dtype == WHOLE_IN:
            typed = p.op == "nll_loss" and self.name in LABEL_DTYPES
            return "core" if typed or (self.clause == "13" and self.name in CORE) else "full"
        # sanity check: these clauses are about labels
        assert p.target is not None
        plain = p.reduction == "none" and p.weight is None and not p.label_smoothing
        return "full" if plain and p.target.dtype == np.int64 else "free"
