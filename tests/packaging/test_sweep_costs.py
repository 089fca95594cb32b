"""The table of what sweeps cost is made of their records, and stands in its page as it is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep_costs import BEGIN, END, PAGE, Cost, costs, page, table
from lossproof.records.record import Writer, read_record
from tests.support.views import lossproof

PART = {"kind": "gaps32", "first": 0, "last": 63}


def written(path: Path, *, end: bool = True, **differing: Any) -> Path:
    targets = {name: {"adapter": name.partition("+")[0], "versions": {"t": "1.2"}} for name in ("t", "t+jit")}
    header = {"suite": "0", "deck": {}, "filters": {"op": ["softmax"]}, "sweep": PART, "targets": targets}
    with Writer(path, header | differing) as writer:
        if end:
            clock = {"phases": {"judge": 30.0, "asking": 10.0}, "processor": {"t": 5.0, "t+jit": 6.0}}
            writer.end({"seconds": 99.0, "clock": clock, "verdicts": {}})
    return path


def test_costs_are_those_of_the_record(tmp_path: Path) -> None:
    one, other = costs(read_record(written(tmp_path / "r.jsonl")))
    # The engine's time is shared by two targets.
    assert one == Cost("--kind gaps32 --op softmax --chunks 0-63 t", "t 1.2", 2**26, 2**32, 20.0, 5.0)
    assert (other.asked.split()[-1], other.framework) == ("t+jit", 6.0)
    assert one.whole == 25.0 * 64 / 3600
    assert table([one]).splitlines()[-1] == (
        "| `--kind gaps32 --op softmax --chunks 0-63 t` | t 1.2 | 67 108 864 | 20 | 5 | 0.4 hours |"
    )
    (half, _) = costs(read_record(written(tmp_path / "half.jsonl", sweep=PART | {"shard": "1/2"})))
    assert half.inputs == 2**25


def test_a_whole_sweep_has_no_rate(tmp_path: Path) -> None:
    whole = written(tmp_path / "r.jsonl", sweep={"kind": "gaps16", "first": 0, "last": None}, filters={})
    one, _ = costs(read_record(whole))
    assert (one.asked, one.inputs) == ("--kind gaps16 t", one.every)
    assert table([one]).splitlines()[-1].endswith("| 20 | 5 | |")


def test_a_real_record_has_costs(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lossproof("sweep", "numpy", "--op", "nll_loss", "--dtype", "float16", "--chunks", "0", "-q", "-o", str(path))
    (one,) = costs(read_record(path))
    assert one.asked == "--kind gaps16 --op nll_loss --dtype float16 --chunks 0-0 numpy"
    assert one.release.startswith("numpy ")
    assert one.engine > 0
    assert one.framework > 0


@pytest.mark.parametrize("how", [{"end": False}, {"sweep": None}])
def test_what_is_no_whole_sweep_has_no_costs(tmp_path: Path, how: dict[str, Any]) -> None:
    path = written(tmp_path / "r.jsonl", **how)
    if "sweep" in how:
        lines = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps({**json.loads(lines[0]), "x": 1}).replace('"sweep"', '"y"'), *lines[1:]]))
    with pytest.raises(SystemExit, match="is no record of a whole sweep"):
        list(costs(read_record(path)))


def test_the_table_has_a_place_in_its_page() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = page(text, [])
    assert made == before + BEGIN + "\n" + table([]) + "\n" + END + after
    assert page(made, []) == made
    # What stands there was made so.
    assert rest.lstrip("\n").startswith(table([]).splitlines()[0])
    with pytest.raises(ValueError, match="the page has no"):
        page("nothing", [])
