"""The compiler of loops, where there is one: Numba, an extra."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from string import hexdigits
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

from lossproof.targets.launch import cache_folder

P = ParamSpec("P")
R = TypeVar("R")
# Set to 0, everything is computed with arrays.
SWITCH = "LOSSPROOF_COMPILED"
# Where compiled loops take what they call from.
_ROOMS = ("core", "truth", "judging")
# Folders of compiled loops that are kept: several versions on one machine do not compile in turns.
_KEPT = 8
# Of a digest of the sources, in hexadecimal.
_DIGITS = 16


@cache
def is_available() -> bool:
    """Say whether loops can be compiled here: Numba is installed and not switched off."""
    return not missing()


@cache
def missing() -> str:
    """Say why loops are not compiled here; empty if they are."""
    if os.environ.get(SWITCH, "1") == "0":
        return f"{SWITCH}=0"
    try:
        import_module("numba")
    except ImportError as error:
        # It may be there and refuse a newer NumPy.
        return "numba is not installed" if error.name == "numba" else str(error)
    return ""


def compiled(f: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of scalars and arrays when it is first called, and keep the result on disk.

    IEEE arithmetic as written: no reassociation, no fused multiply-add. Without a compiler it stays a Python function.
    """
    if not is_available():
        return f
    numba: Any = import_module("numba")
    try:
        with _kept_in(numba.config, folder()):
            made: Callable[P, R] = numba.njit(cache=True, error_model="numpy")(_at_home(f))
        _name_by_key(made._cache._cache_file)  # type: ignore[attr-defined]
    except (RuntimeError, OSError):
        # No folder to write to: it is compiled in every run.
        made = numba.njit(error_model="numpy")(f)
    return made


def folders() -> Path:
    """The folder that has one folder for each version of the sources."""
    return cache_folder() / "compiled"


@cache
def folder() -> Path:
    """The folder for what is compiled from the sources as they are.

    Numba asks only whether the file of a function has changed, not what that function calls from other files. Folders
    of other sources that nobody has used for longest are deleted; those of compilers of frameworks, which lie beside
    them, are not. Raises OSError where it cannot be made.
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


def _at_home(f: Callable[P, R]) -> Callable[P, R]:
    """Return a function of the package as if its file were a copy of it beside what is kept; any other as it is.

    Numba finds what it has kept by the place and the time of a function's file. Several installations of the same
    sources on one machine so compile once. Raises OSError where the copy cannot be made.
    """
    # sanity check: what can be compiled is a Python function
    assert isinstance(f, FunctionType)
    try:
        place = Path(f.__code__.co_filename).relative_to(str(files("lossproof")))
    except ValueError:
        return f
    copy = folder() / "sources" / place
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=copy.parent, suffix=".tmp", delete=False) as new:
            new.write(Path(f.__code__.co_filename).read_bytes())
        # Another process may write the same: it has the same time, whoever is last.
        os.utime(new.name, (0, 0))
        os.replace(new.name, copy)
    code = f.__code__.replace(co_filename=str(copy))
    moved = FunctionType(code, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    moved.__kwdefaults__ = f.__kwdefaults__
    functools.update_wrapper(moved, f)
    del moved.__dict__["__wrapped__"]
    return cast(Callable[P, R], moved)


def _name_by_key(file: Any) -> None:
    """Make what keeps the compiled variants of one function name each by what it is compiled for, not by a number.

    Two processes that compile different variants at one time would give both the same number, and later ones would be
    handed the wrong of the two. With names that tell variants apart what is lost is a note in the index: it is compiled
    once more.
    """

    def save(key: Any, data: Any) -> None:
        variants = file._load_index()
        number = int(hashlib.sha256(repr(key).encode()).hexdigest()[:_DIGITS], 16)
        variants[key] = file._data_name(number)
        # Data first: what the index names is there.
        file._save_data(variants[key], data)
        file._save_index(variants)

    file.save = save


def forget() -> int:
    """Delete what was compiled, of all versions; the bytes that it had."""
    size = sum(path.stat().st_size for path in folders().rglob("*") if path.is_file())
    shutil.rmtree(folders(), ignore_errors=True)
    return size


@contextlib.contextmanager
def _kept_in(config: Any, place: Path) -> Iterator[None]:
    # Numba's own setting, which other code in this process may use, too.
    before = config.CACHE_DIR
    config.CACHE_DIR = str(place)
    try:
        yield
    finally:
        config.CACHE_DIR = before
