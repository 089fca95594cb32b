"""What is timed of which target, and where the times go. How long anything takes is not looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters import kernel_times as in_worker
from lossproof.adapters.numpy import ADAPTER as NUMPY
from lossproof.adapters.protocol import Capabilities, Problem
from lossproof.records.slowdowns import key
from lossproof.running.session_options import DeckOptions
from lossproof.running.timed_kernels import timed
from lossproof.running.timing import Clock
from lossproof.targets import selection
from lossproof.targets.launch import Processes
from lossproof.targets.lost import TargetLostError
from lossproof.targets.target import Target
from tests.support.views import lossproof

PAIRS = [("softmax", "float32"), ("softmax", "bfloat16"), ("cross_entropy", "float64")]
PART = ("--deck", "smoke", "--op", "nll_loss", "--dtype", "float32", "--family", "ordinary")
PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"


@dataclass
class Pretended:
    """An adapter elsewhere whose times are given, one after the other."""

    c: Capabilities
    times: Iterator[float]
    asked: list[tuple[str, str, tuple[int, int]]] = field(default_factory=list)
    name: str = "pretended"

    def __getattr__(self, name: str) -> Any:
        # Nothing else of a player is called.
        return getattr(NUMPY, name, lambda: None)

    def capabilities(self) -> Capabilities:
        return self.c

    def kernel_times(self, op: str, dtype: str, shape: tuple[int, int]) -> dict[str, float]:
        self.asked.append((op, dtype, shape))
        seconds = next(self.times, None)
        if seconds is None:
            raise TargetLostError("gone")
        return {"copy": 1.0, "value": seconds}


def pretended(times: Iterator[float], **differing: Any) -> tuple[Pretended, Target]:
    player = Pretended(replace(NUMPY.capabilities(), **differing), times)
    made = Target(NUMPY)
    # The target's own fields are those of any; its player is this one.
    object.__setattr__(made, "player", player)
    object.__setattr__(made, "adapter", player)
    return player, made


def test_each_kernel_is_timed_several_times_and_the_best_counts() -> None:
    player, target = pretended(iter([5.0, 3.0, 4.0, 6.0, 4.5, 7.0]))
    found = timed([target], [("softmax", "float32")])
    shapes = [shape for _, _, shape in player.asked]
    # Other kernels stand between two times of one.
    assert shapes == 3 * [(8, 16384), (16384, 8)]
    wide, tall = (key("softmax", "float32", shape) for shape in shapes[:2])
    assert found == {target.name: {wide: {"copy": 1.0, "value": 4.0}, tall: {"copy": 1.0, "value": 3.0}}}


def test_what_compiles_is_asked_less() -> None:
    player, target = pretended(iter([1.0] * 99), compile_cost="cheap")
    timed([target], PAIRS)
    assert set(player.asked) == {("softmax", "float32", (8, 16384)), ("softmax", "bfloat16", (8, 16384))}
    player, target = pretended(iter([1.0] * 99), compile_cost="dear")
    assert timed([target], PAIRS) == {}
    assert not player.asked


def test_what_is_not_on_offer_is_not_asked() -> None:
    ops = {"softmax": NUMPY.capabilities().ops["softmax"]}
    player, target = pretended(iter([1.0] * 99), ops=ops, dtypes=("float32",))
    timed([target], PAIRS)
    assert {asked[:2] for asked in player.asked} == {("softmax", "float32")}


def test_a_target_that_ends_over_it_is_asked_no_more() -> None:
    player, target = pretended(iter([5.0, 3.0, 4.0]))
    found = timed([target], [("softmax", "float32")])
    assert len(player.asked) == 4
    assert sorted(times["value"] for times in found[target.name].values()) == [3.0, 4.0]


def test_accelerators_get_larger_shapes() -> None:
    player, target = pretended(iter([1.0] * 99), devices=("cuda:0",))
    object.__setattr__(target, "device", "cuda:0")
    timed([target], [("softmax", "float32")])
    assert {rows * classes for _, _, (rows, classes) in player.asked} == {2**24}


def test_the_kernels_of_a_deck_are_those_of_all_its_shards() -> None:
    assert DeckOptions(ops=("softmax",), dtypes=("float32", "float16")).kernels == [
        ("softmax", "float32"),
        ("softmax", "float16"),
    ]
    assert len(DeckOptions().kernels) == 16


@pytest.mark.parametrize(("output", "wanted"), [(("value", "vjp"), ["copy", "value", "vjp"]), (("value",), None)])
def test_an_adapter_is_timed_by_its_answers(output: tuple[str, ...], wanted: list[str] | None) -> None:
    class Offered:
        name = "offered"
        asked: list[Problem] = []  # noqa: RUF012 (one test's own)

        def capabilities(self) -> Capabilities:
            return replace(NUMPY.capabilities(), outputs=output, reductions=("none",))

        def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
            self.asked.append(problem)
            return {}

    adapter: Any = Offered()
    adapter.asked = []
    times, why = in_worker.kernel_times(adapter, "cross_entropy", "bfloat16", (4, 6), "cpu", "eager")
    assert (list(times), why) == (wanted or ["copy", "value"], "")
    assert {p.want for p in adapter.asked} == ({("value",), ("value", "vjp")} if wanted else {("value",)})
    assert {(p.x.shape, p.reduction, p.dtype) for p in adapter.asked} == {((4, 6), "none", "bfloat16")}


def test_what_is_refused_or_raises_has_no_time() -> None:
    class Broken:
        name = "broken"

        def capabilities(self) -> Capabilities:
            return replace(NUMPY.capabilities(), dtypes=("float32",))

        def evaluate(self, problem: Problem, device: str, mode: str) -> dict[str, Any]:
            raise ValueError("not here")

    adapter: Any = Broken()
    assert in_worker.kernel_times(adapter, "softmax", "float64", (2, 3), "cpu", "eager") == (
        {},
        "broken has no float64",
    )
    assert in_worker.kernel_times(adapter, "softmax", "float32", (2, 3), "cpu", "eager") == ({}, "ValueError: not here")


def test_actions_take_turns_and_the_first_is_not_timed() -> None:
    done: list[str] = []
    found = in_worker.measured({"copy": lambda: done.append("copy"), "value": lambda: done.append("value")})
    assert list(found) == ["copy", "value"]
    assert done == ["copy", "value"] * (len(done) // 2)
    assert len(done) > 2 * in_worker._LEAST


def test_a_worker_tells_what_it_has_timed() -> None:
    (target,) = selection.choose_targets(["numpy"], Processes(1))
    try:
        found = target.kernel_times("softmax", "bfloat16", (4, 6))
        assert list(found) == ["copy", "value", "vjp"]
        assert all(seconds > 0 for seconds in found.values())
        assert target.kernel_times("no_op", "float32", (4, 6)) == {}
    finally:
        selection.close([target])


def end_of(path: Path) -> Any:
    return json.loads(path.read_text().splitlines()[-1])["end"]


def test_a_run_keeps_the_times_where_they_are_wanted(tmp_path: Path) -> None:
    asked = ("run", "numpy", PLANTED, *PART, "--record")
    with_times, without = tmp_path / "with.jsonl", tmp_path / "without.jsonl"
    lossproof(*asked, str(with_times), "--kernel-times")
    assert lossproof("run", "numpy", *asked[3:], str(without), "--in-process").exit_code == 0
    kernels = end_of(with_times)["clock"]["kernels"]
    assert set(kernels["numpy"]) == {f"nll_loss float32 {shape}" for shape in ("8x16384", "16384x8")}
    assert len(kernels) == 2
    # A small deck is not worth it unless somebody says so.
    assert end_of(without)["clock"]["kernels"] == {}


def test_clocks_of_shards_keep_the_times_of_one() -> None:
    kernels = {"a": {"softmax float32 8x16384": {"copy": 1.0, "value": 2.0}}, "b": {}}
    both = Clock()
    both.more(Clock(kernels=kernels).facts())
    both.more(Clock(kernels={"a": {"other": {"copy": 9.0}}}).facts())
    assert both.kernels == kernels
    assert both.part(["a"])["kernels"] == {"a": kernels["a"]}
    both.more({"judge": 1.0})
    assert both.kernels == kernels
