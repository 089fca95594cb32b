"""``lossproof show``: the tables of a record, the observations that a person asks for, and nothing of a framework."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.records import record
from lossproof.records.record import to_line
from tests.support.views import install, lossproof

SMOKE = ("--deck", "smoke", "--op", "softmax", "--op", "nll_loss", "--exclude", "nll_loss/*/error/*", "--in-process")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A record of two targets, and what the run has printed."""
    folder = tmp_path_factory.mktemp("show")
    install(folder / "site")
    path = str(folder / "r.jsonl.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        result = lossproof("run", "numpy", "crooked", *SMOKE, "--record", path)
    return path, result.stdout


def test_the_tables_are_those_of_the_run(run: tuple[str, str]) -> None:
    path, printed = run
    lines = lossproof("show", path).stdout.splitlines()
    tables = printed.splitlines()[:-1]
    start = lines.index(tables[0])
    assert lines[start:-1] == tables
    head = "\n".join(lines[:start])
    assert "crooked: crooked 1.2.0; eager on cpu" in head
    assert "deck smoke" in head
    assert "cut short" not in head


def test_filters_and_json(run: tuple[str, str]) -> None:
    path, _ = run
    everything = list(record.read_record(path))

    def found(*arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in lossproof("show", path, "--json", *arguments).stdout.splitlines()]

    assert found() == [to_line(o) for o in everything]
    assert found("--limit", "3") == [to_line(o) for o in everything[:3]]
    for arguments, keep in (
        (("--op", "softmax"), lambda o: o.id.startswith("softmax/")),
        (("--dtype", "float16", "--dtype", "all"), lambda o: o.case.dtype in ("float16", "all")),
        (("--family", "masked"), lambda o: o.case.family == "masked"),
        (("--target", "crooked"), lambda o: o.target == "crooked"),
        (("--verdict", "fail", "--op", "nll_loss"), lambda o: o.verdict == "fail" and o.id.startswith("nll_loss/")),
        (("--id", "*/float32/hot/*"), lambda o: "/float32/hot/" in o.id),
    ):
        expected = [to_line(o) for o in everything if keep(o)]
        assert expected
        assert found(*arguments) == expected


def test_a_list_of_observations(run: tuple[str, str]) -> None:
    path, _ = run
    n = sum(o.verdict == "fail" for o in record.read_record(path))
    result = lossproof("show", path, "--verdict", "fail")
    listed = [line for line in result.stdout.splitlines() if line.startswith("fail  crooked  ")]
    assert len(listed) == 20
    assert f"... and {n - 20} more; --limit N lists N" in result.stdout
    assert f"{n} of " in result.stdout.splitlines()[-1]
    listed = lossproof("show", path, "--verdict", "fail", "--limit", "2").stdout.splitlines()
    assert len([line for line in listed if line.startswith("fail  crooked  ")]) == 2


def test_a_record_that_is_cut_short_says_so(run: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json.dumps({"lossproof": "record", "format": record.FORMAT, **record.read_record(run[0]).header})]
    lines += [json.dumps(to_line(o)) for o in record.read_record(run[0])][:9]
    path.write_text("\n".join(lines) + '\n{"id":"so')
    result = lossproof("show", str(path))
    assert result.exit_code == 0
    assert "cut short" in result.stdout
    assert "9 of 9 observations" in result.stdout
    assert result.stderr.startswith("lossproof: warning: ")
    assert len(result.stderr.splitlines()) == 1


def test_unknown_waivers_are_named(run: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    read = record.read_record(run[0])
    with record.Writer(path, read.header) as writer:
        for o in read:
            writer.write(o if o.verdict != "fail" else record.from_line(to_line(o) | {"waiver": "mine"}))
    assert "mine: " in lossproof("show", str(path)).stdout


def test_a_part_of_a_record_calls_no_waiver_stale(run: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    torch = {"adapter": "torch", "device": "cpu", "mode": "eager", "versions": {"torch": "2.13.0"}}
    read = record.read_record(run[0])
    with record.Writer(path, {**read.header, "targets": {"torch": torch}}) as writer:
        writer.write(replace(next(iter(read)), target="torch"))
        writer.end({})
    said = lossproof("show", str(path), "--op", "softmax").stdout
    assert "1 of 1 observations" in said
    assert "stale" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--verdict", "fial"), "unknown verdict 'fial'; did you mean fail?"),
        (("--target", "torch"), "unknown target 'torch'; expected one of numpy, crooked"),
        (("--op", "softmin"), "matches"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, run: tuple[str, str]) -> None:
    result = lossproof("show", run[0], *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("clock", [[], "1", {"judge": "x"}])
def test_damaged_times_are_one_line(clock: object, run: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    *lines, end = gzip.decompress(Path(run[0]).read_bytes()).decode().splitlines()
    facts = json.loads(end)
    # sanity check: it is the end of a run
    assert facts["end"]["clock"]
    facts["end"]["clock"] = clock
    path.write_text("\n".join([*lines, json.dumps(facts)]) + "\n")
    shown = lossproof("show", str(path))
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert len(shown.stderr.splitlines()) == 1
    assert "damaged" in shown.stderr
