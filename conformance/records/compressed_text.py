"""Text files that are compressed or not, by their suffix: ``.gz`` always, ``.zst`` with the extra ``zstd``."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from pathlib import Path
from typing import IO, Any, cast

from lossproof.core.errors import UsageError

GZIP, ZSTD = ".gz", ".zst"
# A damaged gzip file is an OSError, or this; one that ends too early an EOFError.
_DAMAGED: tuple[type[Exception], ...] = (OSError, UnicodeDecodeError, zlib.error)


def is_compressed(path: str | Path) -> bool:
    """Tell whether a path has the suffix of a compressed file."""
    return Path(path).suffix in (GZIP, ZSTD)


def open_text(path: Path, mode: str) -> IO[str]:
    """Open a UTF-8 file of lines, ``mode`` r, w or a. Raises OSError, and :class:`UsageError` where zstd is missing.

    A byte order mark, as editors on Windows write it, is read over.
    """
    encoding = "utf-8-sig" if mode == "r" else "utf-8"
    if path.suffix == ZSTD:
        binary: IO[bytes] = _zstandard(path).open(path, f"{mode}b")
        return io.TextIOWrapper(binary, encoding=encoding, newline="\n")
    if path.suffix == GZIP:
        # The cast is for the type checker: a GzipFile has what a text layer needs.
        return io.TextIOWrapper(cast(IO[bytes], gzip.GzipFile(path, f"{mode}b", 6)), encoding=encoding, newline="\n")
    return path.open(mode, encoding=encoding, newline="\n")


def damaged() -> tuple[type[Exception], ...]:
    """List the exceptions that reading a damaged file may raise; one that is merely cut short raises EOFError."""
    try:
        return (*_DAMAGED, importlib.import_module("zstandard").ZstdError)
    except ImportError:
        return _DAMAGED


def _zstandard(path: Path) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise UsageError(f"{path} needs zstandard; pip install 'lossproof[zstd]', or use {GZIP}") from None
