"""The worker: one adapter in a process of its own, asked through frames on standard input and output.

It says hello, answers one message with one message, in order, and ends when its input does. Standard output is taken
away from everything else first, so that a library which prints there harms nothing. With its input from a file and its
output to one it evaluates a whole deck without an engine; started again ``--after`` its own answers it goes on where
they end, and says of a call that has ended two processes that it did. The exit code is 75 where it leaves the rest to
another process, because a call has ended the context of a device.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import platform
import signal
import sys
from typing import Callable, Iterator, Mapping, NoReturn, Optional, Sequence, Set, Tuple

import numpy as np

from . import giant, local, wire
from .compiled import keep_compiled
from .kernel_times import kernel_times
from .protocol import THREADS, Adapter, Outcome
from .wire import Message

_CHUNK = 1 << 16
# The exit code after an answer that leaves nothing to this process, though more may be asked (EX_TEMPFAIL of sysexits).
UNFINISHED = 75


def main(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Serve an adapter until the input ends or says bye, then end the process.

    ``variables`` are those that were set for it, with the adapter's name.
    """
    options = _parser().parse_args(arguments)
    before = _Answered(options.after)
    source, sink = taken_streams()
    faulthandler.enable(sys.stderr)
    value = options.adapter if ":" in options.adapter else "lossproof.adapters.%s:ADAPTER" % options.adapter
    if options.cache:
        keep_compiled(options.cache, value)
    try:
        adapter = local.load(value)
        c = adapter.capabilities()
        mode = options.mode or c.modes[0]
        device = local.device_of(c.in_mode(mode), options.device)
        hello = wire.pack({**_hello(adapter, mode, device), "variables": dict(variables)})
    except Exception as error:  # foreign code: a broken installation can raise anything
        text = "%s: %s" % (type(error).__name__, error)
        _send(sink, wire.pack({"kind": "failed", "message": text, "missing": str(getattr(error, "name", None) or "")}))
        _leave()
    if not before.hello:
        _send(sink, hello)
    for message in _messages(source):
        for reply in before.replies(message, lambda m: _reply(adapter, m, device, mode)):
            _send(sink, _packed(reply))
            if reply["kind"] == "outcome" and reply["outcome"].last:
                _leave(UNFINISHED)
        if message["kind"] == "bye":
            break
    _leave()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="boot.py ADAPTERS_DIR", description=__doc__)
    parser.add_argument("adapter", help="a module of the folder, such as torch; module:ATTRIBUTE; or file.py:ATTRIBUTE")
    parser.add_argument("--mode", default="", help="default: the adapter's first")
    parser.add_argument("--device", default="", help="default: the adapter's first")
    parser.add_argument("--after", default="", metavar="FILE", help="go on where these answers end")
    parser.add_argument("--cache", default="", metavar="DIR", help="where compilers keep their results")
    return parser


def taken_streams() -> Tuple[int, int]:
    """Take standard input and output for the conversation; all else that prints, native code too, goes to stderr."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return source, sink


def _leave(code: int = 0) -> NoReturn:
    """End the process without the interpreter's farewell: frameworks have threads that do not survive it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _messages(source: int) -> Iterator[Message]:
    reader, data = wire.Reader(), b""
    while True:
        data = os.read(source, wire.read_size(len(data)))
        if not data:
            return
        reader.feed(data)
        yield from reader.messages()


def _packed(reply: Message) -> bytes:
    try:
        return wire.pack(reply)
    except wire.WireError as error:
        # Only an adapter's own values can have no encoding.
        outcome = Outcome(error="internal", message="the adapter's answer cannot be sent: %s" % error)
        return wire.pack({"kind": "outcome", "id": reply["id"], "outcome": outcome})


def _send(sink: int, data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(sink, rest) :]
    except BrokenPipeError:
        _leave()


def _hello(adapter: Adapter, mode: str, device: str) -> Message:
    return {
        "kind": "hello",
        "wire": wire.VERSION,
        "adapter": adapter.name,
        "mode": mode,
        "device": device,
        "description": adapter.describe(),
        "capabilities": adapter.capabilities(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": {name: os.environ.get(name, "") for name in THREADS},
        "pid": os.getpid(),
    }


def _reply(adapter: Adapter, message: Message, device: str, mode: str) -> Message:
    kind = message["kind"]
    if kind == "script":
        try:
            return {"kind": "script", "text": adapter.script(message["problem"], device, mode), "error": ""}
        except Exception as error:  # foreign code, and some adapters have none
            return {"kind": "script", "text": "", "error": str(error) or type(error).__name__}
    if kind == "times":
        shape = message["rows"], message["classes"]
        times, why = kernel_times(adapter, message["op"], message["dtype"], shape, device, mode)
        return {"kind": "times", "times": times, "error": why}
    if kind == "giant":
        found = giant.answer(adapter, message["giant"], device, mode, most=message["most"])
        return {"kind": "giant", "id": message["id"], "outcome": found}
    if kind != "evaluate":
        return message
    if not local.takes(adapter.capabilities().in_mode(mode, device), message.get("tier", "core")):
        return {"kind": "withheld", "id": message["id"]}
    _limit(message.get("limit", 0.0))
    outcome = local.answer(
        adapter, message["problem"], device, mode, watch=message.get("watch", False), alone=message.get("alone", "")
    )
    _limit(0.0)
    return {"kind": "outcome", "id": message["id"], "outcome": outcome}


def _limit(seconds: float) -> None:
    """End this process in so many seconds, whatever it is doing then; 0 calls that off.

    The engine ends a call that takes too long. This is for workers that have lost theirs.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


class _Answered:
    """The answers that a file has already, none if there is no file. What is cut off at its end is removed."""

    def __init__(self, path: str) -> None:
        self.hello = False
        self.answered: Set[int] = set()
        self.others: Set[str] = set()
        self.tried: Optional[int] = None
        self.first = bool(path)
        if not path:
            return
        reader = wire.Reader()
        with open(path, "rb") as file:
            for data in iter(lambda: file.read(_CHUNK), b""):
                reader.feed(data)
                for message in reader.messages():
                    self._note(message)
        os.truncate(path, reader.consumed)

    def _note(self, message: Message) -> None:
        kind = message["kind"]
        self.hello = self.hello or kind == "hello"
        if kind == "again":
            self.tried = message["id"]
        elif "id" in message:
            self.answered.add(message["id"])
        else:
            self.others.add(kind)

    def replies(self, message: Message, reply: Callable[[Message], Message]) -> Iterator[Message]:
        """Yield what to write about a message: nothing if it was answered before."""
        number = message.get("id")
        if number in self.answered or (number is None and message["kind"] in self.others):
            return
        if self.first and self.hello and number is not None:
            self.first = False
            if number == self.tried:
                outcome = Outcome(error="crash", message="two processes have ended, or were ended, during this call")
                yield {"kind": "outcome", "id": number, "outcome": outcome}
                return
            yield {"kind": "again", "id": number}
        yield reply(message)
