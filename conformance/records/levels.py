"""How serious a change between two records is. On its own, so that ``--help`` needs nothing else."""

from __future__ import annotations

# Each level has those before it.
ON_REGRESSION, ON_CONVENTION, ON_BITS = LEVELS = ("regression", "convention", "bits")
DIFF_FORMATS = ("text", "markdown", "json")
