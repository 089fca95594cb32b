"""Cases of other projects' tests: what becomes a call, what is left out and why, and what their answers are worth."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossproof.cli.main import cli
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record
from lossproof.running.peers.peer_calls import peer_calls
from tests.support.stand_in_onnx import VERSION, write_onnx

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command line, where a package that stands in for ONNX has seven cases."""
    # Before every other place, or the real one would be found.
    monkeypatch.setattr(sys, "path", [str(write_onnx(tmp_path / "site")), *sys.path])
    peer_calls.cache_clear()
    yield lambda *words: CliRunner().invoke(cli, [str(word) for word in words])
    peer_calls.cache_clear()


def test_every_case_is_a_call_or_left_out_with_a_reason(run: Run) -> None:
    said = run("cases", "onnx", "--quiet").output
    peer = peer_calls("onnx")
    # What the operator returns besides its loss is a call of its own.
    assert f"8 cases of onnx {VERSION}: 4 calls, 1 ask the same as another one, 3 are left out" in said
    assert set(peer.named) == {
        "test_softmax_default",
        "test_softmax_again",
        "test_softmax_wrong",
        "test_sce",
        "test_sce/log_prob",
    }
    assert {name: why.split(" ")[0] for name, why in peer.left_out.items()} == {
        "test_softmax_other_answer": "it",
        "test_softmax_no_axis": "axis",
        "test_softmax_integers": "its",
    }
    assert all(f": {name}" in said for name in peer.left_out)


def test_a_wrong_answer_of_a_case_fails(run: Run) -> None:
    judged = run("cases", "onnx", "--quiet")
    assert judged.exit_code == 1
    assert "FAILED: 1 fail (onnx-answers: 4 outputs: 3 pass, 1 fail)" in judged.output
    listed = run("cases", "onnx", "--list").output
    (wrong,) = [line.split()[1] for line in listed.splitlines() if line.startswith("test_softmax_wrong ")]
    assert wrong in judged.output


def test_a_target_is_judged_by_them_and_the_record_holds_them(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    judged = run("run", "numpy", "--cases", "onnx", "--record", path, "--quiet", "--in-process")
    assert judged.exit_code == 0, judged.output
    assert "OK (numpy: 4 outputs: 4 pass)" in judged.output
    deck = read_record(path).header["deck"]
    assert (deck["cases"]["source"], deck["cases"]["version"], deck["calls"]) == ("onnx", VERSION, 4)
    assert len(deck["cases"]["left_out"]) == 3


def test_commands_about_a_case_know_its_own_name(run: Run) -> None:
    asked = ("--cases", "onnx", "--id", "test_sce", "--in-process", "--quiet")
    assert "OK (numpy: 1 outputs: 1 pass)" in run("run", "numpy", *asked).output
    shown = run("explain", "test_softmax_wrong", "--cases", "onnx")
    assert f"from: onnx {VERSION}, test_softmax_wrong" in shown.output, shown.output
    written = run("repro", "test_sce", "--cases", "onnx", "--target", "numpy")
    assert written.output.startswith("# lossproof repro cross_entropy/float32/onnx/"), written.output
    assert "--cases onnx" in written.output.splitlines()[0]


def test_lists_and_filters_are_those_of_a_deck(run: Run) -> None:
    ids = run("deck", "list", "--cases", "onnx", "--op", "softmax").output.split()
    assert len(ids) == 2
    assert all(id.startswith("softmax/float32/onnx/") for id in ids)
    assert "no case of onnx is of that op" in run("deck", "list", "--cases", "onnx", "--dtype", "float16").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cases", "onx"), "unknown source of cases 'onx'; did you mean onnx?"),
        (("--cases", "onnx", "--deck", "smoke"), "leave out --deck"),
        (("--cases", "onnx", "--shard", "1/2"), "leave out --deck, --seed, --shard"),
        (("--cases", "onnx@./nowhere/python"), "is no interpreter"),
        (("--cases", "onnx", "--id", "test_sec"), "no case of this deck has an id like 'test_sec'"),
    ],
)
def test_wrong_input_is_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    refused = run("run", "numpy", *words)
    assert refused.exit_code == 2
    assert said in refused.output
    assert "Traceback" not in refused.output


def test_a_source_that_does_not_import_says_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write_onnx(tmp_path)
    (site / "onnx" / "helper.py").write_text("import no_such_module\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    peer_calls.cache_clear()
    with pytest.raises(UsageError, match=r"No module named 'no_such_module'; install no_such_module beside lossproof"):
        peer_calls("onnx")


def test_onnx_itself_answers_right() -> None:
    pytest.importorskip("onnx")
    peer_calls.cache_clear()
    judged = CliRunner().invoke(cli, ["cases", "onnx", "--quiet", "--json"])
    assert judged.exit_code == 0, judged.output
    peer = peer_calls("onnx")
    assert {call.outline.op for call in peer.calls} == {"softmax", "log_softmax", "nll_loss", "cross_entropy"}
    assert len(peer.calls) > 50
    assert not peer.left_out
    assert json.loads(judged.stdout)["verdicts"] == {"pass": len(peer.calls)}
