"""A lane plays calls in order in a process of its own, whatever happens to that.

Answers stream back one by one, so the culprit of a death is the first call without one. It is asked again, alone in a
fresh process: a second death is its outcome; an answer is its outcome, too, with a note, for then the death had
another cause (an earlier call's corruption, say, or somebody who ended the process). A call without an answer in time
is not asked again.

A process that does not even start is a mistake of the user's, and one that answers nothing any more is asked no more.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lossproof.adapters import wire
from lossproof.adapters.boot import UNSUITABLE
from lossproof.adapters.protocol import Outcome, Problem
from lossproof.core.errors import UsageError
from lossproof.targets.launch import Launch, Processes
from lossproof.targets.lost import TargetLostError
from lossproof.targets.process import MOST_CROWDED, Fault, Process
from lossproof.targets.replies import check_hello, outcome_of
from lossproof.targets.target import with_variables

# What answers nothing at all is not worth hours of restarts: a framework, or its kernels of one op for one dtype.
_MOST_FAULTS = 20
# Faults on end, whatever was asked: two ops or dtypes after one another that answer nothing.
_MOST_ON_END = 2 * _MOST_FAULTS
_MOST_STARTS = 2


# Op and dtype.
_Kind = tuple[str, str]


def _kind(p: Problem) -> _Kind:
    return p.op, p.dtype


class NotImportableError(UsageError):
    """The adapter or its framework is not there, or raises an exception when it is imported.

    ``missing`` is the module that was not found, if that is what is wrong.
    """

    def __init__(self, why: str, missing: str = "") -> None:
        super().__init__(why)
        self.missing = missing


@dataclass
class Lane:
    """A lane plays calls in order, in one process at a time.

    One that is ``apart`` has calls that may well crash, and says so of each. ``seconds`` are those until processes were
    ready, ``ended`` the processor seconds of those that have ended.
    """

    launch: Launch
    limits: Processes
    apart: bool = False
    seconds: float = 0.0
    ended: float = 0.0
    starts: int = 0
    on_end: int = 0
    faults: dict[_Kind, int] = field(default_factory=dict)
    hopeless: dict[_Kind, Fault] = field(default_factory=dict)
    given_up: Fault | None = None
    _answered: bool = False
    _process: Process | None = None
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> wire.Message:
        """Start a process and return its first message.

        Raises :class:`Fault` if it dies, :class:`NotImportableError` if it refuses.
        """
        for attempt in range(_MOST_STARTS):
            began = time.perf_counter()
            try:
                process = Process(self.launch, self.limits)
            except OSError as error:
                raise Fault("crash", f"no process starts: {error.strerror or error}") from None
            self.starts += 1
            try:
                hello = process.hello()
            except Fault as fault:
                process.close()
                if fault.code == UNSUITABLE:
                    raise NotImportableError(fault.tail) from None
                if attempt == _MOST_STARTS - 1:
                    raise Fault(fault.kind, f"no process starts: {fault}") from None
                continue
            if hello["kind"] == "failed":
                process.close()
                raise NotImportableError(str(hello.get("message", "")), str(hello.get("missing", "")))
            try:
                check_hello(hello)
            except UsageError:
                process.close()
                raise
            self.seconds += time.perf_counter() - began
            self._process = process
            return hello
        raise AssertionError("unreachable")

    def play(self, problems: Sequence[Problem], *, watch: bool, alone: str) -> Iterator[Outcome]:
        """Yield one outcome for each problem, whatever happens to the process.

        Raises :class:`TargetLostError` if the process is given up already.
        """
        if self.given_up is not None and not self.apart:
            raise TargetLostError(str(self.given_up))
        done = 0
        while done < len(problems):
            reason = self.given_up or self.hopeless.get(_kind(problems[done]))
            if reason is not None:
                yield Outcome(error=reason.kind, message=str(reason))
                done += 1
                continue
            try:
                for outcome in self._ask(problems[done:], watch=watch, alone=alone):
                    self._note_answer(problems[done])
                    done += 1
                    yield outcome
            except Fault as fault:
                yield self._culprit(problems[done], fault, watch=watch, alone=alone)
                done += 1

    def _culprit(self, problem: Problem, fault: Fault, *, watch: bool, alone: str) -> Outcome:
        """The outcome of a call during which the process ended."""
        self._stop()
        if self.given_up is not None:
            return Outcome(error=fault.kind, message=str(self.given_up))
        kind = _kind(problem)
        self.faults[kind] = faults = self.faults.get(kind, 0) + 1
        self.on_end += 1
        if not fault.alone and fault.kind != "timeout":
            try:
                (outcome,) = self._ask([problem], watch=watch, alone=alone)
            except Fault as again:
                self._stop()
                fault = again
            else:
                self._note_answer(problem)
                return replace(outcome, note=f"answered when asked again, alone; before that {fault}")
        if self.on_end == self._most_on_end:
            self.given_up = Fault(fault.kind, f"not asked: the last {self.on_end} calls ended like this: {fault}")
        elif faults == _MOST_FAULTS:
            what = f"{faults} calls of {' in '.join(kind)}"
            self.hopeless[kind] = Fault(fault.kind, f"not asked: the last {what} ended like this: {fault}")
        return Outcome(error=fault.kind, message=str(fault))

    @property
    def _most_on_end(self) -> int | None:
        if not self._answered:
            return _MOST_FAULTS
        return None if self.apart else _MOST_ON_END

    def _note_answer(self, problem: Problem) -> None:
        self._answered = True
        self.on_end = 0
        self.faults.pop(_kind(problem), None)

    def _ask(self, problems: Sequence[Problem], *, watch: bool, alone: str) -> Iterator[Outcome]:
        if self._process is None:
            try:
                self.start()
            except Fault as fault:
                self.given_up = fault
                raise
            if self.given_up is not None:
                # Interrupted meanwhile.
                raise self.given_up
        # sanity check: start leaves a process or raises
        assert self._process is not None
        numbers = [next(self._ids) for _ in problems]
        limit = 2 * MOST_CROWDED * self.limits.timeout
        how = {"watch": watch, "alone": alone, "limit": limit}
        requests = [
            wire.pack({"kind": "evaluate", "id": i, "problem": p, **how})
            for i, p in zip(numbers, problems, strict=True)
        ]
        is_first = self._process.asked == 0
        replies = self._process.ask(requests)
        for number, reply in zip(numbers, replies, strict=True):
            try:
                outcome = outcome_of(reply, number)
            except wire.WireError as error:
                replies.close()
                raise Fault("crash", f"its answer cannot be used: {error}", alone=is_first) from None
            if outcome.last:
                # Nothing is wrong with the other calls: they are asked of the next process.
                replies.close()
                self._stop()
                if outcome.error == "crash":
                    raise Fault("crash", outcome.message, alone=is_first)
                yield outcome
                return
            yield outcome
            is_first = False

    def asked(self, message: wire.Message) -> wire.Message:
        """Return the reply to a message. Raises :class:`Fault` where the process ends over it, or is given up."""
        try:
            if self.given_up is not None:
                raise self.given_up
            if self._process is None:
                self.start()
            # sanity check: start leaves a process or raises
            assert self._process is not None
            (reply,) = self._process.ask([wire.pack(message)])
        except Fault:
            self._stop()
            raise
        return reply

    def script(self, problem: Problem) -> str:
        """Return the adapter's own script for a problem. Raises :class:`UsageError` where it has none."""
        if self._process is None:
            self.start()
        # sanity check: start leaves a process or raises
        assert self._process is not None
        (reply,) = self._process.ask([wire.pack({"kind": "script", "problem": problem})])
        if reply.get("error") or "text" not in reply:
            raise UsageError(str(reply.get("error") or "the worker writes no programs"))
        text = str(reply["text"])
        # That of a command may be in any language.
        return text if self.launch.is_command else with_variables(text, self.launch.shown)

    def kernel_times(self, op: str, dtype: str, shape: tuple[int, int]) -> dict[str, float]:
        """Return the seconds of an op, see :func:`lossproof.adapters.kernel_times.kernel_times`; nothing where there
        are none. Raises :class:`TargetLostError` where the process ends over it."""
        rows, classes = shape
        try:
            reply = self.asked({"kind": "times", "op": op, "dtype": dtype, "rows": rows, "classes": classes})
        except Fault as fault:
            raise TargetLostError(str(fault)) from None
        return {str(name): float(seconds) for name, seconds in reply.get("times", {}).items()}

    def processor_seconds(self) -> float:
        """Return the processor seconds of all its processes so far."""
        return self.ended + (self._process.processor_seconds() if self._process is not None else 0.0)

    def _stop(self) -> None:
        if self._process is not None:
            self.ended += self._process.processor_seconds()
            self._process.close()
            self._process = None

    def take_over(self, other: Lane) -> None:
        """Go on in the process of another lane, which needs it no more, if there is one and this has none."""
        if self._process is None and other._process is not None:
            self._process, other._process = other._process, None
            self.starts += 1

    def interrupt(self) -> None:
        """End the process from another thread; calls that it was asked, and later ones, end as crashes."""
        self.given_up = Fault("crash", "interrupted")
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process."""
        self._stop()
