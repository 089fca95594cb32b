"""What is picked out of records, and where two headers differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records.conditions import Condition, Context, is_of_processor, parse
from lossproof.records.filters import Filters
from lossproof.records.headers import differences, header_differences, left_out, names, paired, same_deck
from lossproof.records.record import Record

ONE = Observation("softmax/float32/hot/n2-k4/0000000000", "value", "torch+compile", "fail")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"ops": ["nll_loss", "softmax"], "dtypes": ["float32"], "families": ["hot"]}, True),
        ({"ops": ["nll_loss"]}, False),
        ({"dtypes": ["float16"]}, False),
        ({"families": ["ho"]}, False),
        ({"targets": ["torch"]}, False),
        ({"targets": ["torch+compile"], "verdicts": ["fail"]}, True),
        ({"verdicts": ["pass", "waived"]}, False),
        ({"ids": ["softmax/*/hot/*"]}, True),
        ({"ids": ["Softmax/*", "*/n2-k5/*"]}, False),
        ({"ops": ["softmax"], "ids": ["no"]}, False),
    ],
)
def test_every_filter_narrows(filters: dict[str, list[str]], wanted: bool) -> None:
    assert Filters(**filters).match(ONE) is wanted


def test_what_is_waived_is_no_failure_and_unknown_verdicts_are_refused() -> None:
    excused = Observation(ONE.id, "value", "torch", "fail", waiver="known")
    assert Filters(verdicts=["waived"]).match(excused)
    assert not Filters(verdicts=["fail"]).match(excused)
    with pytest.raises(UsageError, match="verdict"):
        Filters(verdicts=["failed"])


def record(path: str, *targets: str, **more: Any) -> Record:
    described = {
        t: {"adapter": "a", "device": "cpu", "mode": "m", "implementation": t.split("+")[0], "versions": {"v": path}}
        for t in targets
    }
    return Record(Path(path), {"deck": {"size": "smoke"}, "filters": {}, **more, "targets": described})


def test_values_differ_at_dotted_places() -> None:
    made, now = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4, "e": 5}}
    assert list(differences(made, now, "")) == [("a.c", 2, 4), ("a.e", None, 5), ("d", 3, None)]
    assert list(differences({"a": 1}, 1, "x")) == [("x", {"a": 1}, 1)]
    assert list(differences({"x": 1}, {"x": 2}, "deck")) == [("deck.x", 1, 2)]


def test_headers_differ_in_what_is_no_name_and_no_command() -> None:
    before = record("a", "torch", command=["x"], shards=1, suite="1")
    after = record("b", "torch@new", command=["y"], shards=2, suite="2")
    found = header_differences(before, after, [("torch", "torch@new")])
    assert found == [("torch.versions.v", "a", "b"), ("suite", "1", "2")]


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({}, True),
        ({"suite": "2"}, True),
        ({"deck": {}}, False),
        ({"filters": {"ops": []}}, False),
        ({"shard": 1}, False),
    ],
)
def test_the_deck_is_its_size_its_filters_and_the_part(more: dict[str, Any], same: bool) -> None:
    assert same_deck(record("a", "torch"), record("b", "torch", **more)) is same


def test_targets_are_paired_by_name_or_but_for_their_environment() -> None:
    both = record("a", "torch", "jax"), record("b", "jax", "torch", "keras")
    assert paired(*both, []) == [("torch", "torch"), ("jax", "jax")]
    upgrade = record("a", "torch@old%A=b", "jax@x"), record("b", "jax@y", "torch%A=b")
    assert paired(*upgrade, []) == [("torch@old%A=b", "torch%A=b"), ("jax@x", "jax@y")]
    for other in (record("b", "torch@b", "jax@c"), record("b", "torch@b", "torch@c")):
        with pytest.raises(UsageError, match="no target is in both records"):
            paired(record("a", "torch@a"), other, [])


def test_pairs_that_are_given_are_those_of_the_records() -> None:
    a, b = record("a", "x=y", "z"), record("b", "y=w", "w")
    assert paired(a, b, ["x=y=w", "z=y=w"]) == [("x=y", "w"), ("z", "y=w")]
    with pytest.raises(UsageError, match="'w=z' names no pair of targets"):
        paired(a, b, ["w=z"])
    for twice, name in ((["x=y=w", "z=w"], "w"), (["z=w", "z=y=w"], "z")):
        with pytest.raises(UsageError, match=f"--targets names {name} twice"):
            paired(a, b, twice)


def test_an_implementation_is_compared_once() -> None:
    a, b = record("a", "torch", "torch+compile"), record("b", "torch@n", "torch@n+compile", "jax")
    one, other = names(a, b, [("torch", "torch@n"), ("torch+compile", "torch@n+compile")])
    assert one.targets == {"torch": "torch", "torch+compile": "torch+compile"}
    assert other.targets == {"torch@n": "torch", "torch@n+compile": "torch+compile"}
    assert one.implementations == {"torch": "torch"}
    assert other.implementations == {"torch@n": "torch"}
    assert left_out(a, b, [("torch", "torch@n")]) == ["torch+compile (a)", "torch@n+compile (b)", "jax (b)"]


WHERE = Context({"torch": "2.1.0", "odd": "?"}, "torch", "cuda:1", "compile", "float16", isa="avx2 fma", onednn="off")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("torch>=2.0,<2.2", True),
        ("torch<2.1", False),
        ("torch>=2.1.0rc1", True),
        ("other>=1", False),
        ("odd>=1", False),
        ("device=cuda", True),
        ("device=cuda:1", True),
        ("device=cuda:0|cpu", False),
        ("device!=cuda", False),
        ("mode=eager|compile and dtype=float16", True),
        ("mode=eager and dtype=float16", False),
        ("dtype!=float32", True),
        ("isa=avx512f|avx2", True),
        ("isa=avx512f", False),
        ("isa!=avx512f", True),
        ("isa!=fma", False),
        ("onednn=off", True),
        ("gpu=SwiftShader", True),
        ("gpu!=SwiftShader", True),
    ],
)
def test_conditions_hold_where_every_term_does(text: str, holds: bool) -> None:
    assert parse(text).holds(WHERE) is holds


def test_what_is_not_known_satisfies_a_term_on_a_fact() -> None:
    unknown = Context(dtype="", device="", mode="")
    for text in ("dtype=float16", "dtype!=float16", "device=cpu", "mode!=eager", "isa=avx2", "isa!=avx2"):
        assert parse(text).holds(unknown), text
    assert Condition().holds(unknown)


@pytest.mark.parametrize("text", ["torch", "torch =", "device>cpu", "device=", "torch=2.0", "torch>=2.0 or jax", "and"])
def test_a_term_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        parse(text)


def test_facts_of_the_processor() -> None:
    assert [is_of_processor(f) for f in ("isa", "isa+compile", "cpu", "limits", "onednn", "blas", "cpus")] == [
        True, True, True, True, True, False, False,
    ]  # fmt: skip
