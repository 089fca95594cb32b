"""The deck: deterministic, within its budgets, valid, and reaching what its families promise."""

import functools
import hashlib
import itertools
import json
import operator
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters.protocol import LAYOUTS, OUTPUTS
from lossproof.cases.catalogue import select
from lossproof.cases.deck import DECKS, deck_calls, digest
from lossproof.cases.deck_part import DeckPart
from lossproof.cases.families import FAMILIES
from lossproof.cases.picker import SeededPicker, bell
from lossproof.cases.signature import NOTHING, Uses
from lossproof.cases.signatures import CROSSED, MENU, PLACES
from lossproof.cases.wider_outputs import WIDER
from lossproof.core.batch import signature
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.formats import FORMATS
from lossproof.core.operations import OPERATIONS, validate
from tests.support.deck_ids import COMMAND, KEPT, differences, order, read
from tests.support.decks import drawn, whole
from tests.support.thinned import WHOLE, nightly, thinned

PROGRAM = "from tests.support.deck_ids import made; import json; print(json.dumps(made()))"
ROOT = Path(__file__).parents[2]
Decks = dict[str, Sequence[Call]]


@pytest.fixture(scope="module")
def decks() -> Decks:
    return {name: drawn(name) for name in DECKS if WHOLE or name in KEPT}


# A deck with the cases of another one is that one (tests/running/test_left_out.py).
EACH = pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in KEPT else nightly) for name in DECKS])


@pytest.mark.parametrize("name", KEPT)
def test_cases_are_the_checked_in_ones(name: str) -> None:
    kept, orders = read()
    ids = [call.id for call in whole(name)]
    found = differences(name, kept[name], ids)
    if found:
        pytest.fail(found, pytrace=False)
    assert order(ids) == orders[name], f"the same cases in another order: {COMMAND}"


def test_differences_between_decks_name_cases_and_families() -> None:
    old = [
        "softmax/float32/spread/n2-k4/00000000",
        "softmax/float32/hot/n2-k4/11111111",
        "nll_loss/float32/x/n1-k4/22222222",
    ]
    new = [
        "softmax/float32/hot/n2-k4/33333333",
        "nll_loss/float32/x/n1-k4/22222222",
        "nll_loss/float32/x/n2-k4/44444444",
    ]
    said = differences("smoke", old, new)
    assert "1 cases gone, 1 new, 1 changed" in said
    assert "family spread is gone altogether" in said
    for line in ("gone: spread 1\n    softmax/float32/spread/n2-k4/00000000", "new: x 1", "changed: hot 1", COMMAND):
        assert line in said
    assert differences("smoke", old, reversed(old)) == ""


@nightly
@pytest.mark.parametrize("disabled", ["AVX512F AVX512CD AVX512_SKX AVX2 FMA3", "AVX512_SKX"])
def test_cases_do_not_depend_on_cpu_features(disabled: str) -> None:
    # Features that this machine lacks, or that numpy was built to require, only give a warning.
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "baseline" in result.stderr or "ImportError" in result.stderr:
        pytest.skip(f"this numpy was built to need one of {disabled}, which the test disables")
    kept, orders = read()
    ids = json.loads(result.stdout)
    found = [differences(name, kept[name], ids[name]) for name in KEPT]
    assert found == [""] * len(KEPT), "\n".join(found)
    assert {name: order(ids[name]) for name in KEPT} == orders


def test_another_seed_gives_another_deck(decks: Decks) -> None:
    assert digest(deck_calls("smoke", DeckPart(seed=1))) != digest(decks["smoke"])


@EACH
def test_budgets(decks: Decks, name: str) -> None:
    calls, budget = decks[name], DECKS[name].budget
    compiled = [c for c in calls if c.tier in ("core", "full")]
    assert len({(c.outline.x.shape, c.outline.dtype) for c in compiled}) <= budget["pairs"]
    assert len({signature(c.outline) for c in compiled}) <= budget["signatures"]
    assert len({signature(c.outline) for c in compiled if c.tier == "core"}) <= budget["core"]
    assert len(compiled) <= budget["compiled"]
    assert len(calls) <= budget["calls"]


