"""The command line as a user meets it: exit codes, one line for each mistake, and what is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossproof import __version__
from lossproof.cases.catalogue import select
from lossproof.cases.deck import deck_calls
from lossproof.cases.families import FAMILIES
from lossproof.cases.recorded_calls import recorded_call
from lossproof.cli.main import cli
from lossproof.records import record
from tests.support.thinned import nightly
from tests.support.views import install, python, without_progress

SMOKE = ("--deck", "smoke")
# Where the target answers makes no difference to what is printed.
HERE = (*SMOKE, "--in-process")


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="lossproof")


@pytest.fixture
def crooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_correct_target_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    part = ("--op", "softmax", "--op", "nll_loss", "--dtype", "float32")
    result = lossproof("run", "numpy", *HERE, *part, "--record", str(path), "--require", "numpy", "--require", "cpu")
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert last.startswith("OK (numpy: ")
    calls = select("smoke", ops=["softmax", "nll_loss"], dtypes=["float32"])
    seen = list(record.read_record(path))
    judged = [o for o in seen if o.case.family != "convention"]
    assert {o.id for o in judged} == {c.id for c in calls}
    # An error of an invalid call is one observation, whatever it was asked for.
    regular = {c.id: len(c.outputs) for c in calls if c.family != "error"}
    assert sum(o.id in regular for o in judged) == sum(regular.values())
    end = record.read_record(path).end()
    assert end is not None
    assert end["observations"] == len(seen)


def test_the_table_counts_every_observation() -> None:
    result = lossproof("run", "numpy", *HERE, "--op", "softmax", "--dtype", "float32")
    row = next(line for line in result.stdout.splitlines() if "softmax" in line and "float32" in line)
    numbers = [int(n) for n in re.findall(r" (\d+) ", row.replace("│", " ")) if n]
    calls = select("smoke", ops=["softmax"], dtypes=["float32"], families=[*FAMILIES, "golden", "relation"])
    errors = [c for c in select("smoke", ops=["softmax"], dtypes=["float32"]) if c.family == "error"]
    counted = sum(numbers[:2])
    assert sum(len(c.outputs) for c in calls) + len(errors) <= counted <= sum(len(c.outputs) for c in calls + errors)


def test_failures_are_grouped_explained_and_counted(crooked: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    part = ("--op", "softmax", "--op", "nll_loss", "--dtype", "float32")
    result = lossproof("run", "crooked", *HERE, *part, "--record", str(path))
    assert result.exit_code == 1
    failed = [o for o in record.read_record(path) if o.verdict == "fail"]
    # sanity check: there are more of them than lines
    assert len(failed) > 130
    groups = {(o.case.op, o.case.dtype, o.case.family, o.output) for o in failed}
    assert f"Failures: {len(failed)} in {len(groups)} groups" in result.stdout
    assert "raised internal: RuntimeError: no kernel for you" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"FAILED: {len(failed)} fail (crooked: ")
    assert len(result.stdout.splitlines()) < 120, "hundreds of failures of one mechanism do not flood"
    hint = re.search(r"lossproof (explain (\S+) --target crooked.*)", result.stdout)
    assert hint
    # As it is printed, since the default deck has not all that the smoke deck has.
    told = lossproof(*hint[1].split())
    assert told.exit_code == 0, told.output
    assert hint[2] in told.stdout
    assert "crooked: fail" in told.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), ""),
        pytest.param(("--deck", "smoke"), " --deck smoke", marks=nightly),
        (("--deck", "smoke", "--seed", "3"), " --deck smoke --seed 3"),
    ],
    ids=["default", "smoke", "seed"],
)
def test_commands_that_are_printed_name_the_deck(
    options: tuple[str, ...], said: str, crooked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the tables of a run and of its record, in drafts of waivers, for GitHub, and in the page."""
    path, summary, page = tmp_path / "r.jsonl", tmp_path / "summary.md", tmp_path / "r.html"
    part = ("--op", "softmax", "--dtype", "float32", "--family", "relation", "--family", "equal", "--in-process")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ran = lossproof("run", "crooked", *part, *options, "--record", str(path))
    lossproof("run", "crooked", *part, *options, "--html", str(page))
    texts = {
        "run": ran.stdout,
        "annotations": ran.stderr,
        "summary": summary.read_text("utf-8"),
        "show": lossproof("show", str(path)).stdout,
        "waive": lossproof("waive", str(path)).stdout,
    }
    for where, text in texts.items():
        found = re.findall(r"lossproof (?:explain|repro) softmax/\S+ --target crooked([^%`\n]*)", text)
        assert {line.rstrip() for line in found} == {said}, where
    found = re.findall(r"lossproof repro softmax/\S+ --target crooked --output \w+([^\n<]*)", page.read_text("utf-8"))
    assert {line.rstrip() for line in found} == {said}


