"""The answer to a giant call is judged by its small problem: the lowest and the highest of equal results both have to
be within the bound of the one exact result, and so are all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from lossproof.adapters.protocol import Giant, GiantOutcome
from lossproof.core.call import Call
from lossproof.core.clauses import ABSOLUTE, TAIL
from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation, bits_digest
from lossproof.core.operations import solved_by
from lossproof.core.profiles import STRICTNESS, Declared
from lossproof.judging.observe import observe
from lossproof.truth.truth import truth

_WORST_LAST = ("unsupported", "pass", "convention", "suspect", "fail", "crash", "timeout", "resource", "error")
# Of fewer bytes of logits memory is no multiple that says anything.
_COMPARED_BYTES = 1 << 26


def observe_giant(
    call: Call,
    giant: Giant,
    answer: GiantOutcome,
    target: str,
    declared: Declared,
    *,
    copies: int = 1,
    offered: Collection[str],
    outputs: Sequence[str],
) -> list[Observation]:
    """Judge one target's answer to a giant call: an observation for each of the ``outputs`` that were asked.

    ``copies`` is how often each row of the small problem occurs in a mean.
    """
    solved = solved_by(call.problem, declared.mean)
    exact = truth([solved], copies=copies)
    lowest = answer.outcome
    highest = lowest if lowest.error else replace(lowest, outputs=answer.highest)
    low, high = (
        observe([call], exact, [outcome], target, declared, offered=offered, outputs=outputs)
        for outcome in (lowest, highest)
    )
    return [_one(a, b, giant, answer) for a, b in zip(low, high, strict=True)]


def _one(low: Observation, high: Observation, giant: Giant, answer: GiantOutcome) -> Observation:
    """What is said of an output: the worse of its lowest and its highest results."""
    pair = (low, high)
    at = int(_rank(high) > _rank(low))
    worst, name = pair[at], low.output
    met = "" if "" in (low.met, high.met) else max((low.met, high.met), key=STRICTNESS.index)
    shown = {clause: _either(clause, pair) for clause in dict.fromkeys((*low.conventions, *high.conventions))}
    found = replace(
        worst,
        ulp=max(low.ulp, high.ulp),
        met=met,
        conventions=shown,
        bits="" if answer.outcome.error else _bits(name, answer),
        rows=giant.rows,
        classes=giant.classes,
        note=_memory(giant, answer),
        memory=max(0, answer.peak - answer.held) if answer.peak else None,
    )
    if not found.message:
        return found
    where = ""
    if worst.index and name in answer.rows:
        near = int(answer.rows[name][at][worst.index])
        where = f", in rows equal to row {worst.index[0]}, near row {near}"
    return replace(found, message=f"{found.message} [giant: {giant.rows} rows, {giant.classes} classes{where}]")


def _rank(o: Observation) -> tuple[int, float]:
    return _WORST_LAST.index(o.verdict), np.inf if np.isnan(o.share) else o.share


def _either(clause: str, pair: Sequence[Observation]) -> str:
    shown = [o.conventions[clause] for o in pair if clause in o.conventions]
    if clause == TAIL:
        return ABSOLUTE if ABSOLUTE in shown else shown[0]
    return "|".join(sorted({part for text in shown for part in text.split("|")}))


def _bits(name: str, answer: GiantOutcome) -> str:
    tensors = [outcome[name].data for outcome in (answer.outcome.outputs, answer.highest) if name in outcome]
    return bits_digest(np.stack(tensors)) if tensors else ""


def beyond(giant: Giant, answer: GiantOutcome) -> float | None:
    """The memory that an op took beyond its inputs, in arrays of the size of the logits; None where nobody knows."""
    size = giant.rows * giant.classes * FORMATS[giant.problem.dtype].bits // 8
    return max(0.0, (answer.peak - answer.held) / size) if answer.peak and size >= _COMPARED_BYTES else None


def _memory(giant: Giant, answer: GiantOutcome) -> str:
    if not answer.peak:
        return ""
    extra = beyond(giant, answer)
    text = f"peak {answer.peak / 2**30:.2f} GiB of memory"
    return text if extra is None else f"{text}, {extra:.2f} times the logits beyond the inputs"
