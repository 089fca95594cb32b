"""Exploration spends most examples on random draws, and some on climbing from the best of a few.

Hypothesis's hill climbing plays up to ten variants for each example that counts, most of them draws that lead nowhere;
as part of one search it would take half of the examples, and most of the time, from the random draws that find special
values.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

# Examples for one op, and of these again a tenth to climb from.
MANY = 1000
_CLIMBS = 10
# The most logits of a call that is climbed from.
CLIMBED = 4096
SETTINGS = settings(
    # Judging is fast, compiling a new shape is not: time limits per example say nothing here.
    deadline=None,
    # With a database hypothesis ranks every example by the index of its bytes, which takes 40 times as long as judging
    # it; and a failure is printed whole, to be kept.
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def search(play: Callable[[st.DataObject], None], *, examples: int, at: int, shrink: bool = True) -> None:
    """Let hypothesis draw for ``play`` until it raises: ``examples`` at random, then a tenth with ``target()``.

    What it raises is that of the minimal failing draw, or with ``shrink=False`` of the first one.
    """
    last = (Phase.shrink,) if shrink else ()
    climbs = max(1, examples // _CLIMBS)
    for phases, count, number in (((Phase.generate,), examples, at), ((Phase.generate, Phase.target), climbs, ~at)):
        chosen = settings(SETTINGS, max_examples=count, phases=phases + last, report_multiple_bugs=False)
        chosen(seed(number)(given(st.data())(play)))()
