"""The calls that a sweep or a soak keeps, and where a command finds the call of an observation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lossproof.cases import kept_calls
from lossproof.cases.sweeps.kind import is_worst
from lossproof.cli.outputs import views
from lossproof.cli.shared_options import OutputOptions
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.session import Ended, Sink

Locator = Callable[[Observation], Mapping[str, object] | None]


@dataclass
class Keeper:
    """A sink that writes the calls of the smallest failing rows to a folder, each in a file of its own, and the worst
    that a search found."""

    folder: str
    paths: dict[str, Path] = field(default_factory=dict)

    def add(self, o: Observation) -> None:
        """Write the call of one observation, if it is one of them. Raises :class:`UsageError` where that fails."""
        # What else fails, with its call, is of a deck.
        wanted = fails(o) or is_worst(o.case.family)
        if wanted and isinstance(o.call, Call) and o.id not in self.paths:
            self.paths[o.id] = kept_calls.save(o.call, self.folder)

    def place(self, o: Observation) -> Mapping[str, object] | None:
        """The options that find the call of an observation; None if it is not kept."""
        return {"call_file": self.paths[o.id]} if o.id in self.paths else None

    def close(self, run: Ended) -> None:
        """Everything is written."""


def views_and_locator(outputs: OutputOptions, folder: str | None) -> tuple[dict[str, Sink], Locator]:
    """The views of a run, with one that keeps calls in a folder if there is one, and where the call of an observation
    is found: in that folder, else in the record; None if nowhere."""
    others = views(outputs, {})
    if folder:
        keeper = Keeper(folder)
        others[f"the folder {folder}"] = keeper
        return others, keeper.place
    in_record = {"record": outputs.record} if outputs.record else None
    return others, lambda o: in_record
