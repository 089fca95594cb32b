"""What the board says of targets, number by number: standings, badges, behaviours in words, and changes of releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lossproof.core.errors import UsageError
from lossproof.views.board.badge import badge_svg, badge_text
from lossproof.views.board.condensed import Condensed, CondensedCell, DeviationCount, ShownConvention
from lossproof.views.board.release_history import (
    by_release,
    failing,
    judged_outputs,
    newest,
    release_changes,
    same_deck_releases,
)
from lossproof.views.board.standings import (
    ABSENT,
    CONFORMS,
    DEVIATES,
    FAILS,
    NONCONFORMING,
    Standing,
    behaviour_text,
    behaviours_shown,
    board_of,
    cell_standing,
    slug,
    spoken,
)


def cell(op: str = "softmax", dtype: str = "float32", met: str = "W", passed: int = 0, **others: int) -> CondensedCell:
    return CondensedCell(op, dtype, {"pass": passed, **others}, met=met)


def waived(name: str, count: int = 1) -> DeviationCount:
    return DeviationCount(name, count, {}, {}, "an id", "a message")


CLEAN = Condensed(
    "numpy", "numpy", "2.0", "2024-05-01", "1", {"size": "smoke", "digest": "d"}, {}, {}, True, 10, 0,
    (cell(passed=3),),
)  # fmt: skip


def standing(c: Condensed) -> Standing:
    return Standing(slug(c.name), c, (c,))


FAILED = replace(CLEAN, cells=(cell(passed=3, fail=2, crash=1, unexpected_pass=4),))
MANY_WAIVED = replace(CLEAN, cases_waived=3, waived=(waived("a", 2), waived("b", 3)))


@pytest.mark.parametrize(
    ("record", "verdict", "text"),
    [
        (CLEAN, CONFORMS, "conforms"),
        (FAILED, FAILS, "3 unexplained failures"),
        (replace(FAILED, cells=(cell(fail=1),)), FAILS, "1 unexplained failure"),
        (replace(MANY_WAIVED, cells=FAILED.cells), FAILS, "3 unexplained failures"),
        (MANY_WAIVED, NONCONFORMING, "nonconforming"),
        (replace(MANY_WAIVED, cases_waived=2), DEVIATES, "2 known deviations"),
        (replace(MANY_WAIVED, cases_waived=2, waived=(waived("a"),)), DEVIATES, "1 known deviation"),
    ],
)
def test_a_failure_counts_before_many_deviations_and_these_before_a_few(
    record: Condensed, verdict: str, text: str
) -> None:
    found = standing(record)
    assert (found.verdict, badge_text(found)) == (verdict, text)
    svg = badge_svg(found)
    assert f"lossproof: numpy 2.0: {text} (2024-05-01)" in svg
    colours = {CONFORMS: "#1b7a43", DEVIATES: "#8a5a00", NONCONFORMING: "#a8323a", FAILS: "#a8323a"}
    assert f'fill="{colours[verdict]}"' in svg


def test_a_badge_is_as_wide_as_its_two_fields() -> None:
    # 11 units for each letter: 0.4 of a narrow one, 0.95 of a wide one, 0.64 of another; 7 on either side.
    svg = badge_svg(standing(CLEAN))
    assert '<rect width="69" height="20" fill="#22303f"/>' in svg, "lossproof: 6 x 0.64 and 3 narrow ones"
    assert '<rect x="69" width="68" height="20"' in svg
    assert 'width="137" height="20" role="img"' in svg
    assert 'x="34.5"' in svg
    assert 'x="103"' in svg
    assert "&lt;x&gt;" in badge_svg(standing(replace(CLEAN, name="<x>")))


def test_outputs_are_counted_by_what_became_of_them() -> None:
    one = cell(passed=5, unsupported=7, waived=1, fail=2, error=1, unexpected_pass=1)
    assert failing(one) == 3
    assert judged_outputs(one) == 10
    s = standing(replace(CLEAN, cells=(one, one)))
    assert (s.failed, s.judged) == (6, 20)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (None, ABSENT),
        (cell(unsupported=3), ABSENT),
        (cell(unsupported=3, waived=1), DEVIATES),
        (cell(waived=1, fail=1), FAILS),
        (cell(passed=1), CONFORMS),
    ],
)
def test_the_standing_of_a_cell(one: CondensedCell | None, expected: str) -> None:
    assert cell_standing(one) == expected


def test_findings_that_waivers_share_are_one() -> None:
    found = standing(replace(CLEAN, waived=(waived("no such waiver", 2), waived("another", 1)))).findings
    assert found == {"another": 1, "no such waiver": 2}
    board = board_of([replace(CLEAN, waived=(waived("w", 2),)), replace(CLEAN, name="b")])
    assert board.showing("w") == {"numpy": 2}
    assert board.showing("x") == {}


def test_columns_are_ops_and_dtypes_in_their_order_and_strange_ones_last() -> None:
    cells = (cell("zeta", "float32"), cell("cross_entropy", "float16"), cell("softmax", "int4"), cell("softmax"))
    board = board_of([replace(CLEAN, cells=cells), replace(CLEAN, name="b", date="2025-01-01", cells=(cell("alpha"),))])
    assert board.columns == [
        ("softmax", ["float32", "int4"]),
        ("cross_entropy", ["float16"]),
        ("alpha", ["float32"]),
        ("zeta", ["float32"]),
    ]
    assert board.date == "2025-01-01"


def test_conventions_are_in_the_order_of_clauses_and_grades_come_last() -> None:
    shown = [ShownConvention(c, op, "value", {"float32": {"nan": 1}}) for c in ("tail", "13", "4") for op in ("b", "a")]
    board = board_of([replace(CLEAN, conventions=tuple(shown))])
    assert list(board.conventions) == ["4", "13", "tail"]
    assert list(board.conventions["4"]) == [("a", "value"), ("b", "value")]
    assert board.conventions["4"]["a", "value"] == {"numpy": {"float32": {"nan": 1}}}


def test_two_targets_of_one_page_are_refused() -> None:
    with pytest.raises(UsageError, match=r"numpy\+x would have the page of another target"):
        board_of([CLEAN, replace(CLEAN, name="numpy+x"), replace(CLEAN, name="numpy+X")])
    assert slug("Torch+compile:cuda:0 (x).") == "torch-compile-cuda-0-x"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ({"float32": {"nan": 1}}, "nan"),
        ({"float32": {"nan": 1}, "float16": {"nan": 7}}, "nan"),
        ({"float32": {"inf": 1, "nan": 2}}, "nan, inf"),
        ({"float32": {"inf": 1, "nan": 1}}, "inf, nan"),
        ({"a": {"x": 1}, "b": {"y": 1}, "c": {"y": 1}}, "b, c: y; a: x"),
        ({"a": {"error:bad_label": 1}, "b": {"inf|nan": 1}}, "a: error (bad label); b: inf or nan"),
    ],
)
def test_behaviours_are_said_once_where_all_dtypes_agree(shown: Mapping[str, Mapping[str, int]], text: str) -> None:
    assert behaviour_text(shown) == text


def test_behaviours_of_all_dtypes_the_most_frequent_first() -> None:
    assert behaviours_shown({"a": {"x": 1, "y": 2}, "b": {"x": 3, "z": 4}}) == ["x", "z", "y"]
    assert [spoken(b) for b in ("error", "error:shape", "a|b", "1.5")] == ["error", "error (shape)", "a or b", "1.5"]


# Releases


def release(version: str, date: str = "2024-01-01", size: str = "smoke", digest: str = "d", **more: Any) -> Condensed:
    return replace(CLEAN, version=version, date=date, deck={"size": size, "digest": digest}, **more)


def test_releases_are_in_the_order_of_versions_and_what_is_none_comes_first() -> None:
    several = [release(v) for v in ("2.10", "2.9", "2.9rc1", "main")] + [release("2.9", "2023-01-01")]
    (name,) = by_release(several)
    assert name == "numpy"
    ordered = [(c.version, c.date) for c in by_release(several)["numpy"]]
    assert [v for v, _ in ordered] == ["main", "2.9rc1", "2.9", "2.9", "2.10"]
    assert [d for v, d in ordered if v == "2.9"] == ["2023-01-01", "2024-01-01"]
    assert list(by_release([replace(CLEAN, name="z"), CLEAN])) == ["numpy", "z"]


def test_the_newest_is_that_of_the_whole_and_largest_deck() -> None:
    few = release("2.0", size="full", filters={"ops": ["softmax"]})
    several = [release("1.0", size="full"), few, release("2.0", size="smoke"), release("2.0", size="default")]
    assert newest(several) is several[3]
    assert newest(several[:2]) is few
    twice = [release("2.0", "2024-01-01"), release("2.0", "2024-02-01")]
    assert newest(twice) is twice[1]
    assert newest([release("2.0", size="own"), release("2.0")]).deck_size == "smoke"


def test_releases_of_the_usual_deck_are_compared() -> None:
    several = [release("1", digest="x"), release("2"), release("3"), release("4", filters={"ops": ["softmax"]})]
    assert [c.version for c in same_deck_releases(several)] == ["2", "3"]


def shown_in(**dtypes: Mapping[str, int]) -> tuple[ShownConvention, ...]:
    return (ShownConvention("4", "softmax", "value", dtypes),)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        (
            {"cells": (cell(unsupported=2),)},
            {"cells": (cell(passed=2),)},
            [("offer", "softmax float32", "not offered", "offered")],
        ),
        (
            {"cells": (cell(passed=2),)},
            {"cells": (cell(passed=2, fail=1),)},
            [("failure", "softmax float32", "0 of 2 fail", "1 of 3 fail")],
        ),
        (
            {"cells": (cell(met="W", fail=1),)},
            {"cells": (cell(met="", fail=1),)},
            [("profile", "softmax float32", "W", "none")],
        ),
        ({"cells": (cell(met="", unsupported=1),)}, {"cells": (cell(met="W", unsupported=1),)}, []),
        ({"cells": (cell("nll_loss", fail=1),)}, {"cells": (cell(passed=1),)}, []),
        (
            {"waived": (waived("a", 2), waived("b"))},
            {"waived": (waived("b", 9),)},
            [("known deviation", "a", "2 outputs", "absent")],
        ),
        (
            {"conventions": shown_in(float32={"nan": 1}, float16={"nan": 1})},
            {"conventions": shown_in(float32={"inf": 9}, float16={"inf": 1, "nan": 1})},
            [("convention", "clause 4, softmax value", "nan", "float16: inf or nan; float32: inf")],
        ),
        (
            {"conventions": shown_in(float32={"nan": 1}, float16={"nan": 1})},
            {"conventions": shown_in(float32={"nan": 9}, float16={"inf": 1})},
            [("convention", "clause 4, softmax value", "float16: nan", "float16: inf")],
        ),
        ({"conventions": shown_in(float32={"nan": 1})}, {"conventions": shown_in(float64={"inf": 1})}, []),
    ],
)
def test_changes_from_one_release_to_the_next(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str, str, str]]
) -> None:
    found = list(release_changes([release("1", **before), release("2", **after)]))
    assert [(c.kind, c.where, c.was, c.now) for c in found] == expected
    assert all((c.before, c.after) == ("1", "2") for c in found)


def test_a_standing_has_the_changes_of_its_releases() -> None:
    releases = (release("1", waived=(waived("a"),)), release("2"), release("3", waived=(waived("b"),)))
    changes = Standing("numpy", releases[-1], releases).changes
    assert [(c.before, c.after, c.where) for c in changes] == [("1", "2", "a"), ("2", "3", "b")]


def test_a_grade_is_no_convention() -> None:
    one, other = (ShownConvention("tail", "softmax", "vjp", {"float32": {b: 1}}) for b in ("relative", "absolute"))
    (change,) = release_changes([release("1", conventions=(one,)), release("2", conventions=(other,))])
    assert (change.kind, change.where, change.was, change.now) == ("grade", "tail, softmax vjp", "relative", "absolute")
