"""Calls of the deck are made again from their ids; others travel with the record, each once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof.adapters.protocol import Problem
from lossproof.cases import kept_calls
from lossproof.cases.catalogue import select
from lossproof.cases.recorded_calls import recorded_call
from lossproof.core.call import Call, from_json
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records import record
from lossproof.repro.find import CasePlace, find_call
from tests.support.thinned import nightly
from tests.support.views import install, lossproof

SMOKE = ("--deck", "smoke", "--op", "softmax")
WIDE = Call(Problem("softmax", "float32", np.float64(np.linspace(-1, 1, 3000, dtype="f4")).reshape(2, 1500)), "hand")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wrong adapter, a kept call, and the record of both."""
    folder = tmp_path_factory.mktemp("calls")
    install(folder / "site")
    kept_calls.save(WIDE, folder / "kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        given = ("--calls", str(folder / "kept"), "--record", str(folder / "r.jsonl"), "--in-process")
        assert lossproof("run", "crooked", "crooked%A=b", *SMOKE, *given[:-1]).exit_code == 1
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_call_of_the_deck_is_in_no_line(folder: Path) -> None:
    found = lines(folder / "r.jsonl")
    failing = [line for line in found if line.get("verdict") == "fail"]
    assert len({line["id"] for line in failing}) > 50
    assert not any("call" in line for line in failing)
    assert [line["of"] for line in found if "of" in line] == [WIDE.id]
    assert found[0]["deck"]["kept"] == [WIDE.id]


def test_a_kept_call_stands_once_before_what_is_observed_of_it(folder: Path) -> None:
    found = lines(folder / "r.jsonl")
    at = next(i for i, line in enumerate(found) if "of" in line)
    about = [i for i, line in enumerate(found) if line.get("id") == WIDE.id]
    assert len(about) == 2, "two targets"
    assert at + 1 == about[0]
    assert from_json(found[at]["call"]).content == WIDE.content


def test_observations_have_the_call_again(folder: Path) -> None:
    mine = [o for o in record.read_record(folder / "r.jsonl") if o.id == WIDE.id]
    assert len(mine) == 2
    for o in mine:
        assert recorded_call(o.id, o.call).content == WIDE.content


def test_a_pass_has_no_call(tmp_path: Path) -> None:
    failing = Observation(WIDE.id, "value", "t", "fail", call=WIDE)
    with record.Writer(tmp_path / "r.jsonl", {}) as writer:
        writer.write(failing)
        writer.write(replace(failing, verdict="pass", call=None))
    assert [o.call is None for o in record.read_record(tmp_path / "r.jsonl")] == [False, True]


def test_every_failing_call_is_found_again_with_its_bits(folder: Path) -> None:
    path = folder / "r.jsonl"
    by_id = {c.id: c for c in [*select("smoke", ops=["softmax"]), WIDE]}
    failing = {o.id for o in record.read_record(path) if o.keeps_call}
    assert len(failing) > 50
    for id in failing:
        assert find_call(id, CasePlace(record=str(path))).content == by_id[id].content
    tail = WIDE.id.rpartition("/")[2]
    assert find_call(tail, CasePlace(record=str(path))).id == WIDE.id


def test_commands_take_it_from_the_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder / "site"))
    path = str(folder / "r.jsonl")
    explained = lossproof("explain", WIDE.id, "--record", path, "--target", "numpy")
    assert explained.exit_code == 0, explained.output
    assert "numpy: pass" in explained.stdout
    shown = lossproof("show", path, "--id", WIDE.id, "--json")
    assert [json.loads(line)["id"] for line in shown.stdout.splitlines() if "{" in line] == [WIDE.id] * 2
    same = lossproof("diff", path, path)
    assert same.exit_code == 0, same.output


def test_a_record_of_format_1_is_read(tmp_path: Path) -> None:
    """There the call stands in each observation that is no pass, its arrays as texts."""
    small = select("smoke", ops=["softmax"])[0]
    observed = record.to_line(Observation(small.id, "value", "t", "fail", call=small))
    head = {"lossproof": "record", "format": 1, "deck": {"size": "smoke", "seed": 0}, "targets": {}}
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(map(json.dumps, [head, observed])) + "\n")
    (o,) = record.read_record(path)
    assert isinstance(o.call, dict)
    assert "hex" in o.call["x"]
    assert find_call(small.id, CasePlace(record=str(path))).content == small.content


def test_what_the_deck_does_not_have_is_said(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with record.Writer(path, {"deck": {"size": "smoke", "seed": 0}}) as writer:
        writer.write(Observation(WIDE.id, "value", "t", "fail", call=WIDE))
    with pytest.raises(UsageError, match="is no case of the smoke deck of seed 0 as this lossproof makes it"):
        find_call(WIDE.id, CasePlace(record=str(path)))


@pytest.mark.parametrize("share", [0.2, 0.96, 1.0, *(pytest.param(x, marks=nightly) for x in (0.9, 0.98, 0.99))])
def test_a_record_with_a_travelling_call_is_finished(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.syspath_prepend(str(folder / "site"))
    whole = (folder / "r.jsonl").read_bytes()
    path = tmp_path / "r.jsonl"
    path.write_bytes(whole[: int(len(whole) * share)])
    given = ("--calls", str(folder / "kept"), "--record", str(path), "--resume")
    assert lossproof("run", "crooked", "crooked%A=b", *SMOKE, *given).exit_code == 1
    timeless = [[{**line, "seconds": 0, "end": 0} for line in lines(p)[1:]] for p in (path, folder / "r.jsonl")]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32", "uint8"])
def test_large_arrays_are_compressed_bit_for_bit(dtype: str) -> None:
    n = 5000
    x = np.where(np.arange(n) % 7, np.arange(n) / 3, -0.0)
    x[:3] = np.nan, np.inf, 5e-324
    target = (np.arange(n) % 2).astype(dtype) if dtype != "float64" else np.stack([x] * 2, 1)
    p = Problem("cross_entropy", "float64", np.stack([x, x], axis=1), target, reduction="none")
    text = json.dumps(Call(p, "hand").to_json(), allow_nan=False)
    back = from_json(json.loads(text))
    assert "hex" not in text
    assert back.content == Call(p, "hand").content
    assert back.problem.target is not None
    assert back.problem.target.dtype == target.dtype
    assert back.problem.x.tobytes() == p.x.tobytes()
    back.problem.x[0, 0] = 1.0  # it can be written into, as any array


@pytest.mark.parametrize("packed", ["", "####", "AAAA", 5])
def test_damaged_numbers_are_one_clear_line(packed: object) -> None:
    data = json.loads(json.dumps(WIDE.to_json()))
    data["x"]["zlib"] = packed
    with pytest.raises(UsageError, match="not a call"):
        from_json(data)


def test_a_whole_id_is_looked_for_in_its_part_of_the_deck(monkeypatch: pytest.MonkeyPatch) -> None:
    smoke = select("smoke", ops=["nll_loss"], dtypes=["float16"])
    monkeypatch.setattr("lossproof.repro.find.select", lambda *_: pytest.fail("the whole deck is drawn"))
    for call in (next(c for c in smoke if not c.is_check), next(c for c in smoke if c.is_check)):
        found = find_call(call.id, CasePlace(deck="smoke"))
        assert (found.id, found.content, found.family, found.tier) == (call.id, call.content, call.family, call.tier)
