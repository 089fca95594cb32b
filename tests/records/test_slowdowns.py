"""Times of kernels in records: what counts as slower, from numbers that are given. Nothing here measures time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records import record
from lossproof.records import slowdowns as module
from lossproof.records.slowdowns import (
    FACTOR,
    FLOOR,
    KernelTime,
    SecondsByKernel,
    best,
    kernel_times,
    key,
    of_clock,
    slowdowns,
)
from tests.support.views import lossproof

WIDE = key("softmax", "float32", (8, 16384))
TALL = key("cross_entropy", "float32", (16384, 8))
BEFORE = {
    WIDE: {"copy": 20e-6, "value": 100e-6, "vjp": 200e-6},
    TALL: {"copy": 20e-6, "value": 400e-6, "vjp": 900e-6},
}
PASS = Observation("softmax/float32/ordinary/n1-k2/00000000", "value", "t", "pass", share=0.5, bits="0" * 16)


def times(factor: float, *, of: str = "vjp", machine: float = 1.0) -> dict[str, dict[str, float]]:
    """The times of before on a machine that is slower, with one kernel slower by itself."""
    found = {name: {output: s * machine for output, s in several.items()} for name, several in BEFORE.items()}
    found[WIDE][of] *= factor
    return found


def test_ten_times_slower_is_shown() -> None:
    (found,) = slowdowns("t", BEFORE, times(10.0))
    assert (found.target, found.op, found.dtype, found.shape, found.output) == (
        *("t", "softmax", "float32"),
        *("8x16384", "vjp"),
    )
    assert found.factor == pytest.approx(10.0)
    assert found.copies == pytest.approx((10.0, 100.0))
    assert found.seconds == pytest.approx((200e-6, 2000e-6))


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.0, 2.0, 0.99 * FACTOR])
def test_what_noise_does_is_not(factor: float) -> None:
    assert not slowdowns("t", BEFORE, times(factor))


def test_a_slower_machine_makes_nothing_slower() -> None:
    assert not slowdowns("t", BEFORE, times(1.0, machine=20.0))
    (found,) = slowdowns("t", BEFORE, times(10.0, machine=20.0))
    assert found.factor == pytest.approx(10.0)


def test_what_takes_no_time_is_not_slower() -> None:
    tiny: SecondsByKernel = {WIDE: {"copy": 1e-6, "value": 0.1 * FLOOR}}
    assert not slowdowns("t", tiny, {WIDE: {"copy": 1e-6, "value": 0.9 * FLOOR}})
    assert slowdowns("t", tiny, {WIDE: {"copy": 1e-6, "value": 1.1 * FLOOR}})


def test_the_worst_comes_first() -> None:
    after = times(10.0)
    after[TALL]["value"] *= 30
    assert [s.op for s in slowdowns("t", BEFORE, after)] == ["cross_entropy", "softmax"]


def test_one_disturbed_copy_is_nothing() -> None:
    """Logits of as many bytes have one copy, the best of all that were made."""
    after = times(1.0)
    after[WIDE]["copy"] *= 50
    assert [t.copies for t in kernel_times(after)] == pytest.approx([5.0, 10.0, 20.0, 45.0])
    assert not slowdowns("t", after, BEFORE)
    # Bytes of another dtype have another.
    other = {WIDE: BEFORE[WIDE], key("softmax", "float64", (8, 16384)): {"copy": 40e-6, "value": 400e-6}}
    assert [t.copies for t in kernel_times(other)] == pytest.approx([5.0, 10.0, 10.0])


def test_what_was_not_timed_is_not_compared() -> None:
    after = times(10.0)
    assert not slowdowns("t", {}, after)
    assert not slowdowns("t", after, {})
    assert not slowdowns("t", {TALL: BEFORE[TALL]}, {WIDE: after[WIDE]})
    without: SecondsByKernel = {WIDE: {"value": 1.0, "vjp": 2.0}}
    assert not kernel_times(without)
    assert not slowdowns("t", without, after)


def test_the_best_of_two_measurements() -> None:
    assert best(BEFORE, times(3.0, of="value")) == BEFORE
    assert best({}, BEFORE) == BEFORE
    faster = times(0.5)
    assert best(BEFORE, faster) == faster


@pytest.mark.parametrize("end", [None, {}, {"clock": {}}, {"clock": {"targets": {"t": 1.0}}}, {"seconds": 1.0}])
def test_older_records_have_no_times(end: dict[str, object] | None) -> None:
    assert of_clock(end) == {}


def write(path: Path, kernels: SecondsByKernel | None, o: Observation = PASS) -> str:
    described = {"adapter": "t", "device": "cpu", "mode": "eager", "versions": {"t": "1"}}
    clock = {} if kernels is None else {"kernels": {"t": kernels}}
    with record.Writer(path, {"suite": "0", "targets": {"t": described}}) as writer:
        writer.write(o)
        writer.end({"seconds": 1.0, "clock": clock, "verdicts": {o.verdict: 1}})
    return str(path)


def test_a_comparison_shows_what_became_slower_and_fails_nothing(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a.jsonl", BEFORE), write(tmp_path / "b.jsonl", times(10.0))
    shown = lossproof("diff", before, after, "--fail-on", "bits")
    assert shown.exit_code == 0
    assert "Kernels that became slower" in shown.output
    assert "10.0 times" in shown.output
    assert "1 slower kernel" in shown.output.splitlines()[-1]
    assert (
        "| t | softmax | float32 | 8x16384 | vjp |" in lossproof("diff", before, after, "--format", "markdown").output
    )
    told = json.loads(lossproof("diff", before, after, "--format", "json").output)
    assert [s["copies"] for s in told["slower"]] == [pytest.approx([10.0, 100.0])]
    assert told["reasons"] == []


@pytest.mark.parametrize("others", [None, times(2.0), times(1.0, machine=7.0)])
def test_a_comparison_without_slower_kernels_says_nothing_of_them(
    tmp_path: Path, others: SecondsByKernel | None
) -> None:
    before, after = write(tmp_path / "a.jsonl", BEFORE), write(tmp_path / "b.jsonl", others)
    for pair in ((before, after), (after, before)):
        found = lossproof("diff", *pair)
        assert (found.exit_code, "ernels" in found.output) == (0, False)


def test_a_kernel_that_is_slow_and_wrong_is_both(tmp_path: Path) -> None:
    wrong = replace(PASS, verdict="fail", got=1.0, exact=(2.0, 2.0), share=9.0, message="wrong", bits="1" * 16)
    before, after = write(tmp_path / "a.jsonl", BEFORE), write(tmp_path / "b.jsonl", times(10.0), wrong)
    shown = lossproof("diff", before, after)
    assert shown.exit_code == 1
    assert "Regressions: 1" in shown.output
    assert "Kernels that became slower" in shown.output


def test_a_record_shows_its_times(tmp_path: Path) -> None:
    shown = lossproof("show", write(tmp_path / "a.jsonl", BEFORE)).output
    assert "Kernels: value / value and gradient" in shown
    assert "5 / 10" in shown
    assert "20 / 45" in shown
    assert "Kernels" not in lossproof("show", write(tmp_path / "b.jsonl", None)).output


_RIGHT = kernel_times


def _upside_down(recorded: SecondsByKernel) -> list[KernelTime]:
    return [replace(t, copies=1 / t.copies) for t in _RIGHT(recorded)]


def _in_seconds(recorded: SecondsByKernel) -> list[KernelTime]:
    return [replace(t, copies=t.seconds) for t in _RIGHT(recorded)]


def _by_own_copies(recorded: SecondsByKernel) -> list[KernelTime]:
    """Beside the copy that was made for it, however disturbed."""
    return [t for name, times in recorded.items() for t in _RIGHT({name: times})]


def _by_any_copy(recorded: SecondsByKernel) -> list[KernelTime]:
    """Beside the best copy of whatever bytes."""
    least = min(times["copy"] for times in recorded.values())
    return [replace(t, copies=t.seconds / least) for t in _RIGHT(recorded)]


def _worst(one: SecondsByKernel, other: SecondsByKernel) -> dict[str, dict[str, float]]:
    return {name: {k: max(s, other.get(name, {}).get(k, s)) for k, s in times.items()} for name, times in one.items()}


# A step of the grade that is wrong, and a test that kills it.
WRONG: dict[str, tuple[str, object, Callable[[], None]]] = {
    "ratio-upside-down": ("kernel_times", _upside_down, test_ten_times_slower_is_shown),
    "seconds-without-a-copy": ("kernel_times", _in_seconds, test_a_slower_machine_makes_nothing_slower),
    "own-copy-alone": ("kernel_times", _by_own_copies, test_one_disturbed_copy_is_nothing),
    "copy-of-other-bytes": ("kernel_times", _by_any_copy, test_one_disturbed_copy_is_nothing),
    "worst-of-two": ("best", _worst, test_the_best_of_two_measurements),
    "any-factor": ("FACTOR", 1.0, lambda: test_what_noise_does_is_not(2.0)),
    "no-floor": ("FLOOR", 0.0, test_what_takes_no_time_is_not_slower),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_step_of_the_grade_is_killed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, wrong, kills = WRONG[name]
    # sanity check: what is right passes
    kills()
    monkeypatch.setattr(module, step, wrong)
    # The tests name them as they were imported, too.
    monkeypatch.setitem(globals(), step, wrong)
    with pytest.raises((AssertionError, ValueError)):
        kills()


@pytest.mark.parametrize("damaged", [3, {"softmax float32 8x4": 3}, {"softmax": {}}, {"a b c": {"copy": 1.0}}])
def test_damaged_times_are_one_line(damaged: Any) -> None:
    with pytest.raises(UsageError, match="the times of kernels at the end of a record are damaged"):
        kernel_times(damaged)
