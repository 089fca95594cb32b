"""Records: exact numbers, streams, and files that are cut short, foreign or malformed."""

from __future__ import annotations

import json
import math
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.adapters.numpy import ADAPTER
from lossproof.cases.deck import deck_calls, digest
from lossproof.cases.deck_part import DeckPart
from lossproof.core.call import from_json
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records import record
from lossproof.running import header as evidence
from lossproof.running.loop import run
from lossproof.running.session_options import DeckOptions
from lossproof.targets.target import Target
from tests.support.thinned import at_least
from tests.support.views import lossproof

BASE = Observation("softmax/float32/ordinary/n1-k2/0", "value", "numpy", "pass")
HEADER = {"suite": "0"}
floats = st.floats(allow_nan=True)
parts = st.text(st.characters(exclude_characters="/\n", codec="utf-8"), min_size=1)


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b)


@settings(deadline=None, max_examples=at_least(100, to=10))
@given(
    st.builds(
        Observation,
        id=st.lists(parts, min_size=5, max_size=5).map("/".join),
        output=st.sampled_from(["value", "vjp"]),
        target=st.text(),
        verdict=st.sampled_from(["pass", "fail", "error"]),
        share=floats,
        ulp=floats,
        index=st.lists(st.integers(0, 9)).map(tuple),
        got=st.none() | floats,
        exact=st.none() | st.tuples(floats, floats),
        allowed=st.none() | floats,
        message=st.text(),
        conventions=st.dictionaries(st.text(), st.text()),
        waiver=st.text(),
    )
)
def test_observations_survive_bit_for_bit(o: Observation) -> None:
    line = json.dumps(record.to_line(o), allow_nan=False)
    assert same(record.from_line(json.loads(line)), o)


def test_a_whole_run_survives(tmp_path: Path) -> None:
    calls = deck_calls("smoke", DeckPart(ops=["nll_loss"]))
    seen = list(run([Target(ADAPTER)], calls))
    path = tmp_path / "r.jsonl"
    header = evidence.record_header([Target(ADAPTER)], calls, DeckOptions(size="smoke", ops=["nll_loss"]))
    with record.Writer(path, header) as writer:
        for o in seen:
            writer.write(o)
        writer.end({"seconds": 1.0})
    found = record.read_record(path)
    assert found.header["deck"]["digest"] == digest(calls)
    assert found.header["targets"]["numpy"]["versions"]["numpy"] == np.__version__
    assert found.header["filters"] == {"op": ["nll_loss"]}
    assert same(list(found), seen)
    assert same(list(found), seen), "a record can be read twice"
    assert (found.end() or {})["observations"] == len(seen)


def test_the_call_of_a_failure_survives(tmp_path: Path) -> None:
    call = deck_calls("smoke", DeckPart(families=["nan_row"]))[0]
    path = tmp_path / "r.jsonl"
    with record.Writer(path, HEADER) as writer:
        writer.write(Observation(call.id, "value", "t", "fail", share=math.inf, call=call))
    (o,) = record.read_record(path)
    assert isinstance(o.call, dict)
    assert from_json(o.call).id == call.id


def test_every_line_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with record.Writer(path, HEADER) as writer:
        writer.write(BASE)
        assert len(path.read_text().splitlines()) == 2
        assert list(record.read_record(path)) == [BASE]
        assert record.read_record(path).end() is None


