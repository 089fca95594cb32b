"""Upgrades: two environments, one deck, and a comparison that is true line by line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from lossproof.core.errors import UsageError
from lossproof.core.observation import FAILING
from lossproof.records import record
from lossproof.targets.environments import requirement_files, upgrade_sides
from tests.support.reproduced import unshown
from tests.support.stand_ins import NO_NETWORK, Maker, maker
from tests.support.views import lossproof

PLANTED = f"{Path(__file__).parents[1] / 'support' / 'planted.py'}:ADAPTER"
SMOKE = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32")
FEW = (*SMOKE, "--family", "ordinary")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    return maker(tmp_path, monkeypatch)


def test_a_planted_pair_gives_the_kills_of_the_mutant_and_no_others(tmp_path: Path) -> None:
    """NumPy's adapter against one without the shift: what the mutant fails, and nothing else, is a regression."""
    folder = tmp_path / "kept"
    result = lossproof("upgrade", "numpy", PLANTED, *SMOKE, "--format", "json", "--keep", str(folder))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    kills = {(o.id, o.output) for o in record.read_record(folder / "after.jsonl") if o.verdict in FAILING}
    assert len(kills) > 5
    assert not [o for o in record.read_record(folder / "before.jsonl") if o.verdict in FAILING]
    assert {(c["id"], c["output"]) for c in found["changes"] if c["kind"] == "regression" and not c["clause"]} == kills
    assert found["facts"]["same_deck"]
    assert (found["facts"]["before"], found["facts"]["after"]) == ("numpy", PLANTED)
    again = lossproof("diff", *(str(folder / f"{name}.jsonl") for name in ("before", "after")), "--targets",
                      f"numpy={PLANTED}", "--format", "json")  # fmt: skip
    other = json.loads(again.stdout)
    assert {k: v for k, v in other.items() if k != "facts"} == {k: v for k, v in found.items() if k != "facts"}


def test_records_are_what_two_runs_write(tmp_path: Path) -> None:
    result = lossproof("upgrade", "numpy", f"numpy@{sys.executable}", *FEW, "--keep", str(tmp_path))
    assert result.exit_code == 0, result.stdout
    assert result.stdout.splitlines()[-1].startswith("OK (")
    alone = tmp_path / "alone.jsonl"
    lossproof("run", "numpy", *FEW, "--in-process", "--quiet", "--record", str(alone))
    for name, target in (("before", "numpy"), ("after", f"numpy@{sys.executable}")):
        kept = record.read_record(tmp_path / f"{name}.jsonl")
        assert list(kept.header["targets"]) == [target]
        assert [(o.id, o.output, o.bits, o.verdict) for o in kept] == [
            (o.id, o.output, o.bits, o.verdict) for o in record.read_record(alone)
        ]
        end = kept.end() or {}
        assert list(end["clock"]["targets"]) == list(end["clock"]["starts"]) == [target]


def test_environments_are_made_of_requirements_and_kept(made: Maker) -> None:
    arguments = ("upgrade", "released==2", "released==3", "--target", made.target, "--with", "other<2", *FEW)
    result = lossproof(*arguments)
    assert result.exit_code == 1, result.output
    assert sorted(made.asked) == [("released==2", "other<2"), ("released==3", "other<2")]
    assert result.stderr.count("(made)") == 2
    assert "Regressions: " in result.stdout
    assert "released==2 and released==3: " in result.stdout
    back = lossproof("upgrade", "released==3", "released==2", *arguments[3:], "--format", "markdown")
    assert back.exit_code == 0, back.output
    assert "## Fixes: " in back.stdout
    assert back.stderr.count("(kept, of 2026-01-01)") == 2
    fresh = lossproof(*arguments, "--fresh", "--format", "json")
    assert fresh.stderr.count("(made)") == 2
    assert json.loads(fresh.stdout)["reasons"]


