"""Standard error of native code, put aside while a file is imported: the greetings of libraries are no news."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def native_stderr_aside() -> Iterator[None]:
    """Keep what native code writes to standard error to itself, unless the block raises: then it is shown.

    What Python code writes through ``sys.stderr`` goes where it always goes. No variable of the environment is touched,
    and libraries that write before they read one are kept quiet, too.
    """
    try:
        sys.stderr.flush()
        outside = os.dup(_STDERR)
    except (OSError, AttributeError):
        # There is no standard error to keep quiet.
        yield
        return
    before = sys.stderr
    if _is_native(before):
        # It is not closed: handlers of logging that are made meanwhile keep it.
        sys.stderr = os.fdopen(os.dup(outside), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(outside, aside.read())
            raise
        finally:
            os.dup2(outside, _STDERR)
            os.close(outside)
            sys.stderr = before


def _is_native(stream: object) -> bool:
    """Tell whether a stream of Python writes to the standard error of the process."""
    try:
        return bool(stream.fileno() == _STDERR)  # type: ignore[attr-defined]
    except (OSError, AttributeError, ValueError):
        return False
