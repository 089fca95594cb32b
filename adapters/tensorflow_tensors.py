"""The way of a problem through TensorFlow: onto a device as tensors, through a computation, and exactly back.

Every computation on TensorFlow's tensors goes this way: the adapters' own functions, and those that somebody else
wrote.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

import tensorflow as tf

from . import processor, tensorflow_modes
from .given import Given
from .kernel_times import Measure, given_of, of_outputs
from .protocol import Problem
from .tensorflow_modes import TYPES, placed, pulled

OFFERED_LAYOUTS = ("contiguous",)


def computed(p: Problem, device: str, outputs: Callable[[Given], Dict[str, Any]]) -> Dict[str, Any]:
    """Compute outputs of the tensors of a problem on a device, and pull them back; exceptions among them stay.

    Raises RuntimeError for a result on another device.
    """
    place = _place(device)
    with tf.device(place):
        out = outputs(placed(p))
        for t in out.values():
            if not isinstance(t, Exception) and not t.device.endswith("device:" + place[1:]):
                raise RuntimeError("a result is on %s; the inputs were placed on %s" % (t.device, place))
        return {name: t if isinstance(t, Exception) else pulled(t) for name, t in out.items()}


def timed(p: Problem, device: str, outputs: Callable[[Problem, Given], Any], measure: Measure) -> Mapping[str, float]:
    """Measure the outputs of tensors that are placed on a device, each waited for, beside a copy of the input."""
    with tf.device(_place(device)):
        g = placed(p)

        def evaluate(asked: Problem) -> None:
            for t in outputs(asked, given_of(asked, g)).values():
                _wait(t)

        # tf.identity shares memory.
        return measure(of_outputs(p, lambda: _wait(tf.raw_ops.DeepCopy(x=g.x)), evaluate))


def _wait(t: Any) -> None:
    """Wait until a tensor on an accelerator is computed, by taking one entry of it; on the CPU it is."""
    if "CPU" not in t.device:
        tf.reshape(t, [-1])[:1].numpy()


def _place(device: str) -> str:
    kind, _, index = device.partition(":")
    return "/%s:%s" % (kind.upper(), index or "0")


def derive(f: Callable[[Any, Any], Any], g: Given, want: Sequence[str]) -> Dict[str, Any]:
    """Compute the value, gradients through ``tf.GradientTape``, directions through forward mode."""
    return tensorflow_modes.derive(lambda x, target, select_used: f(x, target), g, want)


def dtype(name: str) -> Any:
    """Return TensorFlow's dtype of a format."""
    return TYPES[name]


def is_tensor(a: Any) -> bool:
    """Tell whether something is a tensor of TensorFlow."""
    return isinstance(a, tf.Tensor)


def is_cut_off(value: Any) -> bool:
    """Tell whether a value has no derivative; here only a tape that watched it could tell."""
    return False


def error_kind(error: Exception) -> str:
    """Classify an exception by its type, InvalidArgumentError also by its words."""
    text = str(error)
    if isinstance(error, IndexError):
        return "bad_label"
    if isinstance(error, tf.errors.InvalidArgumentError):
        if "label value" in text:
            return "bad_label"
        # Devices are checked when a target is made: what is missing is a kernel.
        if "Could not satisfy device specification" in text:
            return "unsupported"
        return "bad_dtype" if "for attr 'T" in text or "was expected to be a" in text else "bad_shape"
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return "resource"
    if isinstance(error, (tf.errors.UnimplementedError, tf.errors.NotFoundError)):
        return "unsupported"
    if isinstance(error, tf.errors.AbortedError) and processor.is_left_out(text):
        return "unsupported"
    if isinstance(error, TypeError):
        return "bad_dtype"
    return "bad_shape" if isinstance(error, ValueError) else "internal"
