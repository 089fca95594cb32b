"""``lossproof condense``: what the board needs of a record, kept small, read back whole, refused where wrong."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.cli.commands import history
from lossproof.core.errors import UsageError
from lossproof.running.session_options import DeckOptions
from lossproof.targets import selection
from lossproof.targets.environments import upgrade_sides
from lossproof.targets.environments.upgrade_sides import UpgradeSide
from lossproof.views.board.condense import condense
from lossproof.views.board.condensed import condensed_files, condensed_text, read_condensed
from tests.support.board_records import header, observations, write
from tests.support.views import lossproof

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "condensed.schema.json").read_text("utf-8"))


def test_every_target_of_a_record_is_condensed_into_a_file_of_its_name_and_version(tmp_path: Path) -> None:
    names = ("torch@old", "torch+compile:cuda:0")
    path = write(tmp_path / "r.jsonl", header(*names), *(observations(n) for n in names))
    out = tmp_path / "records"
    result = lossproof("condense", str(path), "-o", str(out), "--date", "2026-11-27")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == [
        "torch+compile_cuda_0-2.13.0-smoke.json",
        "torch-2.13.0-smoke.json",
    ]
    found = read_condensed(out / "torch-2.13.0-smoke.json")
    assert (found.name, found.package, found.version, found.date) == ("torch", "torch", "2.13.0", "2026-11-27")
    assert (found.cases, found.cases_waived, found.complete) == (5, 1, True)
    whole, not_offered, cell = found.cells
    assert dict(not_offered.verdicts) == {"unsupported": 1}
    assert (whole.dtype, dict(whole.verdicts)) == ("all", {"pass": 1})
    assert (cell.op, cell.dtype, dict(cell.verdicts)) == (
        "softmax", "float32", {"pass": 3, "waived": 1, "convention": 1},
    )  # fmt: skip
    assert (cell.share, cell.share_passed, cell.ulp) == (3.0, 0.3, 6.0)
    assert (cell.declared, cell.met) == ("W", "")
    assert [(c.clause, c.op, c.output, c.shown) for c in found.conventions] == [
        ("4", "softmax", "value", {"float32": {"nan": 1}})
    ]
    (known,) = found.waived
    assert (known.name, known.count, known.cells, known.message) == (
        "torch-known", 1, {"softmax/float32": 1}, "off by a lot",
    )  # fmt: skip
    assert found.not_given == {"float16 is not offered": 1}


def test_no_place_of_the_machine_is_in_it(tmp_path: Path) -> None:
    name = "/home/me/kernels/mine.py:ADAPTER@/home/me/env/bin/python"
    ended = f'{name} ended: File "/home/me/env/lib/x.py", line 3, see https://example.org/a/b and softmax/float32/hot'
    found = [replace(o, message=ended, note=ended) for o in observations(name, failed=1)]
    (made,) = condense(write(tmp_path / "r.jsonl", header(name), found))
    assert made.name == "torch"
    said = 'torch ended: File "x.py", line 3, see https://example.org/a/b and softmax/float32/hot'
    assert {made.waived[0].message, made.failures[0].message, *made.notes, *made.not_given} == {said}
    assert "/home" not in condensed_text(made)
    assert made.machine["platform"] == "Linux, glibc2.36"


def test_it_reads_back_as_it_was_and_keeps_to_the_schema(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    path = write(tmp_path / "r.jsonl", header("torch"), observations("torch", failed=1), end=False)
    (made,) = condense(path)
    assert [(f.count, f.given, f.kinds) for f in made.failures] == [(1, 5, "1 nonfinite")]
    assert math.isinf(made.cells[2].share)
    assert not made.complete
    kept = tmp_path / made.file_name
    kept.write_text(condensed_text(made), "utf-8")
    assert read_condensed(kept) == made
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(kept.read_text("utf-8")), SCHEMA)


def test_the_day_is_that_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", header("torch"), observations("torch"))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert condense(path)[0].date == "2020-09-13"


def test_todays_waivers_hold_for_an_older_record(tmp_path: Path) -> None:
    waivers = tmp_path / "torch.toml"
    waivers.write_text(
        '[[waiver]]\nname = "mine"\ncases = ["softmax/float32/hot/*"]\nsymptom = "nonfinite"\n'
        'reason = "r"\nissue = "no report found"\nseen = ["2.13.0"]\n'
    )
    path = write(tmp_path / "r.jsonl", header("torch"), observations("torch", failed=1))
    assert [w.name for w in condense(path, waivers=[str(waivers)])[0].waived] == ["mine", "torch-known"]


def test_more_than_a_fifth_of_the_cases_waived_is_nonconforming(tmp_path: Path) -> None:
    for waived, is_so in ((1, False), (2, True)):
        path = write(tmp_path / "r.jsonl", header("torch"), observations("torch", waived=waived))
        (made,) = condense(path)
        assert (made.cases, made.cases_waived, made.nonconforming) == (5, waived, is_so)


def test_what_is_no_whole_run_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", header("torch", shard={"index": 1, "of": 2}), observations("torch"))
    result = lossproof("condense", str(path), "-o", str(tmp_path))
    assert result.exit_code == 2
    assert "is the record of a shard; the board takes whole runs of a deck" in result.stderr


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", header("torch"), observations("torch"))
    first = lossproof("condense", str(path), "-o", str(tmp_path / "records"))
    again = lossproof("condense", str(path), "-o", str(tmp_path / "records"))
    over = lossproof("condense", str(path), "-o", str(tmp_path / "records"), "--overwrite")
    assert [first.exit_code, again.exit_code, over.exit_code] == [0, 2, 0]
    assert "exists; give --overwrite" in again.stderr
    twice = lossproof("condense", str(path), str(path), "-o", str(tmp_path / "more"))
    assert "torch 2.13.0 is there twice" in twice.stderr
    assert not (tmp_path / "more").exists()
    day = lossproof("condense", str(path), "-o", str(tmp_path / "more"), "--date", "today")
    assert "--date 'today' is no day; expected YYYY-MM-DD" in day.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lossproof": "record"}, "is no condensed record; expected a file written by lossproof condense"),
        ({"format": 7}, "has format 7; this lossproof reads format 1"),
        ({"cases": None}, "field 'cases' is None; expected a whole number"),
        ({"cases": True}, "field 'cases' is True; expected a whole number"),
        ({"name": ...}, "field 'name' is missing"),
        (
            {"cells": [{"op": "softmax", "dtype": "float32", "verdicts": {}, "share": 10**400}]},
            "cells[0]: field 'share' is a whole number that no float holds",
        ),
        (
            {"conventions": [{"clause": "4", "op": "softmax", "output": "value", "shown": {"float32": 3}}]},
            "counts under 'shown' have 'float32': 3; expected an object with counts",
        ),
        (
            {"conventions": [{"clause": "4", "op": "softmax", "output": "value", "shown": {"shown": {"nan": {}}}}]},
            "counts under 'shown shown' have 'nan': {}; expected whole numbers",
        ),
        ({"date": "27.11."}, "field 'date' is '27.11.'; expected a day as YYYY-MM-DD"),
        ({"cells": {}}, "field 'cells' is {}; expected a list"),
        ({"target": {"conventions": 3}}, "field 'target' has conventions: 3; expected an object"),
        ({"cells": ["x"]}, "cells[0] is 'x'; expected an object"),
        ({"cells": [{"op": "softmax", "dtype": "float32"}]}, "cells[0]: field 'verdicts' is missing"),
        (
            {"cells": [{"op": "softmax", "dtype": "float32", "verdicts": {}, "share": "much"}]},
            "cells[0]: field 'share' is 'much'; expected a number",
        ),
        (
            {"cells": [{"op": "softmax", "dtype": "float32", "verdicts": {"good": 1}}]},
            "softmax float32 has the unknown verdict 'good'",
        ),
        ({"cells": [{"op": "softmax", "dtype": "float32", "verdicts": {"pass": "1"}}]}, "counts under 'verdicts'"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (made,) = condense(write(tmp_path / "r.jsonl", header("torch"), observations("torch")))
    data = json.loads(condensed_text(made)) | change
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not ...}), "utf-8")
    with pytest.raises(UsageError, match=r"wrong\.json") as error:
        read_condensed(path)
    assert said in str(error.value)


def test_what_is_no_file_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.json"):
        read_condensed(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{", "utf-8")
    with pytest.raises(UsageError, match=r"text\.json is no condensed record: not JSON"):
        read_condensed(tmp_path / "text.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty holds no condensed record"):
        list(condensed_files([tmp_path / "empty"]))
    assert list(condensed_files([tmp_path])) == [tmp_path / "text.json"]


@pytest.mark.parametrize("target", ["numpy", "numpy+eager"])
def test_history_judges_releases_and_keeps_what_it_can(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Release 1.0 stands for what is installed here; 2.0 cannot be installed. A mode stays in the name."""

    def environment(side: UpgradeSide, *given: Any, **more: Any) -> UpgradeSide:
        if side.requirements == ("some-numpy==2.0",):
            raise UsageError("some-numpy==2.0 cannot be installed")
        assert side.requirements == ("some-numpy==1.0",)
        return side

    monkeypatch.setattr(selection, "PROCESSES", None)
    monkeypatch.setattr(upgrade_sides, "with_environment", environment)
    monkeypatch.setattr(
        history, "DeckOptions", lambda size: DeckOptions(size=size, ops=("softmax",), dtypes=("float64",))
    )
    releases = ("--release", "1.0", "--release", "2.0", "--package", "some-numpy")
    result = lossproof("history", target, "--records", str(tmp_path), *releases)
    assert result.exit_code == 2
    assert f"{target} 2.0: some-numpy==2.0 cannot be installed" in result.stderr
    assert f"Releases of {target}" in result.stdout
    (kept,) = tmp_path.iterdir()
    found = read_condensed(kept)
    assert (found.name, found.deck_size, found.complete) == (target, "smoke", True)
    assert found.cells[-1].verdicts["pass"] > 10
