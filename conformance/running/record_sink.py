"""The sink that keeps the observations of a session in a record."""

from __future__ import annotations

from dataclasses import dataclass

from lossproof.core.observation import Observation
from lossproof.records.record import Writer
from lossproof.running.session import Ended


@dataclass
class RecordSink:
    """Writes a record; the first ``kept`` observations are in it already."""

    writer: Writer
    kept: int = 0

    def add(self, o: Observation) -> None:
        """Write one observation."""
        if self.kept:
            self.kept -= 1
        else:
            self.writer.write(o)

    def close(self, run: Ended) -> None:
        """Say that the run is complete, if it is, and close the file."""
        if run.facts is not None:
            self.writer.end(run.facts)
        self.writer.close()
