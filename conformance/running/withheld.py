"""Calls that are withheld from targets that compile, because of their shapes: their count, and what asks them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossproof.core.call import Call
from lossproof.core.command_line import ASKED_BY
from lossproof.targets.target import Target

# The deck that withholds nothing.
EVERYTHING = "full"


def withheld(targets: Sequence[Target], calls: Iterable[Call]) -> dict[str, int]:
    """Count the calls that each target is not given, because their tier is too dear for it; none are left out."""
    tiers: dict[str, int] = {}
    for call in calls:
        tiers[call.tier] = tiers.get(call.tier, 0) + 1
    found = {t.name: sum(n for tier, n in tiers.items() if not t.takes(tier)) for t in targets}
    return {name: n for name, n in found.items() if n}


def withheld_text(header: Mapping[str, Any]) -> str:
    """Say in a line what the run with this header withheld, why, and which command asks it; nothing if that is all."""
    counts: Mapping[str, int] = header.get("withheld") or {}
    if not counts:
        return ""
    (first, n), *more = counts.items()
    several = ", ".join([f"{n} calls from {first}", *(f"{n} from {name}" for name, n in more)])
    costs = "a new shape costs it a compilation" if not more else "a new shape costs them a compilation"
    return f"withheld: {several} ({costs}); {header.get(ASKED_BY) or _command(counts, header)}"


def _command(targets: Iterable[str], header: Mapping[str, Any]) -> str:
    words = ["lossproof", "run", *targets, "--deck", EVERYTHING]
    seed = header.get("deck", {}).get("seed")
    words += ["--seed", str(seed)] if seed else []
    for option, names in header.get("filters", {}).items():
        for name in names:
            words += [f"--{option}", name]
    return shlex.join(words)
