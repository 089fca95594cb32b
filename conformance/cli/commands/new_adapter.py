"""``lossproof new-adapter``: the files of a new adapter, which passes as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.functions.adapter_package import ADAPTER_TEXTS, javascript_files, package_files
from lossproof.targets.exec_command import own_programs
from lossproof.targets.target import known

_FRAMEWORK = "numpy"
# Of each language the main file, and what judges it.
_LANGUAGES = {
    "python": ("lossproof_{}.py", "python -m pytest && lossproof run lossproof_{}.py:ADAPTER"),
    "javascript": ("{}.mjs", 'lossproof run "exec:node {}.mjs"'),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def new_adapter_command(name: str, *, framework: str | None, language: str, folder: str | None) -> int:
    """Write the files, and say what to do with them."""
    known_names("language", [language], list(_LANGUAGES))
    known_names("framework", [framework or _FRAMEWORK], list(ADAPTER_TEXTS))
    if framework and language != "python":
        raise UsageError(f"--framework is one of Python's; leave it out with --language {language}")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an adapter; expected small letters, digits and single underscores")
    if name in known() or name in own_programs():
        raise UsageError(f"there is an adapter {name} already; choose another name")
    root = Path(folder or f"lossproof-{name.replace('_', '-')}")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists; name another folder with --folder")
    try:
        files = javascript_files(name) if language == "javascript" else package_files(name, framework or _FRAMEWORK)
        for place, text in files.items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {root}: {error.strerror}") from None
    main, tried = _LANGUAGES[language]
    click.echo(f"{root} has an adapter with a softmax that is to be replaced, in {main.format(name)}")
    click.echo(f"try it: cd {root} && {tried.format(name)} --deck smoke")
    return 0