def test_quiet_prints_the_last_line_and_the_failures(crooked: Path) -> None:
    part = ("--quiet", "--op", "nll_loss", "--dtype", "float32", "--family", "ordinary")
    assert len(lossproof("run", "numpy", *HERE, *part).stdout.splitlines()) == 1
    lines = lossproof("run", "crooked", *HERE, *part).stdout.splitlines()
    assert lines[0].startswith("Failures: ")
    assert lines[-1].startswith("FAILED: ")


def waiver(path: Path, *, expect: str = "some", seen: str = "1.2.0", cases: str = "softmax/*") -> str:
    path.write_text(
        f"adapter = 'crooked'\n[[waiver]]\nname = 'one-percent'\ncases = '{cases}'\n"
        f"symptom = 'inaccurate'\noutput = 'value'\nexpect = '{expect}'\n"
        f"reason = 'off by 1 %'\nissue = 'https://example.org/1'\nseen = '{seen}'\n"
    )
    return str(path)


def test_waived_failures_do_not_fail_the_run(crooked: Path, tmp_path: Path) -> None:
    file = waiver(tmp_path / "w.toml")
    path = tmp_path / "r.jsonl"
    arguments = ("run", "crooked", *HERE, "--op", "softmax", "--dtype", "float32", "--family", "ordinary")
    assert lossproof(*arguments).exit_code == 1
    result = lossproof(*arguments, "--waivers", file, "--record", str(path))
    assert result.exit_code == 0, result.output
    assert "one-percent: " in result.stdout
    assert "off by 1 % (https://example.org/1)" in result.stdout
    marked = [o for o in record.read_record(path) if o.waiver]
    assert marked
    assert {o.verdict for o in marked} == {"fail"}, "the record keeps the raw verdict"


@pytest.mark.parametrize(("seen", "strict_code"), [("1.2.0", 1), ("1.1", 0)], ids=["this-version", "older-version"])
def test_unexpected_passes_fail_under_strict_in_the_versions_they_were_seen_in(
    crooked: Path, tmp_path: Path, seen: str, strict_code: int
) -> None:
    file = waiver(tmp_path / "w.toml", expect="all", seen=seen, cases="log_softmax/*")
    arguments = ("run", "crooked", *HERE, "--op", "log_softmax", "--family", "golden", "--waivers", file)
    relaxed = lossproof(*arguments)
    assert relaxed.exit_code == 0
    assert "unexpected pass on crooked" in relaxed.stdout
    assert lossproof(*arguments, "--strict").exit_code == strict_code


