"""Commands as targets: what they are called, what they are asked, and what is said of their mistakes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lossproof.cases.catalogue import select
from lossproof.core.errors import UsageError
from lossproof.records.record import read_record, to_line
from lossproof.running import header
from lossproof.running.loop import run
from lossproof.targets import process, selection
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.process import MOST_CROWDED, crowding
from lossproof.targets.target import spec
from tests.support.thinned import WHOLE
from tests.support.views import lossproof

ROOT = Path(__file__).resolve().parents[2]
WORKER = f"exec:{shlex.join([sys.executable, '-m', 'tests.support.exec_worker'])}"
LIMITS = Processes(timeout=900)
_ALL = select("smoke", ops=["softmax", "log_softmax", "cross_entropy"], dtypes=["float64", "float16"])
# Of what is offered, softmax in float64, all; of the rest one of four.
CALLS = [c for i, c in enumerate(_ALL) if WHOLE or c.id.startswith("softmax/float64/") or i % 4 == 0]


@pytest.fixture(autouse=True)
def _in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("text", "words", "parts"),
    [
        ("exec:sh a.mjs", ["sh", "a.mjs"], ("", "", {})),
        ("exec:sh a.mjs+fast:gpu:1%A=1%B=x y", ["sh", "a.mjs"], ("fast", "gpu:1", {"A": "1", "B": "x y"})),
        ("exec:sh 'my a.mjs':gpu", ["sh", "my a.mjs"], ("", "gpu", {})),
        ("exec:sh 'a+b' \"c:d%E=f\" g\\+h", ["sh", "a+b", "c:d%E=f", "g+h"], ("", "", {})),
        ("exec:sh @scope/tool --url=http://x/", ["sh", "@scope/tool", "--url=http://x/"], ("", "", {})),
        ("exec:sh 100%", ["sh", "100%"], ("", "", {})),
    ],
)
def test_commands_are_taken_apart_as_a_shell_does(text: str, words: list[str], parts: tuple[object, ...]) -> None:
    s = spec(text)
    options = [f"--{name}={value}" for name, value in (("mode", s.mode), ("device", s.device)) if value]
    assert Launch(s.value, s.mode, s.device).command() == [*words, *options]
    assert (s.mode, s.device, dict(s.variables)) == parts
    assert s.within("") == text
    assert s.needs_process


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exec:", "cannot read target 'exec:'; expected exec:COMMAND[+MODE]"),
        ("exec: ", "target 'exec: ' has no command"),
        ("exec:sh 'a", 'cannot read target "exec:sh \'a"; expected exec:COMMAND'),
        ("exec:sh a\\", "expected exec:COMMAND"),
        ("exec:no-such-command a", "target 'exec:no-such-command a': no-such-command is not on PATH"),
        ("exec:./nosuch a", "./nosuch is no program that can be started"),
        ("exec:sh a%PATH=/nowhere", "sh is not on PATH"),
        (f"{WORKER}+third", "foreign has no mode 'third'; expected one of plain, odd"),
        (f"{WORKER}:gpu", "foreign has no device 'gpu' here; expected one of cpu"),
        (f"{WORKER}+odd:cpu", "foreign has no device 'cpu' here; expected one of gpu:0, gpu:1"),
        (
            f"{WORKER} elsewhere+odd:gpu:1",
            "asked to compute in mode 'odd' on 'gpu:1', and says that it does so in mode",
        ),
        (f"{WORKER} version", "the worker speaks version 2 of the wire, not 1"),
        (
            f"{WORKER} incapable",
            "its hello has no capabilities of type Capabilities; docs/adapter-protocol.md says what",
        ),
        (f"{WORKER} homeless", "its hello has no device of type str; docs/adapter-protocol.md says what"),
        (f"{WORKER} failed", ": there is no such chip"),
        (
            "exec:echo hello world",
            "ended with exit code 0; it said no hello, and wrote on standard output 'hello world'",
        ),
        (
            "exec:true",
            "ended with exit code 0; a command has to say hello and to answer as docs/adapter-protocol.md says",
        ),
        ("exec:sh -c 'echo bad >&2; exit 3'", "ended with exit code 3; its last words: bad"),
        ("exec:sh -c 'echo no GPU >&2; exit 78'", ": no GPU"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        selection.choose_targets([text], LIMITS)
    assert "\n" not in str(caught.value)


def test_a_command_has_no_environment_and_needs_a_process() -> None:
    with pytest.raises(UsageError, match="a command needs a process of its own"):
        selection.choose_targets(["exec:true"])
    with pytest.raises(UsageError, match="it runs in no environment of Python's"):
        spec("exec:true").within("old")


def test_what_says_no_hello_in_time_is_quoted() -> None:
    text = r"no answer within 0\.2 s; it said no hello, and wrote on standard output 'ready'"
    with pytest.raises(UsageError, match=text):
        selection.choose_targets(["exec:sh -c 'echo ready; sleep 60'"], Processes(timeout=0.2, start=0.2))


@pytest.mark.parametrize(("load", "crowded"), [(0.0, 1.0), (2.0, 1.0), (3.0, 1.5), (1e6, MOST_CROWDED), (None, 1.0)])
def test_three_processes_for_two_cores_have_two_thirds_of_one(
    load: float | None, crowded: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads() -> tuple[float, float, float]:
        if load is None:
            raise OSError
        return load, 0.0, 0.0

    monkeypatch.setattr(os, "getloadavg", loads)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert crowding() == crowded


def test_a_busy_machine_gives_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    late = shlex.join(["sh", "-c", "sleep 0.6; echo too late; exit 3"])
    for crowded, said in ((1.0, r"no answer within 0\.2 s"), (MOST_CROWDED, "ended with exit code 3")):
        monkeypatch.setattr(process, "crowding", lambda crowded=crowded: crowded)
        with pytest.raises(UsageError, match=said):
            selection.choose_targets([f"exec:{late}"], Processes(timeout=0.2, start=0.2))


def test_the_time_of_a_call_is_not_that_of_a_start() -> None:
    slow = shlex.join(["sh", "-c", f"sleep 1; exec {WORKER.removeprefix('exec:')}"])
    (target,) = selection.choose_targets([f"exec:{slow}"], Processes(timeout=0.2))
    selection.close([target])


def test_a_command_is_judged_as_its_implementation_is() -> None:
    """And is asked for nothing that it does not offer."""
    targets = selection.choose_targets([WORKER, "numpy"], LIMITS)
    try:
        found = [replace(o, seconds=0.0, note="") for o in run(targets, CALLS)]
        assert selection.missing_targets(["foreign", WORKER, "gpu"], targets) == ["gpu"]
    finally:
        selection.close(targets)
    mine = {(o.id, o.output): o for o in found if o.target == WORKER}
    others = {(o.id, o.output): o for o in found if o.target == "numpy"}
    offered = {key for key, o in mine.items() if o.verdict != "unsupported" and "/all/" not in o.id}
    assert {key[0].split("/")[0] for key in offered} == {"softmax", "cross_entropy"}
    assert {key[0].split("/")[1] for key in offered} == {"float64"}
    assert len(offered) > 100
    for key in offered:
        assert to_line(replace(mine[key], target="")) == to_line(replace(others[key], target=""))
    assert not [o for o in mine.values() if o.verdict not in ("pass", "convention", "unsupported")]


def test_mode_device_and_variables_arrive_and_are_recorded() -> None:
    name = f"{WORKER}+odd:gpu:1%SWAY=a b"
    (target,) = targets = selection.choose_targets([name], LIMITS)
    try:
        described = header.describe(target)
    finally:
        selection.close(targets)
    assert target.name == name
    assert (described["adapter"], described["mode"], described["device"]) == ("foreign", "odd", "gpu:1")
    assert (described["implementation"], described["facts"]) == ("foreign", {"swayed": "a b"})
    assert described["variables"] == {"SWAY": "a b"}


def test_every_mode_has_devices_of_its_own() -> None:
    targets = selection.choose_targets([WORKER], LIMITS)
    every = selection.start_every_mode(targets, LIMITS)
    several = [t for t in every if not isinstance(t, UsageError)]
    selection.close(several)
    assert [(t.mode, t.device) for t in several] == [("plain", "cpu"), ("odd", "gpu:0"), ("odd", "gpu:1")]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dies", "the process ended with exit code 9; its last words: out of ideas"),
        ("chatter", "its answer cannot be read: not a frame of lossproof: it begins with b'console.log"),
        ("number", "its answer cannot be used: it is 'outcome' of -1, not the outcome of request"),
        ("kind", "its answer cannot be used: it is 'withheld' of"),
        ("error", "its error is 'oops', none of bad_label"),
        ("output", "it has an output 'frob', none of value"),
        ("tensor", "its value is no Tensor"),
    ],
)
def test_answers_that_are_none_are_crashes(how: str, said: str) -> None:
    calls = [c for c in CALLS if c.id.startswith("softmax/float64/ordinary/")][: 2 if WHOLE else 1]
    targets = selection.choose_targets([f"{WORKER} {how}"], LIMITS)
    try:
        found = [o for o in run(targets, calls) if "/all/" not in o.id]
    finally:
        selection.close(targets)
    assert {o.verdict for o in found} == {"crash"}
    assert all(said in o.message for o in found), found[0].message


def test_commands_of_the_command_line(tmp_path: Path) -> None:
    """Runs in shards with records, their merging, and programs."""
    part = ("--deck", "smoke", "--op", "softmax", "--dtype", "float64", "--family", "ordinary")
    records = [str(tmp_path / f"{i}.jsonl") for i in (1, 2)]
    for i, record in enumerate(records, 1):
        ran = lossproof("run", WORKER, *part, "--require", "foreign", "--shard", f"{i}/2", "--record", record)
        assert ran.exit_code == 0, ran.output
    assert lossproof("merge", *records, "--output", str(tmp_path / "whole.jsonl")).exit_code == 0
    whole = read_record(str(tmp_path / "whole.jsonl"))
    assert list(whole.header["targets"]) == [WORKER]
    id = next(o.id for o in read_record(str(tmp_path / "whole.jsonl")) if "/ordinary/" in o.id)
    explained = lossproof("explain", id, "--target", WORKER)
    assert "let x = [1];" in explained.output
    refused = lossproof("repro", id, "--target", WORKER)
    assert refused.exit_code == 2
    assert "the adapter's program is none of Python" in refused.stderr


def test_a_command_answers_an_exported_deck(tmp_path: Path) -> None:
    away = tmp_path / "away"
    assert lossproof("deck", "export", str(away), "--deck", "smoke", "--op", "softmax").exit_code == 0
    with (away / "deck").open("rb") as deck, (tmp_path / "answers").open("wb") as answers:
        command = [sys.executable, "-m", "tests.support.exec_worker", "detached"]
        subprocess.run(command, stdin=deck, stdout=answers, check=True, env=os.environ)
    judged = lossproof("judge", str(tmp_path / "answers"))
    assert judged.exit_code == 0, judged.output
    assert re.search(r"OK \(foreign: \d+ outputs: \d+ pass, \d+ convention, \d+ unsupported\)", judged.output), (
        judged.output
    )
