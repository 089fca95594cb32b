"""Adapters that compute somewhere else than on the device that is asked for: mistakes that a run must report.

Each is imported by its attribute alone, because a process has one framework with its devices set up.
"""

from __future__ import annotations

from typing import Any

from lossproof.adapters.protocol import Adapter


def _torch() -> Adapter:
    from sim_device import SimAdapter

    from lossproof.adapters import torch as module

    real = module.placed
    module.placed = lambda problem, device: real(problem, "cpu")
    return SimAdapter()


def _tensorflow() -> Adapter:
    import tensorflow as tf

    from lossproof.adapters import tensorflow as module

    class Modes(module.Modes):
        def evaluate(self, *given: Any) -> dict[str, Any]:
            with tf.device("/CPU:0"):
                return super().evaluate(*given)

    module.Modes = Modes
    return module.TensorFlowAdapter()


def _jax() -> Adapter:
    import jax

    from lossproof.adapters import jax as module

    real = module.placed
    module.placed = lambda problem, device: real(problem, jax.devices("cpu")[0])
    return module.ADAPTER


_MADE = {"TORCH": _torch, "TENSORFLOW": _tensorflow, "JAX": _jax}


def __getattr__(name: str) -> Adapter:
    if name not in _MADE:
        raise AttributeError(name)
    return _MADE[name]()
