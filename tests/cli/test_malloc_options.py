"""The options of the allocator: threads reserve no memory of their own, and large arrays have pages of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from lossproof.cli.malloc_options import OWN_PAGES

# Each arena but the first is in a reservation of 64 MiB, most of which may not be read.
_ARENAS = """
import re, threading
{}
barrier = threading.Barrier(5)
def hold():
    held = [bytearray(50_000) for _ in range(20)]
    barrier.wait()
    barrier.wait()
for _ in range(4):
    threading.Thread(target=hold, daemon=True).start()
barrier.wait()
reserved = 0
for line in open("/proc/self/maps"):
    first, last, access = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
    size = int(last, 16) - int(first, 16)
    reserved += access == "---p" and 32 << 20 < size < 65 << 20
print(reserved)
barrier.wait()
"""
# The fourth of the ten fields of mallinfo counts what has pages of its own. After a large array was freed glibc puts
# others in its arena.
_PAGES = """
import ctypes
{}
class Info(ctypes.Structure):
    _fields_ = [("field" + i, ctypes.c_int) for i in "0123456789"]
mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Info
large = bytearray(20 << 20)
del large
before = mallinfo().field3
held = bytearray(SIZE)
print(mallinfo().field3 - before)
"""
_SPARED = "from lossproof.cli.malloc_options import spare_memory; spare_memory()"

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="they are those of glibc")


def _printed(program: str, first: str) -> int:
    # A cluster of workers that another test has started leaves such options in the environment.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", program.format(first)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_threads_have_no_arenas_of_their_own() -> None:
    # sanity check: they have some otherwise
    assert _printed(_ARENAS, "") > 0
    assert _printed(_ARENAS, _SPARED) == 0


def test_large_arrays_have_pages_of_their_own_and_small_ones_have_not() -> None:
    large, small = (_PAGES.replace("SIZE", str(size)) for size in (OWN_PAGES, OWN_PAGES // 2))
    # sanity check: they have none otherwise
    assert _printed(large, "") == 0
    assert _printed(large, _SPARED) == 1
    assert _printed(small, _SPARED) == 0
