"""The table of what giant calls have shown is made of their records, and stands in its page as it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.giant_verdicts import BEGIN, END, PAGE, page, rows, table
from lossproof.core.observation import Observation
from lossproof.records.record import Writer, read_record

TARGET = {"adapter": "torch", "device": "cpu", "mode": "eager", "versions": {"torch": "2.0+cpu"}, "facts": {}}
CASE = "cross_entropy/bfloat16/giant-elements/n17-k8-none/00000000"


def written(path: Path, *observations: Observation) -> Path:
    with Writer(path, {"targets": {"torch": TARGET}}) as writer:
        for o in observations:
            writer.write(o)
    return path


def test_a_line_has_both_outputs_with_their_memory(tmp_path: Path) -> None:
    needed = "it takes about 20.80 GiB of memory, and 18.11 GiB are there [giant: 9 rows, 8 classes]"
    first = written(
        tmp_path / "a.jsonl",
        Observation(CASE, "value", "torch", "pass", note="peak 10.76 GiB of memory, 1.14 times the logits"),
        Observation(CASE, "vjp", "torch", "resource", message=needed),
        # What no table of verdicts has.
        Observation(CASE.replace("elements", "growth"), "value", "torch", "pass"),
        Observation(CASE.replace("giant-elements", "ordinary"), "value", "torch", "pass"),
    )
    later = written(
        tmp_path / "b.jsonl",
        Observation(CASE, "value", "torch", "crash", message="the process died of SIGSEGV; its last words"),
        Observation(CASE.replace("elements", "far"), "value", "torch", "crash", message="the process died of SIGSEGV"),
    )
    found = rows(map(read_record, (first, later)))
    assert table(found).splitlines()[2:] == [
        "| torch 2.0 | elements | cross_entropy | bfloat16 | pass, 10.8 GiB | resource: 20.8 GiB needed, 18.1 there |",
        "| torch 2.0 | far | cross_entropy | bfloat16 | crash: SIGSEGV | |",
    ]


def test_the_page_has_the_table_and_every_framework_in_it() -> None:
    text = PAGE.read_text()
    lines = text.partition(BEGIN)[2].partition(END)[0].splitlines()
    asked = {tuple(cell.strip() for cell in line.split("|")[1:4]) for line in lines if line.startswith("| ")}
    for framework in ("numpy", "torch", "tensorflow", "jax"):
        for op in ("softmax", "log_softmax", "cross_entropy"):
            assert [row for row in asked if row[0].split()[0] == framework and row[1:] == ("elements", op)]
    with pytest.raises(ValueError, match="the page has no"):
        page("nothing", {})
    again = page(text, {})
    assert (again.count(BEGIN), again.count(END)) == (1, 1)
    assert "| torch" not in again.partition(BEGIN)[2].partition(END)[0]
