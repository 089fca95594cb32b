"""Headers of two records are compared here, and their targets paired."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.core.errors import UsageError
from lossproof.records.record import Record
from lossproof.records.recorded_targets import Recorded, recorded_targets

# What is another in each run, and what is said of the targets apart.
_PASSED = frozenset({"lossproof", "format", "command", "targets", "shards"})
# What makes a deck, or the part of it that was run.
_DECK = ("deck", "filters", "shard")
# The part of a target string that names one; a command may have such a part in its words.
_ENVIRONMENT = re.compile(r"^(?!exec:)(?P<name>[^@%]+)@[^%]*")


@dataclass(frozen=True)
class Names:
    """Names in the observations of one record, each with the name that stands for both records.

    ``targets`` are named by target strings, ``implementations`` are adapters in their environments.

    A target may have the name of another one's implementation, so observations say which it is.
    """

    targets: dict[str, str]
    implementations: dict[str, str]


def differences(made: Any, now: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """List every place where two values differ: its dotted name, and both."""
    if isinstance(made, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*made, *now]):
            yield from differences(made.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif made != now:
        yield name, made, now


def header_differences(before: Record, after: Record, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, Any, Any]]:
    """List where two headers differ, first in the targets that are compared, named as in the first record."""
    found: list[tuple[str, Any, Any]] = []
    for one, other in pairs:
        sides = (dict(before.header["targets"][one]), dict(after.header["targets"][other]))
        for side in sides:
            # It follows from the names.
            side.pop("implementation", None)
        found += differences(sides[0], sides[1], one)
    one_kept, other_kept = ({k: v for k, v in r.header.items() if k not in _PASSED} for r in (before, after))
    return found + list(differences(one_kept, other_kept, ""))


def same_deck(before: Record, after: Record) -> bool:
    """Tell whether both runs were asked the same."""
    return all(before.header.get(name) == after.header.get(name) for name in _DECK)


def paired(before: Record, after: Record, given: Sequence[str]) -> list[tuple[str, str]]:
    """Pair the targets to compare: those ``given`` as A=B, or those of the same name; where there is none, those that
    differ in their environment alone, as the two sides of an upgrade do.

    Raises :class:`UsageError` for unknown ones, and if there are none.
    """
    mine, other = ([t.name for t in recorded_targets(r)] for r in (before, after))
    if not given:
        found = [(name, name) for name in mine if name in other] or _but_for_environment(mine, other)
        if not found:
            raise UsageError(
                f"no target is in both records ({before.path} has {', '.join(mine)}; {after.path} has "
                f"{', '.join(other)}); say which belong together with --targets A=B"
            )
        return found
    found = []
    for text in given:
        # A name may itself have an equals sign in it, as a path can.
        cuts = [(text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == "="]
        fits = [cut for cut in cuts if cut[0] in mine and cut[1] in other]
        if not fits:
            raise UsageError(
                f"--targets {text!r} names no pair of targets; expected A=B with A one of {', '.join(mine)} "
                f"and B one of {', '.join(other)}"
            )
        found.append(fits[0])
    for side in (0, 1):
        twice = [pair[side] for pair in found if [p[side] for p in found].count(pair[side]) > 1]
        if twice:
            raise UsageError(f"--targets names {twice[0]} twice; compare one pair of it at a time")
    return found


def _but_for_environment(mine: Sequence[str], other: Sequence[str]) -> list[tuple[str, str]]:
    """Pair the targets whose names are the same without ``@ENVIRONMENT``, if all have one partner each."""
    one, two = ({_ENVIRONMENT.sub(r"\g<name>", name): name for name in side} for side in (mine, other))
    if one.keys() != two.keys() or len(one) < len(mine) or len(two) < len(other):
        return []
    return [(name, two[short]) for short, name in one.items()]


def names(before: Record, after: Record, pairs: Sequence[tuple[str, str]]) -> tuple[Names, Names]:
    """Collect the names in either record that are compared, each with the name that stands for both.

    An implementation is compared once, whichever of its targets are.
    """
    described = [{t.name: t for t in recorded_targets(r)} for r in (before, after)]
    found = Names({}, {}), Names({}, {})
    for pair in pairs:
        both: list[Recorded] = [described[side][name] for side, name in enumerate(pair)]
        is_new = all(t.implementation not in found[side].implementations for side, t in enumerate(both))
        for side, t in enumerate(both):
            found[side].targets[t.name] = pair[0]
            if is_new:
                found[side].implementations[t.implementation] = both[0].implementation
    return found


def left_out(before: Record, after: Record, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """List the targets that are not compared, with the record that has them."""
    sides = ((before, {p[0] for p in pairs}), (after, {p[1] for p in pairs}))
    return [f"{t.name} ({r.path})" for r, compared in sides for t in recorded_targets(r) if t.name not in compared]
