"""Bisections: the first release that answers otherwise, with what each release that was asked has said."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lossproof.cases.catalogue import select
from lossproof.core.errors import UsageError
from lossproof.records.bisection import first_change
from lossproof.targets.environments import interpreters, releases
from tests.support.stand_ins import NO_NETWORK, Maker, maker
from tests.support.thinned import nightly
from tests.support.views import lossproof

CASE = next(c.id for c in select("smoke", ops=["softmax"], families=["ordinary"]))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    return maker(tmp_path, monkeypatch)


@pytest.mark.parametrize(("size", "changed"), [(n, c) for n in range(2, 12) for c in range(1, n)])
def test_the_first_change_is_found_in_few_steps(size: int, changed: int) -> None:
    asked: list[str] = []

    def ask(version: str) -> str:
        asked.append(version)
        return "new" if int(version) >= changed else "old"

    found = first_change([str(i) for i in range(size)], ask)
    assert (found.last, found.first) == (str(changed - 1), str(changed))
    assert (found.before, found.after, found.unknown) == ("old", "new", ())
    assert len(asked) == len(set(asked)) <= 2 + size.bit_length()


@pytest.mark.parametrize("missing", [set(m) for k in range(4) for m in itertools.combinations("12345", k)])
def test_releases_that_cannot_be_asked_are_passed_over(missing: set[str]) -> None:
    found = first_change([str(i) for i in range(7)], lambda v: None if v in missing else "new" if v >= "3" else "old")
    there = [str(i) for i in range(7) if str(i) not in missing]
    assert found.last == max(v for v in there if v < "3")
    assert found.first == min(v for v in there if v >= "3")
    assert found.unknown == tuple(str(i) for i in range(int(found.last) + 1, int(found.first)))


def test_a_third_answer_is_a_change_too() -> None:
    found = first_change("abcde", {"a": "old", "b": "old", "c": "other", "d": "other", "e": "new"}.get)
    assert (found.last, found.first, found.after) == ("b", "c", "other")


def test_ends_that_do_not_serve_are_errors() -> None:
    with pytest.raises(UsageError, match="a and b answer the same: x"):
        first_change("ab", lambda v: "x")
    with pytest.raises(UsageError, match="b cannot be asked; choose another release"):
        first_change("ab", lambda v: "x" if v == "a" else None)


def test_the_release_that_broke_a_case_and_the_one_that_mended_it(made: Maker) -> None:
    options = (made.target, CASE, "--deck", "smoke", "--package", "released", "--versions", "2,3,4,6,7,10,5")
    result = lossproof("bisect", *options, "--good", "1", "--bad", "4", "--output", "value", "--keep")
    assert result.exit_code == 0, result.output
    head, *steps, last = result.stdout.splitlines()
    assert head == f"{CASE} on {made.target}: released 1 to 4, 4 releases"
    assert [line.strip() for line in steps if line.startswith("  ") and line[2] != " "] == [
        "1: value pass",
        "4: value fail (inaccurate)",
        "2: value pass",
        "3: value fail (inaccurate)",
    ]
    assert sum("exact in [" in line for line in steps) == 2
    assert last == "released 3 changed it: value pass in 2, value fail (inaccurate) in 3"
    back = lossproof("bisect", *options, "--good", "10", "--bad", "3", "--output", "value", "--with", "other")
    assert back.stdout.splitlines()[-1] == "released 6 changed it: value fail (inaccurate) in 5, value pass in 6"
    assert made.asked[-1][1:] == ("other",)
    kept = {path.name.rpartition("-")[0] for path in (made.home / "environments").glob("[!.]*")}
    assert kept == {f"released-{n}" for n in (1, 2, 3, 4)}, "those of the second search are gone"


def test_a_release_that_is_not_there_is_said(made: Maker) -> None:
    made.missing.add("3")
    options = (made.target, CASE, "--deck", "smoke", "--package", "released", "--versions", "2,3")
    result = lossproof("bisect", *options, "--good", "1", "--bad", "4")
    assert "  3: passed over: pip could not install released==3" in result.stdout
    assert result.stdout.splitlines()[-1] == "or one of those in between, which could not be asked: 3"


def test_mistakes_are_one_clear_line(made: Maker) -> None:
    ends = ("--good", "1", "--bad", "2", "--deck", "smoke")
    package = ("--package", "released", "--versions", "1")
    for arguments, message in (
        (("numpy", "nothing", *ends), "unknown id 'nothing' in the smoke deck"),
        (("numpy@x", CASE, *ends), "environments are made for its releases"),
        ((made.target, CASE, *ends), "add --package NAME"),
        ((made.target, CASE, *ends, "--package", "?"), "cannot read requirement"),
        ((made.target, CASE, *package, "--good", "x", "--bad", "2", "--deck", "smoke"), "cannot read version 'x'"),
        ((made.target, CASE, *package, "--good", "1", "--bad", "1.0", "--deck", "smoke"), "expected two releases"),
        ((made.target, CASE, *package, *ends), "1 and 2 answer the same: value pass"),
        ((made.target, CASE, *package, *ends, "--output", "hvp"), "has no output hvp; expected one of value, vjp"),
    ):
        result = lossproof("bisect", *arguments)
        assert result.exit_code == 2, arguments
        assert message in result.stderr.splitlines()[-1], result.stderr


@pytest.mark.parametrize("asked", [False, pytest.param(True, marks=nightly)], ids=["a stand-in", "pip"])
def test_a_package_that_pip_does_not_know_is_said(asked: bool, made: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.home))
    if not asked:
        said = subprocess.CompletedProcess([""], 1, "", "ERROR: No matching distribution found for no-such\n")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    ends = ("--good", "1", "--bad", "2", "--deck", "smoke")
    result = lossproof("bisect", made.target, CASE, *ends, "--package", "no-such")
    assert result.exit_code == 2
    assert "pip has no list of the releases of no-such" in result.stderr.splitlines()[-1], result.stderr


def test_releases_are_those_that_pip_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "p (2.0)\nAvailable versions: 10.0, 2.0, 1.0rc1, 1.0\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    here = interpreters.running()
    found = releases.releases("p[extra]", here)
    assert found == ["1.0rc1", "1.0", "2.0", "10.0"]
    assert asked[0][1:] == ["-m", "pip", "index", "versions", "p"]
    releases.releases("p", interpreters.Interpreter(here.path, (3, 8, 1), "given"))
    assert asked[1][-4:] == ["--python-version", "3.8", "--only-binary", ":all:"]
    assert releases.versions_between(found, "3", "1") == ["1", "2.0", "3"]
    assert releases.versions_between(found, "1.0", "10") == ["1.0", "2.0", "10"]


@pytest.mark.old
def test_the_release_of_jax_that_mended_the_gradient_of_a_masked_softmax() -> None:
    """jax-softmax-where-masked-large-grad-nan of the table of upstream bugs: mended in 0.4.24."""
    case = next(
        c.id
        for c in select("default", ops=["softmax"], dtypes=["float32"], families=["masked"])
        if c.problem.x.shape == (1, 17, 24)
    )
    versions = "0.4.24,0.4.25,0.4.27,0.4.30"
    options = ("--package", "jax[cpu]", "--with", "numpy<2", "--output", "vjp", "--versions", versions)
    result = lossproof("bisect", "jax+where", case, "--bad", "0.4.23", "--good", "0.4.33", *options)
    if result.exit_code == 2 and any(text in result.stdout for text in NO_NETWORK):
        pytest.skip(f"no network: {result.stdout[-300:]}")
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert last == "jax[cpu] 0.4.24 changed it: vjp fail (nonfinite) in 0.4.23, vjp pass in 0.4.24"
