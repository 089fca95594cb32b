"""Tables show a target by the name of its adapter, also where its target string says in which file that is.

Commands and records have the target string.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

# file.py:ATTRIBUTE or package.module:ATTRIBUTE, at the beginning of a target string.
_PLACE = re.compile(r"(.+?\.py|[A-Za-z_]\w*(\.\w+)+):[A-Za-z_][\w.]*")


def shown_names(header: Mapping[str, Any]) -> dict[str, str]:
    """Return the names to show for the targets of a run whose record has this header.

    A target whose name another one has, too, keeps its target string.
    """
    found = {name: _shown(name, facts) for name, facts in (header.get("targets") or {}).items()}
    several = Counter(found.values())
    return {name: shown if several[shown] == 1 else name for name, shown in found.items()}


def _shown(name: str, facts: object) -> str:
    adapter = facts.get("adapter") if isinstance(facts, Mapping) else None
    place = _PLACE.match(name)
    return f"{adapter}{name[place.end() :]}" if place and isinstance(adapter, str) and adapter else name
