"""TensorFlow: ``tf.nn``'s own functions; what these lack (weights, smoothing, reductions, NLL) is composed."""

from __future__ import annotations

import importlib
import os
import platform
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from . import compose, processor, tensorflow_source
from .kernel_times import Measure
from .protocol import LOSSES, OPS, OUTPUTS, Capabilities, Description, Meter, Problem, Support, UnsupportedProblem
from .tensorflow_giant import TensorFlowGiant
from .tensorflow_modes import Modes, deterministic, has_determinism, has_keras, is_native
from .tensorflow_tensors import computed, error_kind, timed

# Infinity minus infinity in the shift (kernels of softmax differ); the composition has no ignore_index for
# probabilities.
_CONVENTIONS = {
    **{("4", op, output): "nan" for op in ("log_softmax", "cross_entropy") for output in ("value", "vjp")},
    ("4", "softmax", "vjp"): "nan",
    ("11", "nll_loss", "vjp"): "limit",
    **{("14", "cross_entropy", output): "no effect" for output in ("value", "vjp")},
}
# Several CPU devices where a user wants them (cpu:1 is then a device): they must be asked for before TensorFlow starts.
_CPUS = int(os.environ.get("LOSSPROOF_TF_LOGICAL_CPUS", "1"))


class TensorFlowAdapter:
    """The functions of ``tf.nn``, op by op, as graphs, and compiled."""

    name = "tensorflow"

    def __init__(self) -> None:
        self.meter = Meter()
        self._modes = Modes(self.meter)
        self.giant = TensorFlowGiant(self._modes.evaluate)
        ops = {
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("composed", ("index",), "TensorFlow has no NLL of log-probabilities"),
            "cross_entropy": Support(
                "native",
                note="row losses of tf.nn.(sparse_)softmax_cross_entropy_with_logits; label weights and reductions "
                "composed; smoothing and weighted probabilities composed from tf.nn.log_softmax in float32 or wider",
            ),
        }
        # Measured: the float16 row losses are wide, the bfloat16 ones are not.
        profiles = {("nll_loss", "bfloat16"): "W", ("nll_loss", "float16"): "W"}
        gpus = _gpus()
        self._capabilities = Capabilities(
            ops=ops,
            devices=("cpu", *("cpu:%d" % i for i in range(1, _CPUS)), *("gpu:%d" % i for i in range(len(gpus)))),
            modes=(
                "eager",
                "graph",
                "xla",
                "forward-over-reverse",
                *(("deterministic",) if has_determinism() else ()),
                *(("keras",) if has_keras() else ()),
                *(("tf32",) if gpus else ()),
            ),
            profiles=profiles,
            outputs=OUTPUTS,
            out_dtypes=LOSSES,
            omits=("softmax", "log_softmax"),
            scales=OPS,
            conventions=_CONVENTIONS,
            variables=(
                *processor.variables(processor.WITH_ONEDNN, processor.ONEDNN, processor.XLA),
                "TF_NUM_INTRAOP_THREADS=4",
            ),
            # Measured: 0.02 s for a graph, 0.1 s for a compiled program, of each signature.
            by_mode={
                **{mode: {"compile_cost": "cheap"} for mode in ("graph", "xla")},
                **({"keras": {"ops": {"cross_entropy": ops["cross_entropy"]}}} if has_keras() else {}),
            },
        )

    def describe(self) -> Description:
        """Report versions, threads, and the flags that can change bits."""
        versions = {"tensorflow": tf.__version__, "numpy": np.__version__, "python": platform.python_version()}
        facts = {
            "intra_op_threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
            "TF_NUM_INTRAOP_THREADS": os.environ.get("TF_NUM_INTRAOP_THREADS", ""),
            "isa": processor.features(),
            "isa+xla": processor.of_xla(),
            "onednn": _onednn(),
            **processor.limits(),
        }
        if _gpus():
            facts["gpus"] = ", ".join(tf.config.experimental.get_device_details(d)["device_name"] for d in _gpus())
            facts["tf32"] = "on in mode tf32, off in the others"
        return Description(versions, facts)

    def capabilities(self) -> Capabilities:
        """Offer native softmax, log_softmax and row losses, the rest composed."""
        return self._capabilities

    def evaluate(self, problem: Problem, device: str, mode: str) -> Dict[str, Any]:
        """Compute every output that is wanted, in one of the ways of ``tensorflow_modes``."""
        if not is_native(problem):
            compose.check_labels(problem)
        with _switched(device, mode) as way:
            return computed(problem, device, lambda g: self._modes.evaluate(problem, g, way))

    def timed(self, problem: Problem, device: str, mode: str, measure: Measure) -> Mapping[str, float]:
        """Time value and gradient of tensors that are placed, beside TensorFlow's copy of the input."""
        with _switched(device, mode) as way:
            return timed(problem, device, lambda p, g: self._modes.evaluate(p, g, way), measure)

    def error_kind(self, error: Exception) -> str:
        """Classify an exception by its type, InvalidArgumentError also by its words."""
        return error_kind(error)

    def script(self, problem: Problem, device: str, mode: str) -> str:
        """Write the same computation as a program of TensorFlow alone."""
        return tensorflow_source.script(problem, device, mode)


@contextmanager
def _switched(device: str, mode: str) -> Iterator[str]:
    """Turn the switch of a mode for the block, and say which mode computes then."""
    on_gpu = device.partition(":")[0] == "gpu"
    if not on_gpu and mode == "tf32":
        raise UnsupportedProblem("TF32 is a format of CUDA devices")
    if on_gpu:
        tf.config.experimental.enable_tensor_float_32_execution(mode == "tf32")
    with deterministic(mode == "deterministic"):
        yield "eager" if mode in ("tf32", "deterministic") else mode


def _onednn() -> str:
    """The kernels of oneDNN that TensorFlow may use; ``off`` if it uses none. It says itself whether it does."""
    for name in ("tensorflow.python.util._pywrap_util_port", "tensorflow.python._pywrap_util_port"):
        try:
            on = importlib.import_module(name).IsMklEnabled()
        except (ImportError, AttributeError):
            continue
        return processor.of_onednn() if on else "off"
    return processor.of_tensorflow_onednn()


def _gpus() -> List[Any]:
    return list(tf.config.list_physical_devices("GPU"))


def _start() -> None:
    """Set what must be set before TensorFlow starts: nothing runs elsewhere than asked, memory is taken as needed."""
    tf.config.set_soft_device_placement(False)
    if _CPUS > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * _CPUS)
    for gpu in _gpus():
        tf.config.experimental.set_memory_growth(gpu, True)


_start()
ADAPTER = TensorFlowAdapter()
