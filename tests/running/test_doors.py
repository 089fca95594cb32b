"""Every front door finds the same: wrong adapters go through all of them, and the sets of what fails are equal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossproof import check_implementation
from lossproof.adapters.protocol import Problem
from lossproof.records.record import read_record
from lossproof.records.waivers import fails
from lossproof.running.detached import FOLLOW
from tests.support import wrong_adapters as wrong
from tests.support.thinned import WHOLE, nightly
from tests.support.views import lossproof, python

WRONG = f"{Path(wrong.__file__)}:"
OPS, DTYPES = ("softmax", "nll_loss"), ("float32", "float16")
_DTYPES = tuple(word for d in DTYPES for word in ("--dtype", d))
DECK = ("--deck", "smoke", *(word for op in OPS for word in ("--op", op)), *_DTYPES)
# Those that are wrong are wrong in softmax, but for one: the others are asked for the rest at night.
DECK_OF_MOST = DECK if WHOLE else ("--deck", "smoke", "--op", OPS[0], *_DTYPES)
SAFE = (
    *("RIGHT", "INACCURATE", "RAISING", "CARELESS", "WRITING", "APART_IN_DTYPES"),
    *("DECLARING+other", "APART_IN_MODES", "APART_IN_MODES+other"),
)
EVERY = (*SAFE, "CRASHING")
# Asked for everything: the one that is wrong in the other op, and one that is right.
WIDELY = EVERY if WHOLE else ("RIGHT", "CARELESS")
# Ids and outputs that fail, by the name that they bear: that of a target, or of an adapter.
Found = dict[str, set[tuple[str, str]]]


def failing(record: Path) -> Found:
    found: Found = defaultdict(set)
    for o in read_record(record):
        if fails(o):
            found[o.target.removeprefix(WRONG)].add((o.id, o.output))
    return found


def targets(names: tuple[str, ...] = EVERY) -> list[str]:
    return [WRONG + name for name in names]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What ``lossproof run`` finds."""
    record = tmp_path_factory.mktemp("run") / "run.jsonl"
    where = () if WHOLE else ("--in-process",)
    assert lossproof("run", *targets(WIDELY), *DECK, *where, "-q", "--record", str(record)).exit_code == 1
    found = failing(record)
    # A process for each where that is what a door is compared with, or what they need.
    rest = tuple(name for name in EVERY if name not in (*WIDELY, *MOST))
    for names, where in ((MOST, ()), (rest, ("--in-process",))) if not WHOLE else ():
        record = record.with_name(f"{names[0]}.jsonl")
        assert lossproof("run", *targets(names), *DECK_OF_MOST, *where, "-q", "--record", str(record)).exit_code == 1
        found |= failing(record)
    # sanity check: every adapter but the right one fails somewhere, those that contradict themselves as a whole
    assert set(found) >= {"INACCURATE", "RAISING", "CARELESS", "WRITING", "CRASHING"}
    for name in ("declaring", "apart_in_dtypes", "apart_in_modes"):
        assert found[name] == {("softmax/all/convention/clause-4/value", "value")}
    assert not {"RIGHT", "right"} & set(found)
    return found


# Those that contradict themselves, which no shard alone and no item alone of a pytest run may see.
CONTRADICTING = ("DECLARING+other", "APART_IN_DTYPES", "APART_IN_MODES", "APART_IN_MODES+other")
# Where all targets are started several times, these are few.
FEW = ("INACCURATE", *CONTRADICTING, "CRASHING")
# Each is answered by processes of its own, which know nothing of others.
MOST = EVERY if WHOLE else ("INACCURATE", "APART_IN_MODES", "APART_IN_MODES+other", "CRASHING")


def of(found: Found, names: tuple[str, ...]) -> Found:
    """What is found of some targets, and of their adapters as a whole."""
    return {name: several for name, several in found.items() if name in {*names, *map(adapter_of, names)}}


def test_in_process(expected: Found, tmp_path: Path) -> None:
    record = tmp_path / "run.jsonl"
    some = (FEW if WHOLE else MOST)[:-1]
    lossproof("run", *targets(some), *DECK_OF_MOST, "-q", "--in-process", "--record", str(record))
    assert failing(record) == of(expected, some)


