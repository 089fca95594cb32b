"""Large calls are judged some rows at a time, or in the compiled pass alone, and observed as they are as a whole."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lossproof.adapters import local
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import DTYPES, OUTPUTS, Outcome, Tensor
from lossproof.cases.deck import deck_calls
from lossproof.cases.deck_part import DeckPart
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging import row_blocks
from lossproof.judging.fused import compiler
from lossproof.judging.observe import observe
from lossproof.running.answers import CallGroup, GroupAnswers
from lossproof.running.group_judge import judged
from lossproof.running.timing import Clock
from lossproof.targets.target import Target
from lossproof.truth.truth import truth
from tests.support.thinned import WHOLE, at_least, thinned

DECLARED = Declared("N")
FAMILIES = ("nan_row", "positive_infinity", "masked", "ignored_garbage", "ordinary", "near_overflow", "wide", "offset")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything is large here, and a block is a row or few."""
    monkeypatch.setattr(row_blocks, "LARGE", 1)
    monkeypatch.setattr(row_blocks, "BLOCK", 12)


@functools.cache
def sample() -> list[Call]:
    """Calls of every op and dtype, or of two, with several rows, special values among them."""
    part = DeckPart(families=FAMILIES, dtypes=DTYPES if WHOLE else ("float32", "bfloat16"))
    found = [c for c in deck_calls("default", part) if c.outline.x.size <= 3000 and row_blocks.has_blocks([c])]
    return found[::7]


def answers(call: Call) -> Iterator[Outcome]:
    """A right answer, one that is a little off everywhere, and one with a wrong entry in the last row."""
    right = local.answer(ADAPTER, call.problem, "cpu", "eager")
    yield right
    data = {name: t.data for name, t in right.outputs.items()}
    yield replace(right, outputs={n: Tensor(a * (1 + 2.0**-7), right.outputs[n].dtype) for n, a in data.items()})
    wrong = {name: a.copy() for name, a in data.items()}
    for a in wrong.values():
        a.flat[-1] += 1.0
    yield replace(right, outputs={n: Tensor(a, right.outputs[n].dtype) for n, a in wrong.items()})


def shown(o: Observation) -> str:
    return repr(replace(o, call=None, seconds=0.0))


def test_what_is_observed_in_blocks_is_what_is_observed_of_the_whole() -> None:
    """To the bit: verdict, share, entry, conventions, the profile that is met, and the digest of the answer."""
    verdicts: set[str] = set()
    apart = 0
    for call in thinned(sample(), to=8):
        exact = truth([call.problem])
        for outcome in answers(call):
            whole = observe([call], exact, [outcome], "numpy", DECLARED)
            outputs = {o.output for o in whole if o.output in outcome.outputs}
            blocks = row_blocks.observe_in_blocks(call, outcome, "numpy", DECLARED, offered=OUTPUTS, outputs=outputs)
            by_output = {o.output: o for o in whole if o.output in outputs}
            assert {o.output: shown(o) for o in blocks} == {name: shown(o) for name, o in by_output.items()}
            assert [o.call is None for o in blocks] == [by_output[o.output].call is None for o in blocks]
            verdicts |= {o.verdict for o in blocks}
            apart += len(blocks)
    assert verdicts >= {"pass", "fail", "convention"}
    assert apart > at_least(300, to=8)


def test_calls_whose_rows_share_a_result_have_no_blocks() -> None:
    several = [c for c in deck_calls("smoke") if c.outline.is_loss and c.outline.reduction != "none"]
    assert several
    assert not any(row_blocks.has_blocks([c]) for c in several)


def test_the_judge_of_groups_takes_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def noted(call: Call, *given: object, **options: object) -> list[Observation]:
        taken.append(call.id)
        return row_blocks.observe_in_blocks(call, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("lossproof.running.group_judge.observe_in_blocks", noted)
    # Without a compiler, so that it is left to arrays.
    monkeypatch.setattr("lossproof.running.group_judge.missing", lambda: "switched off")
    call = next(c for c in sample() if (c.family, c.outline.op) == ("nan_row", "softmax"))
    outcome = local.answer(ADAPTER, call.problem, "cpu", "eager")
    (found,) = judged(CallGroup((call,)), [Target(ADAPTER)], [GroupAnswers((outcome,))], Clock())
    assert taken == [call.id]
    assert [o.verdict for o in found].count("fail") == 0


@pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")
def test_a_large_call_that_fails_takes_no_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass says of it what arrays say: the same entry, verdict and message, and the share but for roundings."""
    from lossproof.judging.fused import observe_regular

    monkeypatch.setattr(observe_regular, "LARGE", 1)
    part = DeckPart(families=["ordinary", "hot", "confident"], dtypes=["float32", "bfloat16"])
    seen = 0
    for call in [c for c in deck_calls("smoke", part) if c.outline.x.size > 1]:
        exact = truth([call.problem])
        for outcome in list(answers(call))[1:]:
            open_ = {(0, name) for name in outcome.outputs}
            several = [observe_regular.Answers("numpy", DECLARED, [outcome], open_)]
            (found,) = observe_regular.observe_regular([call], several)
            for expected in observe([call], exact, [outcome], "numpy", DECLARED):
                o = found.get((0, expected.output))
                if o is None or expected.verdict != "fail":
                    continue
                seen += 1
                assert (o.verdict, o.index, o.conventions, o.met, o.got) == (
                    (expected.verdict, expected.index, expected.conventions, expected.met, expected.got)
                )
                assert o.message.split("exact")[0] == expected.message.split("exact")[0]
                assert math.isclose(o.share, expected.share, rel_tol=1e-6)
                assert o.call is call
                # Where a derivative cancels, spacings around its exact result say nothing.
                assert o.output != "value" or math.isclose(o.ulp, expected.ulp, rel_tol=1e-6)
    assert seen > 50
