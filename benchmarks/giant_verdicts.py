"""What giant calls have shown: the table of docs/giant.md, from records of ``lossproof giant TARGET -o RECORD``.

    python -m benchmarks.giant_verdicts RECORD ... [--write]

Prints a line for each target, case and op, the value and the gradient with their verdicts and the memory that they
took, or needed and found; ``--write`` puts the table into the page. Of records of the same call the first counts.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from lossproof.cases.sweeps.giants import FAMILY, GROWTH_FAMILY
from lossproof.core.observation import Observation
from lossproof.records.record import Record, read_record

PAGE = Path(__file__).parents[1] / "docs" / "giant.md"
BEGIN, END = "<!-- verdicts: python -m benchmarks.giant_verdicts RECORD ... --write -->\n", "<!-- /verdicts -->\n"
_NEEDED = re.compile(r"about ([\d.]+) GiB of memory, and ([\d.]+) GiB are there")
_PEAK = re.compile(r"peak ([\d.]+) GiB")
_SIGNAL = re.compile(r"died of (SIG\w+)")
# Target, case, op and dtype.
Row = tuple[str, str, str, str]


def told(o: Observation) -> str:
    """A verdict in a cell, with the memory that was taken, or that was needed and there."""
    needed, peak, signal = (
        form.search(text) for form, text in ((_NEEDED, o.message), (_PEAK, o.note), (_SIGNAL, o.message))
    )
    if needed:
        return f"{o.verdict}: {float(needed[1]):.1f} GiB needed, {float(needed[2]):.1f} there"
    if peak:
        return f"{o.verdict}, {float(peak[1]):.1f} GiB"
    return f"{o.verdict}: {signal[1]}" if signal else o.verdict


def rows(records: Iterable[Record]) -> dict[Row, dict[str, str]]:
    """What each call has shown, by output."""
    found: dict[Row, dict[str, str]] = {}
    for record in records:
        described = record.header["targets"]
        for o in record:
            case = o.case
            if not case.family.startswith(FAMILY) or case.family == GROWTH_FAMILY:
                continue
            adapter = described[o.target]["adapter"]
            release = described[o.target]["versions"].get(adapter, "").partition("+")[0]
            row = (f"{o.target} {release}".strip(), case.family.removeprefix(FAMILY), case.op, case.dtype)
            found.setdefault(row, {}).setdefault(o.output, told(o))
    return found


def table(found: dict[Row, dict[str, str]]) -> str:
    """The rows as Markdown."""
    lines = ["| target | case | op | dtype | value | gradient |", "|---|---|---|---|---|---|"]
    for row, shown in found.items():
        lines.append("| " + " | ".join((*row, shown.get("value", ""), shown.get("vjp", ""))).rstrip() + " |")
    return "\n".join(lines) + "\n"


def page(text: str, found: dict[Row, dict[str, str]]) -> str:
    """The page with the table in its place. Raises ValueError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END.strip()}")
    return before + BEGIN + "\n" + table(found) + "\n" + END + after


def main() -> None:
    """Read records, and show what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=Path, metavar="RECORD")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    found = rows(read_record(path) for path in options.records)
    print(table(found), end="")
    if options.write:
        PAGE.write_text(page(PAGE.read_text(), found))


if __name__ == "__main__":
    main()
