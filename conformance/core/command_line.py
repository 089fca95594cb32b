"""The command lines that are printed for the reader to run: they find the same case again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from lossproof.core.case_id import is_of_implementation


def command(verb: str, id: str, target: str, **options: object) -> str:
    """Write a command line about a case: ``lossproof explain``, ``lossproof repro``. Options at their defaults are left
    out.

    ``options`` bear the names of the command's, with underscores; ``call_file`` stands in the place of the id.
    """
    words = ["lossproof", verb]
    given = options.pop("call_file", None)
    words += ["--call", str(given)] if given else [id]
    words += ["--target", target]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value and value != "default":
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def showing_command(id: str, target: str, place: Mapping[str, object]) -> str:
    """Write the command line that shows a case: ``explain``, or ``repro`` for what is said of a whole implementation.

    ``place`` are the options that find the deck of the case.
    """
    return command("repro" if is_of_implementation(id) else "explain", id, target, **place)


def recorded_place(header: Mapping[str, Any]) -> dict[str, object]:
    """The options that find the deck which the header of a record describes; none where it describes none."""
    facts = header.get("deck", {})
    return {"deck": facts.get("size"), "seed": facts.get("seed")}
