"""The version of the driver of NVIDIA's GPUs, which no framework tells."""

from __future__ import annotations

import re

_FILE = "/proc/driver/nvidia/version"


def nvidia_driver() -> str:
    """Return the version of NVIDIA's driver, an empty text where Linux has none."""
    try:
        with open(_FILE, encoding="utf-8", errors="replace") as file:
            found = re.search(r"NVRM version:.*?\s(\d+\.[\d.]+)\s", file.read())
    except OSError:
        return ""
    return found.group(1) if found else ""
