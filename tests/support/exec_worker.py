"""A worker of exec: targets for tests: NumPy's adapter through the wire, or what the first argument says instead.

It takes ``--mode`` and ``--device`` as any command does, and has two of each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from lossproof.adapters import local, wire
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities, Description, Outcome, Support, Tensor

HOW = sys.argv[1] if len(sys.argv) > 1 else ""
CAPABILITIES = Capabilities(
    {"softmax": Support("native"), "cross_entropy": Support("native", ("index",))},
    ("float64", "float32"),
    devices=("cpu",),
    modes=("plain", "odd"),
    by_mode={"odd": {"devices": ("gpu:0", "gpu:1")}},
)


def option(name: str, otherwise: str) -> str:
    return next((a.partition("=")[2] for a in sys.argv if a.startswith(f"--{name}=")), otherwise)


MODE = option("mode", "plain")
DEVICE = option("device", CAPABILITIES.in_mode(MODE).devices[0])
HELLO: wire.Message = {
    "kind": "hello",
    "wire": 2 if HOW == "version" else 1,
    "adapter": "foreign",
    "mode": MODE,
    "device": "cpu" if HOW == "elsewhere" else DEVICE,
    "description": Description({"foreign": "1.2"}, {"swayed": os.environ.get("SWAY", "")}),
    "capabilities": {"ops": "softmax"} if HOW == "incapable" else CAPABILITIES,
}
WRONG_OUTCOMES: Mapping[str, wire.Message] = {
    "number": {"id": -1},
    "kind": {"kind": "withheld"},
    "error": {"outcome": Outcome(error="oops")},
    "output": {"outcome": Outcome({"frob": Tensor(np.zeros(()), "float32")})},
    "tensor": {"outcome": Outcome({"value": np.zeros(())})},  # type: ignore[dict-item]
}


def reply(message: wire.Message) -> wire.Message:
    if message["kind"] == "script":
        return {"kind": "script", "text": "let x = [1];\nconsole.log(x)", "error": ""}
    if message["kind"] != "evaluate":
        return message
    p = message["problem"]
    # It is asked for nothing else.
    refused = HOW != "detached" and local.refusal("foreign", CAPABILITIES, p)
    outcome = (
        Outcome(error="internal", message="was asked") if refused else local.answer(NumpyAdapter(), p, "cpu", "eager")
    )
    if HOW == "dies" and p.op == "softmax" and p.dtype == "float64":
        os.write(2, b"out of ideas\n")
        os._exit(9)
    return {"kind": "outcome", "id": message["id"], "outcome": outcome, **WRONG_OUTCOMES.get(HOW, {})}


def main(source: BinaryIO, sink: BinaryIO) -> None:
    if HOW == "homeless":
        del HELLO["device"]
    if HOW == "failed":
        HELLO.update(kind="failed", message="there is no such chip")
    send(sink, b"a greeting\n" + wire.pack(HELLO))
    reader = wire.Reader()
    while data := os.read(source.fileno(), 1 << 16):
        reader.feed(data)
        for message in reader.messages():
            garbage = b"console.log\n" if HOW == "chatter" else b""
            send(sink, garbage + wire.pack(reply(message)))
            if message["kind"] == "bye":
                return


def send(sink: BinaryIO, data: Any) -> None:
    sink.write(data)
    sink.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