def test_requirement_files_and_environments_that_are_there(made: Maker, tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("released==2\nother==1 # companion\n")
    made.create("new", ["released==3"])
    result = lossproof("upgrade", "--from", str(old), f"{made.target}@new", *FEW, "--target", made.target)
    assert result.exit_code == 1, result.output
    assert made.asked == [("released==3",), ("released==2", "other==1")]
    assert f"{old} and {made.target}@new: " in result.stdout


def test_waived_failures_do_not_fail_an_upgrade(made: Maker, tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    file.write_text(
        "adapter = 'released'\n[[waiver]]\nname = 'known'\ncases = 'softmax/*'\nsymptom = 'inaccurate'\n"
        "reason = 'r'\nissue = 'i'\nseen = '3'\n"
    )
    chosen = (*FEW, "--target", made.target)
    arguments = ("upgrade", "released==2", "released==3", *chosen, "--format", "json")
    assert lossproof(*arguments).exit_code == 1
    result = lossproof(*arguments, "--waivers", str(file))
    assert {c["after"] for c in json.loads(result.stdout)["changes"]} == {"fail (inaccurate), waived: known"}
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy", upgrade_sides.UpgradeSide("numpy", target="numpy")),
        ("numpy@old", upgrade_sides.UpgradeSide("numpy@old", environment="old", target="numpy")),
        (
            "torch+compile:cuda:0@./x/python",
            upgrade_sides.UpgradeSide("torch+compile:cuda:0@./x/python", (), "./x/python", "torch+compile:cuda:0"),
        ),
        (
            "numpy+eager@old%A=b%C=d",
            upgrade_sides.UpgradeSide("numpy+eager@old%A=b%C=d", environment="old", target="numpy+eager%A=b%C=d"),
        ),
        ("numpy == 1.2", upgrade_sides.UpgradeSide("numpy == 1.2", ("numpy==1.2",))),
        ("torch>=0", upgrade_sides.UpgradeSide("torch>=0", ("torch>=0",))),
        ("flax", upgrade_sides.UpgradeSide("flax", ("flax",))),
        ("torch@https://example.org/t.whl", upgrade_sides.UpgradeSide("torch@https://example.org/t.whl",
                                                       ("torch@ https://example.org/t.whl",))),
    ],
)  # fmt: skip
def test_a_side_is_parsed(text: str, expected: upgrade_sides.UpgradeSide) -> None:
    found = upgrade_sides.side(text)
    # How a URL is written in normal form is another matter.
    assert (found.label, found.environment, found.target) == (expected.label, expected.environment, expected.target)
    assert found.target == "" or found.named(found.target) == text
    assert [r.replace(" ", "") for r in found.requirements] == [r.replace(" ", "") for r in expected.requirements]


@pytest.mark.parametrize(
    ("before", "after", "given", "expected"),
    [
        ("torch==1", "torch==2", [], [("torch", "torch")]),
        ("tensorflow-cpu==1", "tensorflow==2", [], [("tensorflow", "tensorflow")]),
        ("torch", "torch==2", [], [("torch", "torch")]),
        ("torch==1", "torch+compile@new", [], [("torch+compile", "torch+compile")]),
        ("torch+compile@old", "torch==2", [], [("torch+compile", "torch+compile")]),
        ("torch@a", "numpy@b", [], [("torch", "numpy")]),
        (PLANTED, "numpy@b", [], [(PLANTED, "numpy")]),
        (PLANTED, "torch==2", ["torch"], [("torch", "torch")]),
        ("jaxlib==1", "jaxlib==2", ["jax", "jax+jit", "jax"], [("jax", "jax"), ("jax+jit", "jax+jit")]),
    ],
)
def test_the_sides_decide_which_targets_are_judged(
    before: str, after: str, given: list[str], expected: list[tuple[str, str]]
) -> None:
    assert upgrade_sides.compared_targets((upgrade_sides.side(before), upgrade_sides.side(after)), given) == expected


@pytest.mark.parametrize("sides", [(PLANTED, "torch==2"), ("torch==2", PLANTED)])
def test_a_file_is_compared_with_a_built_in_adapter_only_if_both_are_named(sides: tuple[str, str]) -> None:
    both = upgrade_sides.side(sides[0]), upgrade_sides.side(sides[1])
    words = f"{PLANTED} is an adapter of its own, and torch==2 would be judged with torch; name both"
    with pytest.raises(UsageError, match=re.escape(words)):
        upgrade_sides.compared_targets(both, [])


def test_names_of_environments_say_what_they_are_made_of() -> None:
    name = upgrade_sides.environment_name(["jax[cpu]==0.4.30", "numpy<2"], None)
    assert name.startswith("jax-cpu-0.4.30-")
    assert name == upgrade_sides.environment_name(["jax[cpu]==0.4.30", "numpy<2"], None)
    assert (
        len(
            {
                name,
                upgrade_sides.environment_name(["jax[cpu]==0.4.30"], None),
                upgrade_sides.environment_name(["jax"], "3.9"),
            }
        )
        == 3
    )
    assert upgrade_sides.environment_name(["/tmp/x/own-1.0-py3-none-any.whl"], None).startswith(
        "own-1.0-py3-none-any.whl-"
    )


