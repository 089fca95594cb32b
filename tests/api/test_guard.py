"""A function that hangs is ended in this process, too, and nobody's alarm is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from lossproof.core.wrong_result import WrongResult
from lossproof.functions.guard import limited


@contextmanager
def alarms() -> Iterator[list[int]]:
    """The alarms of somebody else that have come; who runs the tests may have set one before, too."""
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before, left = signal.signal(signal.SIGALRM, hear), signal.getitimer(signal.ITIMER_REAL)
    try:
        yield heard
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


def endless() -> None:
    while True:
        pass


def test_a_later_alarm_goes_on() -> None:
    with alarms() as heard:
        signal.setitimer(signal.ITIMER_REAL, 3600.0)
        with pytest.raises(WrongResult, match=r"f gives no answer within 0\.1 s"), limited(0.1, "f"):
            endless()
        assert 3500 < signal.getitimer(signal.ITIMER_REAL)[0] < 3600
        with limited(5.0, "f"):
            pass
        assert 3500 < signal.getitimer(signal.ITIMER_REAL)[0] < 3600
        assert not heard


def test_one_that_comes_sooner_is_left_alone() -> None:
    with alarms() as heard:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with limited(60.0, "f"):
            while not heard:
                pass
        assert heard == [signal.SIGALRM]


def test_without_one_there_is_none_afterwards() -> None:
    with alarms() as heard:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        with pytest.raises(WrongResult), limited(0.1, "f"):
            endless()
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert not heard