def test_shards_and_merge(expected: Found, tmp_path: Path) -> None:
    shards = [str(tmp_path / f"{i}.jsonl") for i in (1, 2)]
    # Shards are those of records, wherever targets answer; one that crashes needs a process.
    some, where = (FEW, ()) if WHOLE else (FEW[:-1], ("--in-process",))
    for i, shard in enumerate(shards, 1):
        lossproof("run", *targets(some), *DECK_OF_MOST, *where, "-q", "--shard", f"{i}/2", "--record", shard)
    whole = tmp_path / "whole.jsonl"
    assert lossproof("merge", *shards, "-q", "--output", str(whole)).exit_code == 1
    assert failing(whole) == of(expected, some)


def test_detached(expected: Found, tmp_path: Path) -> None:
    folder, record = tmp_path / "away", tmp_path / "judged.jsonl"
    assert lossproof("deck", "export", str(folder), *DECK_OF_MOST).exit_code == 0
    files = [evaluated(folder, name) for name in MOST]
    assert lossproof("judge", *map(str, files), "-q", "--record", str(record)).exit_code == 1
    follow = {o.id for o in read_record(record) if o.message == FOLLOW}
    asked = {key: {(id, output) for id, output in some if id not in follow} for key, some in of(expected, MOST).items()}
    # A file of answers does not say where the adapter was; its own name does.
    assert by_adapter(failing(record)) == by_adapter(asked)


def adapter_of(name: str) -> str:
    """The name of the adapter of a target."""
    attribute = name.partition("+")[0]
    return getattr(wrong, attribute).name if hasattr(wrong, attribute) else attribute


def by_adapter(found: Found) -> Found:
    joined: Found = defaultdict(set)
    for name, several in found.items():
        joined[adapter_of(name)] |= several
    return joined


def evaluated(folder: Path, name: str) -> Path:
    """The answers of a bare worker, which is started again until it is through."""
    attribute, _, mode = name.partition("+")
    answers = folder.parent / f"{name}.answers"
    command = [sys.executable, "-I", "adapters/boot.py", "adapters", WRONG + attribute]
    command += ["--mode", mode] if mode else []
    for attempt in range(4):
        after = ["--after", str(answers)] if attempt else []
        with (folder / "deck").open("rb") as source, answers.open("ab") as sink:
            done = subprocess.run(
                [*command, *after],
                cwd=folder,
                stdin=source,
                stdout=sink,
                stderr=subprocess.PIPE,
                check=False,
                timeout=1800,
            )
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    return answers


LISTENER = """
import json, os

def pytest_runtest_logreport(report):
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        with open("failed.jsonl", "a") as file:
            file.write(json.dumps(report.longreprtext) + "\\n")
"""


def suite(
    folder: Path, *options: str, asked: tuple[str, ...] = EVERY, deck: tuple[str, ...] = DECK
) -> tuple[Found, str]:
    """What the pytest suite finds, read from its messages, and its output."""
    (folder / "listener.py").write_text(LISTENER)
    given = [word for name in asked for word in ("--lossproof-target", WRONG + name)]
    part = [word.replace("--", "--lossproof-") for word in deck]
    # Nothing is explored, and hypothesis's plugin takes a second in each process.
    plugins = ("no:cacheprovider", "no:hypothesispytest", "listener")
    base = ("-m", "pytest", *(f"-p{name}" for name in plugins), "-q", "--basetemp", str(folder / "base"))
    result = python(*base, "--pyargs", "lossproof.suite", *given, *part, *options, path=folder, cwd=folder)
    found: Found = defaultdict(set)
    file = folder / "failed.jsonl"
    for line in file.read_text().splitlines() if file.exists() else ():
        text = json.loads(line)
        outputs = re.findall(r"^(\S+/\S+) (\w+): ", text, re.MULTILINE)
        names = re.findall(r"^    lossproof \w+ \S+ --target (\S+)", text, re.MULTILINE)
        for (id, output), name in zip(outputs, names, strict=True):
            found[name.removeprefix(WRONG)].add((id, output))
    return found, result.stdout


# Two workers find what one does, which the next test tells.
@nightly
def test_pytest(expected: Found, tmp_path: Path) -> None:
    found, output = suite(tmp_path, "-k", "not explore")
    assert found == expected, output[-3000:]


@nightly
def test_pytest_in_two_workers(expected: Found, tmp_path: Path) -> None:
    found, output = suite(tmp_path, "-k", "not explore", "-n", "2", asked=FEW)
    assert found == of(expected, FEW), output[-3000:]


@nightly
def test_a_part_of_the_suite_speaks_of_that_part(expected: Found, tmp_path: Path) -> None:
    """Without float16, its deviation from the other dtypes is not seen; what is left still shows the declared one."""
    found, output = suite(tmp_path, "-k", "not explore and not float16", asked=CONTRADICTING)
    conclusions = {name: several for name, several in found.items() if name.islower()}
    assert "apart_in_dtypes" not in conclusions, output[-3000:]
    assert {"declaring", "apart_in_modes"} <= set(conclusions)


