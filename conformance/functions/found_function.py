"""The function of a text, ``FILE.py:FUNCTION`` or ``module:FUNCTION``, imported."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from lossproof.adapters.local import from_file
from lossproof.core.case_id import nearest
from lossproof.core.errors import UsageError
from lossproof.core.own_frames import own_frames

_FORM = "FILE.py:FUNCTION or module:FUNCTION"


def found_function(text: str) -> Any:
    """Import a function. Raises :class:`UsageError` for a text that names none, with what there is in its place."""
    place, _, name = text.rpartition(":")
    if not place:
        if text.endswith(".py") and Path(text).is_file():
            raise UsageError(f"{text} is a file; expected {text}:FUNCTION, of {_listed(_imported(text))}")
        raise UsageError(f"{text!r} names no function; expected {_FORM}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{name!r} is no name of a function; expected {_FORM}")
    module = _imported(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            there = [n for n, _ in _functions(module)]
            near = nearest(name, there)
            raise UsageError(f"{place} has no {name}; " + (f"nearest: {near}" if near else f"it has {_listed(module)}"))
        found = getattr(found, part)
    return found


def op_of(text: str, op: str | None, function: Any = None) -> str:
    """Return the op that is given, or else the one that the function's name has in it, or that of its class.

    Raises :class:`UsageError` if it has none.
    """
    if op is not None:
        return op
    own = getattr(function, "__name__", "")
    for given in (text.rpartition(":")[2], own if isinstance(own, str) else "", type(function).__name__):
        name = given.lower().replace("_", "")
        for known, words in _WORDS.items():
            if any(word in name for word in words):
                return known
        if _CE.search(given):
            return "cross_entropy"
    raise UsageError(f"which op is {text.rpartition(':')[2]}? Say --op softmax, log_softmax, nll_loss or cross_entropy")


# A part of a name: fused_ce, FusedCE, ce_loss.
_CE = re.compile(r"(?:^|_)ce(?:_|$)|(?:^|(?<=[a-z\d_]))CE(?:Loss)?(?:$|_)|(?<=[a-z\d])Ce(?:Loss)?$")
# The longer words come first: what is a log_softmax has a softmax in its name.
_WORDS = {
    "cross_entropy": ("crossentropy", "xent"),
    "nll_loss": ("nll",),
    "log_softmax": ("logsoftmax",),
    "softmax": ("softmax",),
}


def _imported(place: str) -> ModuleType:
    if place.endswith(".py") and not Path(place).is_file():
        raise UsageError(f"there is no file {place}; expected {_FORM}")
    here = str(Path.cwd())
    if here not in sys.path:
        # As ``python -m`` does: modules of the folder are found, and the function's own process finds them, too.
        sys.path.append(here)
    try:
        module = from_file(place) if place.endswith(".py") else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and place.startswith(error.name):
            raise UsageError(f"there is no module {place}; expected {_FORM}") from None
        raise UsageError(f"{place} does not import: {error}") from None
    except Exception as error:
        frames = own_frames(error)
        where = f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
        raise UsageError(f"{place} does not import: {type(error).__name__}: {error}{where}") from None
    # sanity check: what is imported is a module
    assert isinstance(module, ModuleType)
    return module


def _functions(module: ModuleType) -> list[tuple[str, Any]]:
    """Functions and objects that can be called, those of the module itself."""
    return [
        (name, value)
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ] or [(name, value) for name, value in vars(module).items() if inspect.isroutine(value)]


def _listed(module: ModuleType) -> str:
    return ", ".join(name for name, _ in _functions(module)[:8]) or "no function"
