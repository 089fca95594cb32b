"""Nothing judged is never OK, whichever door it is asked through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lossproof as package
from lossproof.records.record import read_record
from tests.support import wrong_adapters as wrong
from tests.support.views import lossproof, python

REFUSING, OTHER, RIGHT = (f"{wrong.__file__}:{name}" for name in ("REFUSING", "REFUSING_TOO", "RIGHT"))
PART = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "r.jsonl"
    result = lossproof("run", REFUSING, RIGHT, *PART, "--record", str(path))
    assert result.exit_code == 1
    assert f"FAILED: nothing was judged of {REFUSING} (" in result.output
    # sanity check: there is something, and of one target it says nothing
    assert {o.verdict for o in read_record(path) if o.target == REFUSING} == {"unsupported"}
    return path


def test_run_from_python() -> None:
    report = package.run(REFUSING, deck="smoke", ops=["softmax"], dtypes=["float32"])
    assert not report.ok
    assert report.judged == 0
    assert list(report.unsupported) == ["it is not for you"]
    assert f"nothing was judged of {REFUSING}" in str(report)


def test_judge(tmp_path: Path) -> None:
    from tests.running.test_doors import evaluated

    folder = tmp_path / "away"
    assert lossproof("deck", "export", str(folder), *PART).exit_code == 0
    result = lossproof("judge", str(evaluated(folder, "REFUSING")))
    assert result.exit_code == 1
    assert "nothing was judged of refusing" in result.output


def test_merge(tmp_path: Path) -> None:
    shards = [str(tmp_path / f"{i}.jsonl") for i in (1, 2)]
    for i, path in enumerate(shards, 1):
        lossproof("run", REFUSING, *PART, "--shard", f"{i}/2", "--record", path)
    result = lossproof("merge", *shards, "-o", str(tmp_path / "whole.jsonl"))
    assert result.exit_code == 1
    assert f"nothing was judged of {REFUSING}" in result.output


def test_diff(record: Path) -> None:
    result = lossproof("diff", str(record), str(record))
    assert result.exit_code == 1
    assert f"CHANGED: nothing was judged of {REFUSING} in both (" in result.output
    pair = ("--targets", f"{RIGHT}={RIGHT}")
    assert lossproof("diff", str(record), str(record), *pair).exit_code == 0
    across = ("--targets", f"{REFUSING}={RIGHT}")
    result = lossproof("diff", str(record), str(record), *across, "--format", "json")
    assert result.exit_code == 1, "what one side alone has answered is not compared"
    assert json.loads(result.stdout)["idle"] == [REFUSING]


def test_upgrade() -> None:
    result = lossproof("upgrade", REFUSING, OTHER, *PART)
    assert result.exit_code == 1
    assert f"CHANGED: nothing was judged of {REFUSING} in both (" in result.output


def test_report(record: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    assert lossproof("report", str(record), "-o", str(page), "--no-programs").exit_code == 0
    text = page.read_text("utf-8")
    assert f"nothing was judged of {REFUSING}" in text
    assert "No unexplained failure" not in text


def test_pytest(tmp_path: Path) -> None:
    words = (
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-q",
        "--pyargs",
        "lossproof.suite",
        "-k",
        "test_judged or softmax-float32-ordinary",
    )
    part = [word.replace("--", "--lossproof-") for word in PART]
    result = python(*words, "--lossproof-target", REFUSING, "--lossproof-target", RIGHT, *part, cwd=tmp_path)
    assert result.returncode == 1, result.stdout
    assert f"nothing was judged of {REFUSING}; it is not for you" in result.stdout
    assert "1 failed" in result.stdout