def test_an_item_alone_stands_for_the_whole_deck(expected: Found, tmp_path: Path) -> None:
    some = ("-k", "test_conventions and (declaring or apart_in)")
    # Those whose modes differ contradict themselves in each dtype.
    asked, deck = (CONTRADICTING, DECK) if WHOLE else (CONTRADICTING[2:], (*DECK_OF_MOST[:4], *_DTYPES[:2]))
    found, output = suite(tmp_path, *some, asked=asked, deck=deck)
    assert found == {name: expected[name] for name in {adapter_of(name) for name in asked}}, output[-3000:]


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=nightly) for name in ("INACCURATE", "APART_IN_DTYPES")), "DECLARING+other"]
)
def test_upgrade(name: str, expected: Found, tmp_path: Path) -> None:
    """The side with the wrong adapter; modes of one side that contradict each other are not asked there."""
    lossproof("upgrade", WRONG + "RIGHT", WRONG + name, *DECK_OF_MOST, "--keep", str(tmp_path))
    assert not failing(tmp_path / "before.jsonl")
    mine = {name, adapter_of(name)}
    assert failing(tmp_path / "after.jsonl") == {key: several for key, several in expected.items() if key in mine}


def as_functions(adapter: wrong.Wrong, op: str, mode: str) -> dict[str, Any]:
    """The functions that do what an adapter does, for ``check_implementation``."""

    def evaluated(
        want: str, x: np.ndarray, keywords: Mapping[str, Any], cotangent: np.ndarray | None = None
    ) -> np.ndarray:
        target, weight = keywords.get("target"), keywords.get("weight")
        problem = Problem(
            op,
            x.dtype.name,
            x.astype(np.float64),
            target,
            weight=None if weight is None else weight.astype(np.float64),
            cotangent=None if cotangent is None else cotangent.astype(np.float64),
            axis=keywords["axis"],
            ignore_index=keywords.get("ignore_index"),
            reduction=keywords.get("reduction", "mean"),
        )
        return adapter.evaluate(problem, "cpu", mode)[want].data.astype(x.dtype)

    return {
        "value": lambda x, **keywords: evaluated("value", x, keywords),
        "grad": lambda x, cotangent, **keywords: evaluated("vjp", x, keywords, cotangent),
    }


@pytest.mark.parametrize(
    ("op", "name"),
    [
        pytest.param(op, name, marks=() if (op == OPS[0]) != (name == "CARELESS") else nightly)
        for op in OPS
        for name in SAFE
        if name not in ("WRITING", "APART_IN_MODES+other")
    ],
)
def test_check_implementation(name: str, op: str, expected: Found) -> None:
    """A plain function knows no modes and no kinds of errors, and it may offer fewer outputs."""
    attribute, _, mode = name.partition("+")
    adapter = getattr(wrong, attribute)
    declared = {
        (clause, output): how for (clause, of, output), how in adapter.capabilities().conventions.items() if of == op
    }
    with np.errstate(all="ignore"):
        report = check_implementation(
            **as_functions(adapter, op, mode or "eager"),
            op=op,
            name=adapter.name,
            dtypes=DTYPES,
            options=["axis", "weight", "ignore_index", "reduction"][: 1 if op == "softmax" else 4],
            targets=["index"],
            error_profiles={"float16": "W"},
            conventions=declared,
            deck="smoke",
            errors=True,
        )
    judged = {(o.id, o.output) for o in report.observations if o.verdict != "unsupported"}
    names = {name, adapter.name} - ({adapter.name} if attribute == "APART_IN_MODES" else set())
    wanted = {(id, output) for key in names for id, output in expected.get(key, set()) if id.startswith(f"{op}/")}
    wanted -= {(f"{op}/all/convention/clause-10/value", "value")}  # of the kinds of errors
    if name == "RAISING" and op == "softmax":
        # An adapter answers a call as a whole, the functions of a plain implementation fail one by one: the gradient
        # alone, also where it refuses invalid input in float32 only (clause 15).
        wanted = {(id, "vjp" if output == "value" else output) for id, output in wanted}
        wanted |= {(f"{op}/all/convention/clause-15/vjp", "vjp")} & judged
    # sanity check: little is left out
    assert len(wanted & judged) >= 0.8 * len(wanted)
    assert {(o.id, o.output) for o in report.failures} == wanted & judged
