"""ONNX Runtime: the operators of ONNX as models of one node, on the CPU and on WebGPU.

A provider that has no kernel for a node leaves it to the CPU without a word; here that is an error. In the mode
``expanded`` the bodies that the standard gives for functions stand in their places, of which each node has a kernel.
"""

from __future__ import annotations

import platform
from typing import Any, Dict, List

import numpy as np
import onnx
import onnx.inliner
import onnx.parser
import onnxruntime

from . import source
from .drivers import vulkan_devices
from .onnx_models import OPERATORS, OPSETS, kinds_of, model
from .programs import Programs, metered, seen_by_compiler
from .protocol import LOSSES, Capabilities, Description, Meter, Problem, Support, Tensor, UnsupportedProblem

_PROVIDERS = {"cpu": "CPUExecutionProvider", "webgpu": "WebGpuExecutionProvider"}
_FUNCTIONS = [("", name) for name in OPERATORS.values() if name != "Softmax"]
# What WGSL promises of its elementary functions (docs/bounds.md, section 1).
_SHADER = {"profiles": {(op, "float32"): "S" for op in ("softmax", "log_softmax", "cross_entropy")}}


class OnnxruntimeAdapter:
    """``Softmax``, ``LogSoftmax``, ``NegativeLogLikelihoodLoss``, ``SoftmaxCrossEntropyLoss``; values alone."""

    name = "onnxruntime"

    def __init__(self) -> None:
        onnxruntime.set_default_logger_severity(4)
        self.meter = Meter()
        self._sessions = Programs()
        how = {op: ("index",) if op in LOSSES else ("index", "probability") for op in OPERATORS}
        body = "the body that the ONNX standard gives for the function"
        self._capabilities = Capabilities(
            ops={op: Support("native", targets, OPERATORS[op]) for op, targets in how.items()},
            dtypes=("float64", "float32", "float16"),
            devices=tuple(name for name in _PROVIDERS if _opens(name)),
            modes=("eager", "expanded", *OPSETS),
            outputs=("value",),
            compile_cost="cheap",
            # The bodies of the losses gather, and ONNX's indices count from the end where they are negative.
            wraps_negative_labels=True,
            by_mode={
                "expanded": {
                    "ops": {op: Support("composed", how[op], body) for op in OPERATORS if op != "softmax"},
                }
            },
            by_device={"webgpu": _SHADER},
        )

    def describe(self) -> Description:
        """Report the versions, and the devices that Vulkan shows, which WebGPU runs on."""
        versions = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__, "numpy": np.__version__}
        facts = {"providers": ", ".join(onnxruntime.get_available_providers())}
        if "webgpu" in self._capabilities.devices:
            facts["vulkan"] = vulkan_devices()
        return Description({**versions, "python": platform.python_version()}, facts)

    def capabilities(self) -> Capabilities:
        """Offer the operators on the providers that open."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Run a model of the problem's shapes, made once, on one provider alone."""
        text, feeds = model(problem, mode, _kinds(problem, device)), _feeds(problem, device)
        with metered(self.meter, lambda: self._sessions.made):
            key = (device, mode, text, seen_by_compiler(problem))
            session = self._sessions.get(key, lambda: _session(text, device, expanded=mode == "expanded"))
            (a,) = session.run(None, feeds)
        return {"value": Tensor(a.astype(np.float64), a.dtype.name)}

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by the words of ONNX Runtime's messages."""
        text = str(error)
        return next((kind for words, kind in _MESSAGES if words in text), "internal")

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of ONNX and ONNX Runtime alone."""
        body: List[str] = []
        kinds = _kinds(problem, device)
        for name, a, entries in source.constants(problem):
            if name in kinds:
                body.append("%s = np.array(%s, np.%s).reshape(%r)" % (name, entries, kinds[name], a.shape))
        body += ["", "model = onnx.parser.parse_model('''%s''')" % model(problem, mode, _kinds(problem, device))]
        if mode == "expanded":
            body += [
                "functions = %r" % (_FUNCTIONS,),
                "while any(('', n.op_type) in functions for n in model.graph.node):",
            ]
            call = "onnx.inliner.inline_selected_functions(model, functions, inline_schema_functions=True)"
            body.append("    model = %s" % call)
        body.append("options = onnxruntime.SessionOptions()")
        if device != "cpu":
            body.append('options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")')
        provider = "onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[%r])"
        body.append("session = %s" % (provider % _PROVIDERS[device]))
        body.append("value, = session.run(None, {%s})" % ", ".join('"%s": %s' % (name, name) for name in kinds))
        body += ['print("value", value.astype(float).tolist())', source.version("onnxruntime", "onnxruntime")]
        imports = [
            "import numpy as np",
            "import onnx.inliner, onnx.parser" if mode == "expanded" else "import onnx.parser",
        ]
        imports.append("import onnxruntime")
        return source.program(source.title(problem, "onnxruntime"), imports, body)


_MESSAGES = (
    ("assigned to the default CPU EP", "unsupported"),
    ("the device does not support it", "unsupported"),
    ("NOT_IMPLEMENTED", "unsupported"),
    ("Could not find an implementation", "unsupported"),
    ("out of data bounds", "bad_label"),
    ("must be within the inclusive range", "bad_label"),
    ("out of bounds", "bad_label"),
    ("reduction", "bad_option"),
    ("shape", "bad_shape"),
    ("Shape", "bad_shape"),
    ("dimension", "bad_shape"),
    ("Type Error", "bad_dtype"),
    ("data type", "bad_dtype"),
)


def _kinds(p: Problem, device: str) -> Dict[str, str]:
    """The dtype of each input. The operators take labels of either width; WebGPU has integers of 32 bits."""
    kinds = kinds_of(p)
    if device == "webgpu" and kinds.get("target") == "int64":
        kinds["target"] = "int32"
    return kinds


def _feeds(p: Problem, device: str) -> Dict[str, np.ndarray]:
    feeds = {name: np.ascontiguousarray(getattr(p, name).astype(kind)) for name, kind in _kinds(p, device).items()}
    if p.target is not None and not np.array_equal(feeds["target"], p.target):
        raise UnsupportedProblem("WebGPU has no integers of 64 bits; a label needs them")
    return feeds


def _session(text: str, device: str, *, expanded: bool) -> Any:
    """Make a session on one provider. Raises UnsupportedProblem where a node would run on another one."""
    proto = onnx.parser.parse_model(text)
    while expanded and any(("", node.op_type) in _FUNCTIONS for node in proto.graph.node):
        proto = onnx.inliner.inline_selected_functions(proto, _FUNCTIONS, inline_schema_functions=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=[_PROVIDERS[device]])
    except Exception as error:
        if "assigned to the default CPU EP" not in str(error):
            raise
        raise UnsupportedProblem(
            "%s has no kernel of its own for it; the CPU's would run" % _PROVIDERS[device]
        ) from None
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise RuntimeError("the session is on %s; %s was asked for" % (session.get_providers(), _PROVIDERS[device]))
    if device != "cpu":
        elsewhere = {g.ep_name for g in session.get_provider_graph_assignment_info()} - {_PROVIDERS[device]}
        if elsewhere:
            raise RuntimeError("nodes are on %s; %s was asked for" % (", ".join(elsewhere), _PROVIDERS[device]))
    return session


def _opens(device: str) -> bool:
    """Tell whether a provider is built in, and computes something itself."""
    if _PROVIDERS[device] not in onnxruntime.get_available_providers():
        return False
    text = model(Problem("softmax", "float32", np.zeros(2)), "eager", {"x": "float32"})
    try:
        _session(text, device, expanded=False).run(None, {"x": np.zeros(2, np.float32)})
    except Exception:  # whatever it raises, it is not there
        return False
    return True


ADAPTER = OnnxruntimeAdapter()
