"""Values that the tab key completes after an option or as an argument: files, folders, and the words that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click
from click.shell_completion import CompletionItem

_FILE, _FOLDER = "file", "dir"
# By what the help calls a value, by an option, or by an argument's name.
_PATHS: Mapping[str, str] = {
    **dict.fromkeys(("FILE", "PATH", "A", "B", "RECORD...", "RECORD [RECORD]", "FILE.py:FUNCTION"), _FILE),
    **dict.fromkeys(("record", "shards", "answers"), _FILE),
    **dict.fromkeys(("FOLDER", "DIR", "folder"), _FOLDER),
}


class _Completed(click.types.StringParamType):
    """A text: the beginnings of some ``words`` are completed here, those of a ``path`` by the shell."""

    name = "text"

    def __init__(self, words: Callable[[], Iterable[str]], path: str = "") -> None:
        self.words, self.path = words, path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """List what a beginning may become."""
        found = [CompletionItem(word) for word in self.words() if word.startswith(incomplete)]
        if found or not self.path:
            return found
        return [CompletionItem(incomplete, type=self.path)]


def _nothing() -> Iterable[str]:
    return ()


def _targets() -> Iterable[str]:
    from lossproof.targets.target import known

    return known()


def _decks() -> Iterable[str]:
    from lossproof.cases.deck import DECKS

    return DECKS


def _ops() -> Iterable[str]:
    from lossproof.adapters.protocol import OPS

    return OPS


def _dtypes() -> Iterable[str]:
    from lossproof.adapters.protocol import DTYPES

    return DTYPES


def _sweeps() -> Iterable[str]:
    from lossproof.cases.sweeps.chunks import KINDS

    return KINDS


_TARGET = _Completed(_targets, _FILE)
_WORDS: Mapping[str, _Completed] = {
    "target": _TARGET,
    "adapter": _Completed(_targets),
    "TARGET": _TARGET,
    "--deck": _Completed(_decks),
    "--op": _Completed(_ops),
    "--dtype": _Completed(_dtypes),
    "--kind": _Completed(_sweeps),
}


def add_completed_values(group: click.Group) -> None:
    """Let the values of every command of a group be completed, where something is known of them."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            add_completed_values(command)
        for param in command.params:
            if param.type is click.STRING:
                param.type = _completed(param) or param.type


def _completed(param: click.Parameter) -> _Completed | None:
    names = [param.metavar or "", *(param.opts if isinstance(param, click.Option) else [param.name or ""])]
    words = next((_WORDS[name] for name in names if name in _WORDS), None)
    path = next((_PATHS[name] for name in names if name in _PATHS), "")
    return words or (_Completed(_nothing, path) if path else None)
