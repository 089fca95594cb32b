"""Kept calls: they come back as they were, and what is no call is one clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossproof.cases import kept_calls
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record

CALLS = deck_calls("smoke", DeckPart(ops=("cross_entropy",), dtypes=("float32",)))[:3]


def test_a_call_comes_back_as_it_was(tmp_path: Path) -> None:
    written = [kept_calls.save(call, tmp_path / "kept") for call in CALLS]
    assert len(set(written)) == len(CALLS)
    assert {c.id for c in kept_calls.load_calls([tmp_path / "kept"])} == {c.id for c in CALLS}
    assert kept_calls.read_call(written[0]).to_json() == CALLS[0].to_json()


def test_the_deck_comes_first_and_no_call_twice(tmp_path: Path) -> None:
    for call in CALLS:
        kept_calls.save(call, tmp_path)
    other = CALLS[0].with_problem(replace(CALLS[0].problem, ignore_index=7))
    kept_calls.save(other, tmp_path)
    both = kept_calls.along(CALLS[:2], kept_calls.load_calls([tmp_path]))
    assert [c.id for c in both[:2]] == [c.id for c in CALLS[:2]]
    assert {c.id for c in both[2:]} == {CALLS[2].id, other.id}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read a call from"),
        ("[]", "holds no call"),
        ("{}", "not a call: KeyError"),
        (None, "cannot read a call from"),
    ],
)
def test_a_file_that_holds_no_call_is_one_error_naming_it(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "c.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        kept_calls.read_call(path)
    assert "c.json" in str(caught.value)


def test_a_folder_without_calls_and_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no call in"):
        kept_calls.load_calls([tmp_path])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        kept_calls.save(CALLS[0], tmp_path / "file")


def test_the_command_line_judges_kept_calls_along_with_the_deck(tmp_path: Path) -> None:
    other = CALLS[0].with_problem(replace(CALLS[0].problem, ignore_index=7))
    kept_calls.save(other, tmp_path / "kept")
    record = tmp_path / "r.jsonl"
    options = ("--deck", "smoke", "--op", "cross_entropy", "--dtype", "float32", "--in-process", "-q")
    result = CliRunner().invoke(
        cli, ["run", "numpy", *options, "--calls", str(tmp_path / "kept"), "--record", str(record)]
    )
    assert result.exit_code == 0, result.output
    assert other.id in {o.id for o in read_record(record)}
    result = CliRunner().invoke(cli, ["run", "numpy", "--calls", str(tmp_path)])
    assert result.exit_code == 2
    assert "no call in" in result.output
