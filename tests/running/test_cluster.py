"""Devices are pinned: a task that needs one goes to a worker that has declared it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lossproof.running.cluster import pinned


@dataclass
class Client:
    """A client of a scheduler whose workers declare these resources."""

    resources: tuple[Mapping[str, float], ...]

    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": {f"tcp://{i}": {"resources": dict(r)} for i, r in enumerate(self.resources)}}


CARDS = Client(({}, {"cuda": 2.0, "memory": 1.0}, {"webgpu": 1.0}))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["torch:cuda:0"], {"cuda": 1.0}),
        (["torch+compile:cuda"], {"cuda": 1.0}),
        (["torch", "numpy:cpu"], {}),
        (["torch:mps"], {}),
        (["torch:cuda:0", "torch:cuda:1", "tfjs:webgpu", "torch"], {"cuda": 1.0, "webgpu": 1.0}),
    ],
    ids=["one", "mode", "none", "undeclared", "several"],
)
def test_a_task_takes_one_of_each_kind_of_device_that_workers_declare(
    names: list[str], expected: dict[str, float]
) -> None:
    assert pinned(CARDS, names) == expected


def test_workers_that_declare_nothing_take_anything() -> None:
    assert pinned(Client(({},)), ["torch:cuda:0"]) == {}


def _where() -> str:
    return str(importlib.import_module("distributed").get_worker().name)


def test_the_worker_with_the_device_is_chosen() -> None:
    pytest.importorskip("distributed", reason="distributed is not installed (pip install 'lossproof[cluster]')")
    distributed = importlib.import_module("distributed")
    spec = {"cls": distributed.Worker, "options": {"nthreads": 1}}
    card = {"cls": distributed.Worker, "options": {"nthreads": 1, "resources": {"cuda": 1.0}}}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False, "port": 0}}
    with (
        distributed.SpecCluster(scheduler=scheduler, workers={"plain": spec, "card": card}, silence_logs=50) as there,
        distributed.Client(there) as client,
    ):
        client.wait_for_workers(2)
        given = pinned(client, ["torch:cuda:0"])
        found = {client.submit(_where, pure=False, resources=given).result() for _ in range(6)}
        assert found == {"card"}
