"""``lossproof explain``."""

from __future__ import annotations

from rich.markup import escape

from lossproof.repro.explain import lines
from lossproof.repro.find import find_call
from lossproof.targets import selection
from lossproof.views.terminal import console


def explain_command(
    id: str | None,
    *,
    target: str | None,
    deck: str,
    seed: int,
    record: str | None,
    call_file: str | None,
    full: bool,
) -> int:
    """Print the explanation."""
    call = find_call(id, deck=deck, seed=seed, record=record, call_file=call_file)
    chosen = selection.choose_targets([target], selection.PROCESSES)[0] if target else None
    out = console()
    try:
        for line in lines(call, chosen, full=full):
            out.print(escape(line), soft_wrap=True)
    finally:
        selection.close([chosen] if chosen else [])
    return 0
