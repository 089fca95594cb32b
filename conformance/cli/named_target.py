"""The target that ``explain`` and ``repro`` are given: one of the adapters', or a function as ``check`` takes it."""

from __future__ import annotations

from lossproof.adapters.protocol import Adapter
from lossproof.core.errors import UsageError
from lossproof.functions.declaration import Declaration
from lossproof.functions.found_function import found_function
from lossproof.functions.function_session import started
from lossproof.targets import selection
from lossproof.targets.target import Target, spec


def started_targets(text: str, op: str) -> list[Target]:
    """Start the targets of a target string; of a function the one that answers calls of an op.

    What the function takes is found out as ``lossproof check`` finds it out without options.
    """
    function = _function(text)
    if function is None:
        return selection.choose_targets([text], selection.PROCESSES)
    target, _ = started(function, Declaration(op=op, name=text.rpartition(":")[2], isolate=True))
    return [target]


def _function(text: str) -> object:
    """The function that a target string names; None where it names anything else."""
    if text == "all" or spec(text).place != text or spec(text).is_command:
        return None
    try:
        found = found_function(text)
    except UsageError:
        # What starts adapters says what is wrong.
        return None
    return found if callable(found) and not isinstance(found, Adapter | type) else None
