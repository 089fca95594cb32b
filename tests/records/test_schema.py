"""docs/record.schema.json says what records hold: every line that is written is valid, and wrong ones are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from lossproof.cli.main import cli
from lossproof.core.observation import VERDICTS, Observation
from lossproof.running.timing import Clock
from tests.support.thinned import WHOLE, thinned
from tests.support.views import install

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OBSERVATION = {"id": "softmax/float32/ordinary/n1-k2/0", "output": "value", "target": "t", "verdict": "pass"}


def run(*arguments: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="lossproof")
    assert result.exit_code in (0, 1), result.output


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run with every kind of line: right and wrong targets, checks, errors, a shard, a merged record."""
    folder = tmp_path_factory.mktemp("records")
    install(folder / "site")
    deck = ("--deck", "smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        some = () if WHOLE else ("--op", "softmax", "--op", "nll_loss", "--dtype", "float32")
        run("run", "numpy", "crooked", *deck, *some, "--in-process", "--record", str(folder / "whole.jsonl"))
        parts = [str(folder / f"{i}.jsonl") for i in (1, 2)]
        for i, path in enumerate(parts, 1):
            run(
                "run",
                "numpy",
                "--op",
                "softmax",
                "--dtype",
                "float32",
                *deck,
                "--shard",
                f"{i}/2",
                "--record",
                path,
                "--in-process",
            )
        run("merge", *parts, "--output", str(folder / "merged.jsonl"))
        run("upgrade", "numpy", "crooked", *deck, "--op", "softmax", "--dtype", "float32", "--keep", str(folder))
    return [folder / f"{name}.jsonl" for name in ("whole", "1", "2", "merged", "before", "after")]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_line_is_valid(records: list[Path]) -> None:
    for path in records:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) > 2, "a record has a header, observations and an end"
        for line in [lines[0], *thinned(lines[1:-1], to=5), lines[-1]]:
            VALIDATOR.validate(json.loads(line))


def test_the_schema_names_every_field(records: list[Path]) -> None:
    """Fields that are not described would be valid, because newer releases may add some."""
    defs = SCHEMA["$defs"]
    assert set(defs["observation"]["properties"]) == {f.name for f in fields(Observation)}
    assert defs["observation"]["properties"]["verdict"]["enum"] == list(VERDICTS)
    clock = defs["end"]["properties"]["end"]["properties"]["clock"]
    assert set(clock["properties"]) == set(Clock().facts())
    for path in records:
        header = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
        assert set(header) <= set(defs["header"]["properties"])
        assert set(header["deck"]) | {"kept", "cases"} == set(defs["header"]["properties"]["deck"]["properties"])
        for target in header["targets"].values():
            assert set(target) <= set(defs["target"]["properties"])


@pytest.mark.parametrize(
    "line",
    [
        {},
        [],
        {"lossproof": "record", "format": 1},
        {k: v for k, v in OBSERVATION.items() if k != "output"},
        OBSERVATION | {"verdict": "good"},
        OBSERVATION | {"share": "large"},
        OBSERVATION | {"exact": [1.0]},
        OBSERVATION | {"bits": "xyz"},
        OBSERVATION | {"id": "softmax"},
        OBSERVATION | {"conventions": {"4": 1}},
        {"end": {"observations": -1, "seconds": 0, "clock": {}, "verdicts": {}}},
        {"end": 3},
    ],
    ids=repr,
)
def test_wrong_lines_are_not_valid(line: Mapping[str, Any]) -> None:
    # sanity check: it is what is wrong that matters
    assert VALIDATOR.is_valid(OBSERVATION)
    assert not VALIDATOR.is_valid(line)
