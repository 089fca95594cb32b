"""IREE: JAX's operations and losses as its programs, exported as StableHLO, compiled for the CPU or for Vulkan.

Everything that is wanted of a problem is one program, gradients by JAX among it. IREE has no other device to fall back
to: a program is compiled for one driver, and runs there or not at all.
"""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any, Dict, List, Tuple

import iree.compiler
import iree.runtime as rt
import jax
import numpy as np

from . import compose, jax_modes
from .drivers import vulkan_devices
from .given import Given
from .programs import Programs, metered, seen_by_compiler
from .protocol import (
    ARRAYS,
    OPS,
    OUTPUTS,
    Capabilities,
    Description,
    Meter,
    Problem,
    Support,
    Tensor,
    UnsupportedProblem,
)

# Of each device IREE's name of the driver, and of what compiles for it.
_DRIVERS = {"cpu": ("local-task", "llvm-cpu"), "vulkan": ("vulkan", "vulkan-spirv")}
_ELEMENTS = {"float32": rt.HalElementType.FLOAT_32, "int32": rt.HalElementType.SINT_32}
# A buffer that the host may write and read: IREE's own copies import the host's memory, which Vulkan wants aligned.
_STAGED = {
    "memory_type": int(rt.MemoryType.DEVICE_LOCAL) | int(rt.MemoryType.HOST_VISIBLE),
    "allowed_usage": int(rt.BufferUsage.DEFAULT) | int(rt.BufferUsage.TRANSFER) | int(rt.BufferUsage.MAPPING),
}
# What SPIR-V promises of its elementary functions in Vulkan (docs/bounds.md, section 1).
_SHADER = {"profiles": {(op, "float32"): "S" for op in OPS}}


class IreeAdapter:
    """``jax.nn`` and the losses composed of it, on the drivers of IREE that open."""

    name = "iree"

    def __init__(self) -> None:
        self.meter = Meter()
        self._programs = Programs()
        self._configs = {name: rt.Config(driver) for name, (driver, _) in _DRIVERS.items() if _opens(driver)}
        how = "jax.nn and compose.py, exported as StableHLO"
        self._capabilities = Capabilities(
            ops={
                op: Support("composed", ("index",) if op == "nll_loss" else ("index", "probability"), how) for op in OPS
            },
            dtypes=("float32",),
            devices=tuple(self._configs),
            outputs=tuple(name for name in OUTPUTS if name != "vjp_again"),
            compile_cost="dear",
            by_device={"vulkan": _SHADER},
        )

    def describe(self) -> Description:
        """Report the versions of compiler, runtime and JAX, and the devices that Vulkan shows."""
        versions = {
            name: metadata.version(name) for name in ("iree-base-compiler", "iree-base-runtime", "jax", "numpy")
        }
        return Description({**versions, "python": platform.python_version()}, {"vulkan": vulkan_devices()})

    def capabilities(self) -> Capabilities:
        """Offer JAX's operations on the drivers that open."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run the program of a problem, compiled once for its shapes, and pull its results back."""
        compose.check_labels(problem)
        config, arrays = self._configs[device], _arrays(problem)
        with metered(self.meter, lambda: self._programs.made):
            key = (device, seen_by_compiler(problem))
            run = self._programs.get(key, lambda: _compiled(problem, arrays, config, _DRIVERS[device][1]))
            results = run(*(_placed(config.device, a) for a in arrays))
        several = results if isinstance(results, (tuple, list)) else (results,)
        return {name: _pulled(config.device, t) for name, t in zip(_wanted(problem), several)}

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type; what JAX refuses is refused before anything is compiled."""
        if isinstance(error, IndexError):
            return "bad_label"
        if isinstance(error, TypeError):
            return "bad_shape" if "shape" in str(error) else "bad_dtype"
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Raise NotImplementedError: the program is StableHLO, which no script could show."""
        raise NotImplementedError("the adapter iree writes no programs")


def _opens(driver: str) -> bool:
    """Tell whether a driver has a device."""
    try:
        rt.Config(driver)
    except Exception:  # whatever it raises, it is not there
        return False
    return True


def _wanted(p: Problem) -> Tuple[str, ...]:
    return tuple(name for name in p.want if name != "vjp_again")


def _arrays(p: Problem) -> List[np.ndarray]:
    """Return the arrays of a problem and the values of its options, in the order of the program's arguments.

    Labels have 32 bits, as everything in JAX without its 64-bit mode. Raises UnsupportedProblem for longer ones.
    """
    keep, share, ignore = jax_modes.numbers(p)
    given = [getattr(p, name) for name in ARRAYS]
    found = []
    for a in [*(a for a in given if a is not None), np.asarray(keep), np.asarray(share), np.asarray(ignore)]:
        short = np.ascontiguousarray(a.astype(np.float32 if a.dtype.kind == "f" else np.int32)).reshape(a.shape)
        if a.dtype.kind != "f" and not np.array_equal(short, a):
            raise UnsupportedProblem("a label or ignore_index needs 64 bits")
        found.append(short)
    return found


def _compiled(p: Problem, arrays: List[np.ndarray], config: Any, backend: str) -> Any:
    names = [name for name in ARRAYS if getattr(p, name) is not None]

    def main(*tensors: Any) -> Tuple[Any, ...]:
        g = Given(**{"x": None, **dict(zip(names, tensors))})
        v = compose.Values(*tensors[len(names) :])
        found = jax_modes.derive(jax_modes.value_of(jax_modes.JAX, p, g.weight, v), g, _wanted(p))
        return tuple(found[name] for name in _wanted(p))

    lowered = jax.jit(main, keep_unused=True).lower(*arrays)
    binary = iree.compiler.compile_str(lowered.as_text(), target_backends=[backend], input_type="stablehlo")
    context = rt.SystemContext(config=config)
    context.add_vm_module(rt.VmModule.copy_buffer(context.instance, binary))
    return context.modules[next(name for name in context.modules if name.startswith("jit"))]["main"]


def _placed(device: Any, a: np.ndarray) -> Any:
    """Place an array in a buffer of the device that the host may write."""
    if not a.size:
        return a
    buffer = device.allocator.allocate_buffer(allocation_size=a.nbytes, **_STAGED)
    np.asarray(buffer.map().asarray((a.size,), a.dtype))[...] = a.reshape(-1)
    return rt.DeviceArray(device, rt.HalBufferView(buffer, a.shape, _ELEMENTS[a.dtype.name]))


def _pulled(device: Any, t: Any) -> Tensor:
    """Copy a result into such a buffer, on the device, and read it."""
    shape, dtype = tuple(t.shape), np.dtype(t.dtype)
    size = int(np.prod(shape))
    if not size:
        return Tensor(np.zeros(shape), dtype.name)
    buffer = device.allocator.allocate_buffer(allocation_size=size * dtype.itemsize, **_STAGED)
    semaphore = device.create_semaphore(0)
    done = rt.HalFence.create_at(semaphore, 1)
    device.queue_copy(t._buffer_view.get_buffer(), buffer, rt.HalFence.create_at(semaphore, 0), done)
    done.wait()
    a = np.array(buffer.map().asarray((size,), dtype)).reshape(shape)
    return Tensor(a.astype(np.float64), a.dtype.name)


ADAPTER = IreeAdapter()
