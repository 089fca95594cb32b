"""cut-cross-entropy: its compiled reference, with the identity as the classifier: the embeddings are the logits.

The kernel that the package is named after needs a GPU; what is judged is ``impl="torch_compile"``.
"""

from __future__ import annotations

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, identity_fails, logits, options

_IMPORTS = (
    "import torch._dynamo",
    "from cut_cross_entropy import linear_cross_entropy",
    # Sizes are symbols of its programs; for the ninth combination of dtype and options it would raise.
    "torch._dynamo.config.recompile_limit = 1 << 30",
    "torch._dynamo.config.accumulated_recompile_limit = 1 << 30",
)


def _call(p: Problem) -> str:
    eye = "torch.eye(%d, dtype=x.dtype, device=x.device)" % p.x.shape[p.axis]
    given = options(p, ignore_index="ignore_index", reduction="reduction")
    return 'linear_cross_entropy(%s, %s, target, %s, impl="torch_compile")' % (logits(p, -1), eye, given)


_OFFERED = {
    "dtypes": ("float32", "bfloat16", "float16"),
    "ranks": (2, 3),
    "outputs": ("value", "vjp"),
}
ADAPTER = TorchLosses(
    "cut_cross_entropy",
    "cut-cross-entropy",
    _IMPORTS,
    {"torch-compile": Loss(_call, ("ignore_index",), widens=True, refused=identity_fails, offered=_OFFERED)},
)
