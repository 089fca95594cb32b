"""A process is one worker with its pipes, its clock, its memory, and how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence

from lossproof.adapters import wire
from lossproof.targets.launch import Launch, Processes, environment

_CHUNK = 1 << 20
_TICK = 0.05
# A library that prints without end may not fill the disk.
_MOST_STDERR = 1 << 24
# Frames of libraries and of the worker.
_NOT_OWN = re.compile(r"/(lib/python\d|lossproof/(adapters|core|functions|targets)/)|<frozen")
# Of what was printed last, so many characters are said.
_WORDS = 240
_PRINTED = 1 << 14
_QUOTED = 80
_FAREWELL = 2.0
# A process that hangs on a machine that is busier than this waits no longer.
MOST_CROWDED = 8.0


class Fault(Exception):  # noqa: N818 (an answer of the process, not a fault of the suite)
    """A fault is a process that gave no answer: ``kind`` is ``crash``, ``timeout`` or ``resource``.

    ``alone`` says that it was the first call that the process was asked; ``code`` is the exit code of one that ended by
    itself.
    """

    def __init__(self, kind: str, reason: str, tail: str = "", *, alone: bool = False, code: int | None = None) -> None:
        super().__init__(reason + (f"; its last words: {tail}" if tail else ""))
        self.kind = kind
        self.reason = reason
        self.tail = tail
        self.alone = alone
        self.code = code


class Process:
    """A process is a worker and the conversation with it, in which requests are answered in order."""

    def __init__(self, launch: Launch, limits: Processes) -> None:
        self.limits = limits
        self.asked = 0
        self._heard = self._came = 0
        self._reader = wire.Reader()
        self._stderr = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it lives as long as the process)
        fcntl.fcntl(self._stderr, fcntl.F_SETFL, fcntl.fcntl(self._stderr, fcntl.F_GETFL) | os.O_APPEND)
        self._process = subprocess.Popen(
            launch.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(launch.variables),
            # An interrupt at the terminal is for the engine, which then ends its workers; and so are its children.
            start_new_session=True,
            bufsize=0,
        )
        # sanity check: both are pipes
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._in, self._out):
            os.set_blocking(pipe, False)
            _widen(pipe)

    def hello(self) -> wire.Message:
        """Wait for the message that the worker sends when its framework is there. Raises :class:`Fault` where none
        comes, which quotes what came in its place."""
        try:
            return next(self._exchange([b""]))
        except Fault as fault:
            text = " ".join(self._reader.greeting.decode("utf-8", "replace").split())[:_QUOTED]
            if not text:
                raise
            reason = f"{fault.reason}; it said no hello, and wrote on standard output {text!r}"
            raise Fault(fault.kind, reason, fault.tail, alone=fault.alone, code=fault.code) from None

    def ask(self, requests: Sequence[bytes]) -> Generator[wire.Message, None, None]:
        """Send requests, all at once or as the worker reads them, and give the replies as they come.

        Raises :class:`Fault` instead of the reply that does not come; the process has ended then.
        """
        yield from self._exchange(requests)

    def _exchange(self, requests: Sequence[bytes]) -> Iterator[wire.Message]:
        out, wanted, first = memoryview(b"".join(requests)), len(requests), self.asked == 0
        self.asked += len(requests) if out else 0
        began = looked = time.monotonic()
        ready = select.poll()
        ready.register(self._out, select.POLLIN)
        if out:
            # There is room for most requests, and nobody has to say so.
            out = self._write(out)
        if out:
            ready.register(self._in, select.POLLOUT)
        try:
            while wanted:
                ends = [end for end, _ in ready.poll(1000 * _TICK)]
                if self._in in ends:
                    out, began = self._write(out), time.monotonic()
                    if not out:
                        ready.unregister(self._in)
                if self._out in ends:
                    more = self._read()
                    for message in self._messages(first):
                        wanted, first, began = wanted - 1, False, time.monotonic()
                        self._heard = self._printed()
                        yield message
                    if wanted and not more:
                        raise self._ended(first)
                now = time.monotonic()
                if wanted and now - looked > _TICK:
                    looked = now
                    self._watch(now - began, first)
        finally:
            if wanted:
                # Replies that nobody takes now would be taken for others later.
                self.kill()

    def _messages(self, first: bool) -> Iterator[wire.Message]:
        try:
            yield from self._reader.messages()
        except wire.WireError as error:
            raise Fault("crash", f"its answer cannot be read: {error}", self._tail(), alone=first) from None

    def _write(self, out: memoryview) -> memoryview:
        try:
            return out[os.write(self._in, out[:_CHUNK]) :]
        except BlockingIOError:
            return out
        except BrokenPipeError:
            # The other end says why.
            return out[:0]

    def _read(self) -> bool:
        try:
            data = os.read(self._out, wire.read_size(self._came))
        except BlockingIOError:
            return True
        self._came = len(data)
        self._reader.feed(data)
        return bool(data)

    def _watch(self, seconds: float, first: bool) -> None:
        """The limits: time for a call, resident memory; and whether the process is there."""
        if self._printed() > _MOST_STDERR:
            os.ftruncate(self._stderr.fileno(), 0)
            self._heard = 0
        limits, used = self.limits, resident_memory(self._process.pid)
        if used > limits.most_memory:
            self.kill()
            text = (
                f"resident memory of {used / 2**30:.2f} GiB is beyond the limit of {limits.most_memory / 2**30:.2f} GiB"
            )
            raise Fault("resource", text, self._tail(), alone=first)
        # The import of a framework takes seconds, however short its calls are to be.
        longest = limits.timeout if self.asked else max(limits.timeout, limits.start)
        if seconds > longest and seconds > longest * crowding():
            self.kill()
            raise Fault("timeout", f"no answer within {longest:g} s", self._tail(), alone=first)
        # A child that inherited the pipe keeps it open when the process is gone.
        if self._process.poll() is not None and not self._readable():
            raise self._ended(first)

    def _readable(self) -> bool:
        ready = select.poll()
        ready.register(self._out, select.POLLIN)
        return bool(ready.poll(0))

    def _ended(self, first: bool) -> Fault:
        try:
            code = self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            self.kill()
            return Fault("crash", "the process closed its output", self._tail(), alone=first)
        self.kill()
        if code >= 0:
            return Fault("crash", f"the process ended with exit code {code}", self._tail(), alone=first, code=code)
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return Fault("crash", f"the process died of {name}", self._tail(), alone=first)

    def _tail(self) -> str:
        """The gist of what was printed since the last answer."""
        start = max(0, self._heard, self._printed() - _PRINTED)
        return last_words(os.pread(self._stderr.fileno(), _PRINTED, start).decode("utf-8", "replace"))

    def _printed(self) -> int:
        return os.fstat(self._stderr.fileno()).st_size

    def processor_seconds(self) -> float:
        """Return the processor seconds that it has taken so far; 0 where nothing says so."""
        return processor_seconds(self._process.pid)

    def kill(self) -> None:
        """End the process and its children at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process with a bye, and without waiting for long."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.write(self._in, wire.pack({"kind": "bye"}))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_FAREWELL)
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            # sanity check: all three were opened
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


