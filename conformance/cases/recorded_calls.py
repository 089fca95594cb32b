"""Calls come back from records here: a call from its own inputs, a check by its id from the deck that it belongs to.

A record has of a relation or an error case the inputs of its first call only. What is accepted of it is code, which the
deck has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lossproof.cases.catalogue import select
from lossproof.core.call import Call, from_json
from lossproof.core.case_id import CaseId, is_of_check
from lossproof.core.errors import UsageError


def recorded_call(id: str, data: Mapping[str, Any], *, deck: str = "default", seed: int = 0) -> Call:
    """Return the call with an id, of whatever kind: ``data`` is its JSON object, ``deck`` and ``seed`` are those of the
    run that has recorded it.

    Raises :class:`UsageError` where there is no such case today, and for inputs that are not those of the id.
    """
    case = CaseId.parse(id)
    if is_of_check(id):
        found = _checks(deck, seed, case.op, case.dtype, case.family).get(id)
        if found is None:
            raise UsageError(f"{id} is no case of the {deck} deck of seed {seed} as this lossproof makes it")
        return found
    call = from_json(data)
    if call.id != id:
        raise UsageError(f"the inputs that are kept of {id} are those of {call.id}")
    return call


@lru_cache(maxsize=32)
def _checks(deck: str, seed: int, op: str, dtype: str, family: str) -> Mapping[str, Call]:
    return {c.id: c for c in select(deck, seed, (op,), (dtype,), (family,))}
