"""Comparisons: what counts as what, record against record, and how it is shown."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.cli.commands.diff import diff_records
from lossproof.core.observation import FAILING, Observation
from lossproof.records import diff as core
from lossproof.records import record
from lossproof.records.changes import changes_between
from lossproof.records.diff import Diff, Facts, Pair, compare
from lossproof.records.pairs import Line, joined
from tests.support.views import lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
SMOKE = ("--deck", "smoke", "--op", "softmax", "--op", "log_softmax", "--dtype", "float32", "--in-process")
BASE = Observation("softmax/float32/ordinary/n1-k2/00000000", "value", "t", "pass", share=0.5, ulp=1.0)
BASE = replace(BASE, profile="W", met="W", bits="0" * 16, seconds=0.1)
FAIL = replace(BASE, verdict="fail", got=1.0, exact=(2.0, 2.0), share=9.0, met="", message="wrong")
CRASH = replace(BASE, verdict="crash", message="SIGSEGV")
ERROR = replace(BASE, id="softmax/float32/error/13-x/00000000", verdict="convention")

MODES = replace(BASE, id="softmax/float32/convention/modes/all", output="all", profile="", met="", bits="")


def shown(o: Observation, clause: str, how: str) -> Observation:
    return replace(o, verdict="convention", conventions={clause: how})


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (BASE, BASE, []),
        (BASE, FAIL, [("regression", "regression")]),
        (BASE, replace(FAIL, waiver="w"), [("regression", "")]),
        (BASE, replace(BASE, verdict="suspect"), [("regression", "regression")]),
        (BASE, replace(BASE, verdict="unsupported"), [("regression", "regression")]),
        (replace(BASE, verdict="unsupported"), FAIL, [("regression", "regression")]),
        (FAIL, CRASH, [("regression", "regression")]),
        (replace(FAIL, waiver="w"), CRASH, [("regression", "regression")]),
        (FAIL, BASE, [("fix", "")]),
        (replace(BASE, verdict="suspect"), BASE, [("fix", "")]),
        (CRASH, FAIL, [("behaviour", "")]),
        (FAIL, replace(BASE, verdict="unsupported"), [("behaviour", "")]),
        (FAIL, replace(FAIL, got=float("nan")), [("behaviour", "convention")]),
        (FAIL, replace(FAIL, got=3.0, waiver="w"), []),
        (shown(BASE, "4", "nan"), shown(BASE, "4", "limit"), [("convention", "regression")]),
        (shown(BASE, "4", "nan"), shown(BASE, "4", "nan"), []),
        (shown(BASE, "7", "inf"), BASE, [("convention", "convention")]),
        (shown(ERROR, "13", "error:bad_label"), shown(ERROR, "13", "nan"), [("behaviour", "convention")]),
        (shown(ERROR, "13", "error:bad_label"), shown(ERROR, "13", "wrap"), [("behaviour", "regression")]),
        (shown(ERROR, "15", "error:bad_option"), shown(ERROR, "15", "nan"), [("behaviour", "regression")]),
        (shown(ERROR, "15", "error:bad_option"), shown(ERROR, "15", "error:internal"), [("behaviour", "convention")]),
        (shown(ERROR, "14", "error:bad_option"), replace(ERROR, verdict="pass"), [("behaviour", "regression")]),
        (shown(BASE, "batch", "bitwise"), shown(BASE, "batch", "varies"), [("regression", "regression")]),
        (shown(BASE, "batch", "varies"), shown(BASE, "batch", "bitwise"), [("fix", "")]),
        (shown(BASE, "batch", "varies"), BASE, []),
        (shown(MODES, "modes", "bitwise"), shown(MODES, "modes", "varies"), [("convention", "bits")]),
        (shown(MODES, "modes", "varies"), shown(MODES, "modes", "bitwise"), [("fix", "")]),
        (shown(MODES, "modes", "varies"), None, [("gone", "")]),
        (BASE, None, [("gone", "regression")]),
        (ERROR, None, [("gone", "")]),
        (None, BASE, [("new", "")]),
        (None, FAIL, [("regression", "regression")]),
        (None, replace(FAIL, waiver="w"), [("new", "")]),
    ],
    ids=itertools.count(),
)
def test_kinds_of_change(a: Observation | None, b: Observation | None, expected: list[tuple[str, str]]) -> None:
    assert [(c.kind, c.fails) for c in changes_between("t", a, b, same_deck=True)] == expected


def test_other_decks_explain_what_is_gone_and_new() -> None:
    assert [c.fails for c in changes_between("t", BASE, None, same_deck=False)] == [""]
    assert [(c.kind, c.fails) for c in changes_between("t", None, FAIL, same_deck=False)] == [("new", "")]


def test_a_fix_says_what_was_wrong() -> None:
    assert [c.message for c in changes_between("t", FAIL, BASE, same_deck=True)] == ["wrong"]
    assert [c.message for c in changes_between("t", BASE, FAIL, same_deck=True)] == ["wrong"]


def test_several_clauses_are_several_changes() -> None:
    a, b = (replace(BASE, verdict="convention", conventions={"4": x, "7": x}) for x in ("nan", "inf"))
    assert [c.clause for c in changes_between("t", a, b, same_deck=True)] == ["4", "7"]


def compared(*pairs: tuple[Observation | None, Observation | None]) -> Diff:
    return compare(Facts("a", "b", (("t", "t"),)), [Pair("t", a, b) for a, b in pairs])


def test_a_profile_that_is_met_no_more_is_a_regression() -> None:
    narrow = replace(BASE, id="softmax/float16/ordinary/n1-k2/1")
    diff = compared((narrow, replace(narrow, met="N")), (BASE, BASE))
    (p,) = diff.profiles
    assert (p.op, p.dtype, p.before, p.after, p.outputs, p.first) == ("softmax", "float16", "W", "N", 1, narrow.id)
    assert diff.reasons("regression") == ["1 at level regression"]
    back = compared((replace(narrow, met="N"), narrow))
    assert (back.profiles[0].before, back.profiles[0].after) == ("N", "W")
    assert not back.reasons("bits")


def test_a_profile_that_others_missed_before_has_not_dropped() -> None:
    """It is a ratchet of all outputs of an op and dtype; a failure is a matter of its verdict."""
    assert not compared((BASE, replace(BASE, met="N")), (replace(BASE, met="N"), replace(BASE, met="N"))).profiles
    assert not compared((BASE, FAIL)).profiles


def test_accuracy_is_ranked_by_how_far_it_moved() -> None:
    far = replace(BASE, id="log_softmax/float32/ordinary/n1-k2/1")
    grown = replace(far, share=0.9, ulp=7.0, bits="1" * 16)
    diff = compared((BASE, replace(BASE, share=0.51)), (far, grown), (BASE, BASE))
    assert [(s.op, s.bits, s.moved) for s in diff.shifts] == [("log_softmax", 1, 1), ("softmax", 0, 1)]
    first = diff.shifts[0]
    assert (first.share, first.ulp, first.mover, first.mover_share) == ((0.5, 0.9), (1.0, 7.0), far.id, (0.5, 0.9))
    assert (diff.compared, diff.unchanged, diff.bits) == (3, 1, 1)
    assert not diff.reasons("convention")
    assert diff.reasons("bits") == ["1 at level bits"]


def test_groups_count_what_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "KEPT", 3)
    diff = compared(*[(BASE, FAIL)] * 10, (BASE, CRASH))
    assert [(g.count, g.first.after) for g in diff.of("regression")] == [(10, "fail (inaccurate)"), (1, "crash")]
    assert len(diff.changes) == 3
    assert diff.counts == {"regression": 11}


# Side by side


def lines(keys: Sequence[int]) -> Iterator[Line]:
    return (Line("f", n, ("t", str(k), "value"), "", "") for n, k in enumerate(keys))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3], []),
        ([], [1, 2]),
        ([1, 2, 3, 4], [2, 4]),
        ([2, 4], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [4, 3, 2, 1]),
        ([1, 2, 3, 9, 4], [8, 3, 1, 2, 7]),
        ([1, 2], [3, 4]),
        (random.Random(1).sample(range(100), 70), random.Random(2).sample(range(100), 70)),
    ],
)
def test_lines_of_the_same_key_come_together(a: list[int], b: list[int]) -> None:
    def shared() -> frozenset[int]:
        keys = [{hash(line.key) for line in lines(side)} for side in (a, b)]
        # A false one, as a collision of hashes would give.
        return frozenset((keys[0] & keys[1]) | {hash(("t", str(a[0]), "value"))} if a else set())

    found = list(joined(lines(a), lines(b), shared))
    both = [x.key for x, y in found if x and y and x.key == y.key]
    assert sorted(both) == sorted(("t", str(k), "value") for k in {*a} & {*b})
    assert sorted(int(x.key[1]) for x, y in found if x and not y) == sorted({*a} - {*b})
    assert sorted(int(y.key[1]) for x, y in found if y and not x) == sorted({*b} - {*a})


def test_equal_decks_are_read_once() -> None:
    def never() -> frozenset[int]:
        raise AssertionError("read again")

    assert len(list(joined(lines([1, 2]), lines([1, 2]), never))) == 2


def write(path: Path, several: Sequence[Observation], *, end: bool = True, **header: Any) -> Path:
    described = {"adapter": "t", "device": "cpu", "mode": "eager", "versions": {"t": "1"}}
    names = dict.fromkeys(o.target for o in several)
    with record.Writer(path, {"suite": "0", "targets": dict.fromkeys(names, described)} | header) as writer:
        for o in several:
            writer.write(o)
        if end:
            writer.end({"seconds": 1.0})
    return path


VARIED = [
    BASE,
    replace(BASE, output="vjp", ulp=float("inf"), conventions={"4": "nan"}, verdict="convention"),
    replace(FAIL, id="softmax/float32/a/0/1", message='says "verdict":"pass" and ,"seconds":3', waiver="w"),
    replace(BASE, id='softmax/float32/b/"quoted" \\ 0/1', share=0.0, profile="", met=""),
    replace(BASE, id="softmax/float32/c/0/1", note="n", call={"op": "softmax"}, index=(1, 2), got=-0.0),
]


def test_reading_fast_gives_the_same_observations(tmp_path: Path) -> None:
    """Lines with and without shortcuts, written as other programs might, give the same comparison."""
    others = [replace(o, share=o.share + 0.25, bits="f" * 16, seconds=9.0) for o in VARIED]
    a, b = write(tmp_path / "a.jsonl", VARIED), write(tmp_path / "b.jsonl", others)
    spaced = tmp_path / "spaced.jsonl"
    spaced.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in b.read_text().splitlines()))
    fast, slow = diff_records(str(a), str(b)), diff_records(str(a), str(spaced))
    expected = compare(replace(fast.facts), [Pair("t", x, y) for x, y in zip(VARIED, others, strict=True)])
    assert fast == expected
    assert replace(slow, facts=fast.facts) == expected
    again = write(tmp_path / "again.jsonl", [replace(o, seconds=7.5) for o in VARIED])
    assert diff_records(str(a), str(again)).unchanged == len(VARIED)
    assert not lossproof("diff", str(a), str(again), "--fail-on", "bits").exit_code


def test_other_orders_and_decks(tmp_path: Path) -> None:
    several = [replace(BASE, id=f"softmax/float32/ordinary/n1-k2/{i}") for i in range(50)]
    a = write(tmp_path / "a.jsonl", several[:40], deck={"digest": "1"})
    mixed = several[10:]
    random.Random(0).shuffle(mixed)
    b = write(tmp_path / "b.jsonl", mixed, deck={"digest": "2"})
    diff = diff_records(str(a), str(b))
    assert (diff.compared, diff.unchanged, diff.counts) == (30, 30, {"gone": 10, "new": 10})
    result = lossproof("diff", str(a), str(b))
    assert result.exit_code == 0
    assert "The decks differ; what both records have is compared." in result.stdout
    assert "deck.digest" in result.stdout


def test_a_record_that_is_cut_short_does_not_pass(tmp_path: Path) -> None:
    several = [replace(BASE, id=f"softmax/float32/ordinary/n1-k2/{i}") for i in range(9)]
    a, b = write(tmp_path / "a.jsonl", several), write(tmp_path / "b.jsonl", several[:5], end=False)
    b.write_bytes(b.read_bytes()[:-20])
    result = lossproof("diff", str(a), str(b))
    assert result.exit_code == 1
    assert "5 at level regression" in result.stdout
    assert result.stderr == f"lossproof: warning: {b}: the last line is cut short and ignored (a killed run?)\n"


def test_a_killed_run_is_named(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", [BASE]), write(tmp_path / "b.jsonl", [BASE], end=False)
    said = f"{b} is cut short: its run did not come to its end"
    assert said in lossproof("diff", str(a), str(b)).stdout
    assert "cut short" not in lossproof("diff", str(a), str(a)).stdout


def test_records_without_a_case_in_common_do_not_pass(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", [BASE]), write(tmp_path / "b.jsonl", [ERROR], deck={"seed": 1})
    result = lossproof("diff", str(a), str(b))
    assert result.exit_code == 2
    assert "have no case of these targets in common" in result.stderr


def test_conventions_bear_the_name_of_the_implementation(tmp_path: Path) -> None:
    """The first target has the name of the second one's implementation, which is another one's on the other side."""
    of_all = replace(BASE, id="softmax/all/convention/clause-4/value", profile="", met="", bits="")
    before = [replace(BASE, target="f.py:ADAPTER"), replace(of_all, target="planted", verdict="fail", message="apart")]
    after = [replace(BASE, target="planted"), replace(of_all, target="planted")]
    for o, path in ((before, "a.jsonl"), (after, "b.jsonl")):
        named = {"adapter": "planted", "device": "cpu", "mode": "eager", "implementation": "planted"}
        write(tmp_path / path, o, targets={o[0].target: named})
    diff = diff_records(str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), ["f.py:ADAPTER=planted"])
    assert [(c.kind, c.id) for c in diff.changes] == [("fix", of_all.id)]


def test_targets_of_other_names(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [BASE, replace(BASE, target="u")])
    b = write(tmp_path / "b.jsonl", [replace(FAIL, target="t@old"), replace(BASE, target="a=b")])
    assert "no target is in both records" in lossproof("diff", str(a), str(b)).stderr
    result = lossproof("diff", str(a), str(b), "--targets", "t=t@old", "--targets", "u=a=b", "--format", "json")
    found = json.loads(result.stdout)
    assert found["facts"]["pairs"] == [["t", "t@old"], ["u", "a=b"]]
    assert [c["target"] for c in found["changes"]] == ["t"]
    for pair, message in (
        ("t", "names no pair of targets"),
        ("t=x", "expected A=B with A one of t, u and B one of t@old, a=b"),
        ("t=a=b", "names t twice"),
    ):
        assert message in lossproof("diff", str(a), str(b), "--targets", "t=t@old", "--targets", pair).stderr
    one = lossproof("diff", str(a), str(a), "--targets", "t=u")
    assert one.exit_code == 0, "two targets of one record"


def test_the_two_sides_of_an_upgrade_belong_together(tmp_path: Path) -> None:
    """What ``lossproof upgrade --keep`` writes names its targets by their environments."""
    sides = {"a": ("t@t-1.0-8c5ff1%X=1", "u@t-1.0-8c5ff1"), "b": ("u@t-2.0-8a19af", "t@t-2.0-8a19af%X=1")}
    for path, names in sides.items():
        write(tmp_path / f"{path}.jsonl", [replace(BASE, target=name) for name in names])
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    found = json.loads(lossproof("diff", str(a), str(b), "--format", "json").stdout)
    assert found["facts"]["pairs"] == [["t@t-1.0-8c5ff1%X=1", sides["b"][1]], ["u@t-1.0-8c5ff1", "u@t-2.0-8a19af"]]
    # One that has no partner, or two, is nobody's guess.
    for several in ("t@x%X=1", "t@x%X=1 u@x v@x", "t@x%X=1 u@x u@y", "exec:t@x%X=1 u@x"):
        write(b, [replace(BASE, target=name) for name in several.split()])
        assert "no target is in both records" in lossproof("diff", str(a), str(b)).stderr


def test_foreign_files_are_one_clear_line(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [BASE])
    foreign = tmp_path / "b.jsonl"
    for content, message in (
        ('{"lossproof":"record","format":1}\n', "its header does not describe its targets"),
        ('{"lossproof":"record","format":1,"targets":{"t":3}}\n', "its header does not describe its targets"),
        (
            '{"lossproof":"record","format":1,"targets":{"t":{"adapter":"t","device":"","mode":"","facts":{"cpu":{}}}}}\n',
            "its header does not describe its targets",
        ),
        ("hello\n", "is not a lossproof record"),
        (a.read_text().splitlines()[0] + '\n{"id":"a"}\n', "line 2 is not an observation"),
        (a.read_text().splitlines()[0] + "\nxx\n{}\n", "line 2 is not a JSON object"),
        (a.read_text().replace('"share":0.5', '"share":0.5x'), "line 2 is not a JSON object"),
    ):
        foreign.write_text(content)
        for pair in ((a, foreign), (foreign, a)):
            result = lossproof("diff", *map(str, pair))
            assert result.exit_code == 2, result.output
            assert message in result.stderr
            assert len(result.stderr.splitlines()) == 1
    twice = write(tmp_path / "twice.jsonl", [replace(BASE, output="vjp"), BASE, BASE])
    other = write(tmp_path / "other.jsonl", [BASE, replace(BASE, output="vjp")])
    assert diff_records(str(twice), str(other)).counts == {"gone": 1}


def test_nothing_from_a_record_is_markup(tmp_path: Path) -> None:
    hostile = "[red]x[/] | <script>alert(1)</script> `a` **b**\n# c"
    bad = replace(FAIL, id="softmax/float32/<b>|x/0/1", message=hostile, target="t")
    a = write(tmp_path / "a.jsonl", [replace(BASE, id=bad.id)], platform="<i>|")
    b = write(tmp_path / "b.jsonl", [bad], platform="[bold]x")
    text = lossproof("diff", str(a), str(b))
    assert "[red]x[/] | <script>" in text.stdout
    marked = lossproof("diff", str(a), str(b), "--format", "markdown").stdout
    assert "<script>" not in marked.replace("\\<", "")
    table = [line for line in marked.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {4, 10}
    assert [line for line in marked.splitlines() if line.startswith("# ")] == ["# 1 at level regression"]


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_every_format_says_the_same(form: str, tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [BASE, replace(BASE, output="vjp")])
    b = write(tmp_path / "b.jsonl", [FAIL, replace(BASE, output="vjp", bits="1" * 16)], numpy="2")
    result = lossproof("diff", str(a), str(b), "--format", form)
    assert result.exit_code == 1
    for part in ("numpy", "fail (inaccurate)", "wrong", "1 at level regression"):
        assert part in result.stdout


# A whole run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    before, after = str(folder / "before.jsonl"), str(folder / "after.jsonl.gz")
    assert lossproof("run", "numpy", *SMOKE, "--quiet", "--record", before).exit_code == 0
    assert lossproof("run", PLANTED, *SMOKE, "--quiet", "--record", after).exit_code == 1
    return before, after


def test_a_planted_mutant_gives_its_kills_and_no_others(runs: tuple[str, str]) -> None:
    """Every output that the mutant fails is a regression, and every regression is an output that it fails."""
    before, after = runs
    kills = {(o.id, o.output) for o in record.read_record(after) if o.verdict in FAILING}
    assert len(kills) > 5
    diff = diff_records(before, after, [f"numpy={PLANTED}"])
    assert {(c.id, c.output) for c in diff.changes if c.kind == "regression" and not c.clause} == kills
    assert not [c for c in diff.changes if c.kind in ("fix", "gone") and c.fails]
    assert {c.case.op for c in diff.changes} == {"softmax"}, "the other op is untouched"
    back = diff_records(after, before, [f"{PLANTED}=numpy"])
    assert {(c.id, c.output) for c in back.changes if c.kind == "fix" and not c.clause} == {
        key for key in kills if key in {(o.id, o.output) for o in record.read_record(before)}
    }


def test_a_run_is_equal_to_itself(runs: tuple[str, str], tmp_path: Path) -> None:
    again = str(tmp_path / "again.jsonl.gz")
    lossproof("run", "numpy", *SMOKE, "--quiet", "--record", again)
    result = lossproof("diff", runs[0], again, "--fail-on", "bits")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2
