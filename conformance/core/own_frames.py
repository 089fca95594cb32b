"""The part of a traceback that is the caller's own: neither lossproof's nor that of an installed package."""

from __future__ import annotations

import os
import traceback

# Before the place in the caller's code, among the notes of an exception.
PLACE = "at "
# A line of code that is longer is cut off in a note.
_LONGEST = 100
# Frames of a note.
_FRAMES = 5
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_FOREIGN = ("site-packages", "dist-packages", "<frozen", "<__array_function__", "/lib/python3", "<string>")


def note_place(error: BaseException) -> None:
    """Note on an exception, once, where in the caller's own code it was raised, and by whom that was called: a
    traceback in one line, innermost first, which travels with the message out of whatever process."""
    if any(note.startswith(PLACE) for note in getattr(error, "__notes__", ())):
        return
    frames = own_frames(error)
    if frames:
        error.add_note(PLACE + "; from ".join(_in_short(frame) for frame in frames[: -_FRAMES - 1 : -1]))


def _in_short(frame: traceback.FrameSummary) -> str:
    line = frame.line or ""
    shown = line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
    return f"{os.path.basename(frame.filename)}:{frame.lineno}, in {frame.name}: {shown}"


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of an exception's traceback that are neither lossproof's nor those of an installed package."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith(_HERE) and not any(part in f.filename for part in _FOREIGN)]
