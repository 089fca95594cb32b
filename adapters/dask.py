"""dask.array: the functions of the array API, on arrays of two blocks along each axis, which it has to put together."""

from __future__ import annotations

from .array_api import array_api_adapter

ADAPTER = array_api_adapter(
    "dask",
    "dask.array",
    imports=(
        "",
        "def in_blocks(a):",
        "    return xp.from_array(a, chunks=tuple((n + 1) // 2 or 1 for n in a.shape))",
    ),
    put="in_blocks({a})",
    # The function of the standard is not there.
    cast="{a}.astype(xp.{t})",
)
