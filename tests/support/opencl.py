"""A little of OpenCL through ctypes: the source of a kernel becomes a function of NumPy arrays, on the first device."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from typing import Any

import numpy as np

_READ_WRITE, _COPY_HOST, _ALL_DEVICES, _NAME, _VERSION, _BUILD_LOG = 1, 32, 0xFFFFFFFF, 0x102B, 0x102D, 0x1183
F32 = np.ndarray[Any, np.dtype[np.float32]]


class OpenClError(RuntimeError):
    """An OpenCL function returned an error code."""


@cache
def library() -> ctypes.CDLL | None:
    """The library, or None where there is none."""
    name = ctypes.util.find_library("OpenCL")
    if name is None:
        return None
    cl = ctypes.CDLL(name)
    for function in ("clCreateContext", "clCreateCommandQueue", "clCreateProgramWithSource", "clCreateKernel"):
        getattr(cl, function).restype = ctypes.c_void_p
    cl.clCreateBuffer.restype = ctypes.c_void_p
    return cl


@cache
def device() -> int | None:
    """The first device, or None where there is none."""
    cl, platform, count, found = library(), ctypes.c_void_p(), ctypes.c_uint32(), ctypes.c_void_p()
    if cl is None or cl.clGetPlatformIDs(1, ctypes.byref(platform), ctypes.byref(count)) or not count.value:
        return None
    if cl.clGetDeviceIDs(platform, ctypes.c_uint64(_ALL_DEVICES), 1, ctypes.byref(found), None):
        return None
    return found.value


def described() -> str:
    """The name of the device and the version of its driver."""
    cl, texts = library(), []
    assert cl is not None
    for fact in (_NAME, _VERSION):
        text = ctypes.create_string_buffer(256)
        _checked(cl.clGetDeviceInfo(ctypes.c_void_p(device()), fact, 256, text, None))
        texts.append(text.value.decode())
    return ", ".join(texts)


class Kernel:
    """A kernel ``NAME(global const float *x, global float *out, int n, int k)`` that a work-group a row computes."""

    def __init__(self, source: str, name: str, group: int) -> None:
        cl = library()
        assert cl is not None
        self._cl, self._group = cl, group
        one, status = ctypes.c_void_p(device()), ctypes.c_int32()
        self._context = ctypes.c_void_p(
            cl.clCreateContext(None, 1, ctypes.byref(one), None, None, ctypes.byref(status))
        )
        _checked(status.value)
        self._queue = ctypes.c_void_p(
            cl.clCreateCommandQueue(self._context, one, ctypes.c_uint64(0), ctypes.byref(status))
        )
        _checked(status.value)
        text = (ctypes.c_char_p * 1)(source.encode())
        program = ctypes.c_void_p(cl.clCreateProgramWithSource(self._context, 1, text, None, ctypes.byref(status)))
        _checked(status.value)
        if cl.clBuildProgram(program, 1, ctypes.byref(one), None, None, None):
            log = ctypes.create_string_buffer(1 << 16)
            cl.clGetProgramBuildInfo(program, one, _BUILD_LOG, len(log), log, None)
            raise OpenClError(log.value.decode("utf-8", "replace"))
        self._kernel = ctypes.c_void_p(cl.clCreateKernel(program, name.encode(), ctypes.byref(status)))
        _checked(status.value)

    def __call__(self, x: F32) -> F32:
        """The result for rows (n, k) of float32, which has their shape."""
        cl, x = self._cl, np.ascontiguousarray(x, np.float32)
        n, k = x.shape
        out = np.full_like(x, np.nan)
        if not x.size:
            return out
        buffers = [self._buffer(a) for a in (x, out)]
        for place, value in enumerate([*buffers, ctypes.c_int32(n), ctypes.c_int32(k)]):
            _checked(cl.clSetKernelArg(self._kernel, place, ctypes.c_size_t(ctypes.sizeof(value)), ctypes.byref(value)))
        sizes = [(ctypes.c_size_t * 1)(v) for v in (n * self._group, self._group)]
        _checked(cl.clEnqueueNDRangeKernel(self._queue, self._kernel, 1, None, *sizes, 0, None, None))
        size = ctypes.c_size_t(out.nbytes)
        _checked(
            cl.clEnqueueReadBuffer(
                self._queue,
                buffers[1],
                1,
                ctypes.c_size_t(0),
                size,
                out.ctypes.data_as(ctypes.c_void_p),
                0,
                None,
                None,
            )
        )
        for buffer in buffers:
            cl.clReleaseMemObject(buffer)
        return out

    def _buffer(self, a: F32) -> ctypes.c_void_p:
        status, size = ctypes.c_int32(), ctypes.c_size_t(a.nbytes)
        flags = ctypes.c_uint64(_READ_WRITE | _COPY_HOST)
        made = self._cl.clCreateBuffer(
            self._context, flags, size, a.ctypes.data_as(ctypes.c_void_p), ctypes.byref(status)
        )
        _checked(status.value)
        return ctypes.c_void_p(made)


def _checked(status: int) -> None:
    if status:
        raise OpenClError(f"OpenCL error {status}")
