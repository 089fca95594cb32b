"""Files of answers, bundles and records to go on with that no run writes are refused in one line."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters import wire
from lossproof.adapters.play import SUFFIX
from lossproof.adapters.protocol import Capabilities, Description, Outcome, Support, Tensor
from lossproof.core.errors import UsageError
from lossproof.records.record import Record
from lossproof.running.carried import answer_files
from lossproof.running.detached import AnswerFile
from lossproof.running.merge import told_ends
from lossproof.running.resume import complete_lines
from lossproof.running.timing import Clock
from lossproof.targets.replies import mistyped
from tests.support.views import lossproof

CAPABLE = Capabilities(ops={"softmax": Support("native")})
HELLO = {
    "kind": "hello",
    "wire": wire.VERSION,
    "adapter": "numpy",
    "mode": "eager",
    "device": "cpu",
    "capabilities": CAPABLE,
    "description": Description({"numpy": "2"}),
}
ARGUMENTS = {"size": "smoke", "seed": 0, "ops": ["softmax"], "dtypes": ["float32"], "families": ["hot"]}
DECK = {"kind": "deck", "suite": "1", "version": 1, "digest": "0", "arguments": ARGUMENTS, "requests": 1}
OUTCOME = {"kind": "outcome", "id": 0, "outcome": Outcome(error="unsupported", message="no")}


def written(path: Path, *messages: dict[str, Any]) -> Path:
    path.write_bytes(b"".join(map(wire.pack, messages)))
    return path


def test_answers_that_are_whole_are_read(tmp_path: Path) -> None:
    file = AnswerFile(written(tmp_path / "a", HELLO, DECK, OUTCOME, {"kind": "withheld", "id": 1}))
    assert file.missing == -1
    assert (file.name, file.withheld) == ("numpy", {1})


def without(message: dict[str, Any], *names: str, **more: Any) -> dict[str, Any]:
    return {**{k: v for k, v in message.items() if k not in names}, **more}


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ((HELLO, without(DECK, "digest")), "its deck has no digest of type str"),
        ((HELLO, without(DECK, requests="1")), "its deck has no requests of type int"),
        ((HELLO, without(DECK, arguments=[])), "its deck has no arguments of type dict"),
        ((HELLO, without(DECK, "suite")), "its deck has no suite of type str"),
        ((HELLO, DECK, without(OUTCOME, "id")), "its outcome has no id of type int"),
        ((HELLO, DECK, without(OUTCOME, id=[])), "its outcome has no id of type int"),
        ((HELLO, DECK, without(OUTCOME, "outcome")), "it has no outcome"),
        ((HELLO, DECK, {**OUTCOME, "outcome": Outcome("x")}), "its outputs are no map of names to Tensors"),  # type: ignore[arg-type]
        ((HELLO, DECK, {"kind": "withheld"}), "its withheld has no id of type int"),
        ((HELLO, DECK, {"kind": "failed"}), "the adapter did not import there"),
        ((without(HELLO, adapter=""), DECK), "its hello has an adapter without a name"),
        ((without(HELLO, variables="OMP"), DECK), "its hello has variables that are no map of texts"),
        ((without(HELLO, variables={"OMP": 1}), DECK), "its hello has variables that are no map of texts"),
        ((DECK, OUTCOME), "holds no answers"),
        ((HELLO, OUTCOME), "holds no answers"),
    ],
)
def test_a_message_that_lacks_what_it_is_for_is_one_line(
    messages: tuple[dict[str, Any], ...], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        AnswerFile(written(tmp_path / "a", *messages))
    assert str(tmp_path / "a") in str(caught.value)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        (({**HELLO, "capabilities": replace(CAPABLE, profiles=[])},), "Capabilities.profiles"),  # type: ignore[arg-type]
        (({**HELLO, "capabilities": replace(CAPABLE, conventions={None: "x"})},), "Capabilities.conventions"),  # type: ignore[dict-item]
        (({**HELLO, "capabilities": replace(CAPABLE, online=3)},), "Capabilities.online"),  # type: ignore[arg-type]
        (({**HELLO, "capabilities": replace(CAPABLE, ops={"softmax": Support(how=1)})},), "Support.how"),  # type: ignore[arg-type]
        (({**HELLO, "description": Description({"numpy": 2})},), "Description.versions"),  # type: ignore[dict-item]
        ((HELLO, DECK, {**OUTCOME, "outcome": Outcome(message=3)}), "Outcome.message"),  # type: ignore[arg-type]
        ((HELLO, DECK, {**OUTCOME, "outcome": Outcome(seconds=True)}), "Outcome.seconds"),
        ((HELLO, DECK, {**OUTCOME, "outcome": Outcome(failures={"vjp": ("x",)})}), "Outcome.failures"),  # type: ignore[dict-item]
        ((HELLO, DECK, {**OUTCOME, "outcome": Outcome({"vjp": Tensor(np.zeros(1), 3)})}), "Tensor.dtype"),  # type: ignore[arg-type]
    ],
)
def test_a_field_of_another_type_is_one_line(messages: tuple[dict[str, Any], ...], field: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"{field} is of another type than it should be"):
        AnswerFile(written(tmp_path / "a", *messages))


def test_whole_numbers_and_lists_do_where_others_are_asked() -> None:
    assert mistyped(Outcome(seconds=3, modified=["x"], failures={"vjp": ["a", "b"]})) == ""  # type: ignore[arg-type, dict-item]
    assert mistyped(CAPABLE) == ""
    assert mistyped(Outcome({"value": Tensor(np.zeros(1), "float32")})) == ""


def test_a_frame_whose_fields_are_no_object_is_one_line(tmp_path: Path) -> None:
    text = b'{"map":[["kind","hello"],["capabilities",{"is":"Capabilities","fields":[]}]]}'
    data = wire.MAGIC + len(text).to_bytes(4, "big") + (0).to_bytes(8, "big") + text
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(UsageError, match="a frame that cannot be read: AttributeError"):
        AnswerFile(tmp_path / "a")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"ops": 1}, "a deck that this lossproof cannot make again"),
        ({"ops": [1]}, "a deck that this lossproof cannot make again"),
        ({"kept": ["/etc"]}, "a deck that this lossproof cannot make again"),
        ({"unknown": []}, "a deck that this lossproof cannot make again"),
        ({"seed": "0"}, "a deck of size 'smoke' and seed '0'"),
        ({"size": 7}, "a deck of size 7 and seed 0"),
        ({"size": "no such"}, "no such"),
        ({}, "answers another deck"),
    ],
)
def test_a_deck_that_cannot_be_made_again_is_one_line(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    deck = {**DECK, "arguments": {**ARGUMENTS, **arguments}}
    result = lossproof("judge", str(written(tmp_path / "a", HELLO, deck, OUTCOME)))
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert said in line


def test_a_link_in_a_bundle_is_no_file_of_answers(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        link = tarfile.TarInfo(f"x{SUFFIX}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        real = tarfile.TarInfo(f"../../deep/y{SUFFIX}")
        real.size = 3
        tar.addfile(real, io.BytesIO(b"abc"))
        tar.addfile(tarfile.TarInfo("other.txt"))
    (found,) = answer_files(tmp_path / "b.tar", tmp_path / "new")
    assert found == tmp_path / "new" / f"y{SUFFIX}"
    assert found.read_bytes() == b"abc"


HEAD = b'{"lossproof":"record"}\n'
LINE = b'{"id":"a/b","target":"t"}\n'


def test_lines_are_found_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    call = b'{"of":"a/b","call":{}}\n'
    path.write_bytes(HEAD + call + LINE + b'{"end":{}}\n' + LINE)
    found = list(complete_lines(path))
    assert [at for at, _ in found] == [len(HEAD), len(HEAD + call + LINE)]
    assert found[1][1] == {"end": {}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"id":[],"target":"t"}\n', f"byte {len(HEAD + LINE)} begins no observation"),
        (b'{"id":"a/b","end":{}}\n', f"byte {len(HEAD + LINE)} begins no observation"),
        (b"{}\n", f"byte {len(HEAD + LINE)} begins no observation"),
        (b"1\n", f"byte {len(HEAD + LINE)} begins no JSON object"),
        (b"{\n", f"byte {len(HEAD + LINE)} begins no JSON object"),
    ],
)
def test_a_line_that_is_no_observation_is_one_line(line: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(HEAD + LINE + line + LINE)
    with pytest.raises(UsageError, match=said):
        list(complete_lines(path))


def ended(path: Path, seconds: str, clock: str) -> Record:
    path.write_text(f'{{"lossproof":"record"}}\n{{"end":{{"seconds":{seconds},"clock":{clock}}}}}\n')
    return Record(path, {})


def test_the_times_of_shards_are_those_of_all(tmp_path: Path) -> None:
    clock = Clock()
    shards = [ended(tmp_path / f"{n}.jsonl", f"{n}.5", '{"judge":2.0}') for n in (1, 2)]
    assert told_ends(shards, clock) == 4.0
    assert clock.judge == 4.0


_HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [
        *(("1.0", "3"), ("1.0", "[]"), ("null", "{}"), ('"1"', "{}"), (_HUGE, "{}"), ("NaN", "{}")),
        *(("1.0", '{"judge":"x"}'), ("1.0", f'{{"judge":{_HUGE}}}'), ("1.0", '{"targets":3}')),
    ],
)
def test_times_at_the_end_that_are_none_are_one_line(seconds: str, clock: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="damaged"):
        told_ends([ended(tmp_path / "r.jsonl", seconds, clock)], Clock())
