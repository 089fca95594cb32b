"""The search for a case by its id: in the deck, in a file, in a record."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.cases.recorded_calls import recorded_call
from lossproof.cases.sweeps.chunks import swept_call
from lossproof.cases.sweeps.giants import giant_of_id
from lossproof.core.call import Call
from lossproof.core.case_id import Kind, is_of_check, nearest
from lossproof.core.command_line import recorded_place
from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.records.record import read_record
from lossproof.running.peers.peer_calls import peer_calls


@dataclass(frozen=True, kw_only=True)
class CasePlace:
    """A place where a case is found by its id: in a deck (its size and seed), or in a ``record``.

    The deck of a record is the one that its header names. ``call_file`` holds the case itself, as JSON (``-`` is
    standard input). With ``cases``, a source of them, it is one of another project, which its own name means, too.
    """

    deck: str = "default"
    seed: int = 0
    record: str | None = None
    call_file: str | None = None
    cases: str = ""

    def resolved(self) -> CasePlace:
        """The place with the deck of its record, if it has one that says what its deck is."""
        if self.record is None:
            return self
        deck = recorded_place(read_record(self.record).header)
        if not isinstance(deck["deck"], str) or not isinstance(deck["seed"], int):
            return self
        return replace(self, deck=deck["deck"], seed=deck["seed"])


def find_call(id: str | None, place: CasePlace) -> Call:
    """Find the call with an id, or the only one whose id ends in it.

    Relations and error cases are always looked up in the deck, of a record in its own. Raises :class:`UsageError`, with
    the nearest ids, if there is no such call or there are several.
    """
    if place.call_file is not None:
        own = _from_file(place.call_file)
        if id is not None and id != own.id and not own.id.endswith("/" + id):
            raise UsageError(f"{place.call_file} holds {own.id}, not {id}; leave out one of them")
        return own
    if id is None:
        raise UsageError("which case? expected an ID (lossproof deck list), or --call FILE")
    swept = swept_call(id) if place.record is None else None
    if swept is not None:
        return swept
    giant = giant_of_id(id) if place.record is None else None
    if giant is not None:
        return giant.call
    place = place.resolved()
    by_id: Mapping[str, Call | Mapping[str, Any] | None]
    if place.record is not None and not is_of_check(id):
        # What is said of all calls together is a case of none.
        by_id = {o.id: o.call for o in read_record(place.record) if o.keeps_call and o.case.kind is Kind.CALL}
        where = f"the calls of {place.record} that did not pass"
    elif place.cases:
        peer = peer_calls(place.cases)
        by_id, (id,) = {c.id: c for c in peer.calls}, peer.with_ids([id])
        where = f"the cases of {place.cases}"
    else:
        # Of a whole id it is known what part of the deck it is in.
        with contextlib.suppress(UsageError):
            return recorded_call(id, None, deck=place.deck, seed=place.seed)
        by_id = {c.id: c for c in select(place.deck, place.seed, (), (), ())}
        where = f"the {place.deck} deck of seed {place.seed}"
    tails = [id] if id in by_id else [i for i in by_id if i.endswith("/" + id)]
    if len(tails) == 1:
        found = by_id[tails[0]]
        if isinstance(found, Call):
            return found
        return recorded_call(tails[0], found, deck=place.deck, seed=place.seed)
    near = nearest(id, by_id)
    hint = f"nearest: {near}" if near else "see lossproof deck list"
    raise UsageError(f"{'ambiguous' if tails else 'unknown'} id {id!r} in {where}; {hint}")


def _from_file(path: str) -> Call:
    if path != "-":
        return kept_calls.read_call(path)
    try:
        data = parsed_json(sys.stdin.read().removeprefix("\ufeff"))
    except ValueError as error:
        raise UsageError(f"cannot read a call from standard input: {error}") from None
    return kept_calls.checked_call(data, "standard input")
