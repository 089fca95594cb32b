"""Mutants are found by walking the package: none is lost, none is listed twice, each says where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("ml_dtypes", reason="mutants compute in bfloat16, which NumPy has from ml_dtypes")

from tests.mutants.kit.mutant import TABLE
from tests.mutants.matrix.registry import collect, collected, kill_table, modules
from tests.mutants.matrix.table import bugs, cited

HERE = Path(__file__).parent


def test_every_file_with_mutants_is_walked() -> None:
    written = {
        ".".join(("tests.mutants", *path.relative_to(HERE).with_suffix("").parts))
        for path in HERE.rglob("*.py")
        if not path.name.startswith("test_") and "\nMUTANTS" in path.read_text(encoding="utf-8")
    }
    assert written == {m.__name__ for m in modules()}


def test_a_module_without_mutants_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"tests\.mutants\.nll\.empty has no mutant"):
        collected({"tests.mutants.nll.empty": ()})


def test_a_name_that_is_given_twice_is_an_error() -> None:
    one = next(iter(collect().values()))
    with pytest.raises(ValueError, match=r"is in first and in second"):
        collected({"first": (one,), "second": (one,)})


def test_mutants_lie_with_their_subject() -> None:
    """The folder of an op holds its mutants alone; softmax's those of softmax and log_softmax at once as well."""
    ops = {"log_softmax": {"log_softmax"}, "nll": {"nll_loss"}, "cross_entropy": {"cross_entropy"}}
    ops["softmax"] = {"softmax", "log_softmax"}
    for module in modules():
        folder = module.__name__.split(".")[2]
        found = {m.op for m in module.MUTANTS}
        assert found <= ops.get(folder, found), module.__name__
        if folder == "softmax":
            assert "softmax" in found, module.__name__


def test_the_kill_table_is_covered_row_by_row() -> None:
    rows = {(r["op"], r["mutant"]): (set(r["killed"]), set(r["killed"]) | set(r["below"])) for r in kill_table()}
    table = [m for m in collect().values() if m.source == TABLE and m.kind == "mutant"]
    have = {(m.row, m.name): (set(m.expect), set(m.dtypes)) for m in table}
    # sanity check: no row is listed twice
    assert len(rows) == len(kill_table())
    assert len(have) == len(table)
    assert have == rows


def test_the_kill_table_has_139_rows_of_wide_formats() -> None:
    plain = [r for r in kill_table() if " " not in r["op"] and r["op"] != "wce_mean"]
    assert len(plain) == 139
    assert sum("float32" in r["killed"] for r in plain) == 131
    assert all("float64" in r["killed"] for r in plain)


def test_every_upstream_bug_has_a_mutant_or_a_reason() -> None:
    own = {name for m in collect().values() for name in cited(m)[0]}
    assert len(bugs()) == 105
    for bug in bugs():
        assert (bug["id"] in own) != ("why_not" in bug), bug["id"]


def test_every_mutant_says_what_it_does_and_where_it_comes_from() -> None:
    for mutant in collect().values():
        assert mutant.why
        assert mutant.source


def test_data_files_say_what_they_hold() -> None:
    files = list(HERE.rglob("*.json"))
    assert len(files) == 3
    for path in files:
        assert json.loads(path.read_text(encoding="utf-8"))["note"], path.name
