"""Shards: their merged record is the one that the whole run writes, and nothing else can be merged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lossproof.cases.catalogue import select
from lossproof.core.batch import signature
from lossproof.core.errors import UsageError
from lossproof.running.loop import groups, stacked
from lossproof.running.shard import Shard, parse_shard
from tests.support.views import install, lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
SMOKE = ("--deck", "smoke", "--op", "softmax", "--op", "nll_loss")
TARGETS = ("numpy", "crooked")
SHARDS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run, whole.jsonl, and of its shards, 1.jsonl.gz and so on."""
    made = tmp_path_factory.mktemp("merge")
    install(made / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made / "site"))
        whole = lossproof("run", *TARGETS, *SMOKE, "--record", str(made / "whole.jsonl"))
        (made / "whole.txt").write_text(whole.stdout)
        for i in range(1, SHARDS + 1):
            record = str(made / f"{i}.jsonl.gz")
            lossproof("run", *TARGETS, *SMOKE, "--shard", f"{i}/{SHARDS}", "--record", record)
    return made


def shards(folder: Path) -> list[str]:
    return [str(folder / f"{i}.jsonl.gz") for i in range(SHARDS, 0, -1)]


def timeless(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
        if "end" in line:
            line["end"] = {k: v for k, v in line["end"].items() if k not in ("seconds", "clock")}
    for name in ("command", "shards"):
        lines[0].pop(name, None)
    return lines


def test_the_merged_record_is_that_of_the_whole_run(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged.jsonl"
    result = lossproof("merge", *shards(folder), "-o", str(out))
    assert result.exit_code == 1, "as the whole run"
    found, expected = timeless(out), timeless(folder / "whole.jsonl")
    # sanity check: there are verdicts on conventions, which no shard can give
    assert [o["id"] for o in expected[1:-1] if "/convention/" in o["id"]]
    assert found == expected
    head = json.loads(out.read_text().splitlines()[0])
    assert [(s["index"], s["of"]) for s in head["shards"]] == [(i, SHARDS) for i in range(1, SHARDS + 1)]
    assert len(lossproof("diff", str(folder / "whole.jsonl"), str(out)).stdout.splitlines()) == 2


def test_the_report_is_that_of_the_whole_run(folder: Path, tmp_path: Path) -> None:
    def shown(text: str) -> list[str]:
        lines = text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("Time in seconds"))
        return [*lines[:start], lines[-1]]

    result = lossproof("merge", *shards(folder), "-o", str(tmp_path / "merged.jsonl"))
    assert shown(result.stdout) == shown((folder / "whole.txt").read_text())


def test_the_bits_of_modes_are_compared_over_all_shards(tmp_path: Path) -> None:
    several = (PLANTED, f"{PLANTED}+careful", "--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--quiet")
    whole, out, *parts = (str(tmp_path / f"{name}.jsonl") for name in ("whole", "out", "1", "2"))
    lossproof("run", *several, "--record", whole)
    for i, part in enumerate(parts, 1):
        lossproof("run", *several, "--shard", f"{i}/2", "--record", part)
    lossproof("merge", *parts, "-o", out)
    grades = [o["conventions"] for o in timeless(Path(whole))[1:-1] if "/convention/modes/" in o["id"]]
    assert grades == [{"modes": "varies"}]
    assert timeless(Path(out)) == timeless(Path(whole))


def test_a_contradiction_between_shards_shows_in_the_merged_record(folder: Path, tmp_path: Path) -> None:
    """Conventions are compared over all shards: one dtype that shows another behaviour fails."""
    lines = [json.loads(line) for line in (folder / "whole.jsonl").read_text().splitlines()]
    # sanity check: the clause is shown in two dtypes
    assert {o["id"].split("/")[1] for o in lines[1:-1] if "4" in o.get("conventions", {})} >= {"float32", "float16"}
    paths = []
    for path in shards(folder):
        out = tmp_path / Path(path).name
        with gzip.open(path, "rt") as source, gzip.open(out, "wt") as sink:
            for line in source:
                data = json.loads(line)
                if data.get("id", "").startswith("softmax/float16/") and data.get("conventions", {}).get("4") == "nan":
                    data["conventions"]["4"] = "limit"
                sink.write(json.dumps(data) + "\n")
        paths.append(str(out))
    merged = tmp_path / "merged.jsonl"
    lossproof("merge", *paths, "-o", str(merged))
    found = [json.loads(line) for line in merged.read_text().splitlines()[1:-1]]
    failed = [o["id"] for o in found if "/convention/" in o["id"] and o["verdict"] == "fail" and o["target"] == "numpy"]
    assert "softmax/all/convention/clause-4/value" in failed


def test_waivers_are_applied_to_the_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "w.toml"
    file.write_text(
        "adapter = 'crooked'\n[[waiver]]\nname = 'no-kernel'\ncases = 'nll_loss/*'\nsymptom = 'error'\n"
        "reason = 'r'\nissue = 'i'\nseen = '1.2.0'\n"
    )
    out = tmp_path / "merged.jsonl"
    result = lossproof("merge", *shards(folder), "-o", str(out), "--waivers", str(file))
    assert "no-kernel: " in result.stdout
    monkeypatch.syspath_prepend(str(folder / "site"))
    marked = str(tmp_path / "1.jsonl")
    run = ("run", *TARGETS, *SMOKE, "--shard", f"1/{SHARDS}", "--record", marked, "--waivers", str(file))
    lossproof(*run)
    result = lossproof("merge", marked, *shards(folder)[:-1], "-o", str(out), "--overwrite")
    assert result.exit_code == 2
    assert "the record has a waiver 'no-kernel'" in result.stderr


@pytest.mark.parametrize("of", [1, 2, 3, 7, 1000])
def test_a_deck_is_divided_by_signatures(of: int) -> None:
    calls = select("smoke")
    parts = [stacked(calls, Shard(i, of)) for i in range(1, of + 1)]
    whole = [tuple(c.id for c in stack) for stack in groups(calls)]
    found = [[tuple(c.id for c in g.calls) for g in part] for part in parts]
    assert sorted(stack for part in found for stack in part) == sorted(whole)
    for part in found:
        assert part == [stack for stack in whole if stack in part], "in the order of the deck"
    seen = [{signature(c.problem) for g in part for c in g.calls} for part in parts]
    assert sum(map(len, seen)) == len(set().union(*seen)), "no signature is compiled twice"


def test_shards_cost_the_same() -> None:
    """By calls, by outputs and by entries, each of which is a part of what a shard costs."""
    calls = select("default", ops=["softmax", "cross_entropy"], dtypes=["float64", "float16"])
    parts = [[c for g in stacked(calls, Shard(i, 8)) for c in g.calls if not c.is_check] for i in range(1, 9)]
    costs = [
        sum(0.08 + len(c.outputs) * (0.16 + c.outline.x.size * {"float64": 4e-4}.get(c.problem.dtype, 2e-4)) for c in p)
        for p in parts
    ]
    stacks = [1.7 * sum(not g.calls[0].is_check for g in stacked(calls, Shard(i, 8))) for i in range(1, 9)]
    whole = [a + b for a, b in zip(costs, stacks, strict=True)]
    assert max(whole) < 1.1 * min(whole)
    assert sum(map(len, parts)) > 1000


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "1/0", "1/9999999"])
def test_a_malformed_shard_is_one_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"cannot read shard .* expected I/N"):
        parse_shard(text)


