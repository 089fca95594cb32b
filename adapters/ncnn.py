"""ncnn: its layer ``Softmax``, on the CPU and on Vulkan.

A layer without a shader for Vulkan runs on the CPU without a word; here that is an error.
"""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any, Dict

import ncnn
import numpy as np

from . import source
from .drivers import vulkan_devices
from .protocol import Capabilities, Description, Problem, Support, Tensor

# What SPIR-V promises of its elementary functions in Vulkan (docs/bounds.md, section 1).
_SHADER = {"profiles": {("softmax", "float32"): "S"}}
# Options that narrow numbers; all are off, since a problem is in float32.
_NARROW = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class NcnnAdapter:
    """A network of one layer."""

    name = "ncnn"

    def __init__(self) -> None:
        devices = (
            ("cpu", "vulkan") if ncnn.get_gpu_count() and ncnn.create_layer("Softmax").support_vulkan else ("cpu",)
        )
        self._capabilities = Capabilities(
            ops={"softmax": Support("native")},
            dtypes=("float32",),
            devices=devices,
            outputs=("value",),
            # A Mat has up to three axes and no batch.
            ranks=(1, 2, 3),
            compile_cost="cheap",
            by_device={"vulkan": _SHADER},
        )

    def describe(self) -> Description:
        """Report ncnn's version and the device that it has chosen."""
        facts = {"vulkan": vulkan_devices()}
        if "vulkan" in self._capabilities.devices:
            facts["gpu"] = ncnn.get_gpu_info(ncnn.get_default_gpu_index()).device_name()
        versions = {"ncnn": metadata.version("ncnn"), "numpy": np.__version__, "python": platform.python_version()}
        return Description(versions, facts)

    def capabilities(self) -> Capabilities:
        """Offer softmax on the CPU, and on Vulkan where it has a device."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run a network with the one layer on a device."""
        x = np.ascontiguousarray(problem.x.astype(np.float32))
        if not x.size:
            raise ValueError("a Mat has no axis of length 0; the shape is %r" % (x.shape,))
        net = ncnn.Net()
        net.opt.use_vulkan_compute = device == "vulkan"
        for option in _NARROW:
            setattr(net.opt, option, False)
        if net.load_param_mem(_network(problem)) or net.load_model(ncnn.DataReaderFromEmpty()):
            raise RuntimeError("ncnn does not load the network")
        extractor = net.create_extractor()
        # A copy that ncnn owns: in its light mode a layer writes into its input, and frees it.
        extractor.input("x", ncnn.Mat(x).clone())
        status, out = extractor.extract("value")
        if status:
            raise RuntimeError("ncnn returns the status %d" % status)
        a = np.array(out)
        return {"value": Tensor(a.astype(np.float64), a.dtype.name)}

    def error_kind(self, error: Exception) -> str:
        """Classify an exception: shapes are what the adapter refuses itself."""
        return "bad_shape" if isinstance(error, ValueError) else "internal"

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of ncnn alone."""
        body = ["x = np.array(%s, np.float32).reshape(%r)" % (source.constant(problem.x), problem.x.shape)]
        body += ["net = ncnn.Net()", "net.opt.use_vulkan_compute = %r" % (device == "vulkan")]
        body += ["net.opt.%s = False" % option for option in _NARROW]
        body += ["net.load_param_mem(%r)" % _network(problem), "net.load_model(ncnn.DataReaderFromEmpty())"]
        body += ["extractor = net.create_extractor()", 'extractor.input("x", ncnn.Mat(x).clone())']
        body += ['value = np.array(extractor.extract("value")[1])']
        body += ['print("value", value.astype(float).tolist())', source.version("ncnn", "ncnn")]
        return source.program(source.title(problem, "ncnn"), ["import ncnn", "import numpy as np"], body)


def _network(p: Problem) -> str:
    """Write the network in ncnn's format: 0 is the axis, 1 says that it counts the batch-less axes."""
    return "7767517\n2 2\nInput x 0 1 x\nSoftmax softmax 1 1 x value 0=%d 1=1\n" % (p.axis % p.x.ndim)


ADAPTER = NcnnAdapter()