def _widen(pipe: int) -> None:
    """Make room in a pipe, where the system has a size for it: a large array goes through in fewer turns."""
    # Other systems have no such setting, and this one lends no user more than so much of them all.
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK)


def last_words(printed: str) -> str:
    """Return the gist of what a process printed before its end: the last lines, or of a fatal error what was said just
    before it, its name, and the line that it was at, in somebody's own code if there is any."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    fatal = next((i for i, line in reversed([*enumerate(lines)]) if "Fatal Python error" in line), None)
    if fatal is not None:
        places = [line for line in lines[fatal:] if line.startswith("File ")]
        own = [place for place in places if not _NOT_OWN.search(place)]
        lines = [*lines[max(0, fatal - 1) : fatal + 1], *(own or places)[:1]]
    text = " ".join(" ".join(lines).split())
    return text if len(text) <= _WORDS else f"...{text[3 - _WORDS :]}"


def crowding() -> float:
    """Return how many processes there are for a core, by the load of the last minute, at least 1 and at most
    ``MOST_CROWDED``: the time that a call may take is for a process that has a core to itself."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        return 1.0
    return min(max(1.0, load / (os.cpu_count() or 1)), MOST_CROWDED)


def resident_memory(pid: int) -> int:
    """Return the bytes of resident memory of a process; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        pass
    if os.path.isdir("/proc/self"):
        return 0
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or 0) * 1024


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process and of its children that have ended; 0 where nothing says so."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the program, in parentheses, may hold anything.
            taken = file.read().rpartition(b")")[2].split()[11:15]
        return sum(map(int, taken)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0
