"""The cache of judgements changes no observation: what differs in anything that judging reads is judged anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import DTYPES, Capabilities, Outcome, Problem, Tensor
from lossproof.cases.catalogue import select
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.core.profiles import Declared
from lossproof.judging import check as checks
from lossproof.judging.fused.compiler import missing
from lossproof.judging.judgement import Keys, differing, from_text, to_text
from lossproof.records.judgement_store import JudgementStore
from lossproof.running import group_judge, judgement_cache
from lossproof.running.judgement_cache import JudgementCache
from lossproof.running.loop import run
from lossproof.targets.target import Target
from lossproof.truth.truth import Truth, truth
from tests.support.thinned import WHOLE, thinned

CALLS = thinned(select("smoke", dtypes=DTYPES if WHOLE else ("float32", "float16")), to=4 if WHOLE else 8)
# Where it does not matter what is judged: of two ops, with relations and errors.
FEW = thinned(select("smoke", ops=("softmax", "nll_loss"), dtypes=("float32",)), to=5)
ENGINE = b"engine"


class Off(NumpyAdapter):
    """NumPy's adapter, whose gradients are off by a factor, which fails some calls."""

    name = "off"

    def __init__(self, factor: float = 1 + 2.0**-7, **declared: Any) -> None:
        super().__init__()
        self.factor, self.declared = factor, declared

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.declared)

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Tensor]:
        found = super().evaluate(problem, device, mode)
        return {n: replace(a, data=a.data * self.factor) if n == "vjp" else a for n, a in found.items()}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    """The problems of which truth is computed."""
    found: list[Problem] = []

    def noted(problems: Sequence[Problem], **how: Any) -> Truth:
        found.extend(problems)
        return truth(problems, **how)

    for module in (group_judge, checks):
        monkeypatch.setattr(module, "truth", noted)
    # Where there is a compiler, few truths are computed at all.
    monkeypatch.setattr(group_judge, "missing", lambda: "not in this test")
    return found


def cache(tmp_path: Path, engine: bytes = ENGINE, seed: int = 0) -> JudgementCache:
    return JudgementCache(JudgementStore(tmp_path / "store"), Keys(engine), seed)


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is judged again."""
    monkeypatch.setattr(judgement_cache, "SAMPLED", 1 << 200)


def observed(adapter: NumpyAdapter, kept: JudgementCache | None = None, calls: Sequence[Call] = CALLS) -> list[str]:
    """The observations as texts, which hold every number to the bit, without their seconds."""
    found = [repr(replace(o, seconds=0.0)) for o in run([Target(adapter)], calls, cache=kept)]
    if kept is not None:
        kept.close()
    return found


@pytest.mark.usefixtures("unsampled")
def test_observations_are_the_same_to_the_bit(tmp_path: Path, computed: list[Problem]) -> None:
    plain = observed(Off())
    assert any("verdict='fail'" in text for text in plain)
    assert any("/relation/" in text for text in plain)
    assert observed(Off(), cache(tmp_path)) == plain
    computed.clear()
    warm = cache(tmp_path, seed=1)
    assert observed(Off(), warm) == plain
    assert computed == []
    assert warm.taken > len(CALLS)


@pytest.mark.usefixtures("unsampled")
def test_truth_is_computed_of_what_is_new_alone(tmp_path: Path, computed: list[Problem]) -> None:
    calls = [c for c in FEW if not c.is_check]
    observed(Off(), cache(tmp_path), calls[::2])
    computed.clear()
    found = observed(Off(), cache(tmp_path, seed=1), calls)
    assert sorted(p.x.tobytes() for p in computed) == sorted(c.problem.x.tobytes() for c in calls[1::2])
    assert found == observed(Off(), None, calls)


@pytest.mark.usefixtures("unsampled")
@pytest.mark.parametrize(
    "other",
    [
        Off(1 + 2.0**-8),
        Off(profiles={("softmax", "float32"): "F"}),
        Off(online=True),
    ],
    ids=["bits", "profile", "online"],
)
def test_another_answer_or_declaration_is_judged_anew(tmp_path: Path, other: Off) -> None:
    observed(Off(), cache(tmp_path), FEW)
    assert observed(other, cache(tmp_path, seed=1), FEW) == observed(other, calls=FEW)


class Wrapping(Off):
    """Counts negative labels from the last class, as an array's indices, whether it declares that or not."""

    def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Tensor]:
        y, k = problem.target, problem.x.shape[problem.axis]
        if problem.op == "nll_loss" and y is not None:
            from_the_end = (y < 0) & (y >= -k) & (y != problem.ignore_index)
            problem = replace(problem, target=np.where(from_the_end, y + k, y))
        return super().evaluate(problem, device, mode)


