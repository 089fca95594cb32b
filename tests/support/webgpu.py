"""A little of WebGPU through wgpu: a shader in WGSL or GLSL becomes a function of NumPy arrays, on the first device."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

# What a barrier in GLSL becomes also waits for subgroups.
_BARRIER = ("subgroup", "subgroup-barrier")
F32 = np.ndarray[Any, np.dtype[np.float32]]


@cache
def device() -> Any:
    """The device, or None where there is neither wgpu nor a device."""
    try:
        import wgpu

        adapter = wgpu.gpu.request_adapter_sync(power_preference="low-power")
        return adapter.request_device_sync(required_features=[f for f in _BARRIER if f in adapter.features])
    except Exception:  # whatever it raises, there is none
        return None


class Kernel:
    """A shader whose entry point computes a row a work-group: x, out, and the sizes n and k are bound to it."""

    def __init__(self, source: str, name: str) -> None:
        self._device = device()
        # The label of a shader in GLSL says its stage.
        module = self._device.create_shader_module(label="comp", code=source)
        stage = {"module": module, "entry_point": name}
        self._pipeline = self._device.create_compute_pipeline(layout="auto", compute=stage)

    def __call__(self, x: F32) -> F32:
        """The result for rows (n, k) of float32, which has their shape."""
        import wgpu

        x = np.ascontiguousarray(x, np.float32)
        n, k = x.shape
        if not x.size:
            return x
        gpu = self._device
        given = gpu.create_buffer_with_data(data=x, usage=wgpu.BufferUsage.STORAGE)
        out = gpu.create_buffer(size=x.nbytes, usage=wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC)
        sizes = gpu.create_buffer_with_data(data=np.array([n, k], np.uint32), usage=wgpu.BufferUsage.UNIFORM)
        entries = [
            {"binding": i, "resource": {"buffer": b, "offset": 0, "size": b.size}}
            for i, b in enumerate((given, out, sizes))
        ]
        group = gpu.create_bind_group(layout=self._pipeline.get_bind_group_layout(0), entries=entries)
        encoder = gpu.create_command_encoder()
        todo = encoder.begin_compute_pass()
        todo.set_pipeline(self._pipeline)
        todo.set_bind_group(0, group)
        todo.dispatch_workgroups(n, 1, 1)
        todo.end()
        gpu.queue.submit([encoder.finish()])
        return np.frombuffer(gpu.queue.read_buffer(out), np.float32).reshape(n, k).copy()
