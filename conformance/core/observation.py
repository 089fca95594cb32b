"""An observation: what the judge says of one output of one call by one target."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lossproof.core.call import Call, pieces_of_content
from lossproof.core.case_id import CaseId
from lossproof.core.formats import F64

VERDICTS = (
    "pass",
    "convention",
    "suspect",
    "unsupported",
    "waived",
    "fail",
    "crash",
    "timeout",
    "resource",
    "unexpected_pass",
    "error",
)


FAILING = frozenset({"fail", "crash", "timeout", "resource", "unexpected_pass", "error"})


@dataclass(frozen=True, slots=True)
class Observation:
    """One output of one call on one target, judged.

    ``share`` is the worst error over the allowed error (infinite where a required special value is missing); ``ulp``
    the worst error in units of the dtype's spacing at the exact value; ``index`` the worst entry in the output's own
    shape; ``exact`` and ``allowed`` belong to it. ``met`` is the strictest profile whose bound the output meets.
    ``note`` says what is remarkable about the way to the answer. ``rows`` and ``classes`` are the shape of the (first)
    call and ``reduction`` that of a loss, so that views need not read them out of ``id``; what is said of a whole run
    has none. ``memory`` is the bytes that the op took at its peak beyond its inputs, None where that was not measured.
    ``call`` is the call, where the verdict is no pass; read from a record, it is its JSON object, or None if
    the deck of the record makes it again.
    """

    id: str
    output: str
    target: str
    verdict: str
    share: float = 0.0
    ulp: float = 0.0
    index: tuple[int, ...] = ()
    got: float | None = None
    exact: tuple[float, float] | None = None
    allowed: float | None = None
    message: str = ""
    conventions: dict[str, str] = field(default_factory=dict)
    profile: str = ""
    met: str = ""
    bits: str = ""
    seconds: float = 0.0
    waiver: str = ""
    note: str = ""
    rows: int | None = None
    classes: int | None = None
    reduction: str = ""
    memory: int | None = None
    call: Call | Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls, call: Call, output: str, target: str, *, profile: str = "", seconds: float = 0.0, note: str = ""
    ) -> Self:
        """The observation of one output of a call that is not judged yet: a failure, to be filled in."""
        p = call.outline
        axis = p.axis % p.x.ndim
        return cls(
            call.id,
            output,
            target,
            "fail",
            profile=profile,
            seconds=seconds,
            note=note,
            rows=math.prod(p.row_shape),
            classes=p.x.shape[axis],
            reduction=p.reduction if p.is_loss else "",
        )

    @property
    def keeps_call(self) -> bool:
        """Say whether the verdict is one that is looked into: ``call`` is the call then."""
        return self.verdict == "suspect" or self.verdict in FAILING

    @property
    def case(self) -> CaseId:
        """The id in its parts. Raises :class:`UsageError` if it is none."""
        return CaseId.parse(self.id)


def bits_digest(got: F64) -> str:
    """sha256 of the output's exact values (16 hex digits). The sign and the payload of NaN are no part of them."""
    h = hashlib.sha256()
    for piece in pieces_of_content(got):
        h.update(piece)
    return h.hexdigest()[:16]
