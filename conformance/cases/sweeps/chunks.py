"""Chunks of sweeps: what is asked at once, known by kind, op, dtype and number; and the way back from ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lossproof.adapters.protocol import OPS
from lossproof.cases.shard import UNDIVIDED, Shard
from lossproof.cases.sweeps.every_shape import EVERY_BATCH, EVERY_WIDTH
from lossproof.cases.sweeps.gaps import GAPS16, GAPS32
from lossproof.cases.sweeps.kind import SweepKind, parted
from lossproof.cases.sweeps.logit_pairs import PAIRS16
from lossproof.cases.sweeps.random_rows import KEPT_OF_EACH, SEARCH
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.case_id import CaseId
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names

KINDS: dict[str, SweepKind] = {kind.name: kind for kind in (GAPS16, GAPS32, PAIRS16, EVERY_WIDTH, EVERY_BATCH, SEARCH)}
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a sweep: the bins that are asked of an op in a dtype at once. The same number holds the same calls."""

    kind: str
    op: str
    dtype: str
    number: int

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.kind}, {self.op} in {self.dtype}"

    @property
    def bins(self) -> range:
        """The numbers of its bins."""
        return KINDS[self.kind].bins_of(self.dtype, self.number)

    @property
    def inputs(self) -> int:
        """The number of inputs that it stands for."""
        return len(self.bins) * KINDS[self.kind].inputs(self.dtype)

    def calls(self) -> list[Call]:
        """Make its calls. Those of one signature are neighbours, and otherwise they are in the order of the bins."""
        by_signature: dict[tuple[object, ...], list[Call]] = {}
        for bin in self.bins:
            for call in KINDS[self.kind].make(self.op, self.dtype, bin):
                by_signature.setdefault(signature(call.outline), []).append(call)
        return [call for alike in by_signature.values() for call in alike]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The part of a sweep that is asked: of a ``kind``, some ops and dtypes (all where there are none), the chunks with
    the numbers from ``first`` to ``last`` (None: to the end), and of these a ``shard``."""

    kind: str
    ops: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    first: int = 0
    last: int | None = None
    shard: Shard = UNDIVIDED

    def check(self) -> None:
        """Raise :class:`UsageError` for an unknown name, with the nearest known one, and for a part without a chunk."""
        known_names("kind of sweep", [self.kind], list(KINDS))
        kind = KINDS[self.kind]
        known_names("op", self.ops, OPS)
        known_names(f"dtype of {kind.name}", self.dtypes, kind.dtypes)
        if not self.chunks():
            most = max(kind.chunks(dtype) for dtype in self.dtypes or kind.dtypes)
            raise UsageError(
                f"there is no such chunk of {kind.name}; expected numbers from 0 to {most - 1}, and at most as many "
                "shards as chunks"
            )

    def chunks(self) -> list[Chunk]:
        """The chunks, in order: by number, and of a number all dtypes and ops. A shard has every n-th of them."""
        kind = KINDS[self.kind]
        every = [
            Chunk(kind.name, op, dtype, number)
            for number in range(self.first, max(_end(self.last, kind.chunks(dtype)) for dtype in kind.dtypes))
            for dtype in kind.dtypes
            if not self.dtypes or dtype in self.dtypes
            if number < kind.chunks(dtype)
            for op in OPS
            if not self.ops or op in self.ops
        ]
        return every[self.shard.index - 1 :: self.shard.of]


def _end(last: int | None, chunks: int) -> int:
    return chunks if last is None else min(last + 1, chunks)


def parse_range(text: str) -> tuple[int, int]:
    """Read ``A-B``, or one number. Raises :class:`UsageError` if it is no such thing."""
    match = _RANGE.fullmatch(text)
    first = int(match[1]) if match else 1
    last = int(match[2] or first) if match else 0
    if last < first:
        raise UsageError(f"cannot read chunks {text!r}; expected a number, or A-B with A not above B, such as 0-63")
    return first, last


def chunk_of(case: CaseId) -> Chunk | None:
    """The chunk that a case is of, or was found in; None for a case of no sweep."""
    found = bin_of(case)
    if found is None:
        return None
    kind, bin = found
    return Chunk(kind.name, case.op, case.dtype, bin // kind.together(case.dtype))


def bin_of(case: CaseId) -> tuple[SweepKind, int] | None:
    """The kind of sweep and the number of the bin that a case is of; None for a case of no sweep."""
    parts = parted(case.family)
    kind = KINDS.get(parts[0]) if parts else None
    if kind is None or parts is None or case.dtype not in kind.dtypes or parts[1] >= kind.bins(case.dtype):
        return None
    return kind, parts[1]


def swept_call(id: str) -> Call | None:
    """Make the call of a bin again by its id; None for an id of no sweep, and for what was only found in one."""
    try:
        case = CaseId.parse(id)
    except UsageError:
        return None
    found = bin_of(case)
    if found is None or case.op not in OPS:
        return None
    kind, bin = found
    return next((call for call in kind.make(case.op, case.dtype, bin) if call.id == id), None)


def outputs_of(chunks: Collection[Chunk]) -> Iterator[int]:
    """Count the outputs that are observed of a target in each of some chunks, at most, where nothing fails."""
    each: dict[tuple[str, str, str], int] = {}
    for chunk in chunks:
        key = (chunk.kind, chunk.op, chunk.dtype)
        if key not in each:
            kind = KINDS[chunk.kind]
            calls = list(kind.make(chunk.op, chunk.dtype, 0))
            count = sum(len(call.outputs) for call in calls)
            # A search keeps some calls for each output, with all of theirs.
            each[key] = KEPT_OF_EACH * len(calls[0].outputs) ** 2 if kind.generations else count
        yield each[key] * len(chunk.bins)
