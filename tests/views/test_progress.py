"""Progress: the first line comes before the work, silence is short, and the count ends where the run does."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from threading import Event

import pytest
from rich.console import Console

from lossproof import __version__
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import Capabilities
from lossproof.cases.catalogue import select
from lossproof.core.case_id import CONVENTION
from lossproof.core.observation import Observation
from lossproof.judging.fused import compiler
from lossproof.records.waivers import Book
from lossproof.running.session import Ended, Live, Session
from lossproof.running.session_options import DeckOptions
from lossproof.running.summary import Summary
from lossproof.targets.target import Target
from lossproof.views import progress
from lossproof.views.progress import Lines, _beat
from tests.support.views import lossproof

SMALL = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32")
PASSED = Observation("softmax/float32/hot/n2-k4/01234567", "value", "numpy", "pass", 0.5)


class Told(Lines):
    """Lines on a clock that stands still until it is moved, with the second at which each was said."""

    def __init__(self) -> None:
        self.second = 0.0
        self.lines: list[tuple[float, str]] = []
        super().__init__(lambda text: self.lines.append((self.second, text)), lambda: self.second)


def test_a_stage_is_said_at_once() -> None:
    told = Told()
    told.stage("starting numpy")
    assert told.lines == [(0.0, "starting numpy")]


@pytest.mark.parametrize(("until", "most"), [(60, 6), (1000, 11)])
@pytest.mark.parametrize("every", [1, 7, 10**6])
def test_silence_is_short_however_seldom_answers_come(until: int, most: int, every: int) -> None:
    told = Told()
    told.stage("starting numpy")
    told.expect(10**6)
    for second in range(1, until):
        told.second = second
        told.tick()
        if second % every == 0:
            told.add(PASSED)
    seconds = [second for second, _ in told.lines]
    assert max(b - a for a, b in pairwise([*seconds, until])) <= most
    # It is a line now and then, whatever comes.
    assert min(b - a for a, b in pairwise(seconds)) >= 5
    at = told.lines[-1][1]
    assert re.match(r"\d+/1000000 outputs judged, 0 failed" if told.done else r"starting numpy \(\d+ s\)", at)


def test_lines_say_how_long_it_will_take() -> None:
    told = Told()
    told.stage("starting numpy")
    told.expect(4)
    told.second = 6.0
    told.add(PASSED)
    assert told.lines[-1][1].endswith(" (6 s, about 18 s left)")
    for told.second in (7.0, 8.0, 12.0):
        told.add(PASSED)
    assert told.lines[-1][1].endswith(" (12 s)")


def test_the_heart_beats_until_it_is_over() -> None:
    class Over(Event):
        beats = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.beats += 1
            return self.beats > 12

    told, over = Told(), Over()
    told.stage("starting numpy")
    told.second = 5.0
    _beat(told, over)
    assert over.beats == 13
    assert told.lines == [(0.0, "starting numpy"), (5.0, "starting numpy (5 s)")]


def test_the_first_line_says_what_starts_and_the_last_has_the_number_of_the_run() -> None:
    result = lossproof("run", "numpy", *SMALL)
    # Without what a busy machine says again, with the seconds so far.
    said = [line for line in result.stderr.splitlines() if not re.search(r"\(\d+ s[,)]", line)]
    first, second, *_, last = said
    assert first == f"lossproof {__version__}: starting numpy; the smoke deck is drawn"
    assert re.fullmatch(r"\d+ calls for numpy", second)
    (outputs,) = re.findall(r"numpy: (\d+) outputs", result.stdout.splitlines()[-1])
    assert last == f"{outputs}/{outputs} outputs judged, 0 failed"
    assert lossproof("run", "numpy", *SMALL, "--quiet").stderr == ""


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_a_run_that_compiles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing is judged for long, and nobody knows why."""
    told = "the judge is compiled first, once for this version: some twenty seconds"
    monkeypatch.setattr(compiler, "is_still_to_compile", lambda: False)
    here = (*SMALL, "--in-process", "--family", "ordinary")
    assert told not in lossproof("run", "numpy", *here).stderr
    monkeypatch.setattr(compiler, "is_still_to_compile", lambda: True)
    assert told in lossproof("run", "numpy", *here).stderr


def test_on_a_terminal_a_bar_shows_what_is_judged_and_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    written = StringIO()
    screen = Console(file=written, force_terminal=True, width=100, color_system="standard", legacy_windows=False)
    monkeypatch.setattr(progress, "console", lambda *, stderr: screen if stderr else None)

    def line(bar: progress._LiveBar) -> str:
        bar.bar.refresh()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|━|╺|╸", "", written.getvalue().rpartition("\r")[2]).strip()

    with progress.progress() as bar:
        assert isinstance(bar, progress._LiveBar)
        bar.stage("starting [numpy]")
        assert re.match(r"starting \[numpy\] +0/\? ", line(bar))
        bar.expect(2)
        bar.add(PASSED)
        assert re.match(r"numpy softmax float32 +1/2 +0:00:0", line(bar))
        bar.add(replace(PASSED, verdict="fail"))
        assert re.match(r"numpy softmax float32 +2/2 1 failed 0:00:0", line(bar))
        # Conclusions are none of what was expected, and of checks fewer may come than that.
        bar.add(PASSED)
        assert " 3/3 1 failed " in line(bar)
        bar.expect(9)
        assert " 3/9 1 failed " in line(bar)
        before = len(written.getvalue())
        bar.close(Ended({}, Summary(), Book([], []), [], None))
        # What is shown last is what was judged; then the cursor is back, and the line is erased before tables come.
        after = written.getvalue()[before:]
        assert " 3/3 " in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", after)
        assert "\x1b[?25h" in after
        assert re.search(r"\x1b\[2K\W*$", after)


class Dear(NumpyAdapter):
    """One that is not given every call."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), compile_cost="dear")


def test_what_is_expected_is_what_is_judged() -> None:
    # An exception answers all outputs of a check at once.
    calls = [call for call in select("smoke", ops=["cross_entropy"], dtypes=["float32"]) if not call.is_check]
    targets = [Target(NumpyAdapter()), Target(Dear(), place="dear")]
    # sanity check: something is withheld from one of them
    assert any(not targets[1].takes(call.tier) for call in calls)
    deck = DeckOptions(size="smoke")
    session = Session(subjects=targets, calls=calls, deck=deck, book=Book([], targets), source=Live(targets, calls))
    seen = [o for o in session.source.observations() if o.case.family != CONVENTION]
    assert session.expected == len(seen)
    assert len({o.target for o in seen}) == 2
