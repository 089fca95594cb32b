"""Evaluation on another machine: a deck as a file of requests, and a file of answers as a target.

The machine needs the adapters' folder, an interpreter with numpy and the framework, and nothing of lossproof. Requests
carry numbers; calls that may crash a process come last. Answers are read when they are wanted. Calls that are made
from answers cannot be asked, which is said of each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossproof import __version__
from lossproof.adapters import local, wire
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.cases.deck import digest
from lossproof.cases.deck_part import VERSION
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.targets.introduced import Introduced
from lossproof.targets.launch import adapters_folder
from lossproof.targets.replies import check_hello, mistyped, outcome_of

_CHUNK = 1 << 20
# What each message must have to be made use of.
_DECK = {"digest": str, "arguments": dict, "requests": int, "version": object, "suite": str}
_NUMBERED = {"id": int}
FOLLOW = "made from the answers to other calls, which cannot be asked detached"
MISSING = "no answer: the file ends before it"
README = """\
Evaluate this deck on a machine that has numpy and the framework (Python 3.8 or newer, no lossproof needed). In this
folder:

    PYTHON -I adapters/boot.py adapters ADAPTER < deck > answers

ADAPTER is torch, tensorflow, jax, numpy or another module of the folder adapters, or file.py:ATTRIBUTE; --mode and
--device choose among what it has (the first of each by default). ADAPTER%VARIABLE=VALUE, with as many variables as you
like, sets environment variables before anything is imported. Thread counts change bits: unless you have reasons,

    export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 NPROC=1

If the process ends before it is through, whatever the reason, let it go on where it was, as often as needed:

    PYTHON -I adapters/boot.py adapters ADAPTER --after answers < deck >> answers

until its exit code is 0. A call that has ended two processes is passed over then, and is a crash in the report. On a
GPU each call with labels out of range may end the process that has answered it; the exit code is 75 then, and

    : > answers
    until PYTHON -I adapters/boot.py adapters ADAPTER --after answers < deck >> answers
    do [ $? = 75 ] || break
    done

does it all. Back here:

    lossproof judge answers
"""


def new_folder(folder: Path) -> None:
    """Make the folder that is to be written. Raises :class:`UsageError` if it is in use or cannot be made."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists; expected the name of a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from None


def export(folder: Path, calls: Sequence[Call], facts: Mapping[str, Any], timeout: float) -> int:
    """Write the folder that goes to the other machine; the number of calls in it.

    ``facts`` are the arguments that make the deck again. Raises :class:`UsageError` if the folder is in use.
    """
    new_folder(folder)
    numbered = list(enumerate(_asked(calls)))
    numbered.sort(key=lambda item: item[1][1].isolate)
    try:
        shutil.copytree(adapters_folder(), folder / "adapters", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "README.txt").write_text(README, "utf-8")
        with (folder / "deck").open("wb") as file:
            about = {"suite": __version__, "version": VERSION, "digest": digest(calls), "arguments": dict(facts)}
            file.write(wire.pack({"kind": "deck", **about, "requests": len(numbered)}))
            for number, (one, call) in numbered:
                request = {"kind": "evaluate", "id": number, "problem": one.problem, "tier": call.tier}
                file.write(wire.pack({**request, "limit": timeout, "watch": call.watched, "alone": call.alone}))
            file.write(wire.pack({"kind": "bye"}))
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from None
    return len(numbered)


def _asked(calls: Sequence[Call]) -> Iterator[tuple[Call, Call]]:
    """Every call whose problem is known beforehand, with the one that it is a part of."""
    for call in calls:
        for one in call.calls:
            yield one, call


# A problem (equal to itself alone) may belong to several checks, which ask it in different ways: isolated, watched. Of
# one that is drawn again each time there is the digest.
_Key = tuple[Problem | str, bool, bool]


