"""What holds for all tests: they judge what they judge, and leave nothing in the user's cache."""

from __future__ import annotations

import os

import pytest

from lossproof.running.judgement_cache import OFF
from tests.support.thinned import WHOLE

os.environ.setdefault(OFF, "1")

pytest_plugins = ["tests.support.processor_time", "tests.support.frameworks", "tests.support.one_worker"]


@pytest.fixture
def few_smaller_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A diagnosis looks at few inputs for the smallest that shows a failure: for tests that are not about that one."""
    from lossproof.functions import diagnosis

    if not WHOLE:
        monkeypatch.setitem(diagnosis._BUDGETS, "none", 2)
