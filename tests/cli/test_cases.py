"""Cases of another project, as the command tells them; without that project."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lossproof.cli.commands import cases
from tests.support.views import lossproof


def test_cases_without_answers_judge_a_target_and_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = SimpleNamespace(named={"one": "id"}, notes=lambda: ["1 case"], answers={}, calls=[])
    monkeypatch.setattr(cases, "peer_calls", lambda source: peer)
    listed, told = lossproof("cases", "opinfo", "--list"), lossproof("cases", "opinfo")
    assert (listed.exit_code, listed.stdout, told.exit_code, told.stdout) == (0, "one  id\n", 0, "1 case\n")
    assert "without answers; lossproof run TARGET --cases opinfo judges" in told.stderr
