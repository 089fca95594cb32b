"""Adapters that compute somewhere else than on the device that is asked for: mistakes that a run must report;
and the one of ``sim_device`` that computes there, for processes that have both.

Each is imported by its attribute alone, because a process has one framework with its devices set up.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lossproof.adapters.protocol import Adapter


def _torch() -> Adapter:
    module: Any = import_module("lossproof.adapters.torch_tensors")
    real = module.placed
    module.placed = lambda problem, device: real(problem, "cpu")
    simulated: Adapter = import_module("sim_device").SimAdapter()
    return simulated


def _tensorflow() -> Adapter:
    import tensorflow as tf

    module: Any = import_module("lossproof.adapters.tensorflow")
    real = module.Modes

    class Modes(real):  # type: ignore[misc, valid-type]
        def evaluate(self, *given: Any) -> dict[str, Any]:
            with tf.device("/CPU:0"):
                found: dict[str, Any] = super().evaluate(*given)
                return found

    module.Modes = Modes
    made: Adapter = module.TensorFlowAdapter()
    return made


def _jax() -> Adapter:
    import jax

    module: Any = import_module("lossproof.adapters.jax_tensors")
    real = module.placed
    module.placed = lambda problem, device: real(problem, jax.devices("cpu")[0])
    made: Adapter = import_module("lossproof.adapters.jax").ADAPTER
    return made


def _simulated() -> Adapter:
    adapter: Adapter = import_module("sim_device").ADAPTER
    return adapter


_MADE = {"SIMULATED": _simulated, "TORCH": _torch, "TENSORFLOW": _tensorflow, "JAX": _jax}


def __getattr__(name: str) -> Adapter:
    if name not in _MADE:
        raise AttributeError(name)
    return _MADE[name]()
