"""Machine code of loops: Numba makes it once, it is kept in a file, and later processes link it without Numba, whose
import takes longer than judging a small deck."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import tempfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

# What a loop takes, parameter for parameter: a number, or an array of a dtype and so many dimensions.
Parameter = type[bool] | type[int] | tuple[Any, int]
Parameters = Sequence[Parameter]
F8, I8, BOOL = np.float64, np.int64, np.bool_

_SUFFIX = ".code"
_SEPARATOR = b"\n"
# Numba's code refers to them where a loop could fail or free what it has made: none fails, and none makes anything.
_UNUSED = (
    "NRT_Free",
    "NRT_MemInfo_call_dtor",
    "numba_do_raise",
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_runtime_build_excinfo_struct",
    "numba_unpickle",
)
# What is linked lives as long as what links it.
_ALIVE: list[Any] = []


@cache
def processor_and_compiler() -> str:
    """A digest of what decides the machine code of given sources; empty where the compiler's release is not known.

    The release of Numba is read from its files, NumPy's is among what decides because Numba may refuse it.
    """
    try:
        spec = find_spec("numba")
        release = (Path(spec.origin or "") if spec else Path()).with_name("_version.py").read_bytes()
        llvm: Any = import_module("llvmlite.binding")
        linker = import_module("llvmlite").__version__
        processor = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    except (ImportError, OSError, ValueError, RuntimeError):
        return ""
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_"))
    deciding = release, linker, np.__version__, platform.python_version(), platform.machine(), processor, settings
    return hashlib.sha256(repr(deciding).encode()).hexdigest()[:16]


def link(folder: Path, names: Sequence[str]) -> Mapping[str, int]:
    """Link the machine code of loops that is kept in a folder; their addresses, or nothing unless all of it is there
    and can be linked."""
    try:
        codes = {name: _read(folder, name) for name in names}
        llvm: Any = import_module("llvmlite.binding")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        linker, trap = llvm.create_lljit_compiler(), ctypes.cast(ctypes.pythonapi.abort, ctypes.c_void_p).value
        found = {}
        for name, (symbol, code) in codes.items():
            library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
            for unused in _UNUSED:
                library.import_symbol(unused, trap)
            part = library.link(linker, name)
            _ALIVE.append((linker, part))
            found[name] = int(part[symbol])
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError):
        return {}
    return found


def compile_loop(f: Callable[..., None], signature: Parameters) -> Any:
    """Compile a loop, all of whose callees are compiled functions, as a C function: of the address of a row of int64,
    which are its numbers and the shapes of its arrays in the order of its parameters, and of those of its arrays."""
    numba: Any = import_module("numba")
    arguments, types, number = [], [numba.types.CPointer(numba.types.int64)], 0
    for kind in signature:
        if isinstance(kind, tuple):
            dtype, ndim = kind
            shape = "".join(f"numbers[{number + i}], " for i in range(ndim))
            arguments.append(f"carray(array_{len(types)}, ({shape}))")
            types.append(numba.types.CPointer(numba.from_dtype(np.dtype(dtype))))
            number += ndim
        else:
            arguments.append(f"numbers[{number}] != 0" if kind is bool else f"numbers[{number}]")
            number += 1
    parameters = ", ".join(["numbers", *(f"array_{i}" for i in range(1, len(types)))])
    names: dict[str, Any] = {"loop": f, "carray": numba.carray}
    exec(f"def entry({parameters}):\n    loop({', '.join(arguments)})", names)
    return numba.cfunc(numba.types.void(*types), error_model="numpy")(names["entry"])


def keep(folder: Path, name: str, made: Any) -> None:
    """Keep the machine code of a loop that Numba has compiled; where that cannot be, nothing is kept."""
    if not processor_and_compiler():
        return
    # Another process may write the same.
    with contextlib.suppress(OSError, AttributeError):
        code = made._library.serialize_using_object_code()[2][0]
        content = made.native_name.encode() + _SEPARATOR + code
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as new:
            new.write(hashlib.sha256(content).digest() + content)
        os.replace(new.name, _file(folder, name))


def caller(address: int, signature: Parameters) -> Callable[..., None]:
    """The function at an address, as a function of what the signature says. Arrays are contiguous."""
    dtypes = [(np.dtype(kind[0]), kind[1]) if isinstance(kind, tuple) else None for kind in signature]
    at = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (1 + sum(d is not None for d in dtypes)))(address)

    def call(*arguments: Any) -> None:
        numbers, addresses = array("q"), []
        for a, kind in zip(arguments, dtypes, strict=True):
            if kind is None:
                numbers.append(int(a))
                continue
            # sanity check: machine code reads what it is given as what it was compiled for
            assert (a.dtype, a.ndim) == kind
            assert a.flags.c_contiguous
            numbers.extend(a.shape)
            addresses.append(a.ctypes.data)
        at(numbers.buffer_info()[0], *addresses)

    return call


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}-{processor_and_compiler()}{_SUFFIX}"


def _read(folder: Path, name: str) -> tuple[str, bytes]:
    """The symbol and the machine code of a loop. Raises OSError where it is not there, and ValueError where what is
    there is not what was written."""
    content = _file(folder, name).read_bytes()
    size = hashlib.sha256().digest_size
    if not processor_and_compiler() or hashlib.sha256(content[size:]).digest() != content[:size]:
        raise ValueError(name)
    symbol, _, code = content[size:].partition(_SEPARATOR)
    return symbol.decode(), code
