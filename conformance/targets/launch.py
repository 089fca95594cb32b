"""A launch says how a worker is started: interpreter, arguments, environment variables, limits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs

from lossproof.adapters.protocol import THREADS
from lossproof.targets.environments.store import interpreter
from lossproof.targets.exec_command import SCHEME, words

# One thread each unless the user says otherwise: the calls are small, idle threads spin, and the bits are then the same
# whatever machine it is and whatever runs beside. Targets share the cores by running side by side.
ONE_THREAD = dict.fromkeys(THREADS, "1")
# JAX takes three quarters of a GPU's memory when it starts; other targets of the run are on that GPU, too.
_SHARED_MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
TIMEOUT = 120.0
_GIB = 2**30


@dataclass(frozen=True)
class Processes:
    """Limits of targets in processes: how many run at once, seconds that one call may take, bytes of resident memory
    that a process may have, seconds that it may take to be ready, which are never fewer than those of a call.
    ``jobs`` 0 is one for each core, ``memory`` 0 half of what the machine has."""

    jobs: int = 0
    timeout: float = TIMEOUT
    memory: int = 0
    start: float = TIMEOUT

    @property
    def side_by_side(self) -> int:
        """The number of targets that run at once."""
        return self.jobs or cores()

    @property
    def most_memory(self) -> int:
        """The most bytes that one process may have."""
        return self.memory or max(2 * _GIB, physical_memory() // 2)


@dataclass(frozen=True)
class Launch:
    """One worker is started as an adapter (``module:ATTRIBUTE`` or ``file.py:ATTRIBUTE``) in a mode, on a device,
    in an environment or interpreter (empty: this one), with environment variables of its own. The adapter
    ``exec:COMMAND`` is a program that is a worker itself."""

    adapter: str
    mode: str = ""
    device: str = ""
    environment: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """The variables that a program has to set, too: all but those that only a worker reads."""
        return tuple((name, value) for name, value in self.variables if not name.startswith("LOSSPROOF_"))

    @property
    def is_command(self) -> bool:
        """Say whether the worker is a program of its own."""
        return self.adapter.startswith(SCHEME)

    def command(self) -> list[str]:
        """Return the command line: isolated mode, so that nothing but the interpreter's own packages is found.

        This interpreter's own path goes along, so that a worker finds what this process does. A program of its own gets
        mode and device as its last arguments, where the target string names them.
        """
        options = [f"--{name}={value}" for name, value in (("mode", self.mode), ("device", self.device)) if value]
        if self.is_command:
            return [*words(self.adapter), *options]
        folder = adapters_folder()
        python, path = (interpreter(self.environment), []) if self.environment else (sys.executable, _own_path())
        cache = f"--cache={cache_folder()}"
        return [str(python), "-I", f"{folder}/boot.py", str(folder), *path, self.adapter, *options, cache]


def _own_path() -> list[str]:
    return ["--sys-path", json.dumps([os.path.abspath(entry) for entry in sys.path])]


def environment(variables: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Return the environment variables of a worker: its own, then this process's, and what both leave open about
    threads and the memory of GPUs."""
    return ONE_THREAD | _SHARED_MEMORY | dict(os.environ) | dict(variables)


def adapters_folder() -> Path:
    """Return the folder that is grafted into workers."""
    return Path(str(files("lossproof.adapters")))


def cache_folder() -> Path:
    """Return the folder of compiled programs, which outlive a run; the variable ``LOSSPROOF_CACHE`` names another."""
    return Path(os.environ.get("LOSSPROOF_CACHE") or platformdirs.user_cache_dir("lossproof", appauthor=False))


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_memory() -> int:
    """Return the bytes of memory that the machine has; 0 where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
