"""What runs on GPU interfaces found: docs/gpu-seen.json, made of their records, and the table of it in docs/gpu.md.

``python -m tools.gpu_seen --date 2026-11-26 RECORD...`` adds the targets of records that are on no CPU, in place of
what is there of the same target, device, versions and deck. Without records the table is written again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossproof.core.observation import FAILING
from lossproof.records.record import read_record
from lossproof.records.recorded_targets import Recorded, recorded_targets
from lossproof.records.waivers import verdict, waivers_in_force

DOCS = Path(__file__).parents[1] / "docs"
SEEN, PAGE = DOCS / "gpu-seen.json", DOCS / "gpu.md"
BEGIN, END = "<!-- seen: python -m tools.gpu_seen -->\n", "<!-- /seen -->\n"
NOTE = "What runs on GPU interfaces found, target by target: made of records by python -m tools.gpu_seen."
# What names a device, in the order in which it is looked for; the kind of the device stands for a fact of its name.
_NAMING = ("renderer", "", "gpu", "cuda", "vulkan", "devices")
# Versions that say nothing of a device's results.
_COMMON = ("python", "numpy", "playwright", "playwright-core")
_KEY = ("target", "device", "versions", "deck", "filters")
Entry = dict[str, Any]


def entries(path: Path, date: str, waivers: Sequence[Path] = ()) -> list[Entry]:
    """What a record holds of each target that is on no CPU."""
    record = read_record(path)
    subjects = recorded_targets(record)
    book = waivers_in_force(subjects, waivers)
    counts: dict[str, Counter[str]] = {t.name: Counter() for t in subjects}
    for o in record:
        if o.target in counts:
            found = verdict(o if o.waiver else book.mark(o))
            counts[o.target]["fail" if found in FAILING else found] += 1
    filters = " ".join(f"--{name} {value}" for name, values in record.header["filters"].items() for value in values)
    return [
        {
            "target": target(t),
            "device": device(t),
            "versions": {k: v for k, v in t.versions.items() if k not in _COMMON},
            "deck": record.header["deck"]["size"],
            "filters": filters,
            "date": date,
            "counts": dict(sorted(counts[t.name].items())),
        }
        for t in subjects
        if not t.device.startswith("cpu")
    ]


def target(t: Recorded) -> str:
    """The target string of a target, with its device, without its environment."""
    name = t.name.partition("@")[0].partition("%")[0]
    return name if name.endswith(f":{t.device}") else f"{name}:{t.device}"


def device(t: Recorded) -> str:
    """What a target says of its device and driver."""
    names = [name or t.device.partition(":")[0] for name in _NAMING]
    found = next((t.facts[name] for name in names if t.facts.get(name)), t.device)
    driver = t.facts.get("nvidia_driver", "")
    return f"{found}, driver {driver}" if driver and driver not in found else found


def merged(known: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """Both, the new ones in the place of those of the same key, in the order of their targets."""
    found = {json.dumps([e[k] for k in _KEY]): e for e in [*known, *new]}
    return sorted(
        found.values(), key=lambda e: (e["target"].partition(":")[0].partition("+")[0], *map(str, (e[k] for k in _KEY)))
    )


def table(known: Iterable[Entry]) -> str:
    """The table of the page."""
    lines = [
        "| target | device | versions | deck | date | pass | convention | known deviation | not offered | failure |",
        "|---|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for e in known:
        counts: Mapping[str, int] = e["counts"]
        versions = ", ".join(f"{name} {version}" for name, version in e["versions"].items())
        deck = e["deck"] + (f" {e['filters']}" if e["filters"] else "")
        numbers = [sum(counts.get(k, 0) for k in kinds) for kinds in _COLUMNS]
        lines.append(
            f"| `{e['target']}` | {e['device']} | {versions} | {deck} | {e['date']} | "
            + " | ".join(map(str, numbers))
            + " |"
        )
    return "\n".join(lines) + "\n"


_COLUMNS = (("pass", "suspect"), ("convention",), ("waived", "unexpected_pass"), ("unsupported",), ("fail",))


def read() -> list[Entry]:
    """What is known."""
    found: list[Entry] = json.loads(SEEN.read_text("utf-8"))["seen"] if SEEN.exists() else []
    return found


def page(text: str, known: Iterable[Entry]) -> str:
    """The page with the table of what is known."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table(known) + "\n" + END + rest.partition(END)[2]


def main() -> None:
    """Add records, and write both files."""
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_seen", description=__doc__)
    parser.add_argument("records", nargs="*", type=Path)
    parser.add_argument("--date", default="", help="the day on which the records were made")
    parser.add_argument("--waivers", action="append", default=[], type=Path, help="deviations beside those shipped")
    options = parser.parse_args()
    if options.records and not options.date:
        parser.error("records say no day; add --date YYYY-MM-DD")
    known = merged(read(), (e for r in options.records for e in entries(r, options.date, options.waivers)))
    SEEN.write_text(json.dumps({"note": NOTE, "seen": known}, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8"), known), "utf-8")


if __name__ == "__main__":
    main()
