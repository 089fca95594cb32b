"""Titles for what ledgers of conventions and grades speak of, and sentences for the grades that no clause words."""

from __future__ import annotations

from collections.abc import Mapping

from lossproof.core.clauses import MEMORY, MODES, TAIL

TITLES: Mapping[str, str] = {
    "3": "Targets that do not sum to 1",
    "4": "Positive infinity among the logits",
    "6": "A zero target on an impossible class",
    "7": "Overflow",
    "9": "Subnormal numbers",
    "10": "Empty batches and vanishing denominators",
    "11": "Ignored rows that hold NaN or infinity",
    "12": "Label types",
    "13": "Labels out of range",
    "14": "ignore_index with probability targets",
    "15": "Invalid options",
    "determinism": "The same call twice",
    "batch": "A row alone and in a batch",
    TAIL: "Accuracy of small results",
    MODES: "Modes and devices agree in bits",
    MEMORY: "Memory of giant losses",
}
GRADES: Mapping[str, str] = {
    "determinism": "A grade that fails nothing: whether the same call gives the same bits again.",
    "batch": "A grade that fails nothing: whether a row has the same bits alone and among others.",
    TAIL: "A grade that fails nothing: whether small results, such as the gradient of a confident class, keep relative "
    "accuracy, or absolute accuracy only.",
    MODES: "A grade that fails nothing: whether all modes and devices of an implementation give the same bits.",
    MEMORY: "A grade that fails nothing: how the memory that a loss takes grows with classes and rows.",
}


def convention_title(clause: str) -> str:
    """Return the title of a clause or a grade."""
    return TITLES.get(clause, f"Clause {clause}")


def convention_order(clause: str) -> tuple[bool, str]:
    """Return what sorts clauses by number, grades after them."""
    return not clause.isdigit(), clause.rjust(3)
