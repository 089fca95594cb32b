"""Kept calls are files of one JSON object each: what exploration finds becomes a case of every later run.

``pytest --pyargs lossproof.suite --lossproof-to DIR`` writes what it finds to a folder, ``--lossproof-calls DIR`` and
``lossproof run --calls DIR`` judge what is there along with the deck.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lossproof.core.call import Call, from_json
from lossproof.core.errors import UsageError
from lossproof.core.json_text import parsed_json
from lossproof.core.operations import validate


def save(call: Call, folder: str | Path) -> Path:
    """Write a call into a folder, in a file named after its id. Raises :class:`UsageError` where that fails."""
    path = Path(folder) / (call.id.replace("/", "-") + ".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(call.to_json(), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def read_call(path: str | Path) -> Call:
    """Read the call in a file. Raises :class:`UsageError` if there is none, or one that is not valid."""
    try:
        data = parsed_json(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read a call from {path}: {getattr(error, 'strerror', None) or error}") from None
    return checked_call(data, str(path))


def checked_call(data: object, source: str) -> Call:
    """Return the call that a JSON value is. Raises :class:`UsageError` naming the source."""
    if not isinstance(data, dict):
        raise UsageError(f"{source} holds no call; expected the JSON object that lossproof writes")
    try:
        call = from_json(data)
        validate(call.problem)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        # A field has a value of another type than any call.
        raise UsageError(f"{source}: not a call: {type(error).__name__} {error}") from None
    return call


def load_calls(paths: Iterable[str | Path]) -> list[Call]:
    """Load the calls of files, and of all ``*.json`` in folders, each once, in the order of their names.

    Raises :class:`UsageError` for a folder without any, and for the first file that holds no valid call.
    """
    by_id = {call.id: call for path in paths for call in map(read_call, _files(Path(path)))}
    return list(by_id.values())


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(path.glob("*.json"))
    if not found:
        raise UsageError(f"no call in {path}; expected *.json files with one call each")
    yield from found


def along(deck: Iterable[Call], kept: Iterable[Call]) -> list[Call]:
    """Append the kept calls that a deck does not have to it."""
    calls = list(deck)
    known = {call.id for call in calls}
    return calls + [call for call in kept if call.id not in known]
