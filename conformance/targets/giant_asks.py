"""Giant problems are put to targets: in this process, or by a message of their own to the worker."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from lossproof.adapters import giant as giants
from lossproof.adapters import wire
from lossproof.adapters.memory import HostMemory
from lossproof.adapters.protocol import Adapter, Giant, GiantOutcome, Outcome
from lossproof.targets.process import Fault
from lossproof.targets.remote import Remote
from lossproof.targets.replies import giant_outcome_of
from lossproof.targets.target import Target

# Each answer comes before the next question.
_ID = 0


def ask_giant(target: Target, giant: Giant, *, most: int = 0, fresh: bool = True) -> GiantOutcome:
    """Put a giant problem to a target, which may take so many bytes of memory (0: all there are).

    Whatever happens to its process is the answer. The next problem has a ``fresh`` one in any case: allocators keep
    memory, which would be missing there, and which the next peak would hide. For that reason nothing is said of the
    memory of this process. Otherwise it goes on, and says what it took if its system forgets peaks.
    """
    if target.player is None:
        answer = giants.answer(cast(Adapter, target.adapter), giant, target.device, target.mode, most=most)
        return replace(answer, held=0, peak=0) if fresh or not HostMemory().forgets else answer
    if not isinstance(target.adapter, Remote):
        return _failed("unsupported", f"{target.name} takes no giant problems")
    try:
        reply = target.adapter.asked({"kind": "giant", "id": _ID, "giant": giant, "most": most})
        if reply is None:
            return _failed("unsupported", f"{target.name} takes no giant problems")
        answer = giant_outcome_of(reply, _ID)
        if answer.peak and fresh:
            target.adapter.renew()
        return answer
    except Fault as fault:
        return _failed(fault.kind, str(fault))
    except wire.WireError as error:
        return _failed("crash", f"its answer cannot be used: {error}")


def _failed(error: str, message: str) -> GiantOutcome:
    return GiantOutcome(Outcome(error=error, message=message))
