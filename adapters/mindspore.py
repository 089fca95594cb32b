"""MindSpore: its functional softmaxes and losses, gradients by its own transformations, in PyNative mode."""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Problem, Support, UnsupportedProblem
from .source import loss_options


def _loss(p: Problem, mode: str) -> str:
    """Write the call of a loss. Raises UnsupportedProblem for what MindSpore has no option for."""
    if p.axis % p.x.ndim != min(1, p.x.ndim - 1):
        raise UnsupportedProblem("mindspore's losses take classes on axis 1 only")
    if p.ignore_index is not None and p.has_probability_target:
        raise UnsupportedProblem("mindspore ignores labels only")
    smoothing = ", label_smoothing=%r" % p.label_smoothing if p.op == "cross_entropy" else ""
    return "ops.%s(x, target, %s%s)" % (p.op, loss_options(p), smoothing)


ADAPTER = ProgramAdapter(
    "mindspore",
    Capabilities(
        ops={
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        },
        # There are no kernels for bfloat16 on the CPU, and log_softmax documents 32 and 16 bits.
        dtypes=("float32", "float16"),
        wraps_negative_labels=True,
    ),
    # What goes wrong is raised where it does: later calls would raise it, or end the process.
    imports=("import mindspore as ms", "from mindspore import ops", "", "ms.runtime.launch_blocking()"),
    functions={
        "softmax": "ops.softmax({x}, axis={axis})",
        "log_softmax": "ops.log_softmax({x}, axis={axis})",
        "nll_loss": _loss,
        "cross_entropy": _loss,
    },
    derivatives={
        "vjp": "vjp, = ms.vjp(f, x)[1](cotangent)",
        "grad_target": "grad_target, = ms.vjp(lambda q: of_target(x, q), target)[1](cotangent)",
    },
    put="ms.Tensor({a})",
    pull="{t}.numpy()",
    errors=(("'reduction'", "bad_option"), ("label_smoothing", "bad_option"), ("must be in [", "bad_label")),
)