def test_a_required_target_that_is_missing_fails_at_once() -> None:
    result = lossproof("run", "numpy", "--require", "cuda", *HERE)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "lossproof: required but missing: cuda; this run has numpy"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nosuch"), "unknown target 'nosuch'; expected one of "),
        (("run", "nunpy"), "unknown target 'nunpy'; did you mean numpy\\? expected one of "),
        (("run", "num py"), "cannot read target 'num py'"),
        (("run", "numpy+jit", *HERE), "numpy has no mode 'jit'"),
        (("run", "numpy:cuda:0", *HERE), "no device 'cuda:0' here"),
        (("run", "numpy", "--deck", "smok"), "unknown deck 'smok'; did you mean smoke?"),
        (("run", "numpy", "--dtype", "float33"), "unknown dtype 'float33'; did you mean float32?"),
        (("run", "numpy", "--op", "softmin"), "unknown op 'softmin'; did you mean softmax?"),
        (("run", "numpy", "--family", "confidnt"), "unknown family 'confidnt'; did you mean confident?"),
        (("run", "numpy", *HERE, "--family", "long_batch"), "the smoke deck has no call of that op, dtype and family"),
        (("run", "numpy", "--seed", "x"), "'x' is not a valid integer"),
        (
            ("run", "numpy", "--profile", "smoke"),
            "No such option '--profile'; the size of the deck is chosen with --deck, such",
        ),
        (("deck", "list", "--profile=smoke"), "No such option '--profile'; the size of the deck is chosen with --deck"),
        (("run", "numpy", "--frob"), "No such option '--frob'"),
        (("run", "numpy", "--waivers", "/no/such.toml", *HERE), "cannot read waivers /no/such.toml: No such file"),
        (("run", "numpy", *HERE, "--record", "/no/such/dir/r.jsonl"), "cannot write record /no/such/dir/r.jsonl: No"),
        (("frob",), "No such command 'frob'"),
        (("explain",), r"which case\? expected an ID"),
        (("explain", "x", "--record", "/no/such.jsonl"), "cannot read record /no/such.jsonl"),
        (("explain", "--call", "/no/such.json"), "cannot read a call from /no/such.json"),
        (("explain", "softmax/float32/ordinary/n2-k4/0", *SMOKE), "unknown id .*; nearest: softmax/float32/ordinary"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    result = lossproof(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(f"lossproof: error: .*{message}.*\n", without_progress(result.stderr)), result.stderr


def test_a_framework_that_is_not_installed(crooked: Path) -> None:
    result = lossproof("run", "ghost", *SMOKE)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"lossproof {__version__}: starting ghost; ")
    error = without_progress(result.stderr)
    assert error.startswith("lossproof: error: target ghost: no_such_framework is not installed")
    listed = lossproof("targets")
    assert listed.exit_code == 0
    here, _, rest = listed.stdout.partition("not here:\n")
    assert f"crooked: numpy {np.__version__}\n" in here
    assert f"numpy: numpy {np.__version__}\n" in here
    assert "  ghost: no_such_framework is not installed; pip install 'lossproof[ghost]'\n" in rest
    offered = lossproof("targets", "crooked")
    assert offered.exit_code == 0
    assert "crooked: crooked 1.2.0" in offered.stdout
    assert "native: softmax, log_softmax, nll_loss, cross_entropy" in offered.stdout
    refused = lossproof("targets", "ghost", "crooked")
    assert refused.exit_code == 1
    assert refused.stdout == offered.stdout
    assert refused.stderr.startswith("lossproof: target ghost: no_such_framework is not installed")
    assert lossproof("targets", "nosuch").exit_code == 2


def test_explain_from_a_record_and_from_json(crooked: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    part = ("--seed", "7", "--op", "softmax", "--dtype", "float32", "--family", "ordinary")
    lossproof("run", "crooked", *HERE, *part, "--record", str(path))
    o = next(o for o in record.read_record(path) if o.verdict == "fail")
    result = lossproof("explain", o.id, "--record", str(path), "--target", "numpy")
    assert result.exit_code == 0, result.output
    said = [line for line in result.stdout.splitlines() if "numpy: pass" in line]
    # Of a derivative that cancels, spacings say nothing.
    assert [line.endswith(" ulp") for line in said] == [True, False]
    file = tmp_path / "call.json"
    # The record does not hold what its deck makes again.
    assert o.call is None
    file.write_text(json.dumps(recorded_call(o.id, None, deck="smoke", seed=7).to_json()))
    again = lossproof("explain", "--call", str(file), "--target", "numpy")
    assert again.stdout == result.stdout
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"op": "softmax"}')
    assert "not a call" in lossproof("explain", "--call", str(foreign)).stderr


def test_explain_says_what_the_case_is_about() -> None:
    call = next(c for c in deck_calls("smoke") if c.family == "confident" and c.problem.label_smoothing)
    result = lossproof("explain", call.digest, *SMOKE, "--full")
    assert result.exit_code == 0, result.output
    for part in (call.id, "p_y - 1 and log p_y cancel", "label_smoothing", "allowed W", "value: exact result", "0x1."):
        assert part in result.stdout


def test_deck_list_prints_ids() -> None:
    result = lossproof("deck", "list", *SMOKE, "--op", "softmax")
    assert result.stdout.split() == [c.id for c in select("smoke", ops=["softmax"])]


def test_golden_check() -> None:
    result = lossproof("golden", "check")
    assert result.exit_code == 0, result.output


# In a process of its own


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from lossproof.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'flint', 'hypothesis', 'rich.console', 'torch', 'tensorflow', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert "explain" in result.stdout


def test_what_is_installed_is_told_without_starting_it() -> None:
    """Neither a framework nor an adapter is imported, and no process is started."""
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen = None\n"
        "from lossproof.cli.main import cli\n"
        "cli(['targets'], standalone_mode=False)\n"
        "started = {'torch', 'tensorflow', 'jax', 'keras', 'lossproof.adapters.numpy', 'flint'} & set(sys.modules)\n"
        "assert not started, started\n"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert "numpy: numpy " in result.stdout


def test_the_module_runs_and_a_mistake_leaves_no_traceback(tmp_path: Path) -> None:
    result = python("-m", "lossproof", "run", "nosuch", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("lossproof: error: unknown target 'nosuch'")
    assert len(result.stderr.splitlines()) == 1


# A reader who is gone from the start is that of every change (closed pipes).
@nightly
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m lossproof deck list --op nll_loss --dtype float32 | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


@pytest.mark.parametrize("family", ["relation", "error"])
def test_relations_and_errors_are_families(family: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    part = ("--op", "softmax", "--dtype", "float32", "--family", family)
    result = lossproof("run", "numpy", *HERE, *part, "--record", str(path))
    assert result.exit_code == 0, result.output
    ids = [o.id for o in record.read_record(path)]
    assert {i.split("/")[2] for i in ids} - {"convention"} == {family}
    told = lossproof("explain", ids[0], "--target", "numpy", *SMOKE)
    assert told.exit_code == 0, told.output
    assert ids[0] in told.stdout
    assert "Call 1" in told.stdout
    assert "numpy: " in told.stdout
