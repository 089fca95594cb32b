"""The check of a function's derivatives alone, in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from lossproof.adapters.outputs import TABLE
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.names import known_names
from lossproof.functions.declaration import Declaration, some_names
from lossproof.functions.function_check import check_function
from lossproof.functions.own_inputs import OWN, own_problem
from lossproof.functions.questions import Questions
from lossproof.running.report import Report

_DERIVATIVES = tuple(name for name, output in TABLE.items() if output.order and not output.repeats)


def gradcheck(
    function: Any,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    op: str,
    outputs: Collection[str] = ("vjp",),
    raise_exception: bool = True,
    deck: str = "default",
    seed: int = 0,
    **declared: Any,
) -> bool:
    """Judge the derivatives of a function against the exact ones, within derived bounds, and say whether all are right.

    ``function`` and what is ``declared`` of it are those of ``check_implementation``: a function on tensors of a
    framework is differentiated by it, one on NumPy arrays needs ``grad=``. ``outputs`` are the derivatives: ``vjp``,
    the gradient with respect to the logits, ``jvp``, ``hvp``, ``grad_target``, ``mixed``, ``jvp_target``. The value is
    computed, too, and not judged.

    Without ``inputs`` the calls are those of a deck. ``inputs`` are logits, or logits and a target, in the place of the
    deck, or a mapping with the arguments of ``enclose``: ``{"logits": x, "target": y, "reduction": "sum"}``.

    Raises AssertionError with the worst failures, also where no derivative was judged, unless ``raise_exception`` is
    False; and :class:`UsageError` as ``check_implementation`` and ``enclose`` do.
    """
    __tracebackhide__ = True
    some_names("derivative", "outputs", tuple(outputs), _DERIVATIVES)
    known_names("argument", declared, [f.name for f in fields(Declaration) if f.name not in ("op", "outputs")])
    calls = None if inputs is None else [_own_call(op, inputs, declared.get("variant"))]
    asked = Questions(deck=deck, seed=seed, calls=calls, errors=False, explained=outputs)
    found = check_function(function, Declaration(op=op, outputs=("value", *outputs), **declared), asked)
    message = _complaint(found, outputs)
    if message and raise_exception:
        raise AssertionError(message)
    return not message


def _own_call(op: str, inputs: Sequence[Any] | Mapping[str, Any], variant: Any) -> Call:
    if not isinstance(inputs, Mapping):
        if not isinstance(inputs, tuple | list) or not 1 <= len(inputs) <= 2:
            raise UsageError("inputs are (logits,), (logits, target) or a mapping with the arguments of enclose")
        inputs = dict(zip(("logits", "target"), inputs, strict=False))
    if "sample_weight" in inputs and "variant" not in inputs:
        # The weights are of the inputs, the variant is declared of the function.
        inputs = {**inputs, "variant": variant}
    try:
        problem = own_problem(op, **inputs)
    except TypeError as error:
        raise UsageError(f"inputs hold another argument than enclose takes: {error}") from None
    if problem.cotangent is None:
        raise UsageError(f"the gradient of {op} needs a cotangent: inputs={{'logits': ..., 'cotangent': ...}}")
    return Call(problem, OWN)


def _complaint(found: Report, outputs: Collection[str]) -> str:
    """Say what is wrong with derivatives; an empty text if nothing is."""
    of_derivatives = [o for o in found.observations if o.output in outputs]
    kept = replace(found, observations=tuple(of_derivatives), reasons=())
    if kept.failures:
        return _failures(kept)
    if not kept.judged:
        why = "; ".join([*kept.unsupported, *found.reasons, *found.asked][:3])
        hint = "grad= and derivatives= are those of a function that no framework differentiates"
        return f"no derivative was judged: {why or 'nothing was asked'} ({hint})"
    return ""


def _failures(kept: Report) -> str:
    try:
        kept.raise_on_failure()
    except AssertionError as error:
        return str(error)
    return ""