@pytest.mark.usefixtures("unsampled")
def test_the_same_answers_under_another_declaration_are_judged_anew(tmp_path: Path) -> None:
    """What a check asks for depends on what is declared, of labels for instance."""
    kept, declared = observed(Wrapping(), cache(tmp_path), FEW), Wrapping(wraps_negative_labels=True)
    found = observed(declared, cache(tmp_path, seed=1), FEW)
    assert found == observed(declared, calls=FEW)
    assert found != kept


@pytest.mark.usefixtures("unsampled")
def test_another_engine_judges_anew(tmp_path: Path) -> None:
    observed(Off(), cache(tmp_path), FEW)
    other = cache(tmp_path, b"another", seed=1)
    observed(Off(), other, FEW)
    assert other.taken == 0
    again = cache(tmp_path, seed=1)
    observed(Off(), again, FEW)
    assert again.taken > len(FEW)


CALL = next(c for c in CALLS if not c.is_check and c.outputs == ("value", "vjp"))
ANSWER = Outcome({name: Tensor(np.zeros(CALL.problem.shape_of(name)), CALL.problem.dtype) for name in CALL.outputs})
DECLARED = Declared("W")


def key(
    call: Call = CALL,
    answer: Outcome = ANSWER,
    declared: Declared = DECLARED,
    outputs: Sequence[str] = CALL.outputs,
    engine: bytes = ENGINE,
) -> bytes:
    keys = Keys(engine)
    return keys.of_answer(keys.of_call(call), declared, answer, outputs)


def with_output(name: str, data: np.ndarray, dtype: str = CALL.problem.dtype) -> Outcome:
    return replace(ANSWER, outputs={**ANSWER.outputs, name: Tensor(data, dtype)})


def changes() -> Iterator[bytes]:
    """A key for each thing that judging reads, changed."""
    p, zero = CALL.problem, np.zeros(CALL.problem.x.shape)
    other = zero.copy()
    other.flat[-1] = 2.0**-1074
    yield key(engine=b"another")
    yield key(answer=with_output("vjp", other))
    yield key(answer=with_output("value", np.full(p.shape_of("value"), -0.0)))
    yield key(answer=with_output("vjp", zero.T if zero.shape != zero.T.shape else zero[None]))
    yield key(answer=with_output("vjp", zero, "float64" if p.dtype != "float64" else "float32"))
    yield key(outputs=["value"])
    yield key(outputs=["vjp"])
    yield from (key(declared=d) for d in (Declared("N"), Declared("W", online=True), Declared("W", mean="x")))
    yield key(replace(CALL, random_order=not CALL.random_order))
    yield key(replace(CALL, family="another"))
    yield key(CALL.with_problem(replace(p, x=p.x * 2)))
    yield key(CALL.with_problem(replace(p, cotangent=-zero)))
    yield key(CALL.with_problem(replace(p, layout="reversed")))
    yield key(CALL.with_problem(replace(p, only=("value",))))


def test_whatever_judging_reads_is_in_the_key() -> None:
    found = [key(), *changes()]
    assert len(set(found)) == len(found)
    assert key() == key()


def test_equal_values_of_two_outputs_are_told_apart() -> None:
    """The key of a value is not that of a gradient with the same numbers."""
    one = Outcome({"value": Tensor(np.zeros(3), "float32")})
    other = Outcome({"vjp": Tensor(np.zeros(3), "float32")})
    assert key(answer=one, outputs=["value"]) != key(answer=other, outputs=["vjp"])


def test_what_tells_engines_apart() -> None:
    assert judgement_cache.engine_digest() == judgement_cache.engine_digest()
    assert len(judgement_cache.engine_digest()) == 32


