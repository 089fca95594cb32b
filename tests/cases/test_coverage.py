"""Coverage is a number: no cell of the matrix is empty that a target's capabilities allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lossproof.adapters import local
from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import DTYPES, Capabilities, Problem
from lossproof.cases.catalogue import select
from lossproof.cases.coverage.cells import TABLES, all_cells, cells
from lossproof.cases.coverage.covering_shapes import ALL_RANKS, places
from lossproof.cases.coverage.matrix import Coverage, coverage, unlimited
from lossproof.core.call import Call
from tests.support.decks import whole
from tests.support.thinned import WHOLE, nightly


@pytest.fixture(scope="module")
def deck() -> Sequence[Call]:
    return whole()


# Who is asked everything is asked the same in each dtype. What is compiled at a price is asked less, and each dtype
# something else.
SOME = DTYPES if WHOLE else ("float32", "float16")


# What is compiled in seconds has no derivatives but gradients, in every adapter that there is.
_DEAR = replace(unlimited("dear"), outputs=("value", "vjp", "grad_target"))


@pytest.mark.parametrize(
    "capabilities",
    [unlimited(), pytest.param(unlimited("cheap"), marks=nightly), _DEAR, ADAPTER.capabilities()],
    ids=["none", "cheap", "dear", "numpy"],
)
def test_no_cell_is_empty(deck: Sequence[Call], capabilities: Capabilities) -> None:
    if capabilities.compile_cost == "none":
        capabilities = replace(capabilities, dtypes=SOME)
    asked = [call for call in deck if call.outline.dtype in capabilities.dtypes]
    assert list(coverage(asked, capabilities).empty()) == []


@nightly
def test_another_seed_leaves_no_cell_empty_either() -> None:
    assert list(coverage(select(seed=1), unlimited()).empty()) == []


def test_a_missing_call_shows(deck: Sequence[Call]) -> None:
    rest = [c for c in deck if c.is_check or c.outline.x.ndim != 7 or c.outline.axis not in (2, -5)]
    found = list(coverage(rest, unlimited("dear")).empty())
    assert [line.split(": ")[:2] for line in found if line.startswith("axes")] == [["axes", "rank 7, axis 2"]]
    in_one = [c for c in rest if c.outline.dtype == "float16"]
    assert {f"axes: rank 7, axis 2: {op} in float16" for op in unlimited().ops} <= set(
        coverage(in_one, replace(unlimited(), dtypes=("float16",))).empty()
    )


def test_the_smoke_deck_is_no_full_coverage() -> None:
    assert any("rank 8" in line for line in coverage(select("smoke"), unlimited("dear")).empty())


def test_a_problem_fills_its_cells() -> None:
    x = np.zeros((1, 2049, 3))
    x[0, :9, 0], x[0, 20, 1] = -np.inf, np.nan
    labels = np.array([[2048, 5, -1]])
    p = Problem("cross_entropy", "float32", x, labels, axis=1, reduction="sum", ignore_index=-1, weight=np.ones(2049))
    assert set(cells(p)) == {
        ("axes", "rank 3, axis 1"),
        ("singletons", "rank 3, axis 0 of length 1"),
        ("classes", "2047-2049"),
        ("rows", "2-8"),
        *(("special", name) for name in ("-inf in the first tile", "-inf", "NaN", "label in the last tile")),
        ("sentinels", "-1, sum, weights"),
        *(("options", name) for name in ("reduction sum", "index targets", "weights", "ignore_index")),
        *(("options", name) for name in ("labels of int64", "value alone")),
    }


def test_who_is_asked_later_is_told_the_same() -> None:
    """What a call fills is found once, and refusals of labels look at the labels of large calls, too."""
    calls = select("smoke", ops=["nll_loss"], dtypes=["float32"])
    fixed = replace(unlimited(), fixed_ignore_index=-100)
    for capabilities in (unlimited(), fixed, unlimited()):
        expected = Counter(
            (cell, p.op, p.dtype)
            for p in (each.problem for call in calls for each in call.calls)
            if not local.refusal("", capabilities, p)
            for cell in set(cells(p))
        )
        assert coverage(calls, capabilities).counts == expected
    assert coverage(calls, fixed).counts.total() < coverage(calls, unlimited()).counts.total()


def test_cells_are_distinct_and_every_table_has_some() -> None:
    every = list(all_cells())
    assert len(set(every)) == len(every)
    assert {table for table, _ in every} == set(TABLES)


def test_every_rank_and_class_axis_has_one_covering_place() -> None:
    assert [(len(p.shape), p.axis) for p in places()] == [(rank, axis) for rank in ALL_RANKS for axis in range(rank)]


def test_what_need_not_be_asked_has_a_reason(deck: Sequence[Call]) -> None:
    plain = replace(unlimited(), layouts=("contiguous",), laid=(), out_dtypes=(), outputs=("value", "vjp"))
    found = coverage(deck, plain)
    assert found.reason(("layouts", "x stepped"), "softmax", "float32") == "the adapter makes no such array"
    assert found.reason(("options", "jvp"), "softmax", "float32") == "it offers no jvp"
    assert found.reason(("sentinels", "K, sum"), "softmax", "float32") == "softmax has no such input"
    assert found.reason(("options", "wider output"), "softmax", "float32")
    assert not found.reason(("axes", "rank 3, axis 1"), "softmax", "float32")
    assert isinstance(found, Coverage)
