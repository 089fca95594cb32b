"""The tensors of a problem in a framework, and how a problem falls apart into rows that can be batched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from .protocol import REDUCED, Problem


@dataclass(frozen=True)
class Given:
    """The tensors of a problem in a framework, by the names of its fields; None where it has none."""

    x: Any
    target: Any = None
    weight: Any = None
    cotangent: Any = None
    tangent: Any = None
    target_tangent: Any = None
    sample_weight: Any = None


@dataclass(frozen=True)
class Batching:
    """The way in which a problem is batched.

    It is batched over the axis ``rows``, one row being the problem ``inside`` (of which the options matter), or with
    ``rows`` None over a new axis, on which the logits and their mirror image lie.
    """

    rows: Optional[int]
    inside: Problem

    def in_dims(self, p: Problem) -> Dict[str, int]:
        """Return the batched axis of each tensor that is there, but for the weights, which all rows share."""
        # sanity check: only rows have places
        assert self.rows is not None
        reduced = self._reduced(p)
        labels = reduced if p.is_loss and not p.has_probability_target else self.rows
        places = {"x": self.rows, "target": labels, "cotangent": reduced}
        places.update(tangent=self.rows, target_tangent=self.rows)
        return {name: place for name, place in places.items() if getattr(p, name) is not None}

    def out_dims(self, p: Problem, want: Sequence[str]) -> Tuple[int, ...]:
        """Return the batched axis of each output."""
        # sanity check: only rows have places
        assert self.rows is not None
        return tuple(self._reduced(p) if name in REDUCED else self.rows for name in want)

    def _reduced(self, p: Problem) -> int:
        """Return the batched axis of what has the shape of the value."""
        # sanity check: only rows have places
        assert self.rows is not None
        return self.rows - (p.axis % p.x.ndim < self.rows) if p.is_loss else self.rows


def value_and_gradients(
    vjp: Callable[..., Any], f: Callable[[Any], Any], g: Given, want: Sequence[str]
) -> Dict[str, Any]:
    """Compute the value of ``f`` at the logits and, by a ``vjp`` like JAX's, the gradient, twice if that is wanted."""
    if "vjp" not in want:
        return {"value": f(g.x)}
    value, pull_back = vjp(f, g.x)
    out = {"value": value} if "value" in want else {}
    (out["vjp"],) = pull_back(g.cotangent)
    if "vjp_again" in want:
        (out["vjp_again"],) = pull_back(g.cotangent)
    return out


def ignored_label(p: Problem) -> int:
    """Return the label to be ignored, for functions that always ignore one: absent means a label that no row has."""
    if p.ignore_index is not None:
        return p.ignore_index
    if p.has_probability_target or p.target is None:
        return -100
    return min(-100, int(p.target.min(initial=0)) - 1)


def batching(p: Problem) -> Batching:
    """Choose the axis over which a problem is batched.

    Where each row has a result of its own it is the first axis that is not that of the classes and has entries (vmap
    takes no empty one); elsewhere it is a new one.
    """
    axis = p.axis % p.x.ndim
    alone = not p.is_loss or p.reduction == "none"
    rows = next((i for i in range(p.x.ndim) if alone and i != axis and p.x.shape[i]), None)
    return Batching(rows, p if rows is None else replace(p, axis=axis - (rows < axis), x=p.x.take(0, rows)))
