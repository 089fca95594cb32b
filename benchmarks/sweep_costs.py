"""What sweeps cost, in processor seconds of the engine and of frameworks: the table of docs/sweeps.md.

    python -m benchmarks.sweep_costs [RECORD ...] [--write]

Without records it sweeps: gaps16 on each of four targets, and 2^26 gaps of float32 of softmax on torch, one after the
other (minutes). Prints the table; ``--write`` puts it into the page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossproof.cases.shard import UNDIVIDED, parse_shard
from lossproof.cases.sweeps.chunks import Part
from lossproof.core.command_line import command
from lossproof.records.record import Record, read_record

PAGE = Path(__file__).parents[1] / "docs" / "sweeps.md"
BEGIN, END = "<!-- costs: python -m benchmarks.sweep_costs --write -->\n", "<!-- /costs -->\n"
SWEEPS = (
    *(("--kind", "gaps16", target) for target in ("numpy", "torch", "tensorflow", "jax")),
    ("--kind", "gaps32", "--op", "softmax", "--chunks", "992-1055", "torch"),
)
_HOUR = 3600


@dataclass(frozen=True)
class Cost:
    """The cost of a sweep: what was asked, of how many inputs of the whole ``every``, of which release, in processor
    seconds of the engine and of the target's processes."""

    asked: str
    release: str
    inputs: int
    every: int
    engine: float
    framework: float

    @property
    def whole(self) -> float:
        """The hours that all inputs take at this rate."""
        return (self.engine + self.framework) * self.every / self.inputs / _HOUR


def costs(record: Record) -> Iterator[Cost]:
    """What the record of a sweep says of each of its targets, as if each had the engine for itself. Raises SystemExit
    for the record of anything else, and for one that was cut short."""
    header, end = record.header, record.end()
    if "sweep" not in header or end is None:
        raise SystemExit(f"{record.path} is no record of a whole sweep; expected one of lossproof sweep -o FILE")
    sweep, filters, clock = header["sweep"], header["filters"], end["clock"]
    named: dict[str, Any] = {"kind": sweep["kind"], "ops": filters.get("op", ()), "dtypes": filters.get("dtype", ())}
    shard = parse_shard(sweep["shard"]) if "shard" in sweep else UNDIVIDED
    asked, every = Part(**named, first=sweep["first"], last=sweep["last"], shard=shard), Part(**named)
    engine = sum(clock["phases"].values()) / len(header["targets"])
    for target, described in header["targets"].items():
        yield Cost(
            f"{_options(sweep, filters)} {target}",
            " ".join((described["adapter"], described["versions"].get(described["adapter"], ""))).strip(),
            sum(chunk.inputs for chunk in asked.chunks()),
            sum(chunk.inputs for chunk in every.chunks()),
            engine,
            clock["processor"].get(target, 0.0),
        )


def _options(sweep: Mapping[str, Any], filters: Mapping[str, Any]) -> str:
    last = sweep["last"]
    chunks = f" --chunks {sweep['first']}-{last}" if last is not None else ""
    several = "".join(f" --{name} {value}" for name, values in filters.items() for value in values)
    return f"--kind {sweep['kind']}{several}{chunks}"


def table(found: Iterable[Cost]) -> str:
    """The rows as Markdown; of a part of a sweep what the whole would take, by its rate."""
    lines = [
        "| `lossproof sweep` | of | inputs | engine | framework | all inputs, at that rate |",
        "|---|---|---|---|---|---|",
    ]
    for c in found:
        whole = "" if c.inputs == c.every else f"{c.whole:.1f} hours"
        cells = (f"`{c.asked}`", c.release, f"{c.inputs:,}".replace(",", " "), f"{c.engine:.0f}", f"{c.framework:.0f}")
        lines.append("| " + " | ".join((*cells, whole)).rstrip() + " |")
    return "\n".join(lines) + "\n"


def page(text: str, found: Iterable[Cost]) -> str:
    """The page with the table in its place. Raises ValueError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END.strip()}")
    return before + BEGIN + "\n" + table(found) + "\n" + END + after


def swept(folder: Path) -> Iterator[Path]:
    """The records of all sweeps of the table, one after the other."""
    for number, asked in enumerate(SWEEPS):
        path = folder / f"{number}.jsonl"
        print(command("sweep", *asked), file=sys.stderr, flush=True)
        called = [sys.executable, "-m", "lossproof", "sweep", *asked, "--quiet", "-o", str(path)]
        # Whether something fails is not the question.
        subprocess.run(called, stdout=subprocess.DEVNULL, check=False)
        yield path


def main() -> None:
    """Sweep, or read records, and show what it costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", type=Path, metavar="RECORD")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lossproof-") as folder:
        paths = options.records or swept(Path(folder))
        found = [cost for path in paths for cost in costs(read_record(path))]
    if options.write:
        PAGE.write_text(page(PAGE.read_text("utf-8"), found), "utf-8")
    print(table(found), end="")


if __name__ == "__main__":
    main()
