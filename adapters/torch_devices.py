"""The devices that PyTorch has at run time: what is there, whether a problem fits, and where a result is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

import torch

from .drivers import nvidia_driver
from .protocol import Problem, ProcessLost, UnsupportedProblem

# Input, result, gradient, cotangent, and as many intermediates in a dtype twice as wide.
_COPIES = 12


def present() -> Tuple[str, ...]:
    """Return ``cpu`` and every accelerator, those of a registered PrivateUse1 backend among them."""
    return ("cpu", *_accelerators())


def _accelerators() -> Iterator[str]:
    for kind in dict.fromkeys(("cuda", "xpu", "mps", _private_name())):
        module = getattr(torch, kind, None)
        if kind == "mps":
            module = getattr(torch.backends, "mps", None)
        if module is None or not getattr(module, "is_available", lambda: False)():
            continue
        count = 1 if kind == "mps" else module.device_count()
        for i in range(count):
            yield "%s:%d" % (kind, i)


def _private_name() -> str:
    name = getattr(torch._C, "_get_privateuse1_backend_name", None)
    return name() if name is not None else "privateuseone"


def facts() -> Dict[str, str]:
    """Return names, versions and precision flags of the accelerators; nothing where there is none."""
    found = {}
    if torch.cuda.is_available():
        found["cuda"] = "%s, driver %s, devices: %s" % (
            torch.version.cuda,
            nvidia_driver() or "unknown",
            ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())),
        )
        found["tf32"] = "matmul %s, cudnn %s (on in mode tf32)" % (
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
        )
        found["cudnn_deterministic"] = str(torch.backends.cudnn.deterministic)
    others = [name for name in _accelerators() if not name.startswith("cuda")]
    if others:
        found["accelerators"] = ", ".join(others)
    return found


def probe(p: Problem, device: str) -> None:
    """Raise UnsupportedProblem for a dtype that a device does not have, MemoryError for a problem that cannot fit."""
    kind = device.partition(":")[0]
    if kind == "mps" and "float64" in (p.dtype, p.result_dtype):
        raise UnsupportedProblem("MPS has no float64")
    if kind != "cuda":
        return
    need = _COPIES * p.x.size * 8
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    if need > free:
        raise MemoryError("%s has %d MiB free; about %d MiB are needed" % (device, free >> 20, need >> 20))


def check(device: str, results: Iterable[Any]) -> None:
    """Raise RuntimeError if a result is on another device than the one that was asked for."""
    wanted = torch.device(device)
    for t in results:
        same = t.device.type == wanted.type and (wanted.index is None or t.device.index in (None, wanted.index))
        if not same:
            raise RuntimeError("a result is on %s; the inputs were placed on %s" % (t.device, wanted))


def wait(t: Any) -> None:
    """Wait until a tensor on an accelerator is computed, by taking one entry of it; on the CPU it is."""
    if t.device.type != "cpu":
        t.detach().flatten()[:1].cpu()


@contextmanager
def watched(device: str, kind_of: Callable[[Exception], str]) -> Iterator[None]:
    """Raise ProcessLost if the context of a device is lost, by an earlier call of this process or by the one inside.

    An assertion on the device is the answer of the call inside. What else ends a context, such as an access to memory
    that is not there, is a crash, and so is a call that finds its context ended.
    """
    before = _lost_context(device)
    if before is not None:
        raise ProcessLost("crash") from before
    try:
        yield
    except Exception as error:  # a compiler wraps what the framework raises
        if _lost_context(device) is None:
            raise
        raise ProcessLost(kind_of(error) if "device-side assert" in str(error) else "crash") from error


def _lost_context(device: str) -> Optional[RuntimeError]:
    """Return the error of a CUDA context that has ended; such an error comes back from whatever is asked of it."""
    if device.partition(":")[0] != "cuda":
        return None
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return error
    return None
