"""Words that ``--fail-on`` and ``--format`` of ``lossproof diff`` take: how serious a change is, how it is shown.

The module stands alone so that ``--help`` needs nothing else.
"""

from __future__ import annotations

# Each level has those before it.
ON_REGRESSION, ON_CONVENTION, ON_BITS = LEVELS = ("regression", "convention", "bits")
DIFF_FORMATS = ("text", "markdown", "json")
