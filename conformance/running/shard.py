"""Parts of a deck, to be run apart and merged: every signature, and so every compilation, is in one of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FLOAT64

# What playing and judging the default deck costs, fitted to the processor time of each of its stacks: nanoseconds of a
# stack, a call in it, an output of a call, an entry of an output, and a call of a check. Their ratios matter alone.
_STACK, _CALL, _OUTPUT, _CHECK = 1_700_000, 84_000, 156_000, 640_000
_DOUBLE, _SINGLE = 430, 200


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``of``."""

    index: int = 1
    of: int = 1

    def keep(self, stacks: Sequence[list[Call]]) -> Iterator[list[Call]]:
        """The stacks that belong to this part, in order."""
        for stack, index in zip(stacks, divide(stacks, self.of), strict=True):
            if index == self.index:
                yield stack


UNDIVIDED = Shard()


def parse_shard(text: str) -> Shard:
    """Read ``I/N``. Raises :class:`UsageError` if it is no such thing."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= of:
        raise UsageError(f"cannot read shard {text!r}; expected I/N with I from 1 to N, such as 1/4")
    return Shard(index, of)


def divide(stacks: Sequence[Sequence[Call]], of: int) -> list[int]:
    """The part of each stack: the dearest signatures first, each to the part that has the least so far.

    A relation or error call goes with the signature of its first problem, which it would have compiled again.
    """
    sizes: Counter[object] = Counter()
    for stack in stacks:
        sizes[signature(stack[0].outline)] += _cost(stack)
    loads = [0] * of
    parts: dict[object, int] = {}
    # most_common keeps the order of the deck among equals.
    for key, size in sizes.most_common():
        parts[key] = loads.index(min(loads))
        loads[parts[key]] += size
    return [parts[signature(stack[0].outline)] + 1 for stack in stacks]


def _cost(stack: Sequence[Call]) -> int:
    """The nanoseconds, roughly, that a stack costs; a check puts several calls, each with a truth of its own."""
    first = stack[0]
    if first.is_check:
        return len(first.calls) * _CHECK
    outputs, elements = len(first.outputs), first.outline.x.size
    one = _CALL + outputs * (_OUTPUT + elements * (_DOUBLE if first.outline.result_dtype == FLOAT64.name else _SINGLE))
    return _STACK + len(stack) * one