def test_an_engine_without_a_compiler_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba may be installed and refuse to be imported."""
    before = judgement_cache.engine_digest.__wrapped__()
    monkeypatch.setattr(judgement_cache, "missing", lambda: "Numba needs NumPy 2.5 or less")
    assert judgement_cache.engine_digest.__wrapped__() != before


def test_judgements_are_read_as_they_were_written() -> None:
    o = Observation(
        "a/b/c/d/e",
        "vjp",
        "t",
        "fail",
        share=float("inf"),
        ulp=0.1,
        index=(1, 2),
        got=float("nan"),
        exact=(-0.0, 5e-324),
        allowed=1e308,
        message='"é',
        conventions={"4": "nan"},
        profile="W",
        bits="00",
    )
    fields = from_text(to_text([o]))["vjp"]
    assert repr(replace(o, **{**fields, "call": None})) == repr(o)
    assert fields["call"] is False


def test_a_wrong_judgement_is_an_error_that_says_what_differs(tmp_path: Path) -> None:
    calls = [c for c in CALLS if not c.is_check][:40]
    plain = observed(Off(), cache(tmp_path), calls)
    tampered = JudgementStore(tmp_path / "store")
    assert tampered._file is not None
    for name, text in tampered._file.execute("select key, text from entry").fetchall():
        tampered.put(name, text.replace('["pass",', '["convention",'))
    tampered.close()
    # One that is sampled for certain comes first.
    first = key_of(calls[0])
    seed = judgement_cache.SAMPLED - int.from_bytes(first[:8], "big") % judgement_cache.SAMPLED
    wary = cache(tmp_path, seed=seed)
    found = list(run([Target(Off())], calls, cache=wary))
    wrong = [o for o in found if o.verdict == "error"]
    assert wrong[0].id == calls[0].id
    assert calls[0].id in wrong[0].message
    assert "verdict of value was 'convention' and is 'pass'" in wrong[0].message
    assert "lossproof cache --clear" in wrong[0].message
    # Nothing is taken from it any more.
    rest = [repr(replace(o, seconds=0.0)) for o in found if o.id not in {w.id for w in wrong}]
    stack = {c.id for c in calls if c.problem.x.shape == calls[0].problem.x.shape}
    assert [text for text in rest if not any(i in text for i in stack)] == [
        text for text in plain if not any(i in text for i in stack)
    ]


def key_of(call: Call) -> bytes:
    keys, target = Keys(ENGINE), Target(Off())
    (answer,) = target.play([call.problem])
    return keys.of_answer(
        keys.of_call(call), target.declared(call.problem.op, call.problem.dtype), answer, answer.outputs
    )


def test_a_sample_is_judged_again_another_one_in_each_run(
    tmp_path: Path, computed: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement_cache, "SAMPLED", 10)
    calls = [c for c in FEW if not c.is_check]
    plain = observed(Off(), cache(tmp_path), calls)
    seen: set[bytes] = set()
    for seed in range(judgement_cache.SAMPLED):
        computed.clear()
        again = cache(tmp_path, seed=seed)
        assert observed(Off(), again, calls) == plain
        assert again.again == len(computed) < len(calls) / 4
        seen |= {p.x.tobytes() for p in computed}
    assert seen == {c.problem.x.tobytes() for c in calls}


def test_a_compiled_judge_says_of_a_sample_what_it_said_of_the_whole_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing():
        pytest.skip(f"nothing is compiled: {missing()}")
    plain = observed(Off(), cache(tmp_path))
    monkeypatch.setattr(judgement_cache, "SAMPLED", 3)
    for seed in range(3 if WHOLE else 1):
        assert observed(Off(), cache(tmp_path, seed=seed)) == plain
    assert not any("verdict='error'" in text for text in plain)


def test_differences_are_named() -> None:
    o = Observation("a/b/c/d/e", "value", "t", "pass", share=0.5)
    assert differing(to_text([o]), to_text([o])) == ""
    assert differing(to_text([o]), to_text([replace(o, share=0.25)])) == "share of value was 0.5 and is 0.25"
    assert "output" not in differing(to_text([o]), to_text([o, replace(o, output="vjp")]))
    assert differing(to_text([o]), to_text([o, replace(o, output="vjp")]))


@pytest.mark.parametrize("off", [False, True])
def test_check_implementation_asks_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[Problem], off: bool
) -> None:
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path))
    monkeypatch.setattr(judgement_cache, "SAMPLED", 1 << 200)
    if not off:
        monkeypatch.delenv(judgement_cache.OFF, raising=False)
    else:
        monkeypatch.setenv(judgement_cache.OFF, "1")

    def softmax(x: np.ndarray, *, axis: int) -> np.ndarray:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))

    def judged(**how: Any) -> list[str]:
        report = check_implementation(softmax, op="softmax", dtypes=("float32",), deck="smoke", **how)
        return [repr(replace(o, seconds=0.0)) for o in report.observations]

    first = judged()
    computed.clear()
    assert judged() == first
    assert bool(computed) == off
    assert (tmp_path / "judgements.sqlite").is_file() != off
    computed.clear()
    assert judged(cache=False) == first
    assert computed


def test_the_verdict_of_a_run_does_not_hang_on_the_store(tmp_path: Path) -> None:
    plain = observed(Off(), calls=FEW)
    assert any("verdict='fail'" in text for text in plain)
    (tmp_path / "store").mkdir()
    broken = cache(tmp_path)
    assert broken.store.trouble
    assert observed(Off(), broken, FEW) == plain


def test_what_is_remembered_of_decks_is_the_engine_s_own(tmp_path: Path) -> None:
    one = cache(tmp_path)
    one.remember("the deck", "a text")
    assert one.recall("the deck") == "a text"
    assert one.recall("another deck") == ""
    one.flush()
    assert cache(tmp_path).recall("the deck") == "a text"
    assert cache(tmp_path, engine=b"another").recall("the deck") == ""


def test_after_a_wrong_deck_nothing_is_taken(tmp_path: Path) -> None:
    one = cache(tmp_path)
    one.put(b"key", "text")
    one.distrust("of call 3 it has A, and drawn is B")
    assert one.get([b"key"]) == {}
    assert "of call 3" in one.trouble
    assert "lossproof cache --clear" in one.trouble
