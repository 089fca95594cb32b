"""Standard streams whose reader may go away (``| head``): that costs no verdict, and is no finding."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from typing import TextIO

import click

# How errors of an encoding are handled where Python escapes bytes of names of files, as in the locale C.
_ESCAPED = "lossproof-escaped"


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write bytes that Python has escaped as they were, and anything else that the encoding lacks escaped."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(_ESCAPED, _escaped)


class CannotPrintError(OSError):
    """Standard output cannot be written: the disk is full, say."""


class Output(io.FileIO):
    """A stream of bytes that goes on without its reader.

    Where the command that runs is one of the ``listing`` ones, which say nothing by their exit code, the process ends
    instead: nobody wants the rest.
    """

    def __init__(self, descriptor: int, listing: Collection[str]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._listing = listing

    def write(self, data: object) -> int:
        """Write bytes and return their number, also where nobody reads them.

        Raises :class:`CannotPrintError` for another reason not to write them, once.
        """
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            # What is left in the buffers has nowhere to go, and would be tried again at the end of the process.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if not isinstance(error, BrokenPipeError):
                raise CannotPrintError(error.errno, error.strerror) from None
        context = click.get_current_context(silent=True)
        if context is not None and context.command_path in self._listing:
            sys.exit(0)
        return memoryview(data).nbytes  # type: ignore[arg-type]


def without_reader(stream: TextIO, listing: Collection[str] = ()) -> TextIO:
    """The stream that a command writes to in place of a standard one; that one itself where it is no file."""
    try:
        descriptor, errors = stream.fileno(), stream.errors
    except (OSError, ValueError, AttributeError):
        return stream
    at_once = bool(getattr(stream, "write_through", False))
    buffered = io.BufferedWriter(Output(descriptor, listing))
    # What a terminal's encoding lacks is printed escaped: a traceback would say less.
    shown = {"strict": "backslashreplace", "surrogateescape": _ESCAPED}.get(errors or "", errors)
    return io.TextIOWrapper(
        buffered, stream.encoding, shown, line_buffering=stream.isatty() or at_once, write_through=at_once
    )
