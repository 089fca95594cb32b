"""fairseq2: its cross-entropy, without the package's other parts, which need its own native library.

Its label smoothing, as fairseq's, gives ``eps / (K - 1)`` to each class but the label's, and ``1 - eps`` to that: the
operation of the specification with ``eps K / (K - 1)``. It is asked with the smoothing that makes the two one.
"""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options, part


def _call(p: Problem) -> str:
    k = p.x.shape[p.axis]
    # The label that is ignored has no default here: None would leave PyTorch's.
    given = options(p, pad_idx="ignore_index", reduction="reduction")
    if p.label_smoothing:
        given += ", label_smoothing=%r * %d / %d" % (p.label_smoothing, k - 1, k)
    return "cross_entropy.cross_entropy(%s, target, %s)" % (logits(p, -1), given)


def _refused(p: Problem) -> str:
    return "of one class the smoothing is divided by 0" if p.label_smoothing and p.x.shape[p.axis] == 1 else ""


_OFFERED = {"dtypes": ("float32", "bfloat16", "float16"), "ranks": (2, 3)}
ADAPTER = TorchLosses(
    "fairseq2",
    "fairseq2",
    part("fairseq2", "nn/functional/cross_entropy.py"),
    {
        "cross-entropy": Loss(
            _call, ("ignore_index", "label_smoothing"), widens=True, refused=_refused, offered=_OFFERED
        )
    },
)
