"""What a clause is, and the calls that show it: hand-made problems with the answers that the text demands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from lossproof.adapters.protocol import DTYPES, LAYOUTS, Problem
from lossproof.cases.error_case import ErrorCase
from lossproof.cases.error_cases import cases
from lossproof.cases.picker import SeededPicker
from lossproof.cases.relations import RELATIONS
from lossproof.core.call import Call
from lossproof.core.case_id import RELATION
from lossproof.core.formats import FORMATS
from lossproof.judging.check import Check

NAN, INF, LN2 = float("nan"), float("inf"), math.log(2)
# Two classes of probability 1/2, a class that is certain, and one whose neighbour is masked.
EVEN, SURE, MASKED = [0, 0], [0, -1000], [0, -INF]
# Outputs by name, or the kind of an error.
Answer = Mapping[str, Any] | str
ANY_DTYPE = DTYPES


@dataclass(frozen=True)
class Example:
    """A call in each of some dtypes, with answers that are accepted and answers that are refused."""

    make: Callable[[str], Call]
    accepts: tuple[Answer, ...] = ()
    refuses: tuple[Answer, ...] = ()
    dtypes: tuple[str, ...] = ANY_DTYPE
    declares: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Clause:
    """A statement of the specification.

    ``quote`` is literal text; parts that belong together but stand apart are joined by `` ... ``. The ``mutants``
    fail its examples, and those of no other clause but the ones in ``also``, for the reason ``because``. An entry with
    ``spared`` says what is not judged: its variants pass, and show the conventions in ``records``. ``across`` puts the
    control into one mode or device of an adapter and the mutant into another. ``control`` is the correct
    implementation, if not the plain one of its op, and ``shows`` is for statements about the suite itself.
    """

    id: str
    quote: str
    examples: tuple[Example, ...] = ()
    mutants: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    because: str = ""
    spared: bool = False
    records: Mapping[str, str] = field(default_factory=dict)
    across: str = ""
    control: str = ""
    declares: Mapping[str, Any] = field(default_factory=dict)
    shows: Callable[[], None] | None = None
    quotes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All quotations."""
        return (self.quote, *self.quotes)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """All calls."""
        return tuple(e.make(dtype) for e in self.examples for dtype in e.dtypes)

    @cached_property
    def ops(self) -> frozenset[str]:
        """The ops of its calls; composition brings others with it."""
        others = ("log_softmax", "nll_loss") if self.id == "5-composition" else ()
        return frozenset({*(c.problem.op for c in self.calls), *others})


def example(
    p: Problem | Callable[[str], Problem],
    *accepts: Answer,
    refuses: tuple[Answer, ...] = (),
    dtypes: tuple[str, ...] = ANY_DTYPE,
    family: str = "clause",
    declares: Mapping[str, Any] | None = None,
) -> Example:
    """A problem, the same in every dtype or made for one, and its accepted answers."""

    def make(dtype: str) -> Call:
        made = p(dtype) if callable(p) else replace(p, dtype=dtype)
        # sanity check: the inputs are values of the format
        assert all(FORMATS[dtype].holds(a) for a in _arrays(made))
        return Call(made, family)

    return Example(make, accepts, refuses, dtypes, declares or {})


def error(name: str, *accepts: Answer, op: str = "cross_entropy", **given: Any) -> Example:
    """A case of the error calls by its name."""

    def make(dtype: str) -> Call:
        return _cases(op, dtype)[name].check()

    return Example(make, accepts, **given)


@cache
def _cases(op: str, dtype: str) -> dict[str, ErrorCase]:
    return {f"{c.clause}-{c.name}": c for c in cases(op, dtype)}


def related(name: str, p: Problem, variant: str = "", **given: Any) -> Example:
    """An instance of a relation, from a problem made by hand."""

    def make(dtype: str) -> Call:
        r = RELATIONS[name]
        plan = r.plan(replace(p, dtype=dtype), SeededPicker(f"{name}/{variant}"), variant)
        # sanity check: the relation applies
        assert plan is not None
        base, *others = plan.problems
        return Check(
            base,
            RELATION,
            r.says,
            name=r.name,
            others=tuple(Call(q, RELATION) for q in others),
            outputs=tuple(output for output in plan.outputs if output in base.want),
            judge=plan.judged(),
            follow=plan.follow,
            watched=r.watched,
        )

    return Example(make, **given)


def _arrays(p: Problem) -> list[np.ndarray]:
    given = (getattr(p, f.name) for f in fields(p))
    return [a for a in given if isinstance(a, np.ndarray) and a.dtype.kind == "f"]


def softmax(x: Any, v: Any = None, t: Any = None, *, op: str = "softmax", **options: Any) -> Problem:
    """A problem of softmax: logits, cotangent, direction."""
    return Problem(op, "float32", _floats(x), cotangent=_maybe(v), tangent=_maybe(t), **options)


def log_softmax(x: Any, v: Any = None, t: Any = None, **options: Any) -> Problem:
    """A problem of log-softmax."""
    return softmax(x, v, t, op="log_softmax", **options)


def loss(
    x: Any,
    target: Any,
    reduction: str = "none",
    *,
    op: str = "cross_entropy",
    w: Any = None,
    g: Any = None,
    t: Any = None,
    u: Any = None,
    dq: bool = False,
    eps: float = 0.0,
    ignore: int | None = None,
    axis: int = -1,
) -> Problem:
    """A problem of cross-entropy: integers are labels, other numbers probabilities; ``g`` is the cotangent."""
    y = np.asarray(target)
    return Problem(
        op,
        "float32",
        _floats(x),
        y.astype(np.int64) if y.dtype.kind == "i" else y.astype(np.float64),
        _maybe(w),
        _maybe(g),
        axis,
        reduction,
        ignore,
        eps,
        _maybe(t),
        dq,
        _maybe(u),
    )


def nll(x: Any, target: Any, reduction: str = "none", **options: Any) -> Problem:
    """A problem of nll_loss."""
    return loss(x, target, reduction, op="nll_loss", **options)


def row_loss(x: list[float], c: list[float]) -> float:
    """``-sum_j c_j log p_j``, from the definition."""
    top = max(x)
    log_sum = top + math.log(math.fsum(math.exp(v - top) for v in x))
    return -math.fsum(w * (v - log_sum) for w, v in zip(c, x, strict=True))


def _floats(a: Any) -> np.ndarray:
    return np.asarray(a, dtype=np.float64)


def _maybe(a: Any) -> np.ndarray | None:
    return None if a is None else _floats(a)


# The row losses of the valid problems from which error calls are made.
PLAIN = [row_loss([0.5, -1.0, 2.0, 0.25], [0, 1, 0, 0]), row_loss([1.5, 0.0, -0.75, 1.0], [0, 0, 1, 0])]
DENSE = [row_loss([0.5, -1.0, 2.0, 0.25], [0.5, 0.25, 0.25, 0]), row_loss([1.5, 0.0, -0.75, 1.0], [0, 0.125, 0, 0.875])]
# sanity check: the names of layouts that section 5 lists
assert {"transposed", "stepped", "reversed", "expanded", "offset"} <= set(LAYOUTS)
