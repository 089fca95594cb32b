"""The tutorials work from an empty folder as they are written, from their first block to the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import ROOT, blocks, commands, play

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
# The languages of blocks that are played; blocks of others have to be files.
PLAYED = "console"


@pytest.mark.manual
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_works_as_written(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPROOF_HOME", str(tmp_path / ".home"))
    for command in play(page.read_text(encoding="utf-8"), tmp_path):
        assert command.is_as_written, f"{page.name}: {command}"


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_block_is_played(page: Path) -> None:
    found = blocks(page.read_text(encoding="utf-8"))
    assert any(list(commands(b)) for b in found)
    assert [b for b in found if b.language != PLAYED and "title=" not in b.more] == []


def test_there_are_three() -> None:
    assert [page.stem for page in TUTORIALS] == ["first-verdict", "gate-an-upgrade", "own-kernel"]
