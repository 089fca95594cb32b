"""The preparation of a function: it becomes a target, with calls that it can be asked, before anything is judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.adapters.protocol import Problem
from lossproof.cases.families import FAMILIES
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS
from lossproof.functions.argument_names import ArgumentNames, argument_names
from lossproof.functions.callee import Callee, callee
from lossproof.functions.declaration import Declaration
from lossproof.functions.frameworks import FRAMEWORKS, framework_of, imported
from lossproof.functions.trial_findings import Finder, TrialFindings
from lossproof.targets.plain_function import numpy_dtype


def kept_calls(calls: Iterable[Call], d: Declaration) -> tuple[list[Call], list[str]]:
    """Return the calls that a declaration leaves, as the function takes them, and what is left out in a line each."""
    kept: list[Call] = []
    left: dict[str, int] = {}
    for call in calls:
        why = _outside(call, d)
        if why:
            left[why] = left.get(why, 0) + 1
        else:
            kept.append(_widened(call, d.result_dtype))
    return kept, [f"{n} calls {why}" for why, n in left.items()]


def _outside(call: Call, d: Declaration) -> str:
    for one in call.calls:
        p = one.outline
        if d.max_classes is not None and p.x.shape[p.axis] > d.max_classes:
            return f"of more than {d.max_classes} classes (max_classes)"
        if d.finite and not _has_finite_logits(one):
            return "with logits that are not finite (finite)"
        is_other = p.target is not None and p.target.dtype.kind in "iu" and p.target.dtype.name != "int64"
        if d.labels is not None and is_other and p.target is not None and p.target.dtype.name not in d.labels:
            return "with labels of another type (not among labels)"
        is_another = d.result_dtype is not None and p.out_dtype not in (None, d.result_dtype)
        if d.result_dtype is not None and is_another and not _is_narrower(p, d.result_dtype):
            return f"of results of another dtype (result_dtype is {d.result_dtype})"
        if d.result_dtype is not None and call.is_check and _is_narrower(p, d.result_dtype):
            return f"that compare results of the input's dtype (result_dtype is {d.result_dtype})"
    return ""


def _has_finite_logits(call: Call) -> bool:
    family, p = FAMILIES.get(call.family), call.outline
    if p.scale == 1.0 and family is not None and family.regular:
        return True
    # A factor may take the largest finite logits, those of masks, out of the range.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(FORMATS[p.dtype].round(call.problem.x * p.scale)).all())


def _is_narrower(p: Problem, wide: str) -> bool:
    return FORMATS[p.dtype].bits < FORMATS[wide].bits and p.out_dtype != wide


def _widened(call: Call, wide: str | None) -> Call:
    """The call with a result of a wider dtype, of which a value and a gradient are asked."""
    if wide is None or not _is_narrower(call.outline, wide):
        return call
    p = replace(call.problem, out_dtype=wide, scale=1.0)
    return call.with_problem(replace(p, tangent=None, target_tangent=None, wrt_target=False) if p.is_loss else p)


def prepared(function: Any, declaration: Declaration, *, tried: bool = True) -> TrialFindings:
    """Read a function's signature, try what it takes, if it is ``tried``, and make an adapter of it.

    Raises :class:`UsageError` for what is no function, and for one that cannot be called with the operation's
    arguments.
    """
    declaration.check()
    who = callee(function, declaration.name)
    extras = frozenset(declaration.options or ()) & OPERATIONS[declaration.op].extras
    extras |= frozenset(declaration.variant_parts)
    names = argument_names(who.read, declaration.op, names=declaration.names, extras=extras, shown=who.name)
    if "sample_weight" in declaration.variant_parts and "sample_weight" not in names.options:
        raise UsageError(
            f"{who.name} takes {', '.join(names.own.values())}; weights of rows need an argument for them: one named "
            "sample_weight, or names={'sample_weight': ...}"
        )
    told = framework_of(function, declaration.framework)
    framework = told or (_tried(who, names, declaration) if tried else FRAMEWORKS[0])
    for dtype in declaration.dtypes or ():
        if framework == "numpy":
            numpy_dtype(dtype)
    finder = Finder(who, declaration, names, framework)
    return finder.found() if tried else finder.untried()


def _tried(who: Callee, names: ArgumentNames, declaration: Declaration) -> str:
    """Return the framework whose tensors a function takes of which nothing else tells: the first that it answers."""
    for framework in ("numpy", *(name for name in FRAMEWORKS[1:] if imported(name))):
        finder = Finder(who, declaration, names, framework)
        if not finder.base()[1]:
            return framework
    return "numpy"
