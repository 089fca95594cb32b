"""An adapter for tests of faults: NumPy's, but for one input on which it does what the variable ``FAULT`` says."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Problem, ProcessLost

MAGIC = 0.3125
FAULT = os.environ.get("FAULT", "")


def segv() -> None:
    ctypes.string_at(0)


def raised(number: signal.Signals) -> None:
    # With the default action, as a fault of the processor has.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def tell() -> None:
    """Say which process gives no answer from now on."""
    if "PID_FILE" in os.environ:
        place = Path(os.environ["PID_FILE"])
        place.with_suffix(".new").write_text(str(os.getpid()))
        place.with_suffix(".new").replace(place)


def hang() -> None:
    tell()
    threading.Event().wait()


def spin() -> None:
    # Native code that holds the interpreter and never returns.
    tell()
    ctypes.PyDLL(None).sleep(3600)


def hoard() -> None:
    # Beyond the limit of the tests, and no further, however late somebody looks.
    held = [bytearray(os.urandom(1) * (1 << 24)) for _ in range(32)]
    while held:
        time.sleep(1)


def chatter() -> None:
    ctypes.CDLL(None).puts(b"native noise " * 1000)
    ctypes.CDLL(None).fflush(None)
    os.write(1, b"raw noise\n" * 10000)
    sys.stdout.write("noise\n" * 1000)


def wrong() -> None:
    raise ArithmeticError("no kernel for this")


def later() -> None:
    """Something that strikes when another call is under way, or none."""

    def strike() -> None:
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGBUS)

    threading.Thread(target=strike).start()


def lost(kind: str, text: str) -> None:
    """The context of a device, and with it whatever is asked next."""
    ADAPTER.gone = True
    raise ProcessLost(kind) from RuntimeError(text)


def asserted() -> None:
    lost("bad_label", "device-side assert triggered")


def strayed() -> None:
    lost("crash", "an illegal memory access was encountered")


FAULTS = {
    "segv": segv,
    "fpe": lambda: raised(signal.SIGFPE),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": hang,
    "spin": spin,
    "hoard": hoard,
    "chatter": chatter,
    "wrong": wrong,
    "exit": lambda: sys.exit(5),
    "_exit": lambda: os._exit(7),
    "later": later,
    "asserted": asserted,
    "strayed": strayed,
}


class Faulty(NumpyAdapter):
    name = "faulty"

    def __init__(self) -> None:
        super().__init__()
        self.corrupt = self.gone = False

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
        first = problem.x.flat[0] if problem.x.size else 0.0
        if FAULT == "corrupt" and problem.op == "nll_loss":
            self.corrupt = True
        if self.corrupt and problem.op != "nll_loss":
            raise MemoryError("corrupted by an earlier call")
        if self.gone:
            raise RuntimeError("the device's context is gone")
        if FAULT == "crowd" and first == MAGIC and getattr(self, "asked", 0):
            os.kill(os.getpid(), signal.SIGSEGV)
        if FAULT == "all but softmax" and problem.op != "softmax":
            os.abort()
        if FAULT == "always" or (FAULT == "kernel" and (problem.op, problem.dtype) == ("softmax", "float32")):
            os.abort()
        if FAULT.startswith("always "):
            FAULTS[FAULT.partition(" ")[2]]()
        self.asked = getattr(self, "asked", 0) + 1
        if first == MAGIC and FAULT in FAULTS:
            FAULTS[FAULT]()
        if FAULT == "later":
            time.sleep(0.01)
        return super().evaluate(problem, device, mode)


if FAULT == "import":
    os.kill(os.getpid(), signal.SIGSEGV)
if FAULT == "leave":
    os._exit(3)
if FAULT == "refuse":
    raise ImportError("a library is missing", name="libfoo")

ADAPTER = Faulty()
