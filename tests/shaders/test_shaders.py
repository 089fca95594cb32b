"""Kernels in the languages of GPUs: each mistake is a failure, and the same kernel without it passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossproof import Report, check_implementation
from tests.support import opencl, webgpu

from . import sources

pytestmark = pytest.mark.usefixtures("few_smaller_inputs")
Rows = Callable[[Any], Any]


def opencl_kernel(mistake: str) -> Rows:
    if opencl.device() is None:
        pytest.skip("no OpenCL device (apt install pocl-opencl-icd)")
    return opencl.Kernel(sources.opencl(mistake), "softmax", sources.GROUP)


def wgsl_kernel(mistake: str) -> Rows:
    if webgpu.device() is None:
        pytest.skip("no WebGPU device (pip install wgpu, apt install mesa-vulkan-drivers)")
    return webgpu.Kernel(sources.wgsl(mistake), "softmax")


def glsl_kernel(mistake: str) -> Rows:
    if webgpu.device() is None:
        pytest.skip("no WebGPU device (pip install wgpu, apt install mesa-vulkan-drivers)")
    return webgpu.Kernel(sources.glsl(mistake), "main")


INTERFACES: dict[str, Callable[[str], Rows]] = {"OpenCL": opencl_kernel, "WGSL": wgsl_kernel, "GLSL": glsl_kernel}


def judged(rows: Rows) -> Report:
    def softmax(x: Any, *, axis: int = -1) -> Any:
        last = np.moveaxis(x, axis, -1)
        return np.moveaxis(rows(last.reshape(-1, last.shape[-1])).reshape(last.shape), -1, axis)

    # What NaN and infinities become is left open by WGSL.
    return check_implementation(
        softmax,
        op="softmax",
        dtypes=["float32"],
        error_profiles={"float32": "S"},
        finite=True,
        deck="smoke",
        errors=False,
    )


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_right_kernel_passes(interface: str) -> None:
    report = judged(INTERFACES[interface](""))
    report.raise_on_failure()
    passed = [o for o in report.observations if o.verdict == "pass"]
    assert len(passed) > 20
    assert {o.profile for o in passed} == {"S"}
    # Rows that fill work-groups, and rows that do not.
    assert max(o.share for o in passed if o.share is not None) < 1


@pytest.mark.parametrize("mistake", [name for name in sources.MISTAKES if name])
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_mistake_fails(interface: str, mistake: str) -> None:
    report = judged(INTERFACES[interface](mistake))
    failed = [o for o in report.observations if o.verdict == "fail"]
    assert {o.output for o in failed} == {"value"}
