"""Ids of cases. What is asked and what is said of it bear one, and nothing else takes an id apart.

=================  ==========  ===========  =============================  ==========================
kind               dtype       family       detail                         digest
=================  ==========  ===========  =============================  ==========================
a call             its own     its own      ``n2-k4-mean``: shape and      8 hexadecimal digits of
                                            the options in use             the inputs
a relation         its own     relation     ``NAME-n2-k4-mean``            of all its inputs
an error case      its own     error        ``NAME-n2-k4-mean``            of all its inputs
a convention       ``all``     convention   ``clause-N``                   the output
agreement of       its own     convention   ``modes``                      ``all``
modes
=================  ==========  ===========  =============================  ==========================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from lossproof.core.clauses import MODES
from lossproof.core.errors import UsageError

RELATION, ERROR, CONVENTION = "relation", "error", "convention"
# The family of the call that a function is tried with, which no deck has.
TRIAL = "trial"
ALL = "all"
FORM = "OP/DTYPE/FAMILY/DETAIL/DIGEST"
CONVENTION_FORM = f"OP/{ALL}/{CONVENTION}/clause-N/OUTPUT, as runs print it"
_CLAUSE = "clause-"
_OF_ALL = f"/{ALL}/{CONVENTION}/"
# A shape begins the details of a call: n2-k4, or s2x3x4. What comes before it is the name of a check.
_NAME = re.compile(r"(.+?)-(?=n\d+-k\d|s\d+(?:x\d+)*(?:-|$))")
_NEAREST = 3


def parts_of(text: str) -> list[str]:
    """Take a text apart that may be an id, the end of one, or a pattern of some."""
    return text.split("/")


class Kind(StrEnum):
    """The kinds of things that have ids."""

    CALL = "call"
    RELATION = "relation"
    ERROR = "error"
    CONVENTION = "convention"
    MODES = "modes"


@dataclass(frozen=True, slots=True, order=True)
class CaseId:
    """An id in its five parts; the table above says what they hold for each kind. Its text is ``str(case)``."""

    op: str
    dtype: str
    family: str
    detail: str
    digest: str

    def __post_init__(self) -> None:
        parts = self._parts()
        of_all = self.family == CONVENTION and self.detail.startswith(_CLAUSE)
        text = str(self)
        # A message that has an id in it is a line.
        wrong = text.count("/") >= len(parts) or "\n" in text
        if not all(parts) or wrong or of_all != (self.dtype == ALL):
            raise _no_id(text)

    @classmethod
    def parse(cls, text: str, known: Iterable[str] = ()) -> CaseId:
        """Read an id. Raises :class:`UsageError` for a text that is none, with the nearest of the ``known`` ids."""
        try:
            return _parsed(text)
        except UsageError as error:
            near = nearest(text, known)
            raise UsageError(f"{error}{f'; nearest: {near}' if near else ''}") from None

    @classmethod
    def of_convention(cls, op: str, clause: str, output: str) -> CaseId:
        """The id of what an implementation shows of a clause in one output of an op, over all dtypes."""
        return cls(op, ALL, CONVENTION, f"{_CLAUSE}{clause}", output)

    @classmethod
    def of_modes(cls, op: str, dtype: str) -> CaseId:
        """The id of the grade for equal bits in the modes and devices of an implementation."""
        return cls(op, dtype, CONVENTION, MODES, ALL)

    def __str__(self) -> str:
        return "/".join(self._parts())

    def _parts(self) -> tuple[str, str, str, str, str]:
        return (self.op, self.dtype, self.family, self.detail, self.digest)

    @property
    def kind(self) -> Kind:
        """The kind of the thing that has this id."""
        if self.family == CONVENTION:
            return Kind.CONVENTION if self.dtype == ALL else Kind.MODES
        return Kind(self.family) if self.family in (RELATION, ERROR) else Kind.CALL

    @property
    def name(self) -> str:
        """The name of a relation or an error case; empty for everything else."""
        found = _NAME.match(self.detail) if self.kind in (Kind.RELATION, Kind.ERROR) else None
        return found[1] if found else ""

    @property
    def clause(self) -> str:
        """The clause that a convention is about; empty for everything else."""
        return self.detail.removeprefix(_CLAUSE) if self.kind is Kind.CONVENTION else ""

    @property
    def output(self) -> str:
        """The output that a convention is about; empty for everything else."""
        return self.digest if self.kind is Kind.CONVENTION else ""

    @property
    def group(self) -> str:
        """The beginning of the ids of the same op, dtype and family."""
        return f"{self.op}/{self.dtype}/{self.family}/"

    @property
    def mechanism(self) -> str:
        """The beginning of the ids that likely share a mechanism: those of a family, a relation, an error case."""
        if self.family == CONVENTION:
            return self.without_digest
        return f"{self.group}{self.name}-" if self.name else self.group

    @property
    def without_digest(self) -> str:
        """The beginning of the ids of the same shape and options."""
        return f"{self.group}{self.detail}/"


@lru_cache(maxsize=1 << 16)
def _parsed(text: str) -> CaseId:
    parts = text.split("/")
    if len(parts) != len(CaseId.__slots__):
        raise _no_id(text)
    return CaseId(*parts)


def _no_id(text: str) -> UsageError:
    return UsageError(f"{text!r} is no id; expected {CONVENTION_FORM if is_of_implementation(text) else FORM}")


def nearest(text: str, known: Iterable[str]) -> str:
    """The known ids that are most like a text, joined with commas; those of which it is the end come first."""
    known = list(known)
    ends = [i for i in known if i.endswith(f"/{text}")]
    return ", ".join(ends[:_NEAREST] or difflib.get_close_matches(text, known, n=_NEAREST, cutoff=0.3))


def is_of_implementation(text: str) -> bool:
    """Tell whether an id, or a glob of ids, is about an implementation, all targets together, and bears its name."""
    return _OF_ALL in text


def is_of_trial(text: str) -> bool:
    """Tell whether an id is that of the call that a function is tried with."""
    return f"/{TRIAL}/" in text


def is_of_check(text: str) -> bool:
    """Tell whether an id, or the end of one, names a relation or an error case, which a single call does not make."""
    return bool({RELATION, ERROR} & set(text.split("/")))
