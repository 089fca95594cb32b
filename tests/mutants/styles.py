"""Correct implementations in fourteen styles, which differ in the order and the kind of their steps: controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .kit.control_entries import loss_control, softmax_controls
from .kit.loss_steps import Loss
from .kit.mutant import Mutant
from .kit.styles import STYLES, Style

# Losses of every style are for benchmarks/correct_styles.py; the deck is put to those that add rows up in a way of
# their own.
_LOSSES = ("sequential", "reversed", "Kahan, running mean", "four lanes")


def controls(style: Style, *, loss: bool) -> Iterator[Mutant]:
    """The controls of a style: softmax, log_softmax and, if asked for, cross_entropy."""
    profiles = dict.fromkeys(style.dtypes, "F" if style.fast else "W")
    entries = list(softmax_controls(style.name, style.why, style.p, style.y, dtypes=style.dtypes, profiles=profiles))
    if loss and style.y is not None:
        of = Loss(logp=style.y, prob=style.p, total=style.total, mean=style.mean)
        entries.append(replace(loss_control(style.name, style.why, of), dtypes=style.dtypes, profiles=profiles))
    for entry in entries:
        yield replace(entry, online=style.online)


MUTANTS: tuple[Mutant, ...] = tuple(
    control for style in STYLES for control in controls(style, loss=style.name in _LOSSES)
)
