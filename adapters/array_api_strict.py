"""array-api-strict: the array API and nothing else."""

from __future__ import annotations

from .array_api import array_api_adapter

ADAPTER = array_api_adapter(
    "array_api_strict", "array_api_strict", put="xp.asarray({a})", cast="xp.astype({a}, xp.{t})"
)
