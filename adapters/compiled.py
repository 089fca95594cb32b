"""The folder in which compilers keep their results between processes, one for each state of all that they depend on."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import time
from typing import Iterator

from . import processor
from .protocol import THREADS

# The variables that say where and what, and the part of the folder that belongs to each.
_FOLDERS = (("JAX_COMPILATION_CACHE_DIR", "jax"), ("TORCHINDUCTOR_CACHE_DIR", "inductor"))
# JAX keeps only what took a second to compile unless it is told otherwise.
_EVERYTHING = (
    ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0"),
    ("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1"),
)

# Seconds after which a folder that nobody uses is removed: thirty days.
_UNUSED = 30 * 86400.0


def keep_compiled(root: str, adapter: str) -> None:
    """Point compilers to a folder under ``root``, before they are imported, unless the user has set another one.
    ``adapter`` is ``module:ATTRIBUTE``.
    """
    place = adapter.partition(":")[0]
    name = os.path.splitext(os.path.basename(place))[0] if place.endswith(".py") else place.rpartition(".")[2]
    folder = os.path.join(root, "compiled", "%s-%s" % (name, fingerprint(name)))
    _forget(os.path.dirname(folder), name, folder)
    for variable, part in _FOLDERS:
        os.environ.setdefault(variable, os.path.join(folder, part))
    for variable, value in _EVERYTHING:
        os.environ.setdefault(variable, value)


def _forget(root: str, name: str, folder: str) -> None:
    """Mark a folder as used, and remove those of the same adapter that have not been used for long.

    Their names begin with ``name``.
    """
    os.makedirs(folder, exist_ok=True)
    os.utime(folder)
    for other in os.listdir(root):
        path = os.path.join(root, other)
        if other.rpartition("-")[0] == name and time.time() - os.stat(path).st_mtime > _UNUSED:
            shutil.rmtree(path, ignore_errors=True)


def fingerprint(name: str) -> str:
    """Return twelve hexadecimal digits of the versions of framework and interpreter, the processor, its limits, the
    numbers of threads and the adapters' text.

    The framework's version is that of the distributions whose names begin with the adapter's (``jax``, ``jaxlib``);
    of all of them where there is none.
    """
    found = sorted(set(_distributions()))
    own = [d for d in found if d.lower().startswith(name.lower())] or found
    threads = [os.environ.get(variable, "") for variable in THREADS]
    state = [own, sys.version, platform.machine(), _processor(), processor.limits(), threads]
    h = hashlib.sha256(repr(state).encode("utf-8"))
    folder = os.path.dirname(os.path.abspath(__file__))
    for file in sorted(os.listdir(folder)):
        if file.endswith(".py"):
            with open(os.path.join(folder, file), "rb") as source:
                h.update(file.encode("utf-8") + source.read())
    return h.hexdigest()[:12]


def _distributions() -> Iterator[str]:
    """Yield the names of the folders that describe what is installed: ``NAME-VERSION.dist-info``."""
    for folder in sys.path:
        if os.path.isdir(folder):
            for file in os.listdir(folder):
                if file.endswith((".dist-info", ".egg-info")):
                    yield file


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()
