"""The pass says of rows with NaN and infinities, and of what overflows, what the arrays say: whatever is answered.

Calls are drawn in which clauses of section 4 of the specification meet: logits among which are NaN, infinities and the
largest numbers, labels that are ignored, weights and probabilities of 0. Each is answered by numbers that are right,
wrong, or among those that a clause may accept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters.protocol import Outcome, Problem, Tensor
from lossproof.core.call import Call
from lossproof.core.formats import F64, FORMATS
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared, default_profile
from lossproof.judging.fused import compiler, regular_calls
from lossproof.judging.fused import observe_regular as module
from lossproof.judging.fused.observe_regular import Answers, observe_regular
from lossproof.judging.observe import observe
from lossproof.truth.truth import Truth, truth
from tests.judging.fused.test_observe_regular import differ
from tests.support.thinned import WHOLE

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason=compiler.missing() or "-")

DTYPES = ("float16", "bfloat16", "float32", "float64")
OPS = ("softmax", "log_softmax", "nll_loss", "cross_entropy")
LEAD = {"float16": 10.0, "bfloat16": 40.0, "float32": 40.0, "float64": 60.0}
CALLS = 400 if WHOLE else 60
# Clauses of which some answer shows something.
CLAUSES = {
    "softmax": {"4", "7"},
    "log_softmax": {"4", "7"},
    "nll_loss": {"6", "11"},
    "cross_entropy": {"4", "6", "7", "11"},
}


def drawn(random: np.random.Generator, op: str, dtype: str) -> Call:
    """A call whose rows are as odd as they come."""
    fmt = FORMATS[dtype]
    n, k = int(random.integers(1, 4)), int(random.integers(2, 5))
    pool = np.array([np.nan, np.inf, -np.inf, -np.inf, 0.0, 1.5, -fmt.max, fmt.max])
    # In some calls one class leads every row, and small results are graded.
    ahead = random.choice([0.0, 0.0, LEAD[dtype]]) * (np.arange(k) == random.integers(k))
    odd = random.random((n, k)) < random.choice([0.1, 0.4, 0.8])
    x = np.where(odd, random.choice(pool, (n, k)), fmt.round(random.normal(size=(n, k)) * 2 + ahead))
    size = random.choice([1.0, 1.0, 1.0, fmt.max / 8])

    def cotangent(shape: tuple[int, ...]) -> F64:
        return fmt.round(random.normal(size=shape) * size)

    if op in ("softmax", "log_softmax"):
        return Call(Problem(op, dtype, x, cotangent=cotangent((n, k))), "odd")
    reduction = str(random.choice(["none", "sum", "mean"]))
    weight = None
    if random.random() < 0.5:
        weight = random.choice([0.0, 0.0, 1.0, 0.5, -1.0], k)
    eps = float(random.choice([0.0, 0.25])) if op == "cross_entropy" else 0.0
    ignore = -100
    if op == "cross_entropy" and random.random() < 0.5:
        target = random.choice([0.0, 0.0, 0.25, 0.5, 1.0], (n, k))
    else:
        target = np.where(random.random(n) < 0.3, ignore, random.integers(0, k, n))
    shape = (n,) if reduction == "none" else ()
    p = Problem(
        op,
        dtype,
        x,
        target,
        reduction=reduction,
        weight=weight,
        label_smoothing=eps,
        cotangent=cotangent(shape),
        ignore_index=None if target.ndim == 2 else ignore,
    )
    return Call(p, "odd")


def answered(random: np.random.Generator, exact: Truth, p: Problem) -> Outcome:
    """An answer that is the centre but for some entries, which are any of what is accepted somewhere."""
    fmt, outputs = FORMATS[p.dtype], {}
    part = random.choice([0.0, 0.0, 0.2, 0.6])
    for name in ("value", "vjp"):
        e = exact.expected[name]
        mid = e.exact.mid[0]
        if e.other is not None and random.random() < 0.5:
            mid = np.where(e.strict[0], mid, e.other.mid[0])
        choice = random.choice([np.nan, np.inf, -np.inf, 0.0, 1.0, fmt.u], mid.shape)
        accepted = np.where(e.accept[0] > 0, random.choice([np.nan, np.nan, np.inf, -np.inf], mid.shape), mid)
        mid = np.where(random.random(mid.shape) < 0.5, mid, accepted)
        got = fmt.round(np.where(random.random(mid.shape) < part, choice, mid))
        shape = p.x.shape if name == "vjp" or not p.is_loss else p.row_shape if p.reduction == "none" else ()
        outputs[name] = Tensor(got.reshape(shape), p.dtype)
    return Outcome(outputs)


@pytest.mark.parametrize("op", OPS)
def test_the_pass_says_what_the_arrays_say(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 0)
    random = np.random.default_rng(OPS.index(op))
    seen: Counter[str] = Counter()
    for place in range(len(DTYPES) * CALLS):
        dtype = DTYPES[place % len(DTYPES)]
        call = drawn(random, op, dtype)
        with np.errstate(all="ignore"):
            exact = truth([call.problem])
        for _ in range(4):
            outcome = answered(random, exact, call.problem)
            # A row is gone through at once, or two classes at a time.
            monkeypatch.setattr(regular_calls, "WINDOW", int(random.choice([2, 1 << 15])))
            declared = Declared(default_profile(dtype), online=bool(random.random() < 0.3))
            keys = {(0, name) for name in outcome.outputs}
            (found,) = observe_regular([call], [Answers("numpy", declared, [outcome], keys)])
            with np.errstate(all="ignore"):
                said = {o.output: o for o in observe([call], exact, [outcome], "numpy", declared)}
            for (_, name), o in found.items():
                assert not disagreement(o, said[name]), f"{call.problem} {outcome}"
                seen.update([o.verdict, *o.conventions])
    assert seen.total() > 3 * len(DTYPES) * CALLS
    assert set(seen) >= {"pass", "convention", "fail", *CLAUSES[op]}


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(
    ("q", "shown"), [((1.0, 0.0, 0.0), {"6": "limit"}), ((1.0, 0.0, 1.0), {}), ((1.0, 0.0, -1.0), {})]
)
def test_a_loss_of_which_a_clause_speaks_has_no_grade(
    q: tuple[float, ...], shown: dict[str, str], reduction: str
) -> None:
    """However small what its other classes have is: one that may be NaN, and one that is infinite."""
    x = np.array([[40.0, 0.0, -np.inf]])
    p = Problem("cross_entropy", "float32", x, np.array([q]), reduction=reduction)
    exact = truth([p])
    outcome = Outcome(
        {"value": Tensor(exact.expected["value"].exact.mid[0].reshape(-1 if reduction == "none" else ()), "float32")}
    )
    (found,) = observe_regular([Call(p, "odd")], [Answers("numpy", Declared("W"), [outcome], {(0, "value")})])
    (said,) = observe([Call(p, "odd")], exact, [outcome], "numpy", Declared("W"))
    assert found[0, "value"].conventions == said.conventions
    assert said.conventions == shown


def disagreement(found: Observation, said: Observation) -> list[str]:
    # A message shows digits of the bound; entries that are equally wrong may rank in either order.
    return differ(replace(found, message=""), replace(said, message=""))


@pytest.mark.parametrize("weight", [1.0, 4.0])
@pytest.mark.parametrize("got", [np.nan, 0.0])
def test_a_row_that_is_no_number_and_whose_scale_overflows_is_left_to_arrays(weight: float, got: float) -> None:
    """Its gradient may be other things, too (clause 10)."""
    fmt = FORMATS["float32"]
    g = np.asarray(fmt.round(np.array(fmt.max / 2)))
    p = Problem(
        "cross_entropy", "float32", np.full((1, 3), np.nan), np.array([1]), np.full(3, weight), g, reduction="sum"
    )
    exact = truth([p])
    outcome = Outcome({"vjp": Tensor(np.full((1, 3), got), "float32")})
    (found,) = observe_regular([Call(p, "odd")], [Answers("numpy", Declared("W"), [outcome], {(0, "vjp")})])
    (said,) = observe([Call(p, "odd")], exact, [outcome], "numpy", Declared("W"), outputs={"vjp"})
    # sanity check: the scale overflows with the weight
    assert (said.conventions.keys() == {"10"}) == (weight > 1)
    assert bool(found) == (weight == 1 and np.isnan(got))
