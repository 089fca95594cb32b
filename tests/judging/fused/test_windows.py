"""A row of more classes than a window holds is judged window by window: to the bit as in one, in the memory of one."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters import local
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.batch import flat, stack
from lossproof.core.call import Call
from lossproof.core.formats import F64
from lossproof.core.profiles import Declared
from lossproof.judging.fused import compiler, regular_calls
from lossproof.judging.fused.entries import ACCURATE, GRADED
from lossproof.judging.fused.observe_regular import Answers, observe_regular
from lossproof.judging.fused.regular_calls import OUTPUTS, Summaries, judge_regular
from tests.support.decks import drawn
from tests.support.thinned import thinned

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")

OPS = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
WINDOWS = (1, 2, 5)
# Classes of a large row, and of a window of it.
MANY, FEW = 1 << 19, 1 << 8


def problems(op: str) -> list[Problem]:
    """Calls of every family, dtype, reduction and kind of target that have more classes than a window."""
    met: dict[object, Problem] = {}
    for call in drawn():
        p = call.outline
        key = (call.family, p.dtype, p.reduction, p.has_probability_target, p.weight is None, p.label_smoothing > 0)
        if p.op == op and p.x.shape[p.axis] > 5 and p.x.size <= 1 << 10 and not p.variant_parts and key not in met:
            met[key] = call.problem
    return list(met.values())


def answers(p: Problem) -> Iterator[Mapping[str, F64]]:
    """The answer of an implementation, and one that is off everywhere, most so in the last entry."""
    found = local.answer(ADAPTER, p, "cpu", "eager")
    right = {name: flat(t.data, p) for name, t in found.outputs.items() if name in OUTPUTS}
    yield right
    with np.errstate(all="ignore"):
        wrong = {name: a * (1 + 2.0**-12) for name, a in right.items()}
    for a in wrong.values():
        a.flat[-1] += 1.0
    yield wrong


def judged(p: Problem, got: Mapping[str, F64], outputs: tuple[str, ...]) -> Summaries | None:
    asked = replace(p, tangent=None, target_tangent=None, wrt_target=False, repeat_backward=False)
    batch = stack([asked if "vjp" in outputs else replace(asked, cotangent=None)])
    several = [Declared("N"), Declared("W", online=True)]
    return judge_regular(
        batch, {n: np.stack([got[n][None]] * len(several)) for n in outputs}, several, random=batch.n > 1
    )


@pytest.mark.parametrize("op", OPS)
def test_windows_change_no_bit(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of nothing that is said of any model, whatever is asked: rows that one class leads and ties, masked rows, labels
    in any window, weights, results in double-double."""
    seen = 0
    for p in thinned(problems(op), to=24 if op == "cross_entropy" else 4):
        for got in answers(p):
            for outputs in (("value",), ("vjp",), OUTPUTS):
                if not got.keys() >= set(outputs):
                    continue
                whole = judged(p, got, outputs)
                if whole is None:
                    continue
                for window in WINDOWS:
                    with monkeypatch.context() as patch:
                        patch.setattr(regular_calls, "WINDOW", window)
                        parts = judged(p, got, outputs)
                    assert parts is not None
                    assert np.array_equal(parts.regular, whole.regular)
                    for n, name in enumerate(OUTPUTS):
                        if whole.regular[n].all() and name in outputs:
                            assert parts.found[:, n].tobytes() == whole.found[:, n].tobytes(), (p.dtype, window, name)
                            seen += 1
    assert seen > 400


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "cross_entropy"])
@pytest.mark.parametrize("place", [0, 6, 12, 16])
def test_what_is_graded_in_one_window_is_graded_in_several(
    op: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the class is that all others are nothing beside: its sums are those of the others."""
    random = np.random.default_rng(place)
    x, v = random.normal(size=(2, 1, 17)).astype(np.float32).astype(np.float64)
    x[0, place] += 40.0
    if op == "log_softmax":
        # The sum of larger ones is no small result.
        v = np.where(np.arange(17) == place, v, v * 2.0**-56)
    labels = np.array([place]) if op == "cross_entropy" else None
    p = Problem(op, "float32", x, labels, cotangent=v if labels is None else np.ones(()))
    found = local.answer(ADAPTER, p, "cpu", "eager")
    got = {name: flat(found.outputs[name].data, p) for name in OUTPUTS}
    # Without cancellation, which the answer of the adapter may have.
    got["vjp"] = accurate_vjp(op, x[0], v[0], place)[None].astype(np.float32).astype(np.float64)
    for factor in (1.0, 1.5):
        answer = {name: a.copy() for name, a in got.items()}
        answer["vjp"][0, place] *= factor
        whole = judged(p, answer, OUTPUTS)
        with monkeypatch.context() as patch:
            patch.setattr(regular_calls, "WINDOW", 5)
            parts = judged(p, answer, OUTPUTS)
        # sanity check: both are regular
        assert whole is not None
        assert parts is not None
        assert whole.found[0, 1, 0, 1, [GRADED, ACCURATE]].tolist() == [1.0, float(factor == 1)]
        assert parts.found.tobytes() == whole.found.tobytes()


def accurate_vjp(op: str, x: F64, v: F64, place: int) -> F64:
    """The VJP of a row that the class at a place leads, the label of a cross-entropy: its 1 - p is the sum of the other
    probabilities, and no difference from 1."""
    e = np.exp(x - x[place])
    p = e / e.sum()
    rest = np.delete(p, place).sum()
    if op == "cross_entropy":
        return np.where(np.arange(x.size) == place, -rest, p)
    found = np.empty_like(x)
    for i in range(x.size):
        others = np.delete(np.arange(x.size), i)
        own = rest if i == place else 1.0 - p[i]
        if op == "softmax":
            found[i] = p[i] * (v[i] * own - (p[others] * v[others]).sum())
        else:
            found[i] = v[i] * own - p[i] * v[others].sum()
    return found


def large(op: str, dtype: str, *, smoothing: float = 0.0) -> tuple[Call, Outcome]:
    """A call of one large row, and an answer to it."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1, MANY)).astype(np.float32).astype(np.float64)
    is_loss = op in ("nll_loss", "cross_entropy")
    p = Problem(
        op,
        dtype,
        x,
        np.array([MANY - 3]) if is_loss else None,
        cotangent=np.ones(()) if is_loss else np.roll(x, 1),
        label_smoothing=smoothing,
    )
    found = local.answer(ADAPTER, p, "cpu", "eager")
    return Call(p, "ordinary"), replace(found, outputs={n: found.outputs[n] for n in OUTPUTS})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("op", "smoothing"), [("softmax", 0.0), ("log_softmax", 0.0), ("nll_loss", 0.0), ("cross_entropy", 0.1)]
)
def test_a_row_takes_the_memory_of_a_window(
    op: str, smoothing: float, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is worked in nor anything around it is as large as the row."""
    monkeypatch.setattr(regular_calls, "WINDOW", FEW)
    call, outcome = large(op, dtype, smoothing=smoothing)
    data = outcome.outputs["vjp"].data.copy()
    data[0, -1] += 1.0
    wrong = replace(outcome, outputs=dict(outcome.outputs) | {"vjp": Tensor(data, dtype)})
    monkeypatch.setattr("lossproof.judging.fused.observe_regular.LARGE", MANY - 1)
    for answer, verdict in ((outcome, "pass"), (wrong, "fail")):
        given = [Answers("numpy", Declared("N"), [answer], {(0, name) for name in OUTPUTS})]
        tracemalloc.start()
        try:
            (found,) = observe_regular([call], given)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert [found[0, name].verdict for name in OUTPUTS] == ["pass", verdict]
        # The row alone has eight bytes an entry.
        assert peak < MANY
