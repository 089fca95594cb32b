"""Giant calls find what overflows, at small limits and in milliseconds, and nothing where nothing does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters import giant as giants
from lossproof.adapters.memory import HostMemory
from lossproof.adapters.numpy import NumpyAdapter
from lossproof.adapters.protocol import OPS
from lossproof.cases.sweeps.giants import GIANT_CASES, LIMITS, GiantCall, giant_call, giant_calls
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.observation import Observation
from lossproof.judging.giant_judge import observe_giant
from lossproof.records.record import read_record
from lossproof.running.sweeping.giant_session import observed
from lossproof.targets.target import Target
from lossproof.truth.truth import truth
from tests.support.giant_mutants import MUTANTS, SMALL, adapter_of
from tests.support.views import lossproof

_EVERY = giant_calls(limits=SMALL)


def asked(target: Target, call: GiantCall) -> list[Observation]:
    return [o for output in ("value", "vjp") for o in observed(target, call, output)]


@pytest.mark.parametrize("call", _EVERY, ids=lambda call: call.call.id)
def test_a_correct_implementation_passes_every_case(call: GiantCall) -> None:
    found = asked(Target(NumpyAdapter()), call)
    assert [(o.output, o.verdict) for o in found] == [("value", "pass"), ("vjp", "pass")]
    assert all(o.rows == call.giant.rows and o.classes == call.giant.classes for o in found)


@pytest.mark.parametrize("name", MUTANTS)
def test_what_does_not_know_of_a_limit_is_killed(name: str) -> None:
    wrong, case, op = MUTANTS[name]
    for dtype in GIANT_CASES[case].dtypes:
        found = asked(Target(adapter_of(wrong)), giant_call(GIANT_CASES[case], op, dtype, SMALL))
        assert "fail" in [o.verdict for o in found], (name, dtype)


def test_a_limit_that_is_not_passed_kills_nobody() -> None:
    # The same mutants, of limits that small tensors do not reach: only what is about single rows shows.
    beyond = replace(SMALL, elements=SMALL.elements // 4, far=SMALL.far // 8, grid=15, exact=16)
    for name, (wrong, case, op) in MUTANTS.items():
        if name != "one-row-missing" and case in ("elements", "far", "grid"):
            call = giant_call(GIANT_CASES[case], op, "bfloat16", beyond)
            assert [o.verdict for o in asked(Target(adapter_of(wrong)), call)] == ["pass", "pass"], name


def test_a_failure_says_where_it_is() -> None:
    wrong, case, op = MUTANTS["rows-beyond-a-grid"]
    failing = asked(Target(adapter_of(wrong)), giant_call(GIANT_CASES[case], op, "float32", SMALL))
    (o,) = [o for o in failing if o.output == "value"]
    assert o.verdict == "fail"
    found = re.search(r"\[giant: 66 rows, 8 classes, in rows equal to row (\d+), near row \d+\]$", o.message)
    # Rows 63 to 65 are wrong, which equal those three.
    assert found, o.message
    assert int(found[1]) in {63 % 17, 64 % 17, 65 % 17}
    assert o.call is not None


def test_the_cases_pass_the_limits_that_they_are_named_for() -> None:
    made = {name: (case.rows(LIMITS), case.classes(LIMITS)) for name, case in GIANT_CASES.items()}
    assert made["elements"][0] * made["elements"][1] == 2**31 + 8
    assert made["far"][0] * made["far"][1] == 2**32 + 8
    assert made["classes"] == (1, 2**31 + 8)
    assert made["grid"][0] > 65_535
    assert made["rows"][0] > 2**31
    half = made["counts"][0] // 2 - made["counts"][0] // 1021
    assert half > 2**24
    assert made["labels"][1] > 2**24 + 3
    for case in GIANT_CASES.values():
        assert case.rows(LIMITS) >= case.differing
        # Rows that are taken for one another are different rows.
        assert all((2**bits) % case.differing for bits in (16, 24, 28, 31, 32)) or case.rows(LIMITS) == case.differing
        if case.reduction == "mean":
            copies = case.rows(LIMITS) // case.differing
            assert case.rows(LIMITS) == case.differing * copies
            assert copies & (copies - 1) == 0


def test_labels_are_odd_numbers_that_float32_does_not_hold() -> None:
    call = giant_call(replace(GIANT_CASES["labels"], classes=lambda at: at.exact + 8), "nll_loss", "float32", SMALL)
    labels = call.giant.labels()
    assert all(label % 2 and label > SMALL.exact for label in labels[:2])
    far = giant_call(GIANT_CASES["classes"], "cross_entropy", "bfloat16").giant.labels()
    assert far[0] > 2**31


@pytest.mark.parametrize("case", GIANT_CASES)
@pytest.mark.parametrize("op", OPS)
def test_the_size_of_blocks_changes_nothing(case: str, op: str) -> None:
    if op not in ("nll_loss", "cross_entropy") and GIANT_CASES[case].reduction != "none":
        return
    call = giant_call(GIANT_CASES[case], op, "bfloat16", SMALL)
    first, *others = [
        giants.answer(NumpyAdapter(), call.giant, "cpu", "eager", block=block) for block in (1, 100, 1 << 20)
    ]
    assert first.outcome.outputs
    for other in others:
        for name, tensor in first.outcome.outputs.items():
            assert np.array_equal(tensor.data, other.outcome.outputs[name].data)
            assert np.array_equal(first.highest[name].data, other.highest[name].data)


def test_spread_tensors_are_the_small_problem_at_its_places() -> None:
    call = giant_call(GIANT_CASES["labels"], "softmax", "bfloat16", SMALL)
    p, g = call.giant.problem, call.giant
    bits = giants.spread(g, giants.stored(p.x, "bfloat16"))
    values = FORMATS["bfloat16"].of_bits(bits.astype(np.uint64))
    assert values.shape == (3, SMALL.exact + 8)
    assert np.array_equal(values[:, g.places], p.x[:, :-1])
    rest = np.delete(values, g.places, axis=1)
    assert rest.size
    assert (rest == p.x[0, -1]).all()
    few = giant_call(GIANT_CASES["grid"], "softmax", "float32", SMALL)
    whole = giants.spread(few.giant, giants.stored(few.giant.problem.x, "float32"))
    assert np.array_equal(whole, few.giant.problem.x[np.arange(SMALL.grid + 3) % 17])


def test_nan_among_equal_rows_is_told_wherever_it_is() -> None:
    wrong, case, op = MUTANTS["one-row-missing"]
    call = giant_call(GIANT_CASES[case], op, "bfloat16", SMALL)
    for block in (8, 17 * 8, 1 << 20):
        answer = giants.answer(adapter_of(wrong), call.giant, "cpu", "eager", block=block)
        for outputs in (answer.outcome.outputs, answer.highest):
            assert np.isnan(outputs["value"].data).any()


def test_memory_is_asked_for_first() -> None:
    call = giant_call(GIANT_CASES["elements"], "softmax", "bfloat16", LIMITS)
    answer = giants.answer(NumpyAdapter(), call.giant, "cpu", "eager", most=1 << 30)
    assert answer.outcome.error == "resource"
    assert re.fullmatch(r"it takes about \d+\.\d\d GiB of memory, and 1\.00 GiB are there", answer.outcome.message)
    assert answer.needed > 1 << 34
    o, _ = observe_giant(
        call.call,
        call.giant,
        answer,
        "numpy",
        Target(NumpyAdapter()).declared("softmax", "bfloat16"),
        offered=("value", "vjp"),
        outputs=("value", "vjp"),
    )
    assert o.verdict == "resource"
    assert answer.outcome.message in o.message


def test_the_machine_says_what_memory_there_is() -> None:
    memory = HostMemory()
    assert memory.available() > 1 << 20
    held = memory.begin()
    taken = np.ones(1 << 24)
    peak = memory.peak()
    assert taken.size
    assert peak >= held + taken.nbytes // 2


def test_an_adapter_without_a_driver_is_unsupported() -> None:
    adapter = NumpyAdapter()
    del adapter.giant
    found = asked(Target(adapter), giant_call(GIANT_CASES["grid"], "softmax", "float32", SMALL))
    assert {o.verdict for o in found} == {"unsupported"}


def test_an_exception_is_the_answer() -> None:
    def wrong(right: object, p: object, g: object) -> dict[str, object]:
        raise ValueError("no such size")

    found = asked(Target(adapter_of(wrong)), giant_call(GIANT_CASES["grid"], "softmax", "float32", SMALL))
    assert [o.verdict for o in found] == ["fail", "fail"]
    assert "raised bad_shape: ValueError: no such size" in found[0].message


@pytest.mark.parametrize("how", [(), ("--in-process",)])
def test_the_command_prints_a_table_and_writes_a_record(tmp_path: Path, how: tuple[str, ...]) -> None:
    record = tmp_path / "giant.jsonl"
    options = ("--case", "grid", "--op", "cross_entropy", "--dtype", "float32", "-o", str(record), *how)
    done = lossproof("giant", "numpy", *options)
    assert done.exit_code == 0, done.stderr
    assert "65538 x 8" in done.stdout
    assert "OK (numpy: 2 outputs: 2 pass)" in done.stdout
    found = list(read_record(record))
    assert [(o.output, o.verdict, o.rows, o.classes) for o in found] == [
        ("value", "pass", 65_538, 8),
        ("vjp", "pass", 65_538, 8),
    ]
    # What this process holds from before says nothing of a call.
    assert all(("GiB of memory" in o.note) != bool(how) for o in found)


def test_too_little_memory_is_resource_and_names_both_figures() -> None:
    done = lossproof("giant", "numpy", "--case", "elements", "--op", "softmax", "--memory", "1")
    assert done.exit_code == 1
    assert "resource" in done.stdout
    assert "and 1.00 GiB are there" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--case", "elemnts"), "elements"), (("--case", "elements", "--dtype", "float64"), "no giant case is left")],
)
def test_names_that_mean_nothing_are_refused(options: tuple[str, ...], says: str) -> None:
    done = lossproof("giant", "numpy", *options)
    assert done.exit_code == 2
    assert says in done.stderr
    with pytest.raises(UsageError):
        giant_calls(["no such case"])


def test_classes_far_below_change_nothing() -> None:
    call = giant_call(GIANT_CASES["labels"], "log_softmax", "float32", SMALL)
    p = call.call.problem
    many = replace(
        p,
        x=np.concatenate([p.x, np.repeat(p.x[:, -1:], 200, axis=1)], axis=1),
        cotangent=np.concatenate([p.cotangent, np.zeros((3, 200))], axis=1),
    )
    few, more = truth([p]), truth([many])
    k = p.x.shape[1]
    for output in ("value", "vjp"):
        a, b = (t.expected[output].exact for t in (few, more))
        assert np.all(np.abs(a.mid - b.mid[..., :k]) <= a.rad + b.rad[..., :k])
        # The bound counts them all the same: it does not know that they are lost.
        assert np.all(few.allowed("W").outputs[output] <= more.allowed("W").outputs[output][..., :k])


def test_a_mean_of_copies_has_the_bound_of_all_rows() -> None:
    call = giant_call(GIANT_CASES["grid"], "cross_entropy", "float32", SMALL)
    one = replace(call.call.problem, reduction="mean", cotangent=np.array(1.0))
    # sanity check: a loss has labels
    assert one.target is not None
    n = len(one.x)
    whole = replace(one, x=np.tile(one.x, (64, 1)), target=np.tile(one.target, 64), cotangent=np.array(64.0))
    few, all_rows = truth([one], copies=64), truth([whole])
    for profile in ("W", "F"):
        a, b = few.allowed(profile).outputs, all_rows.allowed(profile).outputs
        assert np.allclose(a["value"], b["value"], rtol=1e-9, atol=0)
        assert np.allclose(a["vjp"], b["vjp"][:, :n], rtol=1e-9, atol=0)
        assert np.all(a["value"] > truth([one]).allowed(profile).outputs["value"])


def test_what_is_asked_is_the_small_problem_with_a_cotangent_for_all_its_copies() -> None:
    for call in giant_calls(["counts", "rows"]):
        asked_for, small = call.giant.problem.cotangent, call.call.problem.cotangent
        # sanity check: both are given
        assert asked_for is not None
        assert small is not None
        assert isinstance(asked_for, np.ndarray)
        assert asked_for == small * call.copies
        assert call.copies > 2**15
        assert FORMATS[call.call.problem.dtype].holds(asked_for)
