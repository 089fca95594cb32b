"""Cases are chosen by their ids, and runs stop, as people know it from pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossproof.cases.chosen_ids import IdPatterns, chosen, drawn_for
from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.records import record
from lossproof.records.last_failed import FailureKeeper, LastFailed
from lossproof.running.session_options import DeckOptions
from tests.support.views import install

SMALL = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--in-process")
HOT = "softmax/float32/hot/*"


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="lossproof")


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossproof.cli.commands.run.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.syspath_prepend(str(install(tmp_path / "site")))
    monkeypatch.chdir(tmp_path)


def listed(*arguments: str) -> list[str]:
    result = lossproof("deck", "list", *SMALL[:-1], *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_ids_are_globs_or_ends() -> None:
    everything, hot = listed(), listed("--id", HOT)
    assert hot
    assert hot == [id for id in everything if id.startswith("softmax/float32/hot/")]
    assert listed("--id", hot[0].rpartition("/")[2]) == hot[:1]
    assert listed("--id", "n2-k4/" + hot[0].rpartition("/")[2]) in (hot[:1], [])


def test_what_is_excluded_is_left_out() -> None:
    everything, hot = listed(), listed("--id", HOT)
    assert listed("--exclude", HOT) == [id for id in everything if id not in hot]
    assert listed("--id", HOT, "--exclude", hot[0]) == hot[1:]


def test_an_id_that_no_case_has_is_one_line_with_the_nearest() -> None:
    result = lossproof("run", "numpy", *SMALL, "--id", "softmax/float32/hott/n2-k4/0dffc6cf")
    assert result.exit_code == 2
    assert "no case of this deck has an id like" in result.stderr
    assert "nearest: softmax/float32/hot/" in result.stderr


def test_nothing_left_is_one_line() -> None:
    result = lossproof("run", "numpy", *SMALL, "--exclude", "*")
    assert result.exit_code == 2
    assert "nothing is left without *" in result.stderr


def test_a_run_of_some_ids_can_be_resumed_and_is_not_complete(tmp_path: Path) -> None:
    path = str(tmp_path / "r.jsonl")
    result = lossproof("run", "numpy", *SMALL, "--id", HOT, "--record", path)
    assert result.exit_code == 0, result.output
    seen = record.read_record(path)
    assert seen.header["filters"]["id"] == [HOT]
    assert {o.id for o in seen if o.case.family != "convention"} == set(listed("--id", HOT))
    again = lossproof("run", "numpy", *SMALL, "--id", HOT, "--record", path, "--resume")
    assert again.exit_code == 0, again.output
    other = lossproof("run", "numpy", *SMALL, "--record", path, "--resume")
    assert other.exit_code == 2
    assert not DeckOptions(ids=(HOT,)).is_complete
    assert DeckOptions.recorded(seen.header).ids == (HOT,)


def test_parts_of_a_deck_may_have_none_of_the_ids() -> None:
    calls = DeckOptions(size="smoke", ops=("softmax",), dtypes=("float32",)).calls()
    assert chosen(calls, ["nowhere"], [], whole=False) == []
    with pytest.raises(UsageError, match="nowhere"):
        chosen(calls, ["nowhere"], [])


def test_a_deck_is_drawn_for_what_its_ids_can_be() -> None:
    assert drawn_for([HOT]) == (("softmax",), ("float32",))
    assert drawn_for([HOT, "0dffc6cf"]) == ((), ())
    assert drawn_for(["soft*/float32/hot"]) == ((), ())


def test_a_run_stops_at_the_limit_of_failures(tmp_path: Path) -> None:
    path = str(tmp_path / "r.jsonl")
    result = lossproof("run", "crooked", *SMALL, "--maxfail", "2", "--record", path)
    assert result.exit_code == 1
    assert "FAILED: 2 fail; stopped at the limit of 2 failures (crooked: " in result.stdout
    cut = record.read_record(path)
    assert sum(o.verdict == "fail" for o in cut) == 2
    assert cut.end() is None
    first = lossproof("run", "crooked", *SMALL, "--maxfail", "1", "--quiet")
    assert "stopped at the limit of 1 failure (crooked: " in first.stdout
    whole = lossproof("run", "crooked", *SMALL, "--record", path, "--resume")
    assert whole.exit_code == 1
    assert record.read_record(path).end() is not None


def test_a_run_with_fewer_failures_comes_to_its_end() -> None:
    result = lossproof("run", "numpy", *SMALL, "--maxfail", "1", "--quiet")
    assert result.exit_code == 0
    assert "stopped" not in result.output


def test_what_failed_last_is_judged_again_alone() -> None:
    first = lossproof("run", "crooked", *SMALL, "--id", HOT)
    assert first.exit_code == 1
    again = lossproof("run", "crooked", *SMALL, "--last-failed")
    assert "failures of the last run here are judged again" in again.stderr
    assert again.exit_code == 1
    right = lossproof("run", "numpy", *SMALL, "--last-failed", "--quiet")
    assert right.exit_code == 0
    none = lossproof("run", "numpy", *SMALL, "--id", HOT, "--lf", "--quiet")
    assert "nothing of this deck failed in the last run here; everything is judged" in none.stderr


def test_what_was_not_asked_again_is_still_failed(tmp_path: Path) -> None:
    place = LastFailed(tmp_path, "here", "smoke 0")
    place.keep(["a/b", "c/d", "e/*"])
    keeper = FailureKeeper(place, lambda some, ids: IdPatterns(some).of(ids))
    keeper.seen |= {"a/b", "e/f"}
    keeper.close(None)
    assert place.patterns() == ["c/d"]
    assert LastFailed(tmp_path, "here", "smoke 1").patterns() == []
    assert LastFailed(tmp_path, "elsewhere", "smoke 0").patterns() == []


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    place = LastFailed(tmp_path, "here", "smoke 0")
    place.keep(["a/b"])
    (file,) = (tmp_path / "last-failed").iterdir()
    for text in ("", "[]", '{"smoke 0": 3}', "\udcff"):
        file.write_text(text, "utf-8", errors="surrogateescape")
        assert place.patterns() == []
