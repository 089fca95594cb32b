"""Progress of a run, on standard error: a live bar on a terminal, lines of plain text elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.markup import escape

from lossproof.core.observation import Observation
from lossproof.records.waivers import fails
from lossproof.running.session import Ended
from lossproof.views.terminal import console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

# Seconds of silence at the beginning, and when it is clear that the run takes long.
_OFTEN, _LATER, _LONG = 5.0, 10.0, 60.0
_TICK = 1.0


class Progress(Protocol):
    """A sink that shows how far a session is, from before it is opened."""

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        ...

    def expect(self, total: int) -> None:
        """Say how many outputs will be judged at most, without the conclusions."""
        ...

    def add(self, o: Observation) -> None:
        """Hear of one observation."""
        ...

    def close(self, run: Ended) -> None:
        """Hear that the session is over."""
        ...


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show progress while the context lasts: a bar that is gone afterwards, or lines, which never pause for long.

    Continuous integration keeps a log, even where it forces colours (``FORCE_COLOR`` makes rich see a terminal).
    """
    out = console(stderr=True)
    if quiet:
        yield Lines(lambda text: None)
        return
    if not out.is_terminal or out.is_dumb_terminal or os.environ.get("CI"):
        lines = Lines(partial(_said, out))
        over = threading.Event()
        heart = threading.Thread(target=_beat, args=(lines, over), daemon=True)
        heart.start()
        try:
            yield lines
        finally:
            over.set()
            heart.join()
        return
    # Dear to import, and only here is it used.
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[bad]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=out, transient=True) as bar:
        yield _LiveBar(bar, bar.add_task("starting", total=None, bad=""))


def _said(out: Console, text: str) -> None:
    # Nobody reads it: that costs no verdict.
    with suppress(OSError):
        out.print(text, markup=False)


def _beat(lines: Lines, over: threading.Event) -> None:
    while not over.wait(_TICK):
        lines.tick()


@dataclass
class _LiveBar:
    """A live bar, which is gone when the session is over."""

    bar: Bar
    task: TaskID
    done: int = 0
    failed: int = 0
    total: int = 0

    def stage(self, text: str) -> None:
        """Show it as the bar's description."""
        self.bar.update(self.task, description=escape(text))

    def expect(self, total: int) -> None:
        """Give the bar its length."""
        self.total = total
        self.bar.update(self.task, total=total)

    def add(self, o: Observation) -> None:
        """Advance by one. Conclusions make the bar longer."""
        self.done += 1
        self.failed += fails(o)
        bad = f"[red]{self.failed} failed[/]" if self.failed else ""
        text = escape(f"{o.target} {o.case.op} {o.case.dtype}")
        self.bar.update(self.task, completed=self.done, total=max(self.total, self.done), description=text, bad=bad)

    def close(self, run: Ended) -> None:
        """Make room for the tables."""
        self.bar.update(self.task, total=self.done)
        self.bar.stop()


@dataclass
class Lines:
    """Lines of progress, given to ``say``: one for each stage, one now and then, and one at the end.

    Answers may be long in coming: :meth:`tick`, from another thread, says so. ``now`` is a clock in seconds.
    """

    say: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    total: int = 0
    _text: str = "starting"
    _start: float = field(init=False)
    _last: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._start = self._last = self.now()

    def stage(self, text: str) -> None:
        """Say it at once."""
        self._text = text
        with self._lock:
            self._print("")

    def expect(self, total: int) -> None:
        """Take note of it."""
        self.total = total

    def add(self, o: Observation) -> None:
        """Count it, and say so if that is due."""
        self.done += 1
        self.failed += fails(o)
        self.total = max(self.total, self.done)
        self._text = f"{self.done}/{self.total} outputs judged, {self.failed} failed, at {o.target} {o.id}"
        self.tick()

    def tick(self) -> None:
        """Say where the session is if nothing has been said for long."""
        now = self.now()
        if now - self._last < _OFTEN:
            return
        with self._lock:
            if now - self._last >= (_OFTEN if now - self._start < _LONG else _LATER):
                self._print(f" ({now - self._start:.0f} s{self._left(now - self._start)})")

    def _left(self, seconds: float) -> str:
        """How long it will take from here at the rate so far."""
        if not 0 < self.done < self.total:
            return ""
        return f", about {seconds / self.done * (self.total - self.done):.0f} s left"

    def close(self, run: Ended) -> None:
        """Say how many there were."""
        if self.done:
            # Of checks, and of targets that were lost, fewer may come than were expected.
            self._text = f"{self.done}/{self.done} outputs judged, {self.failed} failed"
            with self._lock:
                self._print("")

    def _print(self, more: str) -> None:
        self._last = self.now()
        self.say(f"{self._text}{more}")
