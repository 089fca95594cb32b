"""Transformers: the loss of causal language models, the one that it is made of, and the trainer's label smoothing."""

from __future__ import annotations

from typing import Any, Mapping

from .protocol import Problem
from .torch_losses import Loss, TorchLosses, logits, options, target

_IMPORTS = (
    "from transformers.loss.loss_utils import ForCausalLMLoss",
    "from transformers.loss.loss_utils import fixed_cross_entropy",
    "from transformers.trainer_pt_utils import LabelSmoother",
)
# A sum is the sum over one item.
_MEANS: Mapping[str, Any] = {"reductions": ("sum", "mean")}


def _items(p: Problem) -> str:
    return "num_items_in_batch=%s" % (1 if p.reduction == "sum" else None)


def _fixed(p: Problem) -> str:
    given = options(p, ignore_index="ignore_index")
    return "fixed_cross_entropy(%s, %s, %s, %s)" % (logits(p, 1), target(p, 1), _items(p), given)


def _causal(p: Problem) -> str:
    ignored = options(p, ignore_index="ignore_index")
    return "ForCausalLMLoss(x, None, %d, %s, %s, shift_labels=target)" % (p.x.shape[-1], _items(p), ignored)


def _refused(p: Problem) -> str:
    if p.x.shape[p.axis] == 0:
        return "it takes no logits of 0 classes"
    return "" if p.axis % p.x.ndim == p.x.ndim - 1 else "its logits have the classes last"


def _smoother(p: Problem) -> str:
    given = options(p, epsilon="label_smoothing", ignore_index="ignore_index")
    return 'LabelSmoother(%s)({"logits": %s}, target, %s)' % (given, logits(p, -1), _items(p))


# What is not float32 is converted to it.
_FLOAT32: Mapping[str, Any] = {**_MEANS, "dtypes": ("float32", "bfloat16", "float16")}

# Of 16 bits it makes float32 after it has rounded to 16 bits; of float64 it sums the smoothing in float32.
_NARROW: Mapping[str, Any] = {**_MEANS, "dtypes": ("float32",)}
ADAPTER = TorchLosses(
    "transformers",
    "transformers",
    _IMPORTS,
    {
        "causal-lm": Loss(_causal, ("ignore_index",), widens=True, refused=_refused, offered=_FLOAT32),
        "fixed": Loss(_fixed, ("ignore_index",), ("index", "probability"), offered=_MEANS),
        "label-smoother": Loss(_smoother, ("ignore_index", "label_smoothing"), offered=_NARROW),
    },
)
