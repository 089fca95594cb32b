"""``lossproof explain``."""

from __future__ import annotations

from rich.markup import escape

from lossproof.cli.named_target import started_targets
from lossproof.repro.explain import lines
from lossproof.repro.find import CasePlace, find_call
from lossproof.targets import selection
from lossproof.views.terminal import console


def explain_command(
    id: str | None,
    *,
    target: str | None,
    place: CasePlace,
    full: bool,
) -> int:
    """Print the explanation."""
    call = find_call(id, place)
    chosen = started_targets(target, call.outline.op)[0] if target else None
    out = console()
    try:
        for line in lines(call, chosen, full=full):
            out.print(escape(line))
    finally:
        selection.close([chosen] if chosen else [])
    return 0
