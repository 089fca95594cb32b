"""Programs that need a framework, each in a process of its own in which the framework is imported already.

To import one takes seconds, and there are many programs. So a server imports it and forks for each of them: what a
program does is nobody else's, and a framework has started no thread before it is used. Without such forks each program
is started from the beginning.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

# A guard against programs that hang, in seconds.
_GUARD = 1800
# What the server alone is told: the program has to say it again.
_SERVER_ONLY = ("KERAS_BACKEND",)
# What a framework imports when some of its functions are first called: two seconds and more, in each program.
_IMPORTED_LATER = {"torch": ("torch._dynamo",)}
# As it was before a framework was imported here, which writes into it: that would ask for a server of its own.
_ENVIRONMENT = dict(os.environ)


def run_program(
    path: Path,
    packages: Sequence[str],
    *arguments: str,
    backend: str = "",
    variables: Mapping[str, str | None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program that imports ``packages``, Keras on a ``backend``, with ``arguments`` and ``variables``: those that
    are None are not set."""
    given = {k: v for k, v in _ENVIRONMENT.items() if not k.startswith("PYTEST_")} | dict(variables or {})
    told = {k: v for k, v in given.items() if v is not None}
    if not packages or sys.platform != "linux":
        command = [sys.executable, str(path), *arguments]
        return subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=_GUARD)
    # NumPy's linear algebra, which no program uses, has threads from its import on.
    told |= {"OPENBLAS_NUM_THREADS": "1"} | ({"KERAS_BACKEND": backend} if backend else {})
    return _server(tuple(packages), tuple(sorted(told.items()))).run(path, arguments)


class _Server:
    """A process that has imported packages, and becomes a program when it is asked to."""

    def __init__(self, packages: Sequence[str], variables: dict[str, str]) -> None:
        command = [sys.executable, __file__, *packages]
        self._process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.close)

    def run(self, path: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        # sanity check: both are pipes
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            self._process.stdin.write(json.dumps([[str(path), *arguments], str(out), str(err)]) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            said = [file.read_text("utf-8") for file in (out, err)]
        return subprocess.CompletedProcess([str(path)], code, *said)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@functools.cache
def _server(packages: tuple[str, ...], variables: tuple[tuple[str, str], ...]) -> _Server:
    return _Server(packages, dict(variables))


def serve(packages: Sequence[str]) -> None:
    """Import packages, then run each program that a line of standard input names, and write its exit code."""
    for name in (*packages, *_IMPORTED_LATER.get(packages[0], ())):
        import_module(name)
    for name in _SERVER_ONLY:
        os.environ.pop(name, None)
    # What was imported is nothing that a child collects when it ends.
    gc.freeze()
    for line in sys.stdin:
        # sanity check: a thread would be missing in the child
        assert len(os.listdir("/proc/self/task")) == 1
        child = os.fork()
        if not child:
            _become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(command: list[str], out: str, err: str) -> NoReturn:
    for file, descriptor, how in ((os.devnull, 0, os.O_RDONLY), (out, 1, os.O_WRONLY), (err, 2, os.O_WRONLY)):
        opened = os.open(file, how | os.O_CREAT if descriptor else how, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    signal.alarm(_GUARD)
    sys.argv, sys.path[0] = command, os.path.dirname(command[0])
    runpy.run_path(command[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1:])
