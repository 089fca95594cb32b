"""The store of judgements: one SQLite file of keys and texts that every run on a machine shares.

SQLite's log of writes (WAL) lets runs side by side read and write it without waiting for each other, and a process that
is killed leaves it whole. Each entry bears a checksum. Whatever goes wrong, a full disk or a damaged file, costs the
store and is no error of the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossproof.core.errors import UsageError

# Bytes of entries; those that were not used for longest go first, down to a part of it.
MOST_BYTES = 256 << 20
_LEFT = 0.8
_FORMAT = 1
# Entries to be written at once, and the seconds that another process may keep the file.
_BATCH, _WAIT = 4096, 2.0
_MOST_NAMES = 500
_DAY = 86400
_TABLE = "create table entry (key blob primary key, text text, mark blob, day integer) without rowid"


@dataclass(frozen=True)
class Usage:
    """The use of a store: its file, how many entries it has, their bytes on disk, and when the oldest was last used, in
    seconds since 1970 (0 where there is none)."""

    path: Path
    entries: int
    bytes: int
    oldest: float


class JudgementStore:
    """Texts by key. Where the file cannot be opened, read or written, it is empty, and ``trouble`` says why.

    ``limit`` is the most bytes that it keeps.
    """

    def __init__(self, path: Path, *, limit: int = MOST_BYTES) -> None:
        self.path, self.trouble = path, ""
        self._limit = limit
        self._today = int(time.time() // _DAY)
        self._new: dict[bytes, str] = {}
        self._used: set[bytes] = set()
        self._file: sqlite3.Connection | None = None
        with self._guarded():
            self._file = self._opened()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The texts of those keys that there are."""
        found = {key: self._new[key] for key in keys if key in self._new}
        with self._guarded():
            for start in range(0, len(keys) if self._file else 0, _MOST_NAMES):
                found |= self._read(keys[start : start + _MOST_NAMES])
        return found

    def put(self, key: bytes, text: str) -> None:
        """Keep a text, in memory until enough have come."""
        if self._file is not None:
            self._new[key] = text
            if len(self._new) >= _BATCH:
                self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        new, used = self._new, self._used
        self._new, self._used = {}, set()
        if self._file is None or (not new and not used):
            return
        with self._guarded(), _transaction(self._file) as file:
            rows = [(key, text, _mark(key, text), self._today) for key, text in new.items()]
            file.executemany("insert or replace into entry values (?, ?, ?, ?)", rows)
            file.executemany("update entry set day = ? where key = ?", [(self._today, key) for key in used])

    def close(self) -> None:
        """Write what is in memory, and make room if there is too much."""
        self.flush()
        with self._guarded():
            if self._file is not None:
                self._shrink(self._file)
        self._let_go()

    def usage(self) -> Usage:
        """Count the entries."""
        n, day = 0, None
        with self._guarded():
            if self._file is not None:
                n, day = self._file.execute("select count(*), min(day) from entry").fetchone()
        return Usage(self.path, n, sum(_size(p) for p in _files(self.path)), (day or 0) * _DAY)

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            if file.execute("pragma user_version").fetchone()[0] != _FORMAT:
                file.execute("pragma auto_vacuum = incremental")
                file.execute("pragma journal_mode = wal")
                with _transaction(file):
                    # Another process may have been quicker.
                    if file.execute("pragma user_version").fetchone()[0] != _FORMAT:
                        file.execute("drop table if exists entry")
                        file.execute(_TABLE)
                        file.execute(f"pragma user_version = {_FORMAT}")
            file.execute("pragma synchronous = normal")
        except BaseException:
            file.close()
            raise
        return file

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        # sanity check: asked only with a file
        assert self._file is not None
        marks = ",".join("?" * len(keys))
        found = {}
        for key, text, mark, day in self._file.execute(f"select * from entry where key in ({marks})", list(keys)):
            # What is damaged is written again.
            if isinstance(text, str) and mark == _mark(key, text):
                found[key] = text
                if day < self._today:
                    self._used.add(key)
        return found

    def _shrink(self, file: sqlite3.Connection) -> None:
        pages, free, size = (
            file.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size <= self._limit:
            return
        n = file.execute("select count(*) from entry").fetchone()[0]
        gone = n - int(n * _LEFT * self._limit / ((pages - free) * size))
        with _transaction(file):
            file.execute("delete from entry where key in (select key from entry order by day limit ?)", (gone,))
        # One step of it frees one page; a script is stepped through.
        file.executescript("pragma incremental_vacuum")
        file.execute("pragma wal_checkpoint(truncate)").fetchall()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let go of a file that makes trouble, and of the file itself where it is damaged."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:
            self.trouble = self.trouble or f"{self.path}: {error}"
            self._let_go()
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                with contextlib.suppress(OSError):
                    _remove(self.path)

    def _let_go(self) -> None:
        file, self._file = self._file, None
        self._new, self._used = {}, set()
        if file is not None:
            with contextlib.suppress(sqlite3.Error):
                file.close()


def clear(path: Path) -> int:
    """Delete a store; the bytes that it had. Raises :class:`UsageError` where that fails."""
    size = sum(_size(p) for p in _files(path))
    try:
        _remove(path)
    except OSError as error:
        raise UsageError(f"cannot delete {path}: {error.strerror or error}") from None
    return size


@contextlib.contextmanager
def _transaction(file: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    file.execute("begin immediate")
    try:
        yield file
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            file.execute("rollback")
        raise
    file.execute("commit")


def _mark(key: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8, key=key).digest()


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def _remove(path: Path) -> None:
    for file in _files(path):
        file.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
