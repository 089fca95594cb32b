"""A device of PyTorch that is none: ``sim:0`` keeps its data in tensors of the CPU, out of reach of what is not placed.

PyTorch sees a registered PrivateUse1 backend, so that mixing devices, or forgetting to place an input, is the error
that it is on an accelerator. Importing this module registers the device; ``ADAPTER`` is PyTorch's adapter beside it.
Memory layouts are those of the hidden tensors, which PyTorch does not see, so that the adapter offers none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from lossproof.adapters.protocol import Capabilities
from lossproof.adapters.torch import TorchAdapter

NAME = "sim"
# Operations that move data, and so take tensors of two devices.
COPIES = ("aten::_copy_from", "aten::copy_", "aten::_to_copy")


# The data of each tensor of the device, by its (empty) storage, which the copies of it that autograd keeps share.
DATA: dict[int, torch.Tensor] = {}


def data(t: torch.Tensor) -> torch.Tensor:
    """What a tensor of the device holds."""
    return DATA[t.untyped_storage()._cdata]


def wrap(raw: torch.Tensor) -> torch.Tensor:
    """A tensor of the device that holds these data."""
    found = torch._C._acc.create_empty_tensor(tuple(raw.shape), raw.dtype)
    DATA[found.untyped_storage()._cdata] = raw
    return found


def on_device(t: Any) -> bool:
    """Whether something is a tensor of the device."""
    return isinstance(t, torch.Tensor) and t.device.type == NAME


def fallback(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Every operation: on the data, and back onto the device unless the CPU was asked for."""
    given = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    # As on an accelerator: nothing but numbers may come from elsewhere.
    strangers = [t for t in given if t.dim() and not on_device(t)]
    if strangers and op.name() not in COPIES:
        raise RuntimeError(f"{op.name()}: expected all tensors to be on the same device, found {strangers[0].device}")

    def inside(t: Any) -> Any:
        return data(t) if on_device(t) else torch.device("cpu") if isinstance(t, torch.device) else t

    raw_args, raw_kwargs = pytree.tree_map(inside, (args, kwargs))
    if op.name() == "aten::_copy_from":
        raw_args[1].copy_(raw_args[0])
        return args[1]
    result = op(*raw_args, **raw_kwargs)
    known = {id(data(t)): t for t in given if on_device(t)}
    stays = kwargs.get("device") != torch.device("cpu")

    def outside(t: Any) -> Any:
        return known.get(id(t)) if id(t) in known else wrap(t) if isinstance(t, torch.Tensor) and stays else t

    return pytree.tree_map(outside, result)


class Module:
    """What PyTorch asks the module of a device."""

    @staticmethod
    def is_available() -> bool:
        """It is."""
        return True

    is_initialized = is_available

    @staticmethod
    def device_count() -> int:
        """One."""
        return 1

    @staticmethod
    def current_device() -> int:
        """The first."""
        return 0

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """No generator, no seed."""


_setup_privateuseone_for_python_backend(NAME, backend_module=Module())
# The registration ends with the object.
LIBRARY = torch.library.Library("_", "IMPL")
LIBRARY.fallback(fallback, "PrivateUse1")


class SimAdapter(TorchAdapter):
    """PyTorch's adapter, which finds the device by itself."""

    def capabilities(self) -> Capabilities:
        """Without layouts."""
        return replace(super().capabilities(), layouts=("contiguous",), laid=())


ADAPTER = SimAdapter()
