"""The estimates of what giant calls take are held to what benchmarks/giant_memory.py has measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.giant_memory import ADAPTERS, CLASSES, DTYPES, FILE, ROWS
from lossproof.adapters import giant as giants
from lossproof.adapters.protocol import OPS
from lossproof.core.errors import UsageError
from lossproof.targets.target import load_adapter

MEASURED: list[dict[str, Any]] = json.loads(FILE.read_text())
# Bytes of an array of the size of the logits for each of them, of which an estimate may have two too many: it is that
# of the op and the dtype that take most.
ARRAY = 4
# What is read at once is no array of that size, and estimated by itself.
READ = giants.READ_BYTES / (ROWS * CLASSES)


def test_everything_was_measured_once() -> None:
    keys = [tuple(one[k] for k in ("adapter", "op", "dtype", "gradient")) for one in MEASURED]
    assert len(set(keys)) == len(keys) == len(ADAPTERS) * len(OPS) * len(DTYPES) * 2
    assert all(one["release"] for one in MEASURED)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_estimate_is_enough_and_not_much_more(name: str) -> None:
    try:
        adapter: Any = load_adapter(name)
    except UsageError as error:
        pytest.skip(str(error))
    for one in MEASURED:
        if one["adapter"] == name:
            estimated = adapter.giant.bytes_each(one["op"], one["dtype"], gradient=one["gradient"])
            assert one["bytes"] - READ <= estimated <= one["bytes"] + 2 * ARRAY, one
