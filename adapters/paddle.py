"""PaddlePaddle: its functional softmaxes and losses, gradients by its autograd."""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Problem, Support, UnsupportedProblem
from .source import loss_options


def _loss(p: Problem, mode: str) -> str:
    """Write the call of a loss. Raises UnsupportedProblem for what Paddle has no option for."""
    given = "target, " + loss_options(p)
    if p.op == "nll_loss":
        if p.x.ndim < 2 or p.axis % p.x.ndim != 1:
            raise UnsupportedProblem("paddle's nll_loss takes classes on axis 1 only")
        if p.reduction != "none" and p.target is not None and (p.target.ravel()[1:] == p.ignore_index).any():
            raise UnsupportedProblem("for each ignored row a 0 is written as far behind the one sum as the row is")
        return "F.nll_loss(x, %s)" % given
    if p.weight is not None and (p.has_probability_target or p.label_smoothing):
        raise UnsupportedProblem("paddle's weights of soft labels and of smoothed ones are another operation")
    if p.has_probability_target and p.ignore_index is not None:
        raise UnsupportedProblem("paddle ignores labels only")
    soft = ", soft_label=True" if p.has_probability_target else ""
    smoothing = ", label_smoothing=%r" % p.label_smoothing if p.label_smoothing else ""
    # Losses of soft labels keep the class axis, and smoothed labels are soft.
    kept = ".squeeze(%d)" % p.axis if p.reduction == "none" and (soft or smoothing) else ""
    return "F.cross_entropy(x, %s, axis=%d%s%s)%s" % (given, p.axis, soft, smoothing, kept)


def _refused(p: Problem, mode: str) -> str:
    """Say what takes minutes, an empty text for all else."""
    return "its time is quadratic in the classes" if p.op == "log_softmax" and p.x.shape[p.axis] > 2**16 else ""


ADAPTER = ProgramAdapter(
    "paddle",
    Capabilities(
        ops={
            "softmax": Support("native"),
            "log_softmax": Support("native"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        },
        # There are no kernels for 16 bits on the CPU.
        dtypes=("float64", "float32"),
    ),
    imports=(
        "import paddle",
        "import paddle.nn.functional as F",
        "",
        "def tensor(a):",
        '    return paddle.to_tensor(a, stop_gradient=a.dtype.kind != "f")',
    ),
    functions={
        "softmax": "F.softmax({x}, axis={axis})",
        "log_softmax": "F.log_softmax({x}, axis={axis})",
        "nll_loss": _loss,
        "cross_entropy": _loss,
    },
    derivatives={"vjp": "vjp, = paddle.grad(value, x, cotangent)"},
    put="tensor({a})",
    pull="{t}.numpy()",
    packages=("paddlepaddle",),
    refuse=_refused,
    reads_any_label=True,
)
