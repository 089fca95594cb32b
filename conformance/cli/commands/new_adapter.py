"""``lossproof new-adapter``: the package of a new adapter, which passes its own test as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.functions.adapter_package import ADAPTER_TEXTS, package_files
from lossproof.targets.target import known

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def new_adapter_command(name: str, *, framework: str, folder: str | None) -> int:
    """Write the package, and say what to do with it."""
    known_names("framework", [framework], list(ADAPTER_TEXTS))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an adapter; expected small letters, digits and single underscores")
    if name in known():
        raise UsageError(f"there is an adapter {name} already; choose another name")
    root = Path(folder or f"lossproof-{name.replace('_', '-')}")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists; name another folder with --folder")
    try:
        for place, text in package_files(name, framework).items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {root}: {error.strerror}") from None
    click.echo(f"{root} has an adapter with a softmax that is to be replaced, in lossproof_{name}.py")
    click.echo(f"try it: cd {root} && python -m pytest && lossproof run lossproof_{name}.py:ADAPTER --deck smoke")
    return 0