def test_a_truncated_last_line_is_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with record.Writer(path, HEADER) as writer:
        writer.write(BASE)
        writer.write(BASE)
    path.write_bytes(path.read_bytes()[:-20])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(record.read_record(path)) == [BASE]
    assert len(caught) == 1
    assert "cut short" in str(caught[0].message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a lossproof record"),
        (b"hello\n", "not a lossproof record"),
        (b"[1]\n", "not a lossproof record"),
        (b'{"a": 1}\n', "not a lossproof record"),
        (b"\xff\xfe\n", "cannot read record"),
        (b'{"lossproof": "record", "format": 99}\n', "record format 99; this lossproof reads formats 1 and 2"),
        (b'{"lossproof": "record", "format": 1}\nxx\n{"id": 1}\n', "line 2 is not a JSON object"),
        (b'{"lossproof": "record", "format": 1}\n{"id": "a"}\n', "line 2 is not an observation: no 'output'"),
        (
            b'{"lossproof": "record", "format": 1}\n{"id":"a","output":"value","target":"t","verdict":"good"}\n',
            "line 2 is not an observation: unknown verdict 'good'",
        ),
        (
            b'{"lossproof": "record", "format": 1}\n'
            b'{"id":"a","output":"value","target":"t","verdict":"pass","exact":[1]}\n',
            "line 2 is not an observation",
        ),
    ],
)
def test_foreign_files_are_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        list(record.read_record(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_records(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"r.jsonl{suffix}"
    several = [replace(BASE, share=i / 7, message=str(i)) for i in range(3000)]
    with record.Writer(path, HEADER) as writer:
        for o in several:
            writer.write(o)
        # What a killed run leaves can be read, up to the last flush.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert 1000 < len(list(record.read_record(path))) <= len(several)
        writer.end({"seconds": 1.0})
    found = record.read_record(path)
    assert list(found) == several
    assert (found.end() or {})["observations"] == len(several)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut = record.read_record(path)
        assert len(list(cut)) < len(several)
        assert cut.end() is None
    path.write_bytes(b"hello\n")
    with pytest.raises(UsageError, match="cannot read record"):
        record.read_record(path)


def test_zstandard_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UsageError, match=r"needs zstandard; pip install 'lossproof\[zstd\]', or use .gz"):
        record.Writer(tmp_path / "r.jsonl.zst", HEADER)


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read record .*: No such file"):
        record.read_record(tmp_path / "no")
    with pytest.raises(UsageError, match=r"cannot read record .*: Is a directory"):
        record.read_record(tmp_path)
    with pytest.raises(UsageError, match="cannot write record"):
        record.Writer(tmp_path / "no" / "r.jsonl", HEADER)


def test_unknown_fields_of_a_newer_suite_are_ignored() -> None:
    assert record.from_line(record.to_line(BASE) | {"invented": 1}) == BASE


def test_the_size_of_the_deck_is_read_under_its_old_name(tmp_path: Path) -> None:
    old = record.read_record(Path(__file__).parent / "data" / "deck_size_as_profile.jsonl")
    assert '"profile":"smoke"' in old.path.read_text(encoding="utf-8").splitlines()[0]
    assert list(old.header["deck"]) == ["version", "digest", "size", "seed", "calls"]
    assert old.header["deck"]["size"] == "smoke"
    asked = ("--op", "softmax", "--dtype", "float32", "--family", "ordinary", "--family", "error", "--in-process")
    new = tmp_path / "new.jsonl"
    assert lossproof("run", "numpy", "--deck", "smoke", *asked, "-q", "--record", str(new)).exit_code == 0
    # The deck has grown since; what its fields are called has not changed.
    found = record.read_record(new).header["deck"]
    assert (list(found), found["size"], found["seed"]) == (list(old.header["deck"]), "smoke", 0)
    assert "deck smoke version 3" in lossproof("show", str(old.path)).stdout
    compared = lossproof("diff", "--fail-on", "regression", str(old.path), str(new))
    assert compared.exit_code == 0, compared.output


def test_evidence_holds_flags_and_no_secret() -> None:
    given = {
        "OMP_NUM_THREADS": "2",
        "XLA_FLAGS": "--x",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_TOKEN_app": "s",
        "JAX_API_KEY": "s",
        "PATH": "/bin",
    }
    assert set(evidence.flags(given)) == {"OMP_NUM_THREADS", "XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("profile", "Z", "unknown error profile 'Z'"),
        ("met", "w", "unknown error profile 'w'"),
        ("profile", 3, "profile is not a text"),
        ("message", None, "message is not a text"),
        ("share", None, "share is no number"),
        ("ulp", None, "ulp is no number"),
        ("share", 10**400, "int too large to convert to float"),
        ("index", [float("inf")], "cannot convert float infinity to integer"),
        ("conventions", ["4"], "conventions are no texts by clause"),
        ("conventions", {"4": 4}, "conventions are no texts by clause"),
    ],
)
def test_a_line_that_no_run_writes_is_refused(field: str, value: object, why: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with record.Writer(path, HEADER) as writer:
        writer.write(Observation("softmax/float32/hot/n2-k4/00000001", "value", "numpy", "pass", profile="W"))
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{json.dumps({**json.loads(line), field: value})}\n")
    with pytest.raises(UsageError, match=f"line 2 is not an observation: {why}"):
        list(record.read_record(path))


@pytest.mark.parametrize(("field", "value"), [("deck", None), ("filters", []), ("cpu", "a"), ("shard", 3)])
def test_a_header_that_no_run_writes_is_refused(field: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"lossproof": "record", "format": 2, field: value}) + "\n")
    with pytest.raises(UsageError, match=f"'{field}' in its header is not an object"):
        record.read_record(path)


def test_half_a_letter_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"lossproof": "record", "format": 2, "suite": "\\udcff"}\n')
    with pytest.raises(UsageError, match="line 1 is not a JSON object"):
        record.read_record(path)
