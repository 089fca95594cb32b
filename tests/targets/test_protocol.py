"""docs/adapter-protocol.schema.json says what engine and workers tell each other: every frame is valid, and wrong ones
are not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from lossproof.adapters import wire
from lossproof.adapters.protocol import ERROR_KINDS, Capabilities, Description, Outcome, Problem, Support, Tensor
from lossproof.cases.catalogue import select
from lossproof.running import detached
from lossproof.running.loop import run
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.process import Process
from tests.support import wire_schema
from tests.support.thinned import thinned

SCHEMA = json.loads(wire_schema.FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CALLS = thinned(select("smoke", ops=["softmax", "cross_entropy"], dtypes=["float32"]), to=10)
PAGE = wire_schema.FILE.with_name("adapter-protocol.md").read_text(encoding="utf-8")


def texts(data: bytes) -> Iterator[Any]:
    """The JSON texts of frames, by the bytes that docs/adapter-protocol.md counts."""
    while data:
        assert data[:12] == b"lossproof\x00\x01\n"
        n_text, n_arrays = int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:24], "big")
        yield json.loads(data[24 : 24 + n_text])
        data = data[24 + n_text + n_arrays :]


def kind(text: Any) -> str:
    return str(dict(text["map"][:1])["kind"])


def check(data: bytes) -> set[str]:
    found = list(texts(data))
    for text in found:
        VALIDATOR.validate(text)
    return {kind(text) for text in found}


def test_the_file_is_what_the_classes_say() -> None:
    assert wire_schema.FILE.read_text(encoding="utf-8") == wire_schema.text(), "python -m tests.support.wire_schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_is_said_in_a_run_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[Process, bytearray] = defaultdict(bytearray)
    heard: dict[wire.Reader, bytearray] = defaultdict(bytearray)
    write, read = Process._write, wire.Reader.feed

    def writing(process: Process, out: memoryview) -> memoryview:
        rest = write(process, out)
        said[process].extend(out[: len(out) - len(rest)])
        return rest

    def reading(reader: wire.Reader, data: bytes) -> None:
        heard[reader].extend(data)
        read(reader, data)

    monkeypatch.setattr(Process, "_write", writing)
    monkeypatch.setattr(wire.Reader, "feed", reading)
    targets = selection.choose_targets(["numpy"], Processes(timeout=900))
    try:
        assert len(list(run(targets, CALLS))) > len(CALLS) // 2
        targets[0].script(CALLS[0].problem)
        assert targets[0].kernel_times("softmax", "float32", (2, 3))
    finally:
        selection.close(targets)
    assert set.union(*(check(bytes(data)) for data in said.values())) == {"evaluate", "script", "times"}
    assert set.union(*(check(bytes(data)) for data in heard.values())) == {"hello", "outcome", "script", "times"}


def test_what_is_in_files_is_valid(tmp_path: Path) -> None:
    detached.export(tmp_path / "away", CALLS[:20], {"size": "smoke"}, 10.0)
    deck = (tmp_path / "away" / "deck").read_bytes()
    assert check(deck) == {"deck", "evaluate", "bye"}

    def answers(adapter: str) -> bytes:
        command = [sys.executable, "-I", "adapters/boot.py", "adapters", adapter]
        return subprocess.run(command, input=deck, stdout=subprocess.PIPE, cwd=tmp_path / "away", check=True).stdout

    assert check(answers("numpy")) == {"hello", "deck", "outcome", "bye"}
    assert check(answers("nosuch")) == {"failed"}


def message(**fields: Any) -> Any:
    (text,) = texts(wire.pack({**fields}))
    return text


HELLO = {
    "kind": "hello",
    "wire": 1,
    "adapter": "a",
    "mode": "eager",
    "device": "cpu",
    "description": Description({"a": "1"}),
    "capabilities": Capabilities({"softmax": Support("native")}),
}
OUTCOME = Outcome({"value": Tensor(np.zeros(2), "float32")}, failures={"vjp": ("internal", "no")}, seconds=0.5)
RIGHT = [
    HELLO,
    {"kind": "failed", "message": "no"},
    {"kind": "evaluate", "id": 1, "problem": Problem("softmax", "float32", np.zeros(2), label_smoothing=np.nan)},
    {"kind": "outcome", "id": 1, "outcome": OUTCOME},
    *({"kind": "outcome", "id": 1, "outcome": Outcome(error=error)} for error in (*ERROR_KINDS, "crash", "timeout")),
    {"kind": "withheld", "id": 1},
    {"kind": "times", "op": "softmax", "dtype": "float32", "rows": 2, "classes": 3},
    {"kind": "times", "times": {"copy": 0.5}, "error": ""},
    {"kind": "again", "id": 1},
    {"kind": "bye"},
]
WRONG = [
    {"kind": "greeting"},
    {"wire": 1},
    {**HELLO, "wire": 2},
    {**HELLO, "adapter": 7},
    {**HELLO, "frob": 1},
    {name: value for name, value in HELLO.items() if name != "capabilities"},
    {"kind": "outcome", "outcome": OUTCOME},
    {"kind": "outcome", "id": "1", "outcome": OUTCOME},
    {"kind": "outcome", "id": 1, "outcome": Outcome(error="oops")},
    {"kind": "outcome", "id": 1, "outcome": {"value": np.zeros(2)}},
    {"kind": "times", "times": {"copy": "fast"}, "error": ""},
    {"kind": "evaluate", "id": 1, "problem": Problem("softplus", "float32", np.zeros(2))},
]


@pytest.mark.parametrize("fields", RIGHT, ids=lambda f: f["kind"])
def test_every_message_is_valid(fields: dict[str, Any]) -> None:
    VALIDATOR.validate(message(**fields))


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_wrong_messages_are_not(fields: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(message(**fields))


def test_defaults_of_the_schema_are_those_of_the_classes() -> None:
    """A worker in another language has them from there."""
    default = SCHEMA["$defs"]["Problem"]["properties"]["fields"]["properties"]
    assert default["reduction"]["default"] == "mean"
    assert default["axis"]["default"] == -1
    assert SCHEMA["$defs"]["Capabilities"]["properties"]["fields"]["required"] == ["ops"]


def test_the_page_names_every_message_and_its_version() -> None:
    named = set(re.findall(r"^\| `(\w+)` \| (?:engine|worker) \|", PAGE, re.MULTILINE))
    assert named == {kind for kind, *_ in wire_schema.MESSAGES.values()} - {"again"}
    assert f"It is version {wire.VERSION}." in PAGE
