"""Drafts of waivers speak of every failure and of nothing else, and count for nothing until a person wrote them."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from lossproof.core.observation import FAILING, Observation
from lossproof.records import record
from tests.support.views import lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
SMOKE = (
    PLANTED,
    f"{PLANTED}+careful",
    "--deck",
    "smoke",
    "--op",
    "softmax",
    "--dtype",
    "float32",
    "--in-process",
    "--quiet",
)
FAIL = Observation("softmax/float32/a/n1-k2/1", "value", "t", "fail", share=9.0, got=1.0, exact=(2.0, 2.0), message="m")
PASS = replace(FAIL, id="softmax/float32/a/n1-k3/2", verdict="pass")


def write(path: Path, *several: Observation) -> str:
    """A record of the targets ``t``, ``t+other`` and ``t@old``."""

    def described(mode: str, version: str) -> dict[str, Any]:
        return {"adapter": "t", "device": "cpu", "mode": mode, "versions": {"t": version}}

    targets = {"t": described("eager", "1.0+local"), "t+other": described("other", "1.0+local")}
    targets |= {"t@old": described("eager", "0.9") | {"implementation": "t@old"}}
    for name in ("t", "t+other"):
        targets[name]["implementation"] = "t"
    used = {o.target for o in several}
    with record.Writer(path, {"targets": {k: v for k, v in targets.items() if k in used}}) as writer:
        for o in several:
            writer.write(o)
        writer.end({})
    return str(path)


def entries(path: str, *options: str) -> list[dict[str, Any]]:
    return tomllib.loads(lossproof("waive", path, *options).stdout).get("waiver", [])


def reviewed(text: str) -> str:
    return text.replace('reason = ""', 'reason = "r"').replace('issue = ""', 'issue = "no report found"')


def test_reviewed_drafts_speak_of_every_failure_and_of_nothing_else(tmp_path: Path) -> None:
    path, drafts = str(tmp_path / "r.jsonl"), tmp_path / "w.toml"
    assert lossproof("run", *SMOKE, "--record", path).exit_code == 1
    result = lossproof("waive", path, "--to", str(drafts))
    assert (result.exit_code, result.stdout) == (0, "")
    failing = [o for o in record.read_record(path) if o.verdict in FAILING]
    assert f" for {len(failing)} failures in {drafts}; each waits" in result.stderr
    refused = lossproof("run", *SMOKE, "--waivers", str(drafts))
    assert refused.exit_code == 2
    assert "field 'reason' is missing or empty" in refused.stderr
    drafts.write_text(reviewed(drafts.read_text()))
    result = lossproof("run", *SMOKE, "--strict", "--waivers", str(drafts))
    assert result.exit_code == 0, result.stdout
    assert f"{len(failing)} waived" in result.stdout
    assert "no failure that a waiver could speak of" in lossproof("waive", path, "--waivers", str(drafts)).stderr


def test_globs_match_no_case_that_passed(tmp_path: Path) -> None:
    several = [
        FAIL,
        PASS,
        replace(FAIL, id="softmax/float32/a/n1-k3/3"),
        replace(FAIL, id="softmax/float32/a/n1-k4/4"),
        replace(FAIL, id="softmax/float32/a/n1-k4/5"),
        replace(FAIL, id="softmax/float32/whole/n1-k4/6"),
        replace(PASS, id="softmax/float32/whole/n1-k4/6", output="vjp"),
        replace(FAIL, id="softmax/float32/odd[1]*/n1-k4/7"),
        replace(PASS, id="softmax/float32/relation/shift-n1-k2/8"),
        replace(FAIL, id="softmax/float32/relation/rows-n1-k2/9"),
        replace(FAIL, id="softmax/float32/error/13-label-n1-k2/9"),
    ]
    found = entries(write(tmp_path / "r.jsonl", *several))
    assert [e["cases"] for e in found] == [
        ["softmax/float32/a/n1-k2/*", "softmax/float32/a/n1-k4/*", "softmax/float32/a/n1-k3/3"],
        ["softmax/float32/whole/*"],
        ["softmax/float32/odd[[]1][*]/*"],
        ["softmax/float32/relation/rows-*"],
        ["softmax/float32/error/13-label-*"],
    ]
    for o in several:
        matched = [e for e in found if e["output"] == o.output and any(fnmatchcase(o.id, g) for g in e["cases"])]
        assert len(matched) == (o.verdict == "fail")


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([FAIL], ["device=cpu and mode=eager"]),
        ([FAIL, replace(FAIL, target="t+other")], ["device=cpu and mode=eager|other"]),
        (
            [FAIL, replace(FAIL, target="t+other"), replace(FAIL, target="t+other", id="softmax/float32/a/n1-k4/4")],
            ["device=cpu and mode=eager", "device=cpu and mode=other"],
        ),
        ([FAIL, replace(PASS, target="t@old")], ["t==1.0 and device=cpu and mode=eager"]),
        (
            [FAIL, replace(FAIL, target="t@old")],
            ["t==1.0 and device=cpu and mode=eager", "t==0.9 and device=cpu and mode=eager"],
        ),
    ],
)
def test_conditions_are_those_of_the_targets_that_fail(
    several: list[Observation], expected: list[str], tmp_path: Path
) -> None:
    found = entries(write(tmp_path / "r.jsonl", *several))
    assert [e["when"] for e in found] == expected
    assert [e["seen"] for e in found] == [["0.9" if "0.9" in when else "1.0"] for when in expected]
    first = str(found[0]["name"])
    assert [e["name"] for e in found] == [first, *(f"{first}-{n}" for n in range(2, len(found) + 1))]


def test_a_version_that_is_none_is_left_for_a_person_to_say(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write(path, FAIL, replace(PASS, target="t@old"))
    path.write_text(path.read_text().replace('"1.0+local"', '"of today"'))
    draft = lossproof("waive", str(path)).stdout
    assert "seen = []  # its version is not known: say in which one this was seen\n" in draft
    (found,) = tomllib.loads(draft)["waiver"]
    assert (found["when"], found["seen"]) == ("device=cpu and mode=eager", [])


def test_symptoms_and_outputs_are_apart(tmp_path: Path) -> None:
    nan = replace(FAIL, id="softmax/float32/a/n1-k4/4", got=float("nan"))
    found = entries(write(tmp_path / "r.jsonl", FAIL, replace(FAIL, output="vjp"), nan))
    assert {(e["output"], e["symptom"]) for e in found} == {
        ("value", "inaccurate"),
        ("vjp", "inaccurate"),
        ("value", "nonfinite"),
    }


def test_verdicts_that_no_waiver_may_hide_are_counted(tmp_path: Path) -> None:
    crash = replace(FAIL, verdict="crash", got=None, exact=None)
    result = lossproof("waive", write(tmp_path / "r.jsonl", crash, PASS))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 faults that no waiver may hide" in result.stderr


def test_nothing_from_a_record_is_more_than_a_comment_or_a_text(tmp_path: Path) -> None:
    message = 'x\nreason = "r"\r\x1b[2J \u2028 \x7f'
    found = entries(write(tmp_path / "r.jsonl", replace(FAIL, id='softmax/float32/"\\\x7f/n1-k2/1', message=message)))
    assert [e["reason"] for e in found] == [""]
    assert found[0]["cases"] == ['softmax/float32/"\\ /*']


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path, there = write(tmp_path / "r.jsonl", FAIL), tmp_path / "w.toml"
    there.write_text("reviewed")
    for to, message in ((there, "exists; expected the name of a new file"), (tmp_path / "no" / "w", "cannot write")):
        result = lossproof("waive", path, "--to", str(to))
        assert result.exit_code == 2
        assert message in result.stderr
    assert there.read_text() == "reviewed"
    assert "is not a lossproof record" in lossproof("waive", str(there)).stderr
