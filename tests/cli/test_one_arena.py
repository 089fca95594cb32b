"""One arena: threads reserve no memory of their own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Each arena but the first is in a reservation of 64 MiB, most of which may not be read.
_PROGRAM = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are those of glibc")
def test_threads_have_no_arenas_of_their_own() -> None:
    def arenas(first: str) -> int:
        command = [sys.executable, "-c", _PROGRAM.format(first)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout)

    # sanity check: they have some otherwise
    assert arenas("") > 0
    assert arenas("from lossproof.cli.one_arena import take_one_arena; take_one_arena()") == 0
