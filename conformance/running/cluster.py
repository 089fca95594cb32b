"""A cluster is a scheduler of dask.distributed with its workers: one that is there, or one on this machine."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from lossproof.core.errors import UsageError
from lossproof.targets.launch import cores
from lossproof.targets.target import spec

# The address of a cluster of processes on this machine, which ends with what it was made for.
LOCAL = "local"
_SECONDS = 30


def connected(address: str) -> Any:
    """Return a client of the scheduler at an address, or of a new one here, with a worker for each core, for ``local``.

    Raises :class:`UsageError` without the package, and where nobody answers at the address.
    """
    if find_spec("distributed") is None:
        raise UsageError("--scheduler needs the package distributed; pip install 'lossproof[cluster]'")
    distributed = importlib.import_module("distributed")
    if address == LOCAL:
        # Its client ends it, too.
        return distributed.Client(
            n_workers=cores(), threads_per_worker=1, processes=True, dashboard_address=None, timeout=_SECONDS
        )
    try:
        return distributed.Client(address, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise UsageError(f"no scheduler answers at {address}: {error}") from None


def pinned(client: Any, names: Iterable[str]) -> dict[str, float]:
    """Return the resources that a task with targets of these names takes of its worker: one of each kind of device.

    The kind is the first part of the device, ``cuda`` of ``torch:cuda:0``. Workers declare what they have of it (``dask
    worker --resources "cuda=1"``); a kind that none declares is asked of no worker, since such a task would wait for
    ever: then any worker takes it, and says whether it has the device.
    """
    kinds = {spec(name).device.partition(":")[0] for name in names} - {"", "cpu"}
    if not kinds:
        # A sweep asks for each chunk, and the scheduler may be far away.
        return {}
    declared = {kind for worker in client.scheduler_info()["workers"].values() for kind in worker["resources"]}
    return dict.fromkeys(sorted(kinds & declared), 1.0)