def test_records_that_do_not_belong_together_are_one_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder / "site"))
    three, two, one = shards(folder)
    out = str(tmp_path / "out.jsonl")
    others = {name: str(tmp_path / f"{name}.jsonl") for name in ("seed", "target", "of", "cut", "left_out", "lacking")}
    quick = (*SMOKE, "--quiet")
    lossproof("run", *TARGETS, *quick, "--shard", "1/3", "--seed", "1", "--record", others["seed"])
    lossproof("run", "numpy", *quick, "--shard", "1/3", "--record", others["target"])
    lossproof("run", *TARGETS, *quick, "--shard", "1/4", "--record", others["of"])
    lossproof("run", *TARGETS, *quick, "--shard", "1/3", "--record", others["cut"])
    lines = Path(others["cut"]).read_text().splitlines(keepends=True)
    Path(others["cut"]).write_text("".join(lines[:-1]))
    Path(others["lacking"]).write_text("".join([*lines[:5], *lines[6:]]))
    Path(others["left_out"]).write_text("".join([lines[0], lines[-2], *lines[1:-2], lines[-1]]))
    for arguments, message in (
        ((one, two), "shards 3/3 are missing"),
        ((one, two, two, three), "are both shard 2/3"),
        ((str(folder / "whole.jsonl"), one), "is no shard"),
        ((others["seed"], two, three), "are shards of two runs: deck"),
        ((others["target"], two, three), "are shards of two runs: targets.crooked was null"),
        ((others["of"], two, three), "are shards of two runs: number of shards was 4 and is 3"),
        ((others["cut"], two, three), "is cut short"),
        ((others["lacking"], two, three), "observations; expected the "),
        ((others["left_out"], two, three), "it does not follow its deck"),
        ((str(tmp_path / "no"), two), "cannot read record"),
    ):
        result = lossproof("merge", *arguments, "-o", out)
        assert result.exit_code == 2, message
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not Path(out).exists(), "nothing is left that would be in the way of the next try"
    assert "is one of the shards" in lossproof("merge", one, two, three, "-o", one).stderr
    assert lossproof("show", one).exit_code == 0, "it was not touched"


