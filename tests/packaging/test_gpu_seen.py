"""What docs/gpu.md tells of devices is what records say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.views import lossproof
from tools import gpu_seen


def test_the_page_has_the_table_of_what_is_known() -> None:
    text = gpu_seen.PAGE.read_text("utf-8")
    assert gpu_seen.page(text, gpu_seen.read()) == text, "run python -m tools.gpu_seen"
    assert len({e["target"] for e in gpu_seen.read()}) > 5
    assert all(e["date"] and e["versions"] and e["counts"] for e in gpu_seen.read())


def test_nothing_that_was_seen_is_unexplained() -> None:
    assert [e["target"] for e in gpu_seen.read() if e["counts"].get("fail")] == []


def test_a_record_becomes_entries_of_what_is_no_cpu(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    some = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "ordinary")
    assert lossproof("run", "numpy", *some, "--record", str(record)).exit_code == 0
    assert gpu_seen.entries(record, "2026-01-02") == []
    lines = record.read_text("utf-8").splitlines()
    head = json.loads(lines[0])
    head["targets"]["numpy"].update(device="card:0", facts={"card": "Some Card 3"})
    record.write_text("\n".join([json.dumps(head), *lines[1:]]) + "\n")
    (entry,) = gpu_seen.entries(record, "2026-01-02")
    assert (entry["target"], entry["device"], entry["date"]) == ("numpy:card:0", "Some Card 3", "2026-01-02")
    assert entry["filters"] == "--op softmax --dtype float32 --family ordinary"
    assert entry["counts"]["pass"] > 0
    other = {**entry, "counts": {"pass": 1, "waived": 2}}
    assert gpu_seen.merged([entry], [other]) == [other]
    assert "| 1 | 0 | 2 | 0 | 0 |" in gpu_seen.table([other])
