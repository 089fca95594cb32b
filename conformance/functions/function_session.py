"""The session of a function, for a caller who shows it: its calls are chosen, nothing is asked yet."""

from __future__ import annotations

from typing import Any

from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.case_id import ERROR
from lossproof.functions.declaration import Declaration
from lossproof.functions.function_check import Questions
from lossproof.functions.prepare import kept_calls, prepared
from lossproof.records.waivers import Book
from lossproof.running import judgement_cache
from lossproof.running.header import record_header
from lossproof.running.session import Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.targets.target import Target


def function_session(function: Any, declared: Declaration, asked: Questions) -> tuple[Session, tuple[str, ...]]:
    """Return the session of a function and a deck, and in a line each what is asked and what is not.

    Close it when it is over. Raises :class:`UsageError` as ``check_implementation`` does.
    """
    found = prepared(function, declared)
    target = Target(found.adapter, device=declared.device)
    made = DeckOptions(size=asked.deck, seed=asked.seed, ops=(declared.op,), dtypes=found.dtypes)
    if found.broken is not None:
        calls, notes = (
            [Call(found.broken, "ordinary", "trial")],
            ["left out: all other calls, not even this is answered"],
        )
    else:
        whole = select(asked.deck, asked.seed, (declared.op,), found.dtypes)
        calls, left = kept_calls([c for c in whole if asked.errors or c.family != ERROR], declared)
        notes = [f"left out: {line}" for line in left]
    source = Live([target], calls, cache=judgement_cache.on_this_machine(wanted=asked.cache))
    session = Session(
        subjects=[target],
        calls=calls,
        deck=made,
        book=Book([], [target]),
        source=source,
        header=record_header([target], calls, made),
    )
    return session, (*found.notes, *notes)