def test_requirement_files_are_read_as_pip_does(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("optax>=0.2\n")
    path = tmp_path / "r.txt"
    path.write_text(
        "# a comment\n\nnumpy==1.26.4 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n  # via torch\n"
        "torch == 2.1 ; python_version > '3'  # a comment\n-r sub/more.txt\nlast @ https://example.org/a#egg"
    )
    assert requirement_files.read_requirements(path) == [
        "numpy==1.26.4",
        "torch == 2.1 ; python_version > '3'",
        "optax>=0.2",
        "last @ https://example.org/a#egg",
    ]


def test_mistakes_are_one_clear_line(tmp_path: Path, made: Maker) -> None:
    def file(text: str) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.txt"
        path.write_text(text)
        return str(path)

    itself = tmp_path / "itself.txt"
    itself.write_text(f"-r {itself}\n")
    for arguments, message in (
        ((), "expected two sides"),
        (("numpy",), "expected two sides"),
        (("numpy", "numpy@x", "--from", file("numpy")), "expected two sides"),
        (("numpy", "?"), "cannot read '?'; expected a requirement such as"),
        (("numpy", "numpy"), "one of these targets is there twice; expected two sides that differ"),
        (("released==1", "released==1", "--target", "numpy"), "one of these targets is there twice"),
        (("numpy", f"numpy@{sys.executable}", "--target", "numpy@x"), "--target numpy@x has an environment"),
        (("numpy", f"numpy@{sys.executable}", "--target", "nimpy"), "unknown target 'nimpy'"),
        (("released==1", "released==2", "--target", "numpy", "--waivers", "/no/w.toml"), "cannot read waivers"),
        (("flax==1", "flax==2"), "cannot tell what to judge in flax==1 and flax==2; say so with --target"),
        (("--from", file(""), "--to", file("numpy")), "has no requirements"),
        (("--from", file("a\n--pre\n"), "--to", file("numpy")), "line 2 has '--pre'"),
        (("--from", str(itself), "--to", file("numpy")), "has itself among its further files"),
        (("--from", str(tmp_path / "no"), "--to", file("numpy")), "cannot read requirements"),
        (("--from", file("a b c"), "--to", file("numpy")), "cannot read requirement 'a b c'"),
        (("numpy", "numpy%A=1"), "numpy and numpy%A=1 are one implementation in two modes; expected two releases"),
        (("numpy", "numpy@nowhere"), "no environment 'nowhere'"),
        (("numpy", f"{PLANTED}@/no/python"), "is no interpreter"),
        (("numpy", f"numpy@{sys.executable}", "--keep", file("")), "cannot make the folder"),
        (("numpy", f"{file_of_numpy(tmp_path)}:ADAPTER"), "both sides have adapters that are called numpy"),
    ):
        result = lossproof("upgrade", *arguments, *FEW)
        assert result.exit_code == 2, arguments
        assert message in result.stderr.splitlines()[-1], result.stderr


def file_of_numpy(folder: Path) -> Path:
    path = folder / "mine.py"
    path.write_text("from lossproof.adapters.numpy import ADAPTER\n")
    return path


@pytest.mark.old
def test_two_releases_of_numpy_differ_as_their_scripts_show(tmp_path: Path) -> None:
    """Every line of the comparison is shown true by its program of NumPy alone, run in both environments."""
    result = lossproof("upgrade", "numpy==1.26.4", "numpy==2.4.6", "--keep", str(tmp_path))
    if result.exit_code == 2 and any(text in result.stderr for text in NO_NETWORK):
        pytest.skip(f"no network: {result.stderr[-300:]}")
    assert result.exit_code == 0, result.output
    found = list(unshown(str(tmp_path / "before.jsonl"), str(tmp_path / "after.jsonl")))
    assert found
    assert [(line, why) for line, why in found if why] == []


def test_an_upgrade_is_also_a_page(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    page = tmp_path / "upgrade.html"
    result = lossproof(
        "upgrade", "numpy", PLANTED, *SMOKE, "--family", "near_overflow", "--family", "dominating", "--html", str(page)
    )
    assert result.exit_code == 1
    text = page.read_text("utf-8")
    assert "Regressions" in text
    assert "softmax/float32/" in text
