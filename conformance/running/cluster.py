"""A cluster is a scheduler of dask.distributed with its workers: one that is there, or one on this machine."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

from lossproof.core.errors import UsageError
from lossproof.targets.launch import cores

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
