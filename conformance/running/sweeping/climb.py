"""The climb of a search: calls of a chunk with the largest share of the bound are changed and asked again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lossproof.cases.picker import SeededPicker
from lossproof.cases.sweeps.chunks import Chunk
from lossproof.cases.sweeps.kind import worst_family
from lossproof.cases.sweeps.random_rows import KEPT_OF_EACH, changed
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.running.loop import played
from lossproof.running.timing import Clock
from lossproof.targets.target import Target

_PARENTS = 16


@np.errstate(all="ignore")
def climbed(
    target: Target, chunk: Chunk, calls: Sequence[Call], generations: int, clock: Clock, lost: dict[str, str]
) -> tuple[list[Observation], dict[str, Call]]:
    """Observe the worst calls that a climb from those of a chunk finds of a target, and return them with all calls.

    Which calls are asked depends on the chunk and the answers of the target alone. Failures are all kept.
    """
    pick = SeededPicker(f"climb/{chunk}")
    every: dict[str, Call] = {}
    seen: dict[str, list[Observation]] = {}
    asked = list(calls)
    for generation in range(generations + 1):
        every.update({call.id: call for call in asked})
        for _, several in played([target], asked, clock, lost=lost):
            for o in several:
                seen.setdefault(o.id, []).append(o)
        if generation == generations or target.name in lost:
            break
        parents = sorted(seen, key=lambda id: _height(seen[id]), reverse=True)[:_PARENTS]
        children = [_child(pick, every[id], chunk) for _ in range(len(calls) // _PARENTS) for id in parents]
        asked = list({call.id: call for call in children if call.id not in every}.values())
    found = [o for several in seen.values() for o in several]
    kept = {o.id for o in found if o.verdict not in ("pass", "convention", "unsupported")}
    for output in dict.fromkeys(o.output for o in found):
        mine = sorted((o for o in found if o.output == output), key=lambda o: _height([o]), reverse=True)
        kept |= {o.id for o in mine[:KEPT_OF_EACH]}
    # What is changed is in no chunk: its call travels with what is observed of it.
    ids = [id for id in seen if id in kept]
    own = {call.id for call in calls}
    return [replace(o, call=None if id in own else every[id]) for id in ids for o in seen[id]], every


def _child(pick: SeededPicker, parent: Call, chunk: Chunk) -> Call:
    return replace(parent, source=changed(pick, parent.problem), family=worst_family(chunk.kind, chunk.number))


def _height(several: Sequence[Observation]) -> float:
    return max((o.share for o in several if math.isfinite(o.share)), default=0.0)
