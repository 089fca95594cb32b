"""Reproducers of a report: one for each group of failures and for each waiver, where their target is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossproof.cases.recorded_calls import recorded_call
from lossproof.core.case_id import CONVENTION, is_of_check
from lossproof.core.command_line import command, showing_command
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.repro.program import reproduce
from lossproof.running.guarded import why
from lossproof.targets import selection
from lossproof.targets.target import Target

# Each costs a call or two, and a compilation in compiled modes.
MOST = 60


@dataclass(frozen=True)
class ReproducerText:
    """A reproducer: the ``command`` that writes it and its ``text``; without a text, ``why`` there is none."""

    command: str
    text: str = ""
    why: str = ""


class ReproducerTexts:
    """Reproducers for observations, from targets that are running or can be started here.

    ``options`` tell ``lossproof repro`` where the ids of calls are found, ``place`` is the deck that has the others.
    Programs are made for the first ``most`` observations.
    """

    def __init__(
        self,
        targets: Sequence[Target] = (),
        *,
        options: Mapping[str, object] | None = None,
        place: Mapping[str, object] | None = None,
        most: int = MOST,
    ) -> None:
        self._targets: dict[str, Target | UsageError] = {t.name: t for t in targets}
        self._given = frozenset(self._targets)
        self._options = dict(options or {})
        self._place = dict(place or {})
        deck, seed = self._place.get("deck"), self._place.get("seed")
        self._deck = str(deck) if deck else "default"
        self._seed = seed if isinstance(seed, int) else 0
        self._left = most
        self._made: dict[tuple[str, str, str], ReproducerText] = {}

    def of(self, o: Observation) -> ReproducerText:
        """Write the program that shows what was observed, or say why there is none."""
        key = (o.target, o.id, o.output)
        if key not in self._made:
            self._made[key] = self._make(o)
        return self._made[key]

    def _make(self, o: Observation) -> ReproducerText:
        if o.case.family == CONVENTION:
            line = showing_command(o.id, o.target, self._place)
            return ReproducerText(line, why="it is about more than one call")
        line = command("repro", o.id, o.target, output=o.output, **self._options)
        if self._left == 0:
            return ReproducerText(line, why="the command writes one")
        self._left -= 1
        try:
            call = recorded_call(o.id, o.call, deck=self._deck, seed=self._seed)
            found = reproduce(call, self._target(o.target), line, output=o.output)
        except UsageError as error:
            # What compares several calls that are right one by one has no program of its own.
            shown = showing_command(o.id, o.target, self._place) if is_of_check(o.id) else line
            return ReproducerText(shown, why=str(error))
        except Exception as error:  # one program is not worth the page
            return ReproducerText(line, why=f"it cannot be written: {why(error)}")
        if not found.shows:
            return ReproducerText(line, why="with the versions that are installed here it does not show")
        return ReproducerText(line, found.text)

    def _target(self, name: str) -> Target:
        if name not in self._targets:
            try:
                self._targets[name] = selection.choose_targets([name], selection.PROCESSES)[0]
            except UsageError as error:
                self._targets[name] = error
        found = self._targets[name]
        if isinstance(found, UsageError):
            raise found
        return found

    def close(self) -> None:
        """End the targets that were started for programs."""
        selection.close([t for name, t in self._targets.items() if isinstance(t, Target) and name not in self._given])
