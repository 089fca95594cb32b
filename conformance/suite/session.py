"""What the two test modules share: the chosen targets, deck and waivers, and observations computed once for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import pytest

from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records.waivers import Book, waivers_in_force
from lossproof.running.loop import run
from lossproof.targets import selection
from lossproof.targets.target import Target

ReplayKey = tuple[str, str, str]


class Replay:
    """The deck on the chosen targets, judged lazily: a group of calls is put to every target that still needs it, so
    that all targets share one truth."""

    def __init__(self, targets: tuple[Target, ...], calls: Iterable[Call], waivers: Book, *, strict: bool) -> None:
        self.targets = {t.name: t for t in targets}
        self.waivers = waivers
        self.strict = strict
        self.groups: dict[ReplayKey, list[Call]] = defaultdict(list)
        for call in calls:
            self.groups[call.problem.op, call.problem.dtype, call.family].append(call)
        self.wanted: dict[ReplayKey, set[str]] | None = None
        self._found: dict[tuple[str, ReplayKey], list[Observation]] = {}

    def observations(self, target: str, key: ReplayKey) -> list[Observation]:
        """The observations of one item, and of the same group on the other targets while the truth is at hand."""
        if (target, key) not in self._found:
            names = {target} | (self.wanted or {}).get(key, set())
            found: dict[str, list[Observation]] = {name: [] for name in names}
            for o in run([t for name, t in self.targets.items() if name in names], self.groups[key]):
                if o.target in found:
                    found[o.target].append(self.waivers.mark(o))
            self._found.update({(name, key): group for name, group in found.items()})
        return self._found.pop((target, key))


@lru_cache(maxsize=1)
def make_replay(
    targets: tuple[str, ...], deck: str, seed: int, kept: tuple[str, ...], waivers: tuple[str, ...], strict: bool
) -> Replay:
    """The replay of these options; collection and the tests share it."""
    chosen = tuple(selection.choose_targets(targets, selection.PROCESSES))
    calls = kept_calls.along(select(deck, seed, (), (), ()), kept)
    return Replay(chosen, calls, waivers_in_force(chosen, waivers), strict=strict)


def of(config: pytest.Config) -> Replay:
    """The replay that the command line asks for. Raises :class:`UsageError` for options that make no sense."""
    return make_replay(
        tuple(config.getoption("--lossproof-target")),
        config.getoption("--lossproof-deck"),
        config.getoption("--lossproof-seed"),
        tuple(config.getoption("--lossproof-calls")),
        tuple(config.getoption("--lossproof-waivers")),
        config.getoption("--lossproof-strict"),
    )


@lru_cache(maxsize=1)
def _here(targets: tuple[str, ...]) -> tuple[Target, ...]:
    return tuple(selection.choose_targets(targets))


def targets_here(config: pytest.Config) -> tuple[Target, ...]:
    """The chosen targets in this process: thousands of small calls are no work for pipes, and a crash is a finding."""
    return _here(tuple(config.getoption("--lossproof-target")))


def alone(config: pytest.Config) -> bool:
    """Whether one process runs all items: workers of xdist each run their own share, and compute no one else's."""
    return not hasattr(config, "workerinput")
