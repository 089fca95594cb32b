"""Going on with a sweep that was cut short: whole chunks are taken from its record, up to one that was given up, and a
last one that may not be whole is dropped and asked again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossproof.cases.sweeps.chunks import Chunk, chunk_of
from lossproof.core.case_id import CaseId
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.compressed_text import is_compressed
from lossproof.records.record import json_ready, read_record
from lossproof.running.resume import SAME, complete_lines, difference


class SweptBefore:
    """The record of a sweep that is to be finished: ``bytes`` of it and ``count`` observations stay, those of the first
    chunks. ``done``: nothing is missing.

    Raises :class:`UsageError` if it is not the record of a sweep of these chunks, or was made with other versions.
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any], chunks: Sequence[Chunk]) -> None:
        if is_compressed(path):
            raise UsageError(f"cannot resume {path}: it is compressed; start a new record with --overwrite")
        self._record = read_record(path)
        for name in ("sweep", *SAME):
            found = difference(self._record.header.get(name), json_ready(header.get(name)), name)
            if found:
                raise UsageError(f"cannot resume {path}: {found}; start a new record with --overwrite")
        self.bytes = self.count = 0
        self.done = False
        self.sizes: list[int] = []
        self._fit(chunks)

    def _fit(self, chunks: Sequence[Chunk]) -> None:
        """Find the chunks that the record has whole, from the first on."""
        lines = complete_lines(self._record.path)
        self.bytes, line = next(lines)
        for n, chunk in enumerate(chunks):
            start, size = self.bytes, 0
            while line is not None and "end" not in line and chunk_of(CaseId.parse(line["id"])) == chunk:
                size += 1
                self.bytes, line = next(lines)
            if line is None:
                # Nothing says that there was no more of it.
                self.bytes = start
                return
            if not size:
                if "end" not in line and chunk_of(CaseId.parse(line["id"])) in chunks[n + 1 :]:
                    # Its workers ended with this chunk: it is asked again, and all that came after it.
                    return
                break
            self.sizes.append(size)
            self.count += size
        if line is not None and "end" not in line:
            raise UsageError(f"cannot resume {self._record.path}: it does not follow this sweep at {line['id']}")
        self.done = len(self.sizes) == len(chunks)

    def chunks(self) -> Iterator[list[Observation]]:
        """The observations of the chunks that stay, chunk by chunk."""
        found = iter(self._record)
        for size in self.sizes:
            yield list(itertools.islice(found, size))
