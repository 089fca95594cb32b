"""Expected entries of one output, and the sheet on which they are written: centres, and what else is accepted where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossproof.core.batch import Bools
from lossproof.core.formats import F64
from lossproof.truth.oracle.enclosure import Enclosure

NAN, PINF, NINF, ZERO, ANY = 1, 2, 4, 8, 16
OVERFLOW = NAN | PINF | NINF
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Expected:
    """The enclosure of one output with special values in place, and what else is accepted where.

    ``exact``   the enclosure
    ``accept``  bits of what is accepted besides, ``NAN`` to ``ANY``
    ``clause``  the clause of section 4 of the specification that accepts it, or 0
    ``strict``  entries whose centre a clause requires exactly: there the bound allows nothing
    ``other``   the second accepted centre where section 3 of the specification leaves a choice of formula
    """

    exact: Enclosure
    accept: Codes
    clause: Codes
    strict: Bools
    other: Enclosure | None = None


class Sheet:
    """A sheet holds one output under construction.

    Later rules overwrite earlier ones, so they run in rising precedence.
    """

    def __init__(self, core: Enclosure) -> None:
        self.mid, self.low, self.rad = core.mid.copy(), core.low.copy(), core.rad.copy()
        self.accept = np.zeros(core.mid.shape, dtype=np.uint8)
        self.clause = np.zeros(core.mid.shape, dtype=np.uint8)
        self.strict = np.zeros(core.mid.shape, dtype=bool)

    def put(self, where: Bools, value: F64 | float, *, accept: int = 0, clause: int = 0) -> None:
        """Require ``value`` exactly at some entries, or one of ``accept``."""
        where = np.broadcast_to(where, self.mid.shape)
        self.mid[where] = np.broadcast_to(value, self.mid.shape)[where]
        self.low[where] = self.rad[where] = 0.0
        self.accept[where], self.clause[where] = accept, clause if accept else 0
        self.strict[where] = True

    def allow(self, where: Bools, accept: int | Codes, clause: int) -> None:
        """Accept more at some entries, keeping the centre."""
        where = np.broadcast_to(where, self.mid.shape)
        self.accept[where] |= np.broadcast_to(np.asarray(accept, dtype=np.uint8), self.mid.shape)[where]
        self.clause[where] = np.maximum(self.clause[where], clause)

    def done(self) -> Expected:
        """Return the finished output."""
        return Expected(Enclosure(self.mid, self.low, self.rad), self.accept, self.clause, self.strict)
