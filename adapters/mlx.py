"""MLX: its softmaxes and losses, derivatives by its own transformations."""

from __future__ import annotations

from .program_adapter import ProgramAdapter
from .protocol import Capabilities, Problem, Support, UnsupportedProblem


def _loss(p: Problem, mode: str) -> str:
    """Write the call of a loss. Raises UnsupportedProblem for what MLX has no option for."""
    if p.weight is not None or p.ignore_index is not None:
        raise UnsupportedProblem("mlx's losses have neither class weights nor ignored labels; its weights are of rows")
    given = 'axis=%d, reduction="%s"' % (p.axis, p.reduction)
    if p.op == "cross_entropy":
        given += ", label_smoothing=%r" % p.label_smoothing
    return "nn.losses.%s(x, target, %s)" % (p.op, given)


ADAPTER = ProgramAdapter(
    "mlx",
    Capabilities(
        ops={
            "softmax": Support("native", note="mx.softmax"),
            "log_softmax": Support("native", note="nn.log_softmax"),
            "nll_loss": Support("native", ("index",)),
            "cross_entropy": Support("native"),
        },
        # exp of a float64 array is as exact as one of float32.
        dtypes=("float32", "bfloat16", "float16"),
        full_smoothing=False,
        normalised_targets=True,
        # As all its indexing does.
        wraps_negative_labels=True,
    ),
    imports=("import mlx.core as mx", "import mlx.nn as nn"),
    functions={
        "softmax": "mx.softmax({x}, axis={axis})",
        "log_softmax": "nn.log_softmax({x}, axis={axis})",
        "nll_loss": _loss,
        "cross_entropy": _loss,
    },
    derivatives={
        "vjp": "(value,), (vjp,) = mx.vjp(f, [x], [cotangent])",
        "jvp": "jvp = mx.jvp(f, [x], [tangent])[1][0]",
        "hvp": "hvp = mx.jvp(lambda x: mx.vjp(f, [x], [cotangent])[1][0], [x], [tangent])[1][0]",
        "grad_target": "grad_target = mx.vjp(lambda q: of_target(x, q), [target], [cotangent])[1][0]",
        "mixed": "mixed = mx.vjp(lambda x: mx.vjp(lambda q: of_target(x, q), [target], [cotangent])[1][0], [x], "
        "[target_tangent])[1][0]",
        "jvp_target": "jvp_target = mx.jvp(lambda q: of_target(x, q), [target], [target_tangent])[1][0]",
    },
    put="mx.array({a})",
    pull="np.array({t})",
    bfloat16=("{t}.astype(mx.bfloat16)", "{t}.astype(mx.float32)"),
    reads_any_label=True,
    writes_any_label=True,
    errors=(("Label smoothing", "bad_option"), ("reduction", "bad_option")),
)
