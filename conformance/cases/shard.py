"""Parts of a deck, to be run apart and merged: each call is in one of them, as all calls of its strand are.

What is where is known before anything is drawn, so that a part costs what is in it.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lossproof.cases.deck_part import Strand
from lossproof.cases.families import FAMILIES
from lossproof.cases.signatures import MENU
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FLOAT64

# The most elements of a shape in which relations start.
_ELEMENTS = 1000
# What asking NumPy and judging its answers costs, fitted to the processor time of the default deck's groups: in
# nanoseconds an entry of the logits, by op, a call of finite logits and one of others, and all checks of an op in a
# dtype. Their ratios matter alone.
_ENTRY = {"softmax": 300, "log_softmax": 300, "nll_loss": 100, "cross_entropy": 450}
_CHECKS = {"softmax": 60_000_000, "log_softmax": 60_000_000, "nll_loss": 120_000_000, "cross_entropy": 250_000_000}
_CALL, _SPECIAL_CALL = 800_000, 2_500_000
# What is judged in double-double.
_DOUBLE = 2


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``of``."""

    index: int = 1
    of: int = 1


UNDIVIDED = Shard()


def parse_shard(text: str) -> Shard:
    """Read ``I/N``. Raises :class:`UsageError` if it is no such thing."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= of:
        raise UsageError(f"cannot read shard {text!r}; expected I/N with I from 1 to N, such as 1/4")
    return Shard(index, of)


@dataclass
class Census:
    """A census of a deck: what its strands cost, roughly, in nanoseconds. As strands of a part it keeps no call."""

    costs: Counter[Strand] = field(default_factory=Counter)

    def takes(self, strand: Strand, family: str) -> bool:
        """Count a call, and say no."""
        entries = math.prod(strand.shape) * _ENTRY[strand.op]
        call = _CALL if family not in FAMILIES or FAMILIES[family].regular else _SPECIAL_CALL
        self.costs[strand] += call + entries * (_DOUBLE if strand.dtype == FLOAT64.name else 1)
        return False


@dataclass(frozen=True)
class Division:
    """A division of a deck into parts, from 1: that of each strand, and that of the checks of each op and dtype, its
    relations and error cases."""

    strands: Mapping[Strand, int]
    checks: Mapping[tuple[str, str], int]

    def part_of(self, call: Call) -> int:
        """The part that has a call."""
        p = call.outline
        return self.checks[p.op, p.dtype] if call.is_check else self.strands[Strand.of(p)]

    def strands_of(self, index: int) -> Only:
        """The strands of a part."""
        return Only(frozenset(strand for strand, part in self.strands.items() if part == index))

    def checks_of(self, index: int) -> frozenset[tuple[str, str]]:
        """The ops and dtypes whose checks are in a part."""
        return frozenset(pair for pair, part in self.checks.items() if part == index)

    def has_all(self, related: Related, index: int) -> bool:
        """Say whether a part has all strands in which the relations of some ops and dtypes start."""
        return all(part == index for strand, part in self.strands.items() if related.takes(strand))


@dataclass(frozen=True)
class Only:
    """Nothing but some ``strands``."""

    strands: Collection[Strand]

    def takes(self, strand: Strand, family: str) -> bool:
        """Say whether a strand is one of them."""
        return strand in self.strands


@dataclass(frozen=True)
class Related:
    """The strands in which the relations of some ops and dtypes start, by default of all: those of small ``shapes``
    with several rows, of the menu by default. Relations are about structure, not size."""

    pairs: Collection[tuple[str, str]] | None = None
    shapes: Collection[tuple[int, ...]] = tuple(MENU)

    def takes(self, strand: Strand, family: str = "") -> bool:
        """Say whether a strand is one of them."""
        mine = self.pairs is None or (strand.op, strand.dtype) in self.pairs
        return mine and len(strand.shape) > 1 and math.prod(strand.shape) <= _ELEMENTS and strand.shape in self.shapes


def divided(costs: Mapping[Strand, int], checks: Iterable[tuple[str, str]], of: int) -> Division:
    """Divide a deck into ``of`` parts by what its strands cost: the dearest first, each to the part that has the least
    so far.

    The checks of an op and dtype are made from its strands of small shapes, and most of them have their programs. So
    they stay together where that is no more than a fair share, and nothing is drawn or compiled in two parts.
    """
    bundles: dict[tuple[str, str], list[Strand]] = {pair: [] for pair in checks}
    related = Related(bundles.keys())
    for strand in filter(related.takes, costs):
        bundles[strand.op, strand.dtype].append(strand)
    of_checks = {pair: _CHECKS[pair[0]] for pair in bundles}
    share = (sum(costs.values()) + sum(of_checks.values())) / of
    units: list[tuple[int, list[Strand], tuple[str, str] | None]] = []
    bundled: set[Strand] = set()
    for pair, strands in bundles.items():
        cost = of_checks[pair] + sum(costs[s] for s in strands)
        together = cost <= share
        units.append((cost, strands, pair) if together else (of_checks[pair], [], pair))
        bundled.update(strands if together else ())
    units += [(cost, [strand], None) for strand, cost in costs.items() if strand not in bundled]
    loads, found, homes = [(0, part) for part in range(1, of + 1)], {}, {}
    # The order of the deck among equals.
    for cost, strands, checked in sorted(units, key=lambda unit: -unit[0]):
        load, part = loads[0]
        heapq.heapreplace(loads, (load + cost, part))
        found.update(dict.fromkeys(strands, part))
        if checked is not None:
            homes[checked] = part
    return Division(found, homes)
