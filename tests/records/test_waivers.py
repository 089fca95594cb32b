"""Waivers: the language of conditions, validation in one line, and their application as a view."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossproof.adapters.numpy import ADAPTER
from lossproof.adapters.protocol import OUTPUTS, Problem
from lossproof.core.call import Call
from lossproof.core.errors import UsageError
from lossproof.core.observation import Observation
from lossproof.records import waivers
from lossproof.records.conditions import Context, context, parse
from lossproof.records.record import Record
from lossproof.records.recorded_targets import recorded_targets
from lossproof.records.waivers import Book, parse_waivers, symptom, verdict
from lossproof.targets.target import Target

ENTRY = """
[[waiver]]
name = "n"
cases = "cross_entropy/float16/*"
symptom = "inaccurate"
reason = "r"
issue = "https://example.org/1"
seen = ["{seen}"]
{more}
"""
TARGET = Target(ADAPTER)
VERSION = ADAPTER.describe().versions["numpy"]
FAIL = Observation(
    "cross_entropy/float16/confident/n2-k4/0", "value", "numpy", "fail", share=3.0, got=1.0, exact=(2.0, 2.0)
)


def entry(more: str = "", seen: str = VERSION) -> str:
    return ENTRY.format(more=more, seen=seen)


def book(more: str = "", seen: str = VERSION) -> Book:
    return Book(parse_waivers(entry(more, seen), source="f.toml", adapter="numpy"), [TARGET])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("", True),
        ("torch>=2.0,<2.14", True),
        ("torch<2.13", False),
        ("torch == 2.13.*", True),
        ("optax>0.1", False),
        ("dtype=float16", True),
        ("dtype=bfloat16|float16", True),
        ("dtype!=float16", False),
        ("device=cuda", True),
        ("device=cuda:1", False),
        ("device!=cpu and mode=eager", True),
        ("torch>=2.0 and dtype=float64", False),
        ("torch-extras==1.0", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    where = Context({"torch": "2.13.0+cpu", "torch-extras": "1.0"}, "torch", "cuda:0", "eager", "float16")
    assert parse(condition).holds(where) is holds


def test_a_dtype_that_is_not_known_yet_is_no_obstacle() -> None:
    assert parse("dtype=float16").holds(Context())
    assert parse("dtype!=float16").holds(Context())


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("isa=avx512f", True),
        ("isa==avx512f", True),
        ("isa!=avx512f", False),
        ("isa=sve|avx2", True),
        ("isa!=sve|avx2", False),
        ("isa=avx512_bf16", False),
        ("isa!=avx512_bf16|sve", True),
        ("gpu=SwiftShader|other", True),
        ("gpu=llvmpipe", False),
        ("gpu!=llvmpipe and isa=avx2", True),
        # A part of a name is no name.
        ("isa=avx", False),
        ("onednn=on and onednn!=off", True),
        ("onednn=off", False),
        ("onednn=avx512_core", False),
        ("device=cpu and onednn=sse41 and isa=avx512f", True),
    ],
)
def test_conditions_on_instruction_sets(condition: str, holds: bool) -> None:
    assert (
        parse(condition).holds(Context(isa="avx2 avx512f", onednn="on sse41 avx2", gpu="SwiftShader Device")) is holds
    )


@pytest.mark.parametrize("condition", ["isa=avx512f", "isa!=avx512f", "onednn=off", "onednn!=off|sse41"])
def test_an_instruction_set_that_is_not_known_is_no_obstacle(condition: str) -> None:
    assert parse(condition).holds(Context())


def test_instruction_sets_are_those_of_the_target(tmp_path: Path) -> None:
    """A record is read with its own facts; one of an older release, which has none, with every waiver."""
    facts = {"isa": "avx2 avx512f", "isa+xla": "avx2", "onednn": "off", "cpu": "AVX512"}
    found = {}
    for name, mode, given in (("t", "eager", facts), ("x", "xla", facts), ("old", "eager", {"cpu": "AVX512"})):
        described = {"adapter": "numpy", "device": "cpu", "mode": mode, "versions": {"numpy": "2.0"}, "facts": given}
        (target,) = recorded_targets(Record(tmp_path / name, {"targets": {name: described}}))
        where = context(target)
        found[name] = (where.isa, where.onednn)
        w = parse_waivers(entry("when = 'isa=avx512f'"), source="f.toml", adapter="numpy")
        marked = Book(w, [target]).mark(replace(FAIL, target=name))
        assert bool(marked.waiver) == (name != "x")
    assert found == {"t": ("avx2 avx512f", "off"), "x": ("avx2", "off"), "old": ("", "")}
    assert context(TARGET).isa == ADAPTER.describe().facts["isa"]


@pytest.mark.parametrize(
    "condition",
    [
        "isa",
        "isa>avx2",
        "isa=",
        "onednn=on or onednn=off",
        "torch",
        "torch=2.0",
        "torch>=two",
        "dtype>float16",
        "and",
        "device=",
        "torch>2 or jax>1",
    ],
)
def test_conditions_that_cannot_be_read_say_so(condition: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        parse(condition)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[waiver]", "f.toml: not TOML"),
        ("wavier = 1", "expected .*waiver.*entries"),
        ("[[waiver]]\nname = 'a'", "waiver 1 \\(a\\): field 'cases' is missing"),
        (entry("expect = 'most'"), "field 'expect' is 'most'; expected one of all, some"),
        (entry("output = 'grad'"), "field 'output' is 'grad'"),
        (entry("symptoms = 'error'"), "unknown field 'symptoms'"),
        (entry("when = 'numpy=1'"), "field 'when': cannot read"),
        (entry("until = 'soon'"), "field 'until': cannot read"),
        (entry(seen="one"), "field 'seen': cannot read"),
        (entry("reproducer = 3"), "field 'reproducer' is 3; expected a string"),
        (entry().replace('"cross_entropy/float16/*"', "[]"), "field 'cases' is missing or empty"),
        (entry().replace('"cross_entropy/float16/*"', "'everything'"), "field 'cases' has 'everything'"),
        # fnmatch would look for the end of each bracket as far as there is text: minutes for this one
        (
            entry("explored = 'softmax/%s'" % ("[" * 100_000)),
            "'explored' has a glob of 100008 characters; expected at most",
        ),
        (entry().replace('"inaccurate"', "'crash'"), "field 'symptom' is 'crash'"),
    ],
)
def test_a_wrong_file_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_waivers(text, source="f.toml", adapter="numpy")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("f.toml: ")


def test_a_failure_is_waived_and_keeps_its_raw_verdict() -> None:
    b = book()
    marked = b.mark(FAIL)
    assert (marked.verdict, marked.waiver, verdict(marked)) == ("fail", "n", "waived")
    assert b.waived == {"n": 1}
    assert b.stale() == []


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_waiver_may_speak_of_any_one_output(output: str) -> None:
    b = book(f"output = '{output}'")
    assert b.mark(replace(FAIL, output=output)).waiver == "n"
    assert not b.mark(replace(FAIL, output=next(o for o in OUTPUTS if o != output))).waiver


@pytest.mark.parametrize(
    "other",
    [
        replace(FAIL, verdict="crash"),
        replace(FAIL, verdict="timeout"),
        replace(FAIL, verdict="error"),
        replace(FAIL, got=float("nan")),
        replace(FAIL, got=None, exact=None),
        replace(FAIL, id="cross_entropy/float32/confident/n2-k4/0"),
        replace(FAIL, target="torch"),
    ],
    ids=["crash", "timeout", "harness", "nonfinite", "error", "dtype", "target"],
)
def test_a_waiver_hides_nothing_else(other: Observation) -> None:
    assert book().mark(other) == other


@pytest.mark.parametrize(
    ("more", "waived"),
    [
        ("output = 'value'", True),
        ("output = 'vjp'", False),
        ("when = 'numpy>=1.0'", True),
        ("when = 'numpy<1.0'", False),
        ("when = 'dtype=bfloat16'", False),
        ("when = 'mode=jit'", False),
        ("until = '1.0'", False),
        ("until = '1000'", True),
        ("adapter = 'torch'", False),
    ],
)
def test_a_waiver_applies_where_it_says(more: str, waived: bool) -> None:
    assert (verdict(book(more).mark(FAIL)) == "waived") is waived


def test_symptoms() -> None:
    nan, inf = float("nan"), float("inf")
    assert symptom(FAIL) == "inaccurate"
    assert symptom(replace(FAIL, got=nan)) == symptom(replace(FAIL, got=inf, exact=(-inf, -inf))) == "nonfinite"
    assert symptom(replace(FAIL, exact=(nan, nan))) == "finite"
    assert symptom(replace(FAIL, got=None)) == "error"
    assert symptom(replace(FAIL, verdict="pass")) == ""


def test_an_unexpected_pass_needs_expect_all() -> None:
    good = replace(FAIL, verdict="pass", share=0.1)
    assert verdict(book().mark(good)) == "pass"
    marked = book("expect = 'all'").mark(good)
    assert (marked.verdict, verdict(marked)) == ("pass", "unexpected_pass")


def test_good_conventions_of_a_part_of_the_deck_are_no_news() -> None:
    waivers = parse_waivers(
        entry("expect = 'all'").replace("cross_entropy/float16/*", "softmax/all/convention/*"),
        source="f.toml",
        adapter="numpy",
    )
    convention = replace(FAIL, id="softmax/all/convention/clause-4/value", verdict="pass")
    for partial, shown in ((False, "unexpected_pass"), (True, "pass")):
        assert verdict(Book(waivers, [TARGET]).mark(convention, partial=partial)) == shown
        assert verdict(book("expect = 'all'").mark(replace(FAIL, verdict="pass"), partial=partial)) == "unexpected_pass"
    bad = replace(convention, verdict="fail")
    assert verdict(Book(waivers, [TARGET]).mark(bad, partial=True)) == "waived"


def test_staleness_asks_whether_the_waiver_applies_here() -> None:
    assert [w.name for w in book().stale()] == ["n"]
    assert book("when = 'numpy<1.0'").stale() == []
    assert book("adapter = 'torch'").stale() == []
    b, old = book(), book(seen="0.1")
    assert b.is_seen(b.named("n"))
    assert not old.is_seen(old.named("n"))
    other = book(seen=f"numpy=={VERSION}")
    assert other.is_seen(other.named("n"))


def test_a_waiver_of_differences_between_targets_is_not_stale_where_there_is_one() -> None:
    text = entry().replace("cross_entropy/float16/*", "cross_entropy/all/convention/clause-6/value")
    certain = text + "expect = 'all'"
    for written, targets, stale in ((text, 1, []), (text, 2, ["n"]), (certain, 1, ["n"])):
        b = Book(
            parse_waivers(written, source="f.toml", adapter="numpy"),
            [TARGET, Target(ADAPTER, device="other")][:targets],
        )
        assert [w.name for w in b.stale()] == stale


def test_a_waiver_is_not_stale_where_what_it_speaks_of_was_not_asked() -> None:
    """A call that was withheld may still deviate; an output that is not on offer cannot, and says nothing."""
    asked, withheld = (
        Call(Problem("cross_entropy", "float16", np.zeros((2, k)), target=np.zeros(2, np.int64)), "confident")
        for k in (3, 4)
    )
    good = replace(FAIL, id=asked.id, verdict="pass", share=0.1)
    refused = replace(good, verdict="unsupported", output="vjp")

    def stale(more: str, calls: list[Call], *observations: Observation) -> list[str]:
        b = Book(parse_waivers(entry(more), source="f.toml", adapter="numpy"), [TARGET], calls)
        for o in observations:
            b.mark(o)
        return [w.name for w in b.stale()]

    assert stale("", [asked], good, refused) == ["n"]
    assert stale("", [asked, withheld], good, refused) == []
    assert stale("output = 'vjp'", [asked], good, refused) == []
    assert stale("output = 'vjp'", [asked], good, replace(refused, verdict="pass")) == ["n"]
    # A deck that has nothing of what the waiver speaks of: its globs are wrong, or the calls are no more.
    other = replace(asked, family="ordinary")
    assert stale("", [other], replace(good, id=other.id)) == ["n"]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "numpy.toml"
    file.write_text(entry())
    assert [w.adapter for w in waivers.load_waivers(file)] == ["numpy"]
    with pytest.raises(UsageError, match=r"cannot read waivers .*: No such file"):
        waivers.load_waivers(tmp_path / "no.toml")
    with pytest.raises(UsageError, match="waiver 'n' is already in"):
        waivers.waivers_in_force([TARGET], [file, file])


def test_the_shipped_files_are_valid() -> None:
    folder = Path(__file__).resolve().parents[2] / "golden" / "waivers"
    files = sorted(folder.glob("*.toml"))
    # sanity check: the files are where the package data declaration looks for them
    assert files
    for file in files:
        for w in waivers.shipped([file.stem]):
            assert not w.reproducer or (folder / w.reproducer).is_file(), f"{w.name}: no {w.reproducer}"


def test_globs_of_explored_calls_speak_of_these_alone() -> None:
    drawn = replace(FAIL, id="cross_entropy/float16/plain/n70000-k2/0")
    b = Book(parse_waivers(entry("explored = ['*/float16/*/n70000-*']").replace("float16/*\"", "float16/confident/*\""),
                   source="f.toml", adapter="numpy"), [TARGET])  # fmt: skip
    assert not b.mark(drawn).waiver
    assert b.mark(drawn, explored=True).waiver == "n"
    assert b.mark(FAIL, explored=True).waiver == "n"


def test_a_drawn_call_that_passes_is_no_news() -> None:
    good = replace(FAIL, verdict="pass", share=0.5)
    assert not book("expect = 'all'").mark(good, explored=True).waiver


def test_a_glob_of_explored_calls_is_checked_like_the_others() -> None:
    with pytest.raises(UsageError, match="field 'explored' has 'float16'"):
        parse_waivers(entry("explored = ['float16']"), source="f.toml", adapter="numpy")


def test_a_glob_has_a_thousand_characters_at_most() -> None:
    longest = "softmax/" + "?" * 992
    (found,) = parse_waivers(entry(f"explored = '{longest}'"), source="f.toml", adapter="numpy")
    assert found.explored == (longest,)
    with pytest.raises(UsageError, match="has a glob of 1001 characters; expected at most 1000"):
        parse_waivers(entry(f"explored = '{longest}?'"), source="f.toml", adapter="numpy")


def test_a_waiver_may_speak_of_several_outputs() -> None:
    assert book("output = 'vjp|value'").mark(FAIL).waiver == "n"
    assert not book("output = 'vjp|jvp'").mark(FAIL).waiver
    with pytest.raises(UsageError, match=r"field 'output' is 'vjp\|values'"):
        book("output = 'vjp|values'")
