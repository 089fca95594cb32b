"""Calls come back from records here: one that a record holds from its own inputs, the others by their ids from the deck
of the run, which is made again.

Of a relation or an error case a record of an older format has the inputs of the first call only: what is accepted of it
is code, which the deck has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lossproof.cases.catalogue import select
from lossproof.cases.sweeps.chunks import swept_call
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import CaseId, is_of_check
from lossproof.core.errors import UsageError


def recorded_call(id: str, data: Call | Mapping[str, Any] | None, *, deck: str = "default", seed: int = 0) -> Call:
    """Return the call with an id, of whatever kind: ``data`` is what is kept of it, the call or its JSON object, and
    ``deck`` and ``seed`` are those of the run that has recorded it.

    Ids hold a digest of the inputs: what is made again has them to the bit. Raises :class:`UsageError` where there is
    no such case today, and for inputs that are not those of the id.
    """
    if isinstance(data, Call):
        return data
    case = CaseId.parse(id)
    swept = swept_call(id) if data is None else None
    if swept is not None:
        return swept
    if data is None or is_of_check(id):
        found = _of_deck(deck, seed, case.op, case.dtype, case.family).get(id)
        if found is None:
            raise UsageError(f"{id} is no case of the {deck} deck of seed {seed} as this lossproof makes it")
        return found
    call = from_json(data)
    if call.id != id:
        raise UsageError(f"the inputs that are kept of {id} are those of {call.id}")
    return call


@lru_cache(maxsize=32)
def _of_deck(deck: str, seed: int, op: str, dtype: str, family: str) -> Mapping[str, Call]:
    try:
        return {c.id: c for c in select(deck, seed, (op,), (dtype,), (family,))}
    except UsageError:
        # Nothing of today's deck is of that kind.
        return {}
