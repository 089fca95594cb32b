"""The lines of a record without what no two runs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def timeless_lines(path: Path, *, without: tuple[str, ...]) -> list[dict[str, Any]]:
    """The lines of a record without times, and without some fields of its header."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
        if "end" in line:
            line["end"] = {k: v for k, v in line["end"].items() if k not in ("seconds", "clock")}
    for name in without:
        lines[0].pop(name, None)
    return lines
