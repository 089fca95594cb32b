"""The search for a case by its id: in the deck, in a file, in a record."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import is_of_check, nearest
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record


def find_call(id: str | None, *, deck: str, seed: int, record: str | None, call_file: str | None) -> Call:
    """Find the call with an id, or the only one whose id ends in it.

    A ``call_file`` holds the call itself. A ``record`` is searched if it is given; else, and always for relations and
    error cases, the ``deck`` of the ``seed`` is. Raises :class:`UsageError`, with the nearest ids, if there is no such
    call or there are several.
    """
    if call_file is not None:
        return _from_file(call_file)
    if id is None:
        raise UsageError("which case? expected an ID (lossproof deck list), or --call FILE")
    if record is not None and not is_of_check(id):
        calls = list(_recorded(record))
        place = f"the calls that {record} keeps (those that did not pass)"
    else:
        calls = select(deck, seed, (), (), ())
        place = f"the {deck} deck of seed {seed}"
    by_id = {c.id: c for c in calls}
    if id in by_id:
        return by_id[id]
    tails = [i for i in by_id if i.endswith("/" + id)]
    if len(tails) == 1:
        return by_id[tails[0]]
    near = nearest(id, by_id)
    hint = f"nearest: {near}" if near else "see lossproof deck list"
    raise UsageError(f"{'ambiguous' if tails else 'unknown'} id {id!r} in {place}; {hint}")


def _recorded(path: str) -> Iterator[Call]:
    for o in read_record(path):
        if o.call is not None:
            yield from_json(o.call)


def _from_file(path: str) -> Call:
    if path != "-":
        return kept_calls.read_call(path)
    try:
        data = json.loads(sys.stdin.read())
    except ValueError as error:
        raise UsageError(f"cannot read a call from standard input: {error}") from None
    return kept_calls.checked_call(data, "standard input")
