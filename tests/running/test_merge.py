"""Shards: their merged record is the one that the whole run writes, and nothing else can be merged."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lossproof.adapters.protocol import OPS
from lossproof.cases.call_maker import make_call
from lossproof.cases.catalogue import divide, select
from lossproof.cases.deck_part import Strand
from lossproof.cases.shard import divided, parse_shard
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.running import merge
from lossproof.running.conclusions import Conclusions
from lossproof.running.merge import shares
from tests.support.thinned import WHOLE, nightly
from tests.support.timeless import timeless_lines
from tests.support.views import install, lossproof

timeless = partial(timeless_lines, without=("command", "shards"))
PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
# Records say the same wherever targets answer, but for where that was.
_DTYPES = () if WHOLE else ("--dtype", "float32", "--dtype", "float16", "--dtype", "bfloat16")
_OPS = ("--op", "softmax", "--op", "nll_loss", "--exclude", "nll_loss/*/error/*")
SMOKE = ("--deck", "smoke", *_OPS, *_DTYPES, "--in-process")
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


def _of_twice(of: Callable[..., list[Observation]]) -> Callable[..., list[Observation]]:
    return lambda self, target, call: of(self, target, call) * 2


def _ends_twice(of: Callable[..., Any]) -> Callable[..., Any]:
    """What was read of a shard is read again at its end."""

    def take(self: merge._Stream) -> Observation:
        self.count += 1
        found: Observation = of(self)
        return found

    return take


def _nothing(of: object) -> Callable[..., Iterator[Observation]]:
    """The conclusions of shards are taken for those of all."""
    return lambda self: iter(())


# A part of the merge with a wrong step: an observation twice, a count twice, no conclusion from all shards.
_WRONG: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "observations-twice": (merge._Stream, "of", _of_twice),
    "a-shard-counted-twice": (merge._Stream, "take", _ends_twice),
    "no-conclusions": (Conclusions, "verdicts", _nothing),
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_merge_is_killed(name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, part, wrong = _WRONG[name]
    monkeypatch.setattr(place, part, wrong(getattr(place, part)))
    with pytest.raises((AssertionError, OSError)):
        test_the_merged_record_is_that_of_the_whole_run(folder, tmp_path)


def test_the_report_is_that_of_the_whole_run(folder: Path, tmp_path: Path) -> None:
    def shown(text: str) -> list[str]:
        lines = text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("Time in seconds"))
        return [*lines[:start], lines[-1]]

    result = lossproof("merge", *shards(folder), "-o", str(tmp_path / "merged.jsonl"))
    assert shown(result.stdout) == shown((folder / "whole.txt").read_text())


def test_the_bits_of_modes_are_compared_over_all_shards(tmp_path: Path) -> None:
    deck = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--quiet", "--in-process")
    several = (PLANTED, f"{PLANTED}+careful", *deck)
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


def parts_of(of: int, *names: Any, **filters: Any) -> list[list[Call]]:
    division = divide(of, *names, **filters)
    return [select(*names, **filters, division=division, index=i) for i in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 3, *(pytest.param(of, marks=nightly) for of in (2, 7, 1000))])
def test_each_call_is_in_one_part_as_the_division_says(of: int) -> None:
    some: dict[str, Any] = {} if WHOLE else {"ops": ["softmax", "nll_loss"]}
    whole, division = select("smoke", **some), divide(of, "smoke", **some)
    expected = shares(whole, division, of)
    parts = parts_of(of, "smoke", **some)
    assert sum(map(len, parts)) == len(whole)
    for part, same in zip(parts, expected, strict=True):
        assert [(c.id, c.tier) for c in part] == [(c.id, c.tier) for c in same], "in the order of the deck"


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param({"ops": ["cross_entropy", "log_softmax"], "dtypes": ["float16"]}, marks=nightly),
        {"families": ["relation", "hot"], "dtypes": ["bfloat16"], "ops": OPS if WHOLE else ["nll_loss", "softmax"]},
        {"families": ["error"]},
        {"families": ["masked"], "ops": ["softmax"], "seed": 3},
    ],
)
def test_parts_of_the_default_deck_are_those_of_the_whole(filters: dict[str, Any]) -> None:
    """Relations among them, which start from other calls of the deck."""
    whole, division = select(**filters), divide(5, **filters)
    # sanity check: several parts have something
    assert len({division.part_of(c) for c in whole}) > 1
    for part, same in zip(parts_of(5, **filters), shares(whole, division, 5), strict=True):
        assert [(c.id, c.tier) for c in part] == [(c.id, c.tier) for c in same]


@nightly
def test_no_program_is_in_two_parts() -> None:
    """Checks are where the programs are that they have in common with the deck, as long as that is a fair share."""
    seen = [{signature(p.outline) for c in part for p in c.calls} for part in parts_of(4, dtypes=["float16"])]
    drawn = [{signature(c.outline) for c in part if not c.is_check} for part in parts_of(4, dtypes=["float16"])]
    assert sum(map(len, drawn)) == len(set().union(*drawn))
    twice = sum(map(len, seen)) - len(set().union(*seen))
    assert twice < 0.1 * sum(map(len, seen))


def test_a_part_draws_its_own_calls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others would be made for nothing, and their digests are what a deck costs."""
    drawn: list[str] = []

    def noted(*given: Any, **options: Any) -> Call:
        call = make_call(*given, **options)
        drawn.append(call.id)
        return call

    monkeypatch.setattr("lossproof.cases.drawn.make_call", noted)
    some: dict[str, Any] = {} if WHOLE else {"ops": ["softmax", "nll_loss"], "dtypes": ["float32", "float16"]}
    division = divide(4, **some)
    assert not drawn
    part = select(division=division, index=3, **some)
    found = {c.id for c in part}
    assert found & set(drawn)
    # What is drawn is given more labels, other outputs, another tier; but nothing of another strand is drawn.
    others = [id for id in drawn if id not in found]
    assert len(others) < 0.1 * len(drawn)


def test_a_division_that_leaves_nothing_is_one_error() -> None:
    with pytest.raises(UsageError, match="leave out one of the filters"):
        divide(2, ops=["softmax"], families=["ignored_garbage"])


def test_parts_are_divided_by_what_their_strands_cost() -> None:
    costs = {Strand("softmax", "float32", (4096, n), 1): 100_000_000 * n for n in range(1, 33)}
    division = divided(costs, [("softmax", "float32")], 4)
    loads = Counter[int]()
    for strand, part in division.strands.items():
        loads[part] += costs[strand]
    assert set(loads) == {1, 2, 3, 4}
    assert max(loads.values()) < 1.2 * min(loads.values())
    assert set(division.checks) == {("softmax", "float32")}
    # Nobody has so many machines, and nobody waits for the answer.
    assert len(set(divided(costs, [], 999_999).strands.values())) == len(costs)


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
    lines = gzip.decompress(Path(one).read_bytes()).decode().splitlines(keepends=True)
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
