"""Workers of a scheduler give what one process gives, also where one of them dies."""

from __future__ import annotations

import importlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters.numpy import NumpyAdapter
from lossproof.core.errors import UsageError
from lossproof.running.session_options import Rules
from lossproof.running.sweeping.scheduled import Scheduled
from lossproof.running.timing import Clock
from lossproof.targets import selection
from tests.running.test_sweep import CHUNK, HERE, IN_PROCESS, PART, played, timeless
from tests.support.one_pattern import OnePattern
from tests.support.thinned import nightly
from tests.support.views import lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
TARGETS = ("numpy", PLANTED, f"{PLANTED}+careful")
SMOKE = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--dtype", "float16", "--quiet")


def scheduled(cluster: Any, name: str, lost: dict[str, str]) -> Scheduled:
    return Scheduled(cluster.scheduler_address, [f"{HERE}{name}"], IN_PROCESS, Rules(), Clock(), lost)


# The record of a run has its parts in order; the one that dies compares a chunk with that of a process.
@nightly
def test_chunks_come_in_order_and_once(cluster: Any) -> None:
    lost: dict[str, str] = {}
    chunks = PART.chunks()
    with closing(scheduled(cluster, "WRONG", lost)) as workers:
        found = list(workers.play(iter(chunks)))
    # sanity check: nothing is missing
    assert lost == {}
    for chunk, several in zip(chunks, found, strict=True):
        assert {o.case.family.rpartition("-")[2] for o in several} == {str(bin) for bin in chunk.bins}
    assert any(o.verdict == "fail" for several in found for o in several)
    straight = played(OnePattern(), *chunks)
    assert [(o.id, o.output, o.bits) for several in found for o in several] == [
        (o.id, o.output, o.bits) for o in straight
    ]


def test_a_run_has_the_record_of_any_other_run(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*asked: object) -> list[Any]:
        raise AssertionError("workers start targets, and nobody else")

    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    one = lossproof("run", *TARGETS, *SMOKE, "--record", str(here))
    monkeypatch.setattr(selection, "choose_targets", started)
    other = lossproof("run", *TARGETS, *SMOKE, "--scheduler", cluster.scheduler_address, "--record", str(there))
    expected = timeless(here)
    # sanity check: there are conclusions, failures, and a comparison of modes
    assert [o for o in expected[1:-1] if "/convention/" in o["id"]]
    assert [o for o in expected[1:-1] if "/convention/modes/" in o["id"]]
    assert [o for o in expected[1:-1] if o["verdict"] == "fail"]
    assert timeless(there) == expected
    assert (one.exit_code, one.stdout) == (other.exit_code, other.stdout)


def test_a_worker_that_dies_costs_its_chunk_another_try(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: dict[str, str] = {}
    with importlib.import_module("distributed").Client(cluster.scheduler_address) as client:
        client.run(_set, str(tmp_path))
    with closing(scheduled(cluster, "DIES", lost)) as workers:
        (found,) = workers.play(iter([CHUNK]))
    assert (tmp_path / "died").exists()
    assert lost == {}
    right = played(NumpyAdapter(), CHUNK)
    assert [(o.id, o.output, o.bits) for o in found] == [(o.id, o.output, o.bits) for o in right]


def _set(folder: str) -> None:
    import os

    os.environ["ONE_PATTERN"] = folder


def test_a_target_that_does_not_start_is_one_line(cluster: Any) -> None:
    workers = Scheduled(cluster.scheduler_address, ["nowhere.py:ADAPTER"], IN_PROCESS, Rules(), Clock(), {})
    with closing(workers), pytest.raises(UsageError, match=r"there is no file nowhere.py"):
        list(workers.play(iter([CHUNK])))


def test_the_package_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossproof.running.cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lossproof\[cluster\]'"):
        Scheduled("tcp://127.0.0.1:1", [], IN_PROCESS, Rules(), Clock(), {})


def test_a_scheduler_has_workers_of_its_own() -> None:
    result = lossproof("sweep", "numpy", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2")
    assert result.exit_code == 2
    assert "leave out --workers" in result.output
