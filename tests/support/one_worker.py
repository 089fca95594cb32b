"""A pytest plugin for several workers: files of tests that look at whole decks go to one of them, which draws each deck
once. All other files go where there is time, each as a whole (``--dist loadfile``). They collect by turns."""

from __future__ import annotations

import fcntl
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import decks

_DRAWN_BY = decks.__name__
_TOGETHER = "files that look at whole decks"


@functools.cache
def scope(file: str) -> str:
    """What a file of tests, by its path, stays together with."""
    path = Path(file)
    return _TOGETHER if path.is_file() and _DRAWN_BY in path.read_text("utf-8") else file


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """A worker waits for the one that collects: that one rewrites the assertions of all tests, which takes longer than
    to import them, and all others read what it has written."""
    if not hasattr(session.config, "workerinput"):
        return (yield)
    with open(__file__, "rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Return the scheduler of files, with that."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist is not where types are checked
        def _split_scope(self, nodeid: str) -> str:
            return scope(str(config.rootpath / super()._split_scope(nodeid)))

    return Scheduling(config, log)
