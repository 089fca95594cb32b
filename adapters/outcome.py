"""The answer to a problem: outputs, an error, or an exception of an adapter; and the meter of compilers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Mapping, Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Tensor:
    """One output pulled back exactly: entries widened to float64, and the dtype that the implementation returned."""

    data: np.ndarray
    dtype: str


@dataclass
class Meter:
    """A meter counts the programs that an adapter has compiled so far, and the seconds, first calls included."""

    programs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """The answer of an implementation: its outputs by name, or an error of the taxonomy.

    ``outputs``   ``{name: Tensor}``, empty where there is an error
    ``error``     one of ``ERROR_KINDS``, or ``crash`` or ``timeout`` (the process ended, or gave no answer in time), or
                  None
    ``message``   of the error
    ``seconds``   that the answer took, compilation included
    ``note``      what is remarkable about the way to the answer
    ``modified``  names of the inputs that a watched call has written into
    ``programs``  how many were compiled for it
    ``compile_seconds`` the part of ``seconds`` that their compilation took
    ``last``      whether its process is of no use afterwards
    ``failures``  ``{output: (error kind, message)}`` of outputs whose own computation raised; the others stand
    """

    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    error: Optional[str] = None
    message: str = ""
    seconds: float = 0.0
    note: str = ""
    modified: Tuple[str, ...] = ()
    programs: int = 0
    compile_seconds: float = 0.0
    last: bool = False
    failures: Mapping[str, Tuple[str, str]] = field(default_factory=dict)

    def of(self, output: str) -> Outcome:
        """Return the answer as far as one output goes: its own failure is an error of the answer then."""
        if output not in self.failures:
            return self
        error, message = self.failures[output]
        return replace(self, error=error, message=message)


@dataclass(frozen=True)
class GiantOutcome:
    """The answer to a giant problem, of whose equal results the lowest and the highest are told.

    ``outcome``   the answer, whose outputs are the lowest results, in the shapes of the small problem
    ``highest``   ``{output: Tensor}``, the highest ones
    ``rows``      ``{output: (2, ...)}``, near which row of the giant tensor the lowest and the highest ones were
    ``needed``, ``available``  bytes of memory that it was to take, and that were there; 0 where nobody asked
    ``held``, ``peak``  bytes that were taken before the op, and at most; 0 where nothing says so
    """

    outcome: Outcome
    highest: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)
    needed: int = 0
    available: int = 0
    held: int = 0
    peak: int = 0


class UnsupportedProblem(Exception):
    """Raised by an adapter for a problem outside its capabilities. The message says what and why."""


class ProcessLost(Exception):
    """Raised by an adapter, from the framework's exception, if nothing works in this process any more: the context of a
    device is gone, say. The engine asks the next call of a fresh process.

    ``kind`` is the outcome of the call: one of ``ERROR_KINDS`` if the implementation answers in this way, or ``crash``
    if it is to count as a process that died.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