def test_compiled_targets_get_each_signature_in_float32_and_in_another_dtype(decks: Decks) -> None:
    menu: dict[tuple[object, ...], set[str]] = {}
    for call in decks["default"]:
        p = call.outline
        plain = p.tangent is None and p.scale == 1.0 and p.out_dtype is None
        if call.tier in ("core", "full") and p.x.shape in MENU and plain:
            options = (p.op, p.x.shape, p.axis % p.x.ndim, p.reduction, p.has_probability_target)
            used = (p.weight is None, p.ignore_index is None, not p.label_smoothing)
            menu.setdefault(options + used, set()).add(p.dtype)
    assert len(menu) == sum(len(sigs) for sigs in MENU.values())
    for dtypes in menu.values():
        assert "float32" in dtypes
        assert len(dtypes) >= 2


def test_every_op_and_dtype_has_core_signatures(decks: Decks) -> None:
    core = {(c.outline.op, c.outline.dtype) for c in decks["default"] if c.tier == "core"}
    assert core == {(op, d) for op in OPERATIONS for d in FORMATS}


def test_every_option_has_a_core_signature(decks: Decks) -> None:
    core = [c.outline for c in decks["default"] if c.tier == "core" and c.outline.op == "cross_entropy"]
    for dtype in FORMATS:
        mine = [p for p in core if p.dtype == dtype]
        assert {p.reduction for p in mine} == {"none", "sum", "mean"}
        assert {p.has_probability_target for p in mine} == {True, False}
        for used in ("weight", "ignore_index"):
            assert {getattr(p, used) is not None for p in mine} == {True, False}
        assert {p.label_smoothing > 0 for p in mine} == {True, False}


OPTIONS = (Uses.PROBABILITIES, Uses.SMOOTHING, Uses.WEIGHT, Uses.IGNORE_INDEX)


def _factors(place: str, reduction: str, uses: Uses) -> tuple[object, ...]:
    return (place, reduction, *(option in uses for option in OPTIONS))


def test_any_three_factors_of_the_losses_are_crossed() -> None:
    rows = [_factors(place, reduction, uses) for place, many in CROSSED.items() for reduction, uses in many]
    some = [chosen for n in range(5) for chosen in itertools.combinations(OPTIONS, n)]
    sets = [functools.reduce(operator.or_, chosen, NOTHING) for chosen in some]
    # Ignored labels make sense with labels only.
    senseless = Uses.PROBABILITIES | Uses.IGNORE_INDEX
    kinds = [(place, reduction) for place in PLACES for reduction in ("none", "sum", "mean")]
    sensible = [_factors(*kind, uses) for kind in kinds for uses in sets if senseless not in uses]
    # sanity check: a row is 6 factors, and the 16 sets of options less the 4 senseless ones are there
    assert len(sensible) == 15 * 12
    triples = list(itertools.combinations(range(6), 3))
    have, needed = ({(t, *(row[i] for i in t)) for row in many for t in triples} for many in (rows, sensible))
    assert have == needed


def test_every_combination_of_loss_options_is_there(decks: Decks) -> None:
    for dtype in FORMATS:
        seen = {
            (
                p.op,
                p.reduction,
                p.has_probability_target,
                p.weight is None,
                p.ignore_index is None,
                p.label_smoothing > 0,
            )
            for p in (c.outline for c in decks["default"])
            if p.dtype == dtype and p.is_loss and p.x.shape == (3, 5)
        }
        assert len(seen) == 48


def test_four_shapes_with_the_worked_example_among_them() -> None:
    assert len(MENU) <= 4
    assert (2, 4) in MENU


@EACH
def test_calls_are_valid_and_ids_unique(decks: Decks, name: str) -> None:
    calls = decks[name]
    for call in thinned(calls, to=4):
        validate(call.problem)
    assert len({c.id for c in calls}) == len(calls)


def test_neighbours_share_signatures(decks: Decks) -> None:
    seen, last = set(), None
    for call in (c for c in decks["default"] if c.tier != "free"):
        current = signature(call.outline)
        if current != last:
            assert current not in seen
            seen.add(current)
            last = current


