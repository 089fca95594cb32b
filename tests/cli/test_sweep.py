"""``lossproof sweep`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossproof.cases.sweeps.chunks import Part
from lossproof.cli.commands import sweep
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record
from tests.support import one_pattern
from tests.support.views import lossproof

WRONG = f"{one_pattern.__file__}:WRONG"
PART = ("--op", "softmax", "--dtype", "float16", "--chunks", "1", "--in-process")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a sweep of a wrong implementation, and what is printed of it."""
    folder = tmp_path_factory.mktemp("swept")
    files = ("-o", str(folder / "r.jsonl"), "--keep", str(folder / "kept"), "--html", str(folder / "page.html"))
    result = lossproof("sweep", WRONG, *PART, *files)
    assert result.exit_code == 1, result.output
    return folder, result.stdout


def test_the_tables_say_what_was_asked_and_what_fails(swept: tuple[Path, str]) -> None:
    _, text = swept
    row = next(line for line in text.splitlines() if "softmax" in line and "value" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    # Finite numbers, infinity and one NaN, with two classes and with three.
    assert cells[:5] == ["one_pattern", "softmax", "float16", "value", str(2 * (15 * 1024 + 2))]
    assert cells[6] == "2 to 3.998"
    assert cells[-1] == "1 of 32"
    assert "smallest-gaps16-16 n1-k2-t): value got" in text
    assert text.splitlines()[-1].startswith("FAILED: 2 fail")


def test_what_is_printed_leads_to_the_rows(swept: tuple[Path, str]) -> None:
    folder, text = swept
    (kept,) = (folder / "kept").iterdir()
    assert f"lossproof explain --call {kept} --target {WRONG}" in text
    ids = [o.id for o in read_record(folder / "r.jsonl") if o.verdict == "fail"]
    for arguments in (
        ("--call", str(kept)),
        (ids[0],),
        (ids[0], "--record", str(folder / "r.jsonl")),
        (ids[1], "--record", str(folder / "r.jsonl")),
    ):
        result = lossproof("explain", *arguments)
        assert result.exit_code == 0, result.output
    assert "0x1.af8" in lossproof("explain", "--call", str(kept)).stdout
    assert "0x1.af8p+1" in lossproof("repro", "--call", str(kept), "--target", WRONG).stdout


def test_kept_rows_are_cases_of_later_runs(swept: tuple[Path, str], tmp_path: Path) -> None:
    kept, path = swept[0] / "kept", tmp_path / "r.jsonl"
    few = ("--deck", "smoke", "--op", "softmax", "--dtype", "float16", "--in-process", "--no-cache")
    assert lossproof("run", WRONG, *few, "--calls", str(kept), "--record", str(path)).exit_code == 1
    assert [o.case.family for o in read_record(path) if o.verdict == "fail"] == ["smallest-gaps16-16"]
    assert lossproof("run", "numpy", *few, "--calls", str(kept)).exit_code == 0


def test_the_page_has_the_error_map(swept: tuple[Path, str], tmp_path: Path) -> None:
    """So has that of the record, and that of no other run."""
    folder, _ = swept
    again = tmp_path / "again.html"
    assert lossproof("report", str(folder / "r.jsonl"), "-o", str(again), "--no-programs").exit_code == 0
    for path in (folder / "page.html", again):
        html = path.read_text("utf-8")
        assert 'id="plot-map"' in html
        start = html.index('id="data">') + len('id="data">')
        data = json.loads(html[start : html.index("</script>", start)])
        errors = {e["output"]: e for e in data["errors"]}
        assert set(errors) == {"value", "vjp", "jvp"}
        value = {(low, high): share for low, high, _, share in errors["value"]["points"]}
        # The special numbers have no place among them.
        assert len(value) == 15
        assert value[2.0, 3.998046875] > 8
        assert sum(share > 1 for share in value.values()) == 1


def test_a_sweep_that_is_whole_is_shown_again(swept: tuple[Path, str]) -> None:
    folder, text = swept
    before = (folder / "r.jsonl").read_bytes()
    result = lossproof("sweep", WRONG, *PART, "-o", str(folder / "r.jsonl"), "--resume")
    assert result.exit_code == 1
    assert (folder / "r.jsonl").read_bytes() == before
    assert result.stdout.splitlines()[:6] == text.splitlines()[:6]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kind", "gaps61"), "unknown kind of sweep 'gaps61'; did you mean gaps16?"),
        (("--chunks", "4"), "there is no such chunk of gaps16; expected numbers from 0 to 3"),
        (("--chunks", "x"), "cannot read chunks 'x'"),
        (("--shard", "0/2"), "cannot read shard '0/2'"),
        (("--resume",), "--resume needs the record"),
        (("--in-process", "--workers", "2"), "give one of them"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], says: str) -> None:
    result = lossproof("sweep", "numpy", *arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_the_record_of_another_part_is_not_gone_on_with(swept: tuple[Path, str]) -> None:
    other = ("--op", "softmax", "--dtype", "float16", "--chunks", "1-2", "--in-process")
    result = lossproof("sweep", WRONG, *other, "-o", str(swept[0] / "r.jsonl"), "--resume")
    assert result.exit_code == 2
    assert "sweep.last was 1 and is 2" in result.output


def test_a_soak_that_has_no_time_judges_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    result = lossproof("soak", WRONG, "--hours", "1e-12", "--seed", "5", "--in-process", "-o", str(path))
    assert result.exit_code == 1
    assert "nothing was judged of" in result.stdout
    assert read_record(path).header["deck"]["seed"] == 5


@pytest.mark.parametrize(("options", "first", "last"), [((), 0, None), (("--chunks", "2"), 2, 2)])
def test_a_sweep_begins_with_chunk_0_unless_others_are_asked_for(
    options: tuple[str, ...], first: int, last: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[Part] = []

    def noted(target: object, part: Part, **_: object) -> None:
        parts.append(part)
        raise UsageError("as far as it need")

    monkeypatch.setattr(sweep, "opened_sweep", noted)
    lossproof("sweep", "numpy", *options)
    assert [(part.first, part.last) for part in parts] == [(first, last)]