def test_a_shard_is_resumed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder / "site"))
    path = tmp_path / "1.jsonl"
    command = ("run", *TARGETS, *SMOKE, "--quiet", "--shard", f"2/{SHARDS}", "--record", str(path))
    lossproof(*command)
    whole = timeless(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    lossproof(*command, "--resume")
    assert timeless(path) == whole
    other = (*command[:-3], f"1/{SHARDS}", *command[-2:], "--resume")
    assert "shard.index was 2 and is 1" in lossproof(*other).stderr


def test_shards_of_different_processors(folder: Path, tmp_path: Path) -> None:
    """Each is judged by what its own had; of the whole only what all have is said."""
    kernels, paths = ["avx2 avx512f", "avx2", "avx2 avx512f"], []
    for path, isa in zip(sorted(shards(folder)), kernels, strict=True):
        out = tmp_path / Path(path).name
        with gzip.open(path, "rt") as source, gzip.open(out, "wt") as sink:
            for line in source:
                data = json.loads(line)
                if "targets" in data:
                    data["targets"]["crooked"]["facts"] |= {"isa": isa, "onednn": "off"}
                sink.write(json.dumps(data) + "\n")
        paths.append(str(out))
    file, whole = tmp_path / "w.toml", tmp_path / "merged.jsonl"
    file.write_text(
        "adapter = 'crooked'\n[[waiver]]\nname = 'wide'\ncases = 'nll_loss/*'\nsymptom = 'error'\n"
        "when = 'isa=avx512f'\nreason = 'r'\nissue = 'i'\nseen = '1.2.0'\n"
    )
    lossproof("merge", *paths, "-o", str(whole), "--waivers", str(file))
    lines = [json.loads(line) for line in whole.read_text().splitlines()]
    facts = lines[0]["targets"]["crooked"]["facts"]
    assert "isa" not in facts
    assert facts["onednn"] == "off"
    assert [s["facts"] for s in lines[0]["shards"]] == [{"crooked": {"isa": isa}} for isa in kernels]
    by_id: dict[str, str] = {}
    for path in paths:
        with gzip.open(path, "rt") as source:
            by_id |= {json.loads(line).get("id"): path for line in source}
    failed = [o for o in lines[1:-1] if o["target"] == "crooked" and o["verdict"] == "fail" and "got" not in o
              and o["id"].startswith("nll_loss/") and "/convention/" not in o["id"]]  # fmt: skip
    waived = {by_id[o["id"]] for o in failed if o.get("waiver") == "wide"}
    assert waived == {paths[0], paths[2]}
    assert paths[1] in {by_id[o["id"]] for o in failed if not o.get("waiver")}
