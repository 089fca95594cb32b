"""The view ``--html FILE``: the report of a run while it is at hand, without a record."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from lossproof.core.command_line import recorded_place
from lossproof.core.observation import Observation
from lossproof.running.session import Ended
from lossproof.views.html.collect import Collected
from lossproof.views.html.page import Run, needed, page, put
from lossproof.views.html.programs import ReproducerTexts


@dataclass
class HtmlView:
    """A view that gathers a run and writes its page to ``path``.

    ``options`` tell ``lossproof repro`` where its ids are.
    """

    path: str
    options: Mapping[str, object]
    collected: Collected = field(default_factory=Collected)

    def __post_init__(self) -> None:
        # What is missing is said before a long run, not after it.
        needed()

    def add(self, o: Observation) -> None:
        """Gather one observation."""
        self.collected.add(o)

    def close(self, run: Ended) -> None:
        """Write the page."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        programs = ReproducerTexts(run.targets, options=self.options, place=recorded_place(run.header))
        try:
            put(self.path, page(Run(run.header, self.collected, run.book, run.facts, programs, date=today)))
        finally:
            programs.close()
