"""Trial calls find out what a function takes before anything of it is judged: dtypes, reductions, ranks, targets,
derivatives. They look at shapes, dtypes and exceptions, never at whether numbers are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import numpy as np

from lossproof.adapters import local
from lossproof.adapters.outputs import TABLE, computed_with
from lossproof.adapters.protocol import LOSSES, Adapter, Outcome, Problem
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS
from lossproof.functions.declaration import Declaration
from lossproof.functions.function_adapter import Offer

_LOGITS = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.0, -0.75, 1.0]])
_TARGETS = np.array([[0.5, 0.25, 0.25, 0.0], [0.0, 0.125, 0.0, 0.875]])
_DIRECTION = np.array([[1.0, -0.5, 0.25, 0.0], [0.5, 1.0, -1.0, 0.125]])
# Logits of more axes, with the class axis last.
_CUBE = np.arange(24.0).reshape(2, 3, 4) % 5 / 4

# A difference over a step of this size tells a derivative from another one, in float32, too.
_STEP, _ROUGHLY = 2.0**-5, 0.1
_LONG = 120


class Heard(StringIO):
    """A stream keeps what is written to standard output, and stays open where that is closed."""

    def close(self) -> None:
        """Write that it was closed."""
        self.write("(standard output is closed)")


@dataclass
class Trial:
    """Trial calls of one function: ``ask`` makes an outcome of a problem. What it has printed is in ``printed``."""

    ask: Callable[[Problem], Outcome]
    printed: list[str] = field(default_factory=list)

    def __call__(self, p: Problem) -> Outcome:
        """Put a problem to the function."""
        out = Heard()
        with redirect_stdout(out):
            outcome = self.ask(p)
        if out.getvalue():
            self.printed.append(out.getvalue())
        return outcome


def ordinary_problem(op: str, dtype: str, *, reduction: str = "mean", probabilities: bool = False) -> Problem:
    """Return an ordinary problem of two rows and four classes that asks for the value alone."""
    x = -np.abs(_LOGITS) - 0.25 if op == "nll_loss" else _LOGITS
    if op not in LOSSES:
        return Problem(op, dtype, FORMATS[dtype].round(x))
    return Problem(op, dtype, x, target=_TARGETS if probabilities else np.array([1, 2]), reduction=reduction)


def alike_rows(p: Problem) -> Problem:
    """Return a problem with both rows alike, of which the sum is twice the mean."""
    # sanity check: the sum of a loss is asked for
    assert p.target is not None
    return replace(p, x=np.array([p.x[0], p.x[0]]), target=np.array([p.target[0], p.target[0]]))


def first_row(p: Problem) -> Problem:
    """Return the problem of the first row twice, as one row."""
    # sanity check: the sum of a loss is asked for
    assert p.target is not None
    return replace(p, x=p.x[:1], target=p.target[:1])


def options_in_use(p: Problem) -> dict[str, Problem]:
    """Return ordinary problems that use one option each."""
    if p.op not in LOSSES:
        return {}
    found = {"weight": replace(p, weight=np.array([1.0, 2.0, 0.5, 1.0])), "ignore_index": replace(p, ignore_index=3)}
    if p.op == "cross_entropy":
        found["label_smoothing"] = replace(p, label_smoothing=0.125)
    return found


def of_rank(p: Problem, rank: int, axis: int) -> Problem:
    """Return an ordinary problem of another rank, whose class axis is the last one or the second one."""
    if rank == 1:
        return replace(p, x=p.x[0], target=None if p.target is None else np.array(1), axis=-1)
    x = -np.abs(_CUBE) - 0.25 if p.op == "nll_loss" else _CUBE
    x = x if axis == -1 else np.moveaxis(x, -1, 1)
    labels = np.array([[0, 1, 2], [3, 2, 1]])
    return replace(p, x=x, target=labels if p.op in LOSSES else None, axis=axis)


def with_directions(p: Problem) -> Problem:
    """Return a problem with everything that derivatives need."""
    dense = p.has_probability_target
    shape = p.shape_of("value")
    direction = np.resize(_DIRECTION, p.x.shape)
    cotangent = np.ones(shape) if p.is_loss else direction + 0.5
    return replace(
        p,
        cotangent=cotangent,
        tangent=direction,
        wrt_target=dense,
        target_tangent=direction if dense else None,
        repeat_backward=True,
    )


def trial_of(adapter: Adapter, device: str) -> Trial:
    """Return the trial of an adapter in this process."""
    return Trial(lambda p: local.answer(adapter, p, device, "eager"))


def second_differs(ask: Callable[[Problem], Outcome], p: Problem, name: str) -> bool:
    """Tell whether a second derivative is not, even roughly, what differences of first derivatives are.

    What a rule of its own keeps from the forward pass is a constant to many frameworks when they differentiate again.
    """
    first = computed_with(name)[-2]
    # sanity check: problems of second derivatives have a direction
    assert p.tangent is not None
    ends = [ask(replace(p, x=p.x + side * _STEP * p.tangent, only=(first,))) for side in (1.0, -1.0)]
    given = ask(replace(p, only=(name,)))
    if any(first not in end.outputs for end in ends) or name not in given.outputs:
        return False
    slope = (ends[0].outputs[first].data - ends[1].outputs[first].data) / (2 * _STEP)
    second = given.outputs[name].data
    if TABLE[name].of_probabilities:
        # sanity check: those of targets have a direction in them
        assert p.target_tangent is not None
        slope, second = np.sum(slope * p.target_tangent), np.sum(second * p.tangent)
    return bool(np.max(np.abs(slope - second)) > _ROUGHLY * (np.max(np.abs(slope)) + _STEP))


def asked_words(name: str, framework: str, d: Declaration, offer: Offer, fixed: Mapping[str, Any]) -> str:
    """Say in a line what will be asked of a function, and which options will not."""
    op = OPERATIONS[d.op]
    parts = [f"{framework} tensors" if framework != "numpy" else "numpy arrays", ", ".join(offer.dtypes)]
    if op.targets:
        words = {"index": "class indices", "probability": "probabilities"}
        kinds = " and ".join(words[kind] for kind in offer.kinds)
        parts += [kinds, f"reduction {', '.join(offer.reductions)}"]
    parts += [f"{', '.join(map(str, offer.ranks))} axes"] if offer.ranks else []
    parts.append(", ".join(TABLE[output].words for output in offer.outputs if not TABLE[output].repeats))
    taken = [option for option in op.options if option in offer.options and option != "reduction"]
    parts += [f"with {', '.join(sorted(taken))}"] if taken else []
    parts += d.variant_notes(offer.options)
    left = sorted(option for option in op.options - offer.options if option not in fixed and option != "reduction")
    text = f"asked of {name}: {'; '.join(part for part in parts if part)}"
    return f"{text}. Not asked: {', '.join(left)} (it has no argument for it)" if left else text


def short(text: str) -> str:
    """Return a text as one line that is no longer than a message may be."""
    one = " ".join(text.split())
    return one if len(one) <= _LONG else one[: _LONG - 3] + "..."


def refused(outcome: Outcome, output: str = "value") -> str:
    """Return why there is no result of an output; an empty text if there is one."""
    answer = outcome.of(output)
    if answer.error is not None:
        return answer.message or answer.error
    return "" if output in answer.outputs else "no rule for it"
