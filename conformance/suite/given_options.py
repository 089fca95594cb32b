"""The options of the suite, read and looked at, before anything is started."""

from __future__ import annotations

import pytest

from lossproof.cases import kept_calls
from lossproof.records.waivers import load_waivers
from lossproof.running.session_options import DeckOptions, Rules
from lossproof.targets import selection


def check(config: pytest.Config) -> None:
    """Look at the options without starting anything. Raises :class:`UsageError` for those that make no sense."""
    deck, rules = given(config)
    deck.check()
    selection.target_names(config.getoption("--lossproof-target"))
    kept_calls.load_calls(deck.kept)
    for path in rules.waivers:
        load_waivers(path)


def given(config: pytest.Config) -> tuple[DeckOptions, Rules]:
    """Read the deck and the rules that the command line asks for."""
    deck = DeckOptions(
        size=config.getoption("--lossproof-deck"),
        seed=config.getoption("--lossproof-seed"),
        ops=tuple(config.getoption("--lossproof-op")),
        dtypes=tuple(config.getoption("--lossproof-dtype")),
        families=tuple(config.getoption("--lossproof-family")),
        kept=tuple(config.getoption("--lossproof-calls")),
    )
    waivers = tuple(config.getoption("--lossproof-waivers"))
    return deck, Rules(waivers=waivers, strict=config.getoption("--lossproof-strict"))
