"""The store of judgements loses entries where it must, and is never the reason for another outcome."""

from __future__ import annotations

import calendar
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.records.judgement_store import JudgementStore, clear
from lossproof.running import judgement_cache

A, B = b"a" * 20, b"b" * 20


def filled(path: Path, entries: dict[bytes, str]) -> None:
    store = JudgementStore(path)
    for key, text in entries.items():
        store.put(key, text)
    store.close()
    assert store.trouble == ""


def got(path: Path, *keys: bytes) -> dict[bytes, str]:
    store = JudgementStore(path)
    found = store.get(keys)
    store.close()
    return found


def test_what_is_put_is_found_by_another_store(tmp_path: Path) -> None:
    filled(tmp_path / "deep" / "store", {A: "one", B: "two"})
    assert got(tmp_path / "deep" / "store", A, B, b"c" * 20) == {A: "one", B: "two"}


def test_what_is_put_is_found_at_once(tmp_path: Path) -> None:
    store = JudgementStore(tmp_path / "store")
    store.put(A, "one")
    assert store.get([A, B]) == {A: "one"}


def test_many_keys_are_asked_at_once(tmp_path: Path) -> None:
    entries = {i.to_bytes(20, "big"): str(i) for i in range(5000)}
    filled(tmp_path / "store", entries)
    assert got(tmp_path / "store", *entries) == entries


@pytest.mark.parametrize("size", [0, 1, 3000, 20000])
def test_a_damaged_file_is_an_empty_store_and_then_a_new_one(tmp_path: Path, size: int) -> None:
    path, entries = tmp_path / "store", {i.to_bytes(20, "big"): "x" * 100 for i in range(5000)}
    filled(path, entries)
    whole = path.read_bytes()
    path.write_bytes(whole[:size] + b"\xff" * 5000 + whole[size + 5000 :])
    store = JudgementStore(path)
    found = store.get(list(entries))
    for key in entries:
        store.put(key, "x" * 100)
    store.close()
    assert found.items() <= entries.items()
    filled(path, {A: "one"})
    assert got(path, A) == {A: "one"}


@pytest.mark.parametrize("column", ["text = 'two'", "mark = x'00'", "text = null", "mark = 7", "text = x'ff'"])
def test_a_damaged_entry_is_none(tmp_path: Path, column: str) -> None:
    path = tmp_path / "store"
    filled(path, {A: "one", B: "other"})
    with sqlite3.connect(path) as file:
        file.execute(f"update entry set {column} where key = ?", (A,))
    file.close()
    assert A not in got(path, A, B)
    filled(path, {A: "one"})
    assert got(path, A)[A] == "one"


def test_an_entry_under_another_key_is_none(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, {A: "one"})
    with sqlite3.connect(path) as file:
        file.execute("update entry set key = ?", (B,))
    file.close()
    assert got(path, B) == {}


@pytest.mark.parametrize("what", ["folder", "parent is a file"])
def test_a_place_that_cannot_be_written_is_an_empty_store(tmp_path: Path, what: str) -> None:
    path = tmp_path / "store"
    if what == "folder":
        path.mkdir()
    else:
        path.write_text("no folder")
        path /= "store"
    store = JudgementStore(path)
    store.put(A, "one")
    assert store.get([A]) == {}
    store.close()
    assert store.trouble


def test_a_full_disk_costs_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, {A: "one"})
    store = JudgementStore(path)
    assert store._file is not None
    store._file.execute("pragma max_page_count = 4")
    for i in range(2000):
        store.put(i.to_bytes(20, "big"), "x" * 200)
    store.flush()
    assert "full" in store.trouble
    assert store.get([A]) == {}
    store.close()
    assert got(path, A) == {A: "one"}


def test_a_store_that_another_process_keeps_costs_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossproof.records.judgement_store._WAIT", 0.05)
    path = tmp_path / "store"
    filled(path, {A: "one"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    store = JudgementStore(path)
    assert store.get([A]) == {A: "one"}
    store.put(B, "two")
    store.close()
    other.execute("rollback")
    other.close()
    assert "locked" in store.trouble
    assert got(path, A, B) == {A: "one"}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "store"
    entries = {i.to_bytes(20, "big"): "x" * 500 for i in range(1000)}
    filled(path, entries)
    with sqlite3.connect(path) as file:
        file.execute("update entry set day = day - 5")
    file.close()
    used = list(entries)[:100]
    # What is read is used today.
    assert len(got(path, *used)) == 100
    store = JudgementStore(path, limit=300_000)
    store.close()
    left = got(path, *entries)
    assert set(used) <= set(left)
    assert 200 < len(left) < 600
    assert path.stat().st_size <= 300_000


_WRITER = """
import sys
from lossproof.records.judgement_store import JudgementStore
store = JudgementStore(__import__("pathlib").Path(sys.argv[1]))
for i in range(3000):
    store.put(i.to_bytes(10, "big") + sys.argv[2].encode() * 10, str(i))
    if i % 50 == 0:
        store.flush()
        for key, text in store.get([i.to_bytes(10, "big") + who * 10 for who in (b"p", b"q")]).items():
            assert text == str(i)
store.close()
print(store.trouble)
"""


def test_two_processes_share_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    several = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), who], stdout=subprocess.PIPE, text=True)
        for who in "pq"
    ]
    assert [p.communicate(timeout=1800)[0] for p in several] == ["\n", "\n"]
    assert [p.returncode for p in several] == [0, 0]
    entries = {i.to_bytes(10, "big") + who * 10: str(i) for who in (b"p", b"q") for i in range(3000)}
    assert got(path, *entries) == entries


@pytest.mark.parametrize("second", [0, 86399])
def test_the_oldest_use_is_of_its_day(second: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = calendar.timegm((2026, 3, 1, 0, 0, 0))
    monkeypatch.setattr("lossproof.records.judgement_store.time.time", lambda: midnight + second)
    filled(tmp_path / "store", {A: "one"})
    assert JudgementStore(tmp_path / "store").usage().oldest == midnight


def test_the_command_shows_and_clears_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path))
    monkeypatch.delenv(judgement_cache.OFF, raising=False)
    shown = CliRunner().invoke(cli, ["cache"])
    assert "no judgements are kept" in shown.output
    path = judgement_cache.store_path()
    filled(path, {A: "one", B: "two"})
    shown = CliRunner().invoke(cli, ["cache"])
    assert f"{path}: judgements of 2 answers" in shown.output
    monkeypatch.setenv(judgement_cache.OFF, "1")
    assert "runs do not use it" in CliRunner().invoke(cli, ["cache"]).output
    compiled = tmp_path / "compiled" / "0123456789abcdef" / "kernel.nbi"
    compiled.parent.mkdir(parents=True)
    compiled.touch()
    cleared = CliRunner().invoke(cli, ["cache", "--clear"])
    assert cleared.exit_code == 0
    assert not compiled.exists()
    assert not path.exists()
    assert "no judgements are kept" in CliRunner().invoke(cli, ["cache"]).output


def test_what_cannot_be_deleted_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(UsageError, match="cannot delete"):
        clear(tmp_path / "store")
