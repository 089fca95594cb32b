"""Large calls whose rows share nothing are judged some rows at a time: truth and bounds take many times the memory of
the logits, and what is said of the whole follows from what is said of its blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.batch import flat
from lossproof.core.call import Call, rows_first
from lossproof.core.clauses import ABSOLUTE, TAIL
from lossproof.core.observation import Observation, bits_digest
from lossproof.core.operations import solved_by
from lossproof.core.profiles import STRICTNESS, Declared
from lossproof.judging.messages import message, own_index
from lossproof.judging.observe import observe, without_excuses
from lossproof.truth.asked import narrowed_to
from lossproof.truth.truth import truth

# Entries of the logits from which on a call is large, and those of a block, if a row has no more.
LARGE, BLOCK = 1 << 22, 1 << 20
_WORST_LAST = ("pass", "convention", "suspect", "fail", "error")


def has_blocks(calls: Sequence[Call]) -> bool:
    """Say whether calls of one signature are to be judged in blocks: large ones of several rows that share nothing."""
    p = calls[0].outline
    shares = p.is_loss and p.reduction != "none"
    return not p.variant_parts and p.x.size > LARGE and p.x.size > p.x.shape[p.axis] and not shares


def observe_in_blocks(
    call: Call,
    outcome: Outcome,
    target: str,
    declared: Declared,
    *,
    offered: Collection[str],
    outputs: Collection[str],
) -> list[Observation]:
    """Judge one target's answer to a call, as :func:`~lossproof.judging.observe.observe` does: ``outputs`` that it has
    in the right shape."""
    whole = solved_by(call.problem, declared.mean)
    found: dict[str, _Blockwise] = {}
    (asked,) = narrowed_to([whole], outputs)
    for start, block, answer in _blocks(asked, outcome, outputs):
        one = call.with_problem(block)
        exact = truth([block])
        for o in observe([one], exact, [answer], target, declared, offered=offered, outputs=outputs, excused=False):
            # What fails is not shown twice, and the call of a block is none of the deck.
            part = _Blockwise(replace(o, call=None), _place(o, start))
            found[o.output] = found[o.output].beside(part) if o.output in found else part
    return [found[name].observation(call, whole, outcome, target) for name in whole.want if name in found]


def _blocks(p: Problem, outcome: Outcome, outputs: Collection[str]) -> Iterator[tuple[int, Problem, Outcome]]:
    """The first row of each block, its problem and what was answered to it, with the classes last."""
    k = p.x.shape[p.axis]
    arrays = {
        name: rows_first(a, p.axis)
        for name, a in (("x", p.x), ("tangent", p.tangent), ("target_tangent", p.target_tangent))
        if a is not None
    }
    if p.target is not None:
        arrays["target"] = rows_first(p.target, p.axis) if p.has_probability_target else p.target.reshape(-1)
    if p.cotangent is not None:
        arrays["cotangent"] = p.cotangent.reshape(-1) if p.is_loss else rows_first(p.cotangent, p.axis)
    answers = {name: t for name, t in outcome.outputs.items() if name in outputs}
    data = {name: flat(t.data, p) for name, t in answers.items()}
    step = max(1, BLOCK // k)
    for start in range(0, p.x.size // k, step):
        rows = slice(start, start + step)
        of_block: Mapping[str, np.ndarray] = {name: a[rows] for name, a in arrays.items()}
        tensors = {name: Tensor(data[name][rows], t.dtype) for name, t in answers.items()}
        yield start, replace(p, axis=-1, **of_block), replace(outcome, outputs=tensors)  # type: ignore[arg-type]


def _place(o: Observation, start: int) -> tuple[int, ...]:
    """The place of a block's worst entry in the whole, with the classes last."""
    return (o.index[0] + start, *o.index[1:])


@dataclass(frozen=True)
class _Blockwise:
    """What is observed of the first blocks, and the place of their worst entry."""

    o: Observation
    at: tuple[int, ...]

    @property
    def rank(self) -> float:
        """As ``judge.judge_stack`` ranks entries: failing ones first, then the largest share."""
        share = self.o.share
        if self.o.verdict != "fail":
            return share
        return np.inf if np.isnan(share) else max(share, 1.0) + 1e6

    def beside(self, other: _Blockwise) -> _Blockwise:
        """With the next block."""
        a, b = self.o, other.o
        worst = other if other.rank > self.rank else self
        verdict = max((a.verdict, b.verdict), key=_WORST_LAST.index)
        met = "" if "" in (a.met, b.met) else max((a.met, b.met), key=STRICTNESS.index)
        shown = {clause: _either(clause, a, b) for clause in dict.fromkeys((*a.conventions, *b.conventions))}
        both = replace(worst.o, verdict=verdict, met=met, ulp=max(a.ulp, b.ulp), conventions=shown)
        return _Blockwise(both, worst.at)

    def observation(self, call: Call, solved: Problem, outcome: Outcome, target: str) -> Observation:
        """The observation of the whole call."""
        o, name = self.o, self.o.output
        shown = without_excuses(o.conventions)
        verdict = o.verdict
        if verdict in ("pass", "convention"):
            verdict = "convention" if shown.keys() - {TAIL} else "pass"
        found = replace(
            Observation.of(call, name, target, profile=o.profile, seconds=outcome.seconds, note=outcome.note),
            verdict=verdict,
            share=o.share,
            ulp=o.ulp,
            index=own_index(self.at, call.problem, name),
            got=o.got,
            exact=o.exact,
            allowed=o.allowed,
            conventions=shown,
            met=o.met,
            bits=bits_digest(flat(outcome.outputs[name].data, call.problem)),
        )
        if verdict in ("pass", "convention"):
            return found
        if verdict == "error":
            return replace(found, message=o.message, call=call)
        return replace(found, message=message(call.with_problem(solved), found), call=call)


def _either(clause: str, a: Observation, b: Observation) -> str:
    shown = [o.conventions[clause] for o in (a, b) if clause in o.conventions]
    if clause == TAIL:
        return ABSOLUTE if ABSOLUTE in shown else shown[0]
    return "|".join(sorted({part for text in shown for part in text.split("|")}))
