"""What several tests of this folder share."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


# As long as a file: workers without work use a processor, too.
@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers of dask.distributed on this machine."""
    pytest.importorskip("distributed", reason="distributed is not installed (pip install 'lossproof[cluster]')")
    distributed = importlib.import_module("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as there:
        yield there
