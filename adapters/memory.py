"""Memory: what a machine or a container has left, and the peak of what a process took."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Dict, Iterator

# Where Linux is told to forget the most that a process has held.
_PEAK = "/proc/self/clear_refs"
# Of the C library of most Linuxes.
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


class HostMemory:
    """The memory of the machine, as this process takes it. Another device has a meter with the same methods."""

    @property
    def forgets(self) -> bool:
        """Say whether a peak from before :meth:`begin` is forgotten."""
        return os.access(_PEAK, os.W_OK)

    def available(self) -> int:
        """Return the bytes that can be taken: what is free, within the limits of containers and of the process."""
        return min(_limits(), default=sys.maxsize)

    def begin(self) -> int:
        """Set the peak back, where the system can, and return the bytes that are held."""
        # What was let go of would be taken again unseen.
        if _TRIM is not None:
            _TRIM(0)
        try:
            with open(_PEAK, "w") as file:
                file.write("5")
        except OSError:
            pass
        return _status().get("VmRSS", 0)

    def peak(self) -> int:
        """Return the most bytes that were held since :meth:`begin`, or since the process began."""
        # macOS counts bytes, others kilobytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return _status().get("VmHWM", 0) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _limits() -> Iterator[int]:
    there = _kilobytes("/proc/meminfo").get("MemAvailable")
    if there is not None:
        yield there
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            with open(limit) as most, open(used) as now:
                yield max(0, int(most.read()) - int(now.read()))
        except (OSError, ValueError):
            # No such limit, or the word max.
            continue
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        yield max(0, soft - _status().get("VmSize", 0))


def _status() -> Dict[str, int]:
    return _kilobytes("/proc/self/status")


def _kilobytes(path: str) -> Dict[str, int]:
    """Read lines such as ``MemAvailable: 123 kB``, in bytes; nothing where there is no such file."""
    found = {}
    try:
        with open(path) as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[2] == "kB":
                    found[words[0].rstrip(":")] = int(words[1]) * 1024
    except OSError:
        pass
    return found
