"""A command as a target: ``exec:COMMAND`` starts any program that speaks what docs/adapter-protocol.md says.

The command is taken apart as a shell does, and no shell runs it. What looks like a mode, a device or a variable at its
end is one, unless it is quoted.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files

from lossproof.core.errors import UsageError

SCHEME = "exec:"
EXPECTED = (
    "expected exec:COMMAND[+MODE][:DEVICE][%VARIABLE=VALUE...], such as 'exec:node my_adapter.mjs'; quote words of the "
    "command that hold + : % or spaces"
)
# Quoted words are whole, so that nothing in them is taken for the end of the command.
_COMMAND = r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^'"\\])+?"""
COMMAND_FORM = re.compile(
    rf"(?P<name>exec:{_COMMAND})(\+(?P<mode>[\w-]+))?(:(?P<device>[a-z]+(:\d+)?))?"
    r"(?P<variables>(%[A-Za-z_]\w*=[^%]*)+)?",
    re.DOTALL,
)

# Programs that come with lossproof, by the names of their targets: what starts each, and its file.
_PROGRAMS = {name: ("node", f"javascript/{name}.mjs") for name in ("tfjs", "onnxruntime_node", "onnxruntime_web")}


def own_programs() -> dict[str, str]:
    """Return the commands that have names of their own, ``exec:COMMAND`` each."""
    folder = files("lossproof.adapters")
    return {name: SCHEME + shlex.join([start, str(folder / file)]) for name, (start, file) in _PROGRAMS.items()}


def words(text: str) -> list[str]:
    """Return the words of ``exec:COMMAND``. Raises :class:`UsageError` where there are none or a quote is left open."""
    try:
        found = shlex.split(text.removeprefix(SCHEME))
    except ValueError as error:
        raise UsageError(f"cannot read the command of target {text!r} ({error}); {EXPECTED}") from None
    if not found:
        raise UsageError(f"target {text!r} has no command; {EXPECTED}")
    return found


def check_program(text: str, given: Sequence[str], variables: Mapping[str, str]) -> None:
    """Check that the program of a command is there. Raises :class:`UsageError` where it is not.

    ``text`` is the target string, ``given`` the words of its command, ``variables`` those of its process.
    """
    program = given[0]
    if shutil.which(program, path=variables.get("PATH")) is None:
        where = "is no program that can be started" if "/" in program else "is not on PATH"
        raise UsageError(f"target {text!r}: {program} {where}; expected a command and its arguments after exec:")
