"""The command lines that reproducers and reports print, to be run again by the reader."""

from __future__ import annotations

import shlex


def command(id: str, target: str, **options: object) -> str:
    """Write the ``lossproof repro`` command that makes the program of a case; options at their defaults are left out.

    ``options`` bear the names of the command's, with underscores; ``call_file`` stands in the place of the id.
    """
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
