"""OpenVINO: ``Softmax`` and ``LogSoftmax`` as models of one node, on the CPU.

On processors with bfloat16 the plug-in computes in it unless it is told otherwise, so it is told float32.
"""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Support

_OPS = ("softmax", "log_softmax")

ADAPTER = ProgramAdapter(
    "openvino",
    Capabilities(
        ops={op: Support("native", note="opset13.%s" % op) for op in _OPS},
        # Models in float64 are computed in float32: the plug-in for CPUs has no other.
        dtypes=("float32", "float16"),
        profiles={(op, "float16"): "W" for op in _OPS},
        compile_cost="cheap",
    ),
    imports=(
        "import openvino as ov",
        "from openvino import opset13",
        "",
        "def infer(operation, x, axis):",
        "    parameter = opset13.parameter(x.shape, x.dtype)",
        "    model = ov.Model([operation(parameter, axis % x.ndim)], [parameter])",
        '    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}',
        '    return ov.compile_model(model, "CPU", options)([x])[0]',
    ),
    functions={op: "infer(opset13.%s, {x}, {axis})" % op for op in _OPS},
)