def test_every_family_and_op_in_every_dtype(decks: Decks) -> None:
    pairs = {(c.family, c.outline.dtype) for c in decks["default"]}
    assert pairs >= {(family, dtype) for family in [*FAMILIES, "golden"] for dtype in FORMATS}
    assert {(c.outline.op, c.outline.dtype) for c in decks["default"]} == {
        (op, d) for op in OPERATIONS for d in FORMATS
    }


def test_every_option_appears(decks: Decks) -> None:
    problems = [c.outline for c in decks["default"]]
    assert {p.reduction for p in problems} == {"none", "sum", "mean"}
    assert any(p.label_smoothing for p in problems)
    assert any(p.weight is not None and p.ignore_index is not None and p.label_smoothing for p in problems)
    assert any(p.has_probability_target for p in problems)
    assert {p.axis % p.x.ndim for p in problems if p.x.ndim == 3} == {0, 1, 2}
    assert {p.layout for p in problems} == set(LAYOUTS)
    # A second backward pass is a relation.
    assert {name for p in problems for name in p.want} == set(OUTPUTS) - {"vjp_again"}
    assert {p.out_dtype for p in problems} == {None, *WIDER.values()}
    assert {p.x.ndim for p in problems} == set(range(1, 9))
    weighted = [c for c in decks["default"] if c.outline.weight is not None]
    assert any(c.problem.weight.sum() < 0 for c in weighted if c.problem.weight is not None)
    assert any(p.target is not None and not p.target.size for p in problems)


def test_at_least_fifteen_families_each_with_its_sentence() -> None:
    assert len(FAMILIES) >= 15
    assert len({f.provokes for f in FAMILIES.values()}) == len(FAMILIES)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", FAMILIES)
def test_families_stay_in_the_format(name: str, dtype: str) -> None:
    f, fmt = FAMILIES[name], FORMATS[dtype]
    shapes = [(n, k) for n, k in ((2, 4), (408, 1), (24, 17), (4, 1000), (4096, 2)) if f.needs(n, k)]
    assert shapes
    for n, k in shapes:
        x = f.make(SeededPicker(f"{name}{n}{k}"), fmt, n, k)
        assert x.shape == (n, k)
        assert fmt.holds(x)
        assert not f.regular or np.isfinite(x).all()


def test_unknown_names_are_usage_errors() -> None:
    for bad in ({"deck": "huge"}, {"ops": ["softmin"]}, {"dtypes": ["float8"]}, {"families": ["nothing"]}):
        with pytest.raises(UsageError, match="expected one of"):
            select(**bad)


def test_pickers_give_away_the_words_of_philox_one_after_the_other() -> None:
    pick = SeededPicker("words")
    key = int.from_bytes(hashlib.sha256(b"words").digest()[:16], "little")
    words = [int(word) for word in np.random.Philox(key=key).random_raw(3000)]
    halves = [half for word in words for half in (word >> 32, word & 0xFFFFFFFF)]
    # Few and many, even and odd numbers of halves, and single words between them: an odd half is lost.
    at = 0
    for count in (1, 2, 61, 5, 130, 1001, 64, 3, 2000):
        assert pick.bits(32, (count,)).tolist() == halves[2 * at : 2 * at + count]
        at += (count + 1) // 2
        assert pick.integer(0, 2**64 - 1) == words[at]
        at += 1


def test_pickers_do_not_disturb_each_other() -> None:
    alone = SeededPicker("a").bits(16, (200,))
    first, second = SeededPicker("a"), SeededPicker("b")
    parts = []
    for _ in range(20):
        parts.append(first.bits(16, (10,)))
        second.bits(16, (30,))
    assert np.array_equal(np.concatenate(parts), alone)


@pytest.mark.parametrize("count", [5000, 5001])
def test_large_bells_are_those_that_are_drawn_at_once(count: int) -> None:
    parts = SeededPicker("z").bits(16, (4, count)).sum(axis=0)
    assert np.array_equal(bell(SeededPicker("z"), (count,)), (parts - 2 * 65535) * (1.75 / 65536))


def test_the_bell_is_exact_and_unit_scale() -> None:
    z = bell(SeededPicker("z"), (100_001,))
    assert np.array_equal(z * 65536 / 1.75, np.rint(z * 65536 / 1.75))
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1) < 0.02
