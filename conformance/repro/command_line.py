"""The command lines that reports print."""

from __future__ import annotations

import shlex


def command(id: str, target: str, **options: object) -> str:
    """The command line that writes the program of a case; options at their defaults are left out."""
    words = ["lossproof", "repro"]
    given = options.pop("call_file", None)
    words += ["--call", str(given)] if given else [id]
    words += ["--target", target]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value and value != "default":
            words += [f"--{name}", str(value)]
    return shlex.join(words)
