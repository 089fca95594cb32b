"""Entries for upstream bugs and their siblings: a mutant that runs in the dtypes in which it must be killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .derivative_steps import Later, row_derivatives
from .loss_steps import CORRECT, Loss
from .mutant import ALL_WIDE, ONE_OF_EACH, Mutant, options
from .softmax_steps import PLAIN, Array, Function, Softmax, over_rows, over_rows_vjp

INDEX = ("index",)
DENSE = ("probability",)
# In a source: not the bug itself but a mistake of its kind.
SIBLING = "sibling of "


def bug(
    op: str,
    name: str,
    why: str,
    source: str,
    value: Function | None = None,
    grad: Function | None = None,
    *,
    expect: tuple[str, ...] = ONE_OF_EACH,
    family: str = "",
    derivatives: Mapping[str, Function] | None = None,
    allowed: str = "",
    parent: str = "",
) -> Mutant:
    """An entry of softmax or log_softmax."""
    correct = over_rows(PLAIN.p if op == "softmax" else PLAIN.y)
    return Mutant(
        name,
        op,
        f"upstream {op}",
        why,
        value or correct,
        grad,
        dtypes=expect,
        expect=() if allowed else expect,
        options=options(op),
        family=family,
        source=source,
        profiles={d: p for d, p in ALL_WIDE.items() if d in expect},
        derivatives=derivatives or {},
        allowed=allowed,
        parent=parent,
    )


def both(
    name: str,
    why: str,
    source: str,
    of: Softmax,
    *,
    expect: tuple[str, ...] = ONE_OF_EACH,
    family: str = "",
    allowed: str = "",
) -> tuple[Mutant, ...]:
    """One mistake in softmax and log_softmax: an entry of each."""
    forms = (("softmax", of.p), ("log_softmax", of.y))
    return tuple(
        bug(op, name, why, source, over_rows(f), expect=expect, family=family, allowed=allowed) for op, f in forms
    )


def loss_bug(
    name: str,
    why: str,
    source: str,
    of: Loss,
    *,
    op: str = "cross_entropy",
    takes: frozenset[str] | None = None,
    targets: tuple[str, ...] = ("index", "probability"),
    expect: tuple[str, ...] = ONE_OF_EACH,
    value: Function | None = None,
    grad: Function | None = None,
    family: str = "",
    derivatives: Mapping[str, Function] | None = None,
    allowed: str = "",
    parent: str = "",
) -> Mutant:
    """An entry of a loss."""
    return Mutant(
        name,
        op,
        f"upstream {op}",
        why,
        value or of.value,
        grad or of.grad,
        dtypes=expect,
        expect=() if allowed else expect,
        options=options(op) if takes is None else takes,
        targets=INDEX if op == "nll_loss" else targets,
        family=family,
        source=source,
        profiles={d: p for d, p in ALL_WIDE.items() if d in expect},
        derivatives=derivatives or {},
        allowed=allowed,
        parent=parent,
    )


def gradient_bug(name: str, why: str, source: str, of: Loss, **given: Any) -> Mutant:
    """An entry of cross_entropy whose value is right and whose gradient is that of a wrong loss."""
    return loss_bug(name, why, source, CORRECT, grad=of.grad, **given)


def derivative_bug(
    name: str, why: str, source: str, of: Later, *, targets: tuple[str, ...] = ("index", "probability")
) -> Mutant:
    """An entry of cross_entropy that is wrong in a JVP, a second derivative or a derivative in the targets."""
    return loss_bug(name, why, source, CORRECT, derivatives=of.functions(), targets=targets)


def vjp_bug(op: str, name: str, why: str, source: str, f: Callable[[Array, Array], Array], **given: Any) -> Mutant:
    """An entry of softmax or log_softmax whose VJP is a function of rows and cotangents."""
    return bug(op, name, why, source, grad=over_rows_vjp(f), **given)


def row_derivative_bug(op: str, name: str, why: str, source: str, **steps: Callable[..., Array]) -> Mutant:
    """An entry of softmax or log_softmax with another ``jvp`` or ``hvp`` of rows."""
    return bug(op, name, why, source, derivatives=row_derivatives(op, PLAIN.p, **steps))