class AnswerFile(Introduced):
    """A file of answers as an adapter. Raises :class:`UsageError` if it is none."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.hello = {}
        self.deck: wire.Message = {}
        self.withheld: set[int] = set()
        self._places: dict[int, int] = {}
        self._numbers: dict[_Key, int] = {}
        try:
            self._file = self.path.open("rb")
            self._index()
        except OSError as error:
            raise UsageError(f"cannot read answers {path}: {error.strerror or error}") from None
        except wire.WireError as error:
            raise UsageError(f"{path} holds no answers of a worker: {error}") from None
        if not self.hello or not self.deck:
            raise UsageError(f"{path} holds no answers; expected what boot.py wrote (see README.txt of the deck)")

    def _index(self) -> None:
        reader = wire.Reader()
        for data in iter(lambda: self._file.read(_CHUNK), b""):
            reader.feed(data)
            start = reader.consumed
            for message in reader.messages():
                self._note(message, start)
                start = reader.consumed

    def _note(self, message: wire.Message, place: int) -> None:
        kind = message["kind"]
        if kind == "failed":
            raise UsageError(f"{self.path}: the adapter did not import there: {message.get('message')}")
        if kind == "hello":
            try:
                check_hello(message)
            except UsageError as error:
                raise UsageError(f"{self.path}: {error}") from None
            self._typed(message["capabilities"])
            self._typed(message["description"])
            self.hello = message
        elif kind == "deck":
            self.deck = self._checked(message, _DECK)
        elif kind == "outcome":
            self._typed(outcome_of(message, self._checked(message, _NUMBERED)["id"]))
            self._places[message["id"]] = place
        elif kind == "withheld":
            self.withheld.add(self._checked(message, _NUMBERED)["id"])

    def _typed(self, value: Any) -> None:
        wrong = mistyped(value)
        if wrong:
            raise wire.WireError(f"{wrong} is of another type than it should be")

    def _checked(self, message: wire.Message, fields: Mapping[str, type]) -> wire.Message:
        for name, type_ in fields.items():
            if not isinstance(message.get(name), type_):
                raise wire.WireError(f"its {message['kind']} has no {name} of type {type_.__name__}")
        return message

    def expect(self, calls: Sequence[Call]) -> None:
        """Say which calls the numbers mean. Raises :class:`UsageError` if the answers are to another deck."""
        if digest(calls) != self.deck["digest"]:
            made = f"version {self.deck['version']}, lossproof {self.deck['suite']}"
            raise UsageError(
                f"{self.path} answers another deck ({made}); this is deck version {VERSION} of lossproof {__version__}"
            )
        for number, (one, call) in enumerate(_asked(calls)):
            name = one.source if isinstance(one.source, Problem) else one.digest
            self._numbers[name, call.isolate, call.watched] = number

    @property
    def missing(self) -> int:
        """The number of requests that have no answer."""
        found: int = self.deck["requests"] - len(self._places) - len(self.withheld)
        return found

    @property
    def name(self) -> str:
        """The adapter's name."""
        found: str = self.hello["adapter"]
        return found

    def evidence(self) -> dict[str, Any]:
        """Return the interpreter and the thread counts of the worker, and that it was elsewhere."""
        return {"detached": True, **super().evidence()}

    def script(self, problem: Problem) -> str:
        """Not on offer: the framework is elsewhere."""
        raise UsageError(f"{self.path} holds answers only")

    def outcomes(
        self, problems: Sequence[Problem], *, isolate: bool, watch: bool, alone: str = ""
    ) -> Iterator[Outcome]:
        """The answers in the file."""
        offer = self.capabilities().in_mode(self.hello["mode"], self.hello["device"])
        for problem in problems:
            why = local.refusal(self.name, offer, problem)
            if why:
                yield Outcome(error="unsupported", message=why)
                continue
            number = self._numbers.get((problem, isolate, watch))
            if number is None:
                number = self._numbers.get((Call(problem, "").digest, isolate, watch))
            if number is None:
                yield Outcome(error="unsupported", message=FOLLOW)
            elif number not in self._places:
                yield Outcome(error="unsupported", message=MISSING)
            else:
                yield self._read(self._places[number])

    def _read(self, place: int) -> Outcome:
        self._file.seek(place)
        reader = wire.Reader()
        while True:
            data = self._file.read(_CHUNK)
            # sanity check: the frame was whole when the file was indexed
            assert data
            reader.feed(data)
            for message in reader.messages():
                outcome: Outcome = message["outcome"]
                return outcome

    @property
    def start_seconds(self) -> float | None:
        """None: nothing is started here."""
        return None

    def processor_seconds(self) -> float | None:
        """Return None: they were taken elsewhere."""
        return None

    @property
    def restarts(self) -> int:
        """Zero: what was started again elsewhere is not in the file."""
        return 0

    def interrupt(self) -> None:
        """Do nothing: no call is under way here."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
