"""Entries for controls: correct implementations, in all dtypes and with all options."""

from __future__ import annotations

from collections.abc import Mapping

from .derivative_steps import Later, row_derivatives
from .loss_steps import Loss
from .mutant import ALL_DTYPES, ALL_WIDE, TABLE, Mutant, options
from .softmax_steps import Step, over_rows, over_rows_vjp, vjp_log_softmax, vjp_softmax


def softmax_controls(
    name: str,
    why: str,
    p: Step,
    y: Step | None = None,
    *,
    dtypes: tuple[str, ...] = ALL_DTYPES,
    profiles: Mapping[str, str] = ALL_WIDE,
) -> tuple[Mutant, ...]:
    """A control of softmax and, given ``y``, one of log_softmax; the gradients use ``p``."""
    forms = [("softmax", p, vjp_softmax)] + ([("log_softmax", y, vjp_log_softmax)] if y else [])
    return tuple(
        Mutant(
            name,
            op,
            f"control {op}",
            why,
            over_rows(f),
            over_rows_vjp(lambda x, v, rule=rule: rule(p(x), v)),  # type: ignore[misc]
            dtypes=dtypes,
            expect=(),
            options=options(op),
            profiles={k: v for k, v in profiles.items() if k in dtypes},
            kind="control",
            derivatives=row_derivatives(op, p),
        )
        for op, f, rule in forms
    )


def loss_control(
    name: str, why: str, of: Loss, *, op: str = "cross_entropy", source: str = "", allowed: str = ""
) -> Mutant:
    targets = ("index",) if op == "nll_loss" else ("index", "probability")
    return Mutant(
        name,
        op,
        f"control {op}",
        why,
        of.value,
        of.grad,
        dtypes=ALL_DTYPES,
        expect=(),
        options=options(op),
        targets=targets,
        profiles=ALL_WIDE,
        kind="control",
        source=source or TABLE,
        derivatives=Later(of).functions(op),
        allowed=allowed,
    )
