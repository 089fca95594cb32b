"""The compiler of loops, where there is one: Numba, an extra."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from string import hexdigits
from typing import Any, ParamSpec, TypeVar

from lossproof.judging.fused import machine_code
from lossproof.targets.launch import cache_folder

P = ParamSpec("P")
R = TypeVar("R")
# Set to 0, everything is computed with arrays.
SWITCH = "LOSSPROOF_COMPILED"
# Where compiled loops take what they call from.
_ROOMS = ("core", "truth", "judging")
# What the judge calls: their machine code is kept.
LOOPS = ("judge_softmax_rows", "judge_cross_entropy_rows", "judge_nll_rows")
# Folders of compiled loops that are kept: several versions on one machine do not compile in turns.
_KEPT = 8
# Of a digest of the sources, in hexadecimal.
_DIGITS = 16
# What is compiled in this process, by name: machine code lives as long as what has compiled it.
_ALIVE: dict[str, Any] = {}


@cache
def is_available() -> bool:
    """Say whether loops can be compiled here: Numba is installed and not switched off."""
    return not missing()


@cache
def missing() -> str:
    """Say why loops are not compiled here; empty if they are."""
    if os.environ.get(SWITCH, "1") == "0":
        return f"{SWITCH}=0"
    if kept():
        return ""
    try:
        numba: Any = import_module("numba")
    except ImportError as error:
        # It may be there and refuse a newer NumPy.
        return "numba is not installed" if error.name == "numba" else str(error)
    # Its own switch, with which it hands back what it is given.
    return "NUMBA_DISABLE_JIT=1" if numba.config.DISABLE_JIT else ""


@cache
def kept() -> Mapping[str, int]:
    """The addresses of all loops, by name, where their machine code is kept; nothing where any of it is not."""
    try:
        return machine_code.link(folder(), LOOPS)
    except OSError:
        return {}


def is_still_to_compile() -> bool:
    """Say whether a loop is neither kept so that it can be linked nor compiled in this process: it will take its time
    when it is called."""
    if missing() or kept():
        return False
    with contextlib.suppress(OSError):
        return any(not (name in _ALIVE or machine_code.link(folder(), (name,))) for name in LOOPS)
    return True


def compiled(f: Callable[P, R]) -> Callable[P, R]:
    """Compile what a loop calls, a function of scalars and arrays, when a loop is compiled that calls it.

    IEEE arithmetic as written: no reassociation, no fused multiply-add. Without a compiler, and where the machine code
    of the loops is kept, it stays a Python function.
    """
    if not is_available() or kept():
        return f
    made: Callable[P, R] = import_module("numba").njit(error_model="numpy")(f)
    return made


def loop(*signature: machine_code.Parameter) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a function of numbers and arrays a loop that is compiled when it is first called, and kept on disk.

    ``signature`` is what it takes, parameter for parameter; it makes no arrays. Without a compiler it stays a Python
    function.
    """

    def of(f: Callable[P, None]) -> Callable[P, None]:
        # sanity check: what is linked together is kept together
        assert f.__name__ in LOOPS

        @cache
        def ready() -> Callable[P, None]:
            if not is_available():
                return f
            known = kept() or machine_code.link(folder(), (f.__name__,))
            if known:
                return machine_code.caller(known[f.__name__], signature)
            made = machine_code.compile_loop(compiled(f), signature)
            _ALIVE[f.__name__] = made
            # No folder to write to: it is compiled in every run.
            with contextlib.suppress(OSError):
                machine_code.keep(folder(), f.__name__, made)
            return machine_code.caller(made.address, signature)

        @functools.wraps(f)
        def call(*arguments: P.args, **named: P.kwargs) -> None:
            ready()(*arguments, **named)

        return call

    return of


def folders() -> Path:
    """The folder that has one folder for each version of the sources."""
    return cache_folder() / "compiled"


@cache
def folder() -> Path:
    """The folder for what is compiled from the sources as they are.

    Folders of other sources that nobody has used for longest are deleted; those of compilers of frameworks, which lie
    beside them, are not. Raises OSError where it cannot be made.
    """
    root, h = Path(str(files("lossproof"))), hashlib.sha256()
    for path in sorted(p for room in _ROOMS for p in (root / room).rglob("*.py")):
        h.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    made = folders() / h.hexdigest()[:_DIGITS]
    is_new = not made.is_dir()
    made.mkdir(parents=True, exist_ok=True)
    # Another process may do the same.
    with contextlib.suppress(OSError):
        os.utime(made)
        mine = [p for p in folders().iterdir() if len(p.name) == _DIGITS and set(p.name) <= set(hexdigits)]
        for old in sorted(mine, key=lambda p: p.stat().st_mtime)[:-_KEPT] if is_new else ():
            shutil.rmtree(old, ignore_errors=True)
    return made


def forget() -> int:
    """Delete what was compiled, of all versions; the bytes that it had."""
    size = sum(path.stat().st_size for path in folders().rglob("*") if path.is_file())
    shutil.rmtree(folders(), ignore_errors=True)
    return size
