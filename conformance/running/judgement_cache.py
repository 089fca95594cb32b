"""The cache of judgements: what this engine has judged before is taken from a store on disk, and of that a sample is
judged again in every run.

Whatever decides a judgement is in its key, the engine's own sources and what its arithmetic depends on included. So an
entry can be wrong only if the engine is not the function that it is held to be, or the disk lies; either is a finding.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import numpy as np

from lossproof import __version__
from lossproof.adapters import processor
from lossproof.judging.fused.compiler import SWITCH, missing
from lossproof.judging.judgement import Keys, differing
from lossproof.records.judgement_store import JudgementStore
from lossproof.targets.launch import adapters_folder, cache_folder

# Set to anything, it does what --no-cache does.
OFF = "LOSSPROOF_NO_CACHE"
# Of so many judgements that are found, one is made again.
SAMPLED = 100
_ROOMS = ("core", "truth", "judging", "cases")
_SHARED = ("normalised.py", "outcome.py", "outputs.py", "protocol.py")
# What the arithmetic of the engine is done by.
_LIBRARIES = ("numpy", "python-flint", "numba", "llvmlite")


@dataclass(frozen=True)
class Kept:
    """A judgement that was kept, as a text; ``again`` says whether it is made again in this run, to be compared."""

    text: str
    again: bool


@dataclass
class JudgementCache:
    """A store of judgements for one run; ``seed`` chooses the sample that is judged again.

    ``taken`` counts the observations that came from the store, ``again`` the judgements of it that were made again;
    ``known`` counts the calls of decks that were not drawn, ``trouble`` says what is wrong with what it has of decks.
    """

    store: JudgementStore
    keys: Keys
    seed: int = field(default_factory=lambda: secrets.randbits(64))
    taken: int = 0
    again: int = 0
    known: int = 0
    trouble: str = ""
    _distrusted: bool = False

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Kept]:
        """The judgements that were made before, by key; none any more once one was wrong."""
        found = {} if self._distrusted else self.store.get(keys)
        return {key: Kept(text, self._is_sampled(key)) for key, text in found.items()}

    def _is_sampled(self, key: bytes) -> bool:
        return (int.from_bytes(key[:8], "big") + self.seed) % SAMPLED == 0

    def put(self, key: bytes, text: str) -> None:
        """Keep a judgement."""
        if not self._distrusted:
            self.store.put(key, text)

    def mistaken(self, kept: str, made: str) -> str:
        """Say what is wrong with a judgement that was kept, now that it is ``made`` again; nothing if it was right.

        After a wrong one nothing is taken from the store.
        """
        self.again += 1
        wrong = differing(kept, made)
        self._distrusted |= bool(wrong)
        return wrong and (
            f"the cache of judgements is wrong: {wrong} when the same answer is judged again; "
            "clear it with lossproof cache --clear, and report this"
        )

    def recall(self, name: str) -> str:
        """Return the text that is remembered under a name, of a deck and its large calls; empty where there is none."""
        key = self.keys.of_name(name)
        return "" if self._distrusted else self.store.get([key]).get(key, "")

    def remember(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        self.store.put(self.keys.of_name(name), text)

    def count(self, calls: int) -> None:
        """Hear how many calls of a deck were known by what was recalled."""
        self.known += calls

    def distrust(self, trouble: str) -> None:
        """Hear that what was recalled is wrong. Nothing is taken from the store any more."""
        self._distrusted = True
        self.trouble = f"the cache of decks is wrong: {trouble}; clear it with lossproof cache --clear, and report this"

    def flush(self) -> None:
        """Write what was judged, so that other processes find it."""
        self.store.flush()

    def close(self) -> None:
        """Write what was judged, and let go of the file."""
        self.store.close()


def store_path() -> Path:
    """The file of the store, in the folder of what outlives a run and can be made again."""
    return cache_folder() / "judgements.sqlite"


def on_this_machine(*, wanted: bool = True) -> JudgementCache | None:
    """The cache on this machine; None where it is not wanted, or cannot tell one engine from another."""
    if not wanted or os.environ.get(OFF):
        return None
    try:
        engine = engine_digest()
    except OSError:
        return None
    return JudgementCache(JudgementStore(store_path()), Keys(engine))


@lru_cache(maxsize=1)
def engine_digest() -> bytes:
    """A digest of everything that turns an answer into a judgement: the engine's sources, the libraries and the
    instruction sets that compute for it. Raises OSError where the sources cannot be read."""
    h = hashlib.sha256(repr([(name, _version(name)) for name in _LIBRARIES]).encode())
    flags = sorted((k, v) for k, v in os.environ.items() if k.startswith(("NPY_", "NUMBA_", SWITCH)))
    h.update(repr((__version__, np.__version__, processor.features(), flags, missing())).encode())
    engine, shared = Path(str(files("lossproof"))), adapters_folder()
    sources = [path for room in _ROOMS for path in sorted((engine / room).rglob("*.py"))]
    for path in [*sources, *(shared / name for name in _SHARED)]:
        h.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return h.digest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
