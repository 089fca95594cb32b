"""Entries for upstream bugs: a mutant with its reference, which runs in the dtypes in which it must be killed."""

from __future__ import annotations

from collections.abc import Mapping

from .loss import Loss
from .mutant import ALL_WIDE, ONE_OF_EACH, Mutant, options
from .parts import PLAIN, Function, Softmax, over_rows

INDEX = ("index",)
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
    """One mistake in both."""
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
