"""The command lines that are printed for the reader to run: they find the same case again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from lossproof.core.case_id import is_of_implementation, is_of_trial

# What the header of a function's session says of withheld calls, in the place of a command line: no target string names
# the function.
ASKED_BY = "asked_by"
_FUNCTION = "of a function"


def command(verb: str, id: str, target: str, **options: object) -> str:
    """Write a command line about a case: ``lossproof explain``, ``lossproof repro``. Options at their defaults are left
    out. Of a function it is explain, without a target.

    ``options`` bear the names of the command's, with underscores; ``call_file`` stands in the place of the id.
    """
    is_function = options.pop(_FUNCTION, False)
    words = ["lossproof", "explain" if is_function else verb]
    given = options.pop("call_file", None)
    words += ["--call", str(given)] if given else [id]
    words += [] if is_function else ["--target", target]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value and value != "default":
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def showing_command(id: str, target: str, place: Mapping[str, object]) -> str:
    """Write the command line that shows a case: ``explain``, or ``repro`` for what is said of a whole implementation.

    ``place`` are the options that find the deck of the case. The call that a function is tried with is in none.
    """
    if place.get(_FUNCTION) and is_of_trial(id):
        return f"{id}: --record FILE keeps it"
    if is_of_implementation(id):
        return id if place.get(_FUNCTION) else command("repro", id, target, **place)
    return command("explain", id, target, **place)


def recorded_place(header: Mapping[str, Any]) -> dict[str, object]:
    """The options that find the deck which the header of a record describes; none where it describes none.

    Of a function's session commands name no target: they show inputs, exact results and bounds.
    """
    # Bins of a sweep are found by their ids, whatever the deck.
    facts = {} if "sweep" in header else header.get("deck", {})
    cases = facts.get("cases")
    of_peer = {"cases": cases.get("source")} if isinstance(cases, Mapping) else {}
    return {"deck": facts.get("size"), "seed": facts.get("seed"), **of_peer, _FUNCTION: ASKED_BY in header}
