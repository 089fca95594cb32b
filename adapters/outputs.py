"""The outputs as data: what each needs of a problem, its formula in words, its order of derivative, the ops with it.

The engine and the adapters read this one table. To add an output, add its entry here, its formula to the oracle
(``truth/oracle/formulas.py``), its bound to ``truth/bounds``, and the computation to the adapters that offer it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import FrozenSet, Mapping, Optional, Tuple

# The fields of a problem that hold arrays, in the order in which programs, digests and messages name them.
ARRAYS = ("x", "target", "weight", "cotangent", "tangent", "target_tangent", "sample_weight")


@dataclass(frozen=True)
class Output:
    """One output of an op.

    ``name``           its name in problems, outcomes and records
    ``words``          what it is, to be followed by "of" and the op: ``gradient``
    ``order``          order of the derivative: 0, 1 or 2
    ``formulas``       ``{op: its formula in words}`` for the ops that have it, in the notation below
    ``takes``          arrays of the problem that it needs besides those of the value, in the order in which
                       ``check_implementation`` passes them to the function of a derivative
    ``flags``          fields of the problem that must be true
    ``of_probabilities`` whether it needs targets that are probabilities
    ``reduced``        whether it has the shape and the dtype of the value; the others have those of the logits
    ``repeats``        the output whose formula, bound and special values it shares, computed once more, or None

    Notation, that of the specification: x logits, p = softmax, w weights, q targets, q' smoothed, g the cotangent of a
    row over the denominator of its mean, Q = sum w q', v a cotangent or a direction in x, u a direction in q. Formulas
    of order 0 stand in section 2 of ``docs/specification.md``, the others in section 3.
    """

    name: str
    words: str
    order: int
    formulas: Mapping[str, str]
    takes: Tuple[str, ...] = ()
    flags: Tuple[str, ...] = ()
    of_probabilities: bool = False
    reduced: bool = False
    repeats: Optional[str] = None

    @property
    def section(self) -> str:
        """The section of the specification that defines the output."""
        return "3" if self.order else "2"

    @property
    def needs(self) -> Tuple[str, ...]:
        """The fields of a problem that ask for the output: arrays that are there, and flags that are true."""
        return self.takes + self.flags


_GRADIENTS = {
    "softmax": "p_i (v_i - sum_j p_j v_j)",
    "log_softmax": "v_i - p_i sum_j v_j",
    "nll_loss": "-w_y g at the target entry, 0 elsewhere",
    "cross_entropy": "g (Q p_i - w_i q'_i) with Q = sum_j w_j q'_j",
}

TABLE: Mapping[str, Output] = {
    output.name: output
    for output in (
        Output(
            name="value",
            words="value",
            order=0,
            formulas={
                "softmax": "p_j = exp(x_j - max x) / sum_k exp(x_k - max x)",
                "log_softmax": "log p_j = x_j - max x - log sum_k exp(x_k - max x)",
                "nll_loss": "l_n = -w_y x[n, y], then the reduction; mean divides by the sum of w_y",
                "cross_entropy": "l_n = -sum_j w_j q'_j log p_j with q' = (1 - eps) q + eps/K, then the reduction",
            },
            reduced=True,
        ),
        Output(
            name="vjp",
            words="gradient",
            order=1,
            formulas=_GRADIENTS,
            takes=("cotangent",),
        ),
        Output(
            name="jvp",
            words="JVP",
            order=1,
            formulas={
                "softmax": "p_i (v_i - sum_j p_j v_j)",
                "log_softmax": "v_i - sum_j p_j v_j",
                "nll_loss": "per row -w_y v_y, then the reduction",
                "cross_entropy": "per row sum_i (Q p_i - w_i q'_i) v_i, then the reduction",
            },
            takes=("tangent",),
            reduced=True,
        ),
        Output(
            name="hvp",
            words="HVP",
            order=2,
            formulas={
                "log_softmax": "-(sum c) p_i (v_i - sum_j p_j v_j) for a cotangent c",
                "nll_loss": "0",
                "cross_entropy": "g Q p_i (v_i - sum_j p_j v_j)",
            },
            takes=("cotangent", "tangent"),
        ),
        Output(
            name="grad_target",
            words="gradient w.r.t. the targets",
            order=1,
            formulas={"cross_entropy": "-(1 - eps) g w_j log p_j"},
            takes=("cotangent",),
            flags=("wrt_target",),
            of_probabilities=True,
        ),
        Output(
            name="mixed",
            words="mixed second derivative",
            order=2,
            formulas={"cross_entropy": "g (1 - eps) (p_i sum_j w_j u_j - w_i u_i)"},
            takes=("cotangent", "target_tangent"),
            flags=("wrt_target",),
            of_probabilities=True,
        ),
        Output(
            name="jvp_target",
            words="JVP along the targets",
            order=1,
            formulas={"cross_entropy": "per row -(1 - eps) sum_j w_j u_j log p_j, then the reduction"},
            takes=("target_tangent",),
            of_probabilities=True,
            reduced=True,
        ),
        Output(
            name="vjp_again",
            words="gradient of a second backward pass",
            order=1,
            formulas=_GRADIENTS,
            takes=("cotangent",),
            flags=("repeat_backward",),
            repeats="vjp",
        ),
    )
}
OUTPUTS = tuple(TABLE)
# Those of the value's shape; the others have that of the logits.
REDUCED = tuple(output.name for output in TABLE.values() if output.reduced)
# The fields of a problem that some output needs besides what the value takes.
NEEDS = tuple(dict.fromkeys(field for output in TABLE.values() for field in output.needs))


@lru_cache(maxsize=None)
def wanted(op: str, given: FrozenSet[str], *, probabilities: bool) -> Tuple[str, ...]:
    """The outputs of an op that a problem asks for: those whose ``NEEDS`` are all among the ones that it has."""
    return tuple(
        output.name
        for output in TABLE.values()
        if op in output.formulas and given.issuperset(output.needs) and probabilities >= output.of_probabilities
    )


# The value, its gradient, and that of a second backward pass: one forward pass gives them all.
OF_ONE_PASS = tuple(name for name, output in TABLE.items() if {"cotangent", "repeat_backward"}.issuperset(output.needs))


def computed_with(name: str) -> Tuple[str, ...]:
    """Return the gradients that a derivative is a derivative of, the nearest one last, and then itself."""
    own = set(TABLE[name].needs)
    found = [n for n, o in TABLE.items() if o.order and not o.reduced and not o.repeats and own.issuperset(o.needs)]
    return (*(n for n in found if n != name), name)
