"""The page: its numbers are the record's, nothing in it is markup that came from a target, and a browser shows it."""

from __future__ import annotations

import html
import json
import math
import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossproof.adapters.protocol import Problem
from lossproof.cli.main import cli
from lossproof.core.call import Call
from lossproof.core.observation import Observation
from lossproof.records import record
from lossproof.records.record import Writer
from lossproof.records.waivers import verdict
from lossproof.running.summary import Summary
from lossproof.targets import selection
from lossproof.views.html import collect
from lossproof.views.html.accuracy import Accuracy
from lossproof.views.html.collect import Collected
from lossproof.views.html.page import embedded
from lossproof.views.html.programs import ReproducerTexts
from lossproof.views.html.verdict_matrix import columns, matrix
from tests.support.browser import drawn, keeps_from_reading, opened
from tests.support.thinned import WHOLE, at_least

pytest.importorskip("jinja2", reason="HTML reports need the extra report")
pytest.importorskip("plotly", reason="HTML reports need the extra report")

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\"'`javascript:alert(1) & <b>"


def lossproof(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="lossproof")


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PROCESSES", None)


class Page(HTMLParser):
    """The numbers of a page, its texts, and what is risky in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.data: dict[str, Any] = {}
        self.text = ""
        self._at: str | None = None
        self._script = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags[tag] += 1
        self._at = given.get("data-count")
        self._script = (given.get("id") or "code") if tag in ("script", "style") else ""
        self.handlers += [name for name in given if name.startswith("on")]
        self.links += [given[name] or "" for name in ("href", "src") if name in given]

    def handle_data(self, text: str) -> None:
        if self._at:
            self.counts[self._at] = int(text)
            self._at = None
        if self._script == "data":
            self.data = json.loads(text)
        elif not self._script:
            self.text += text

    def handle_endtag(self, tag: str) -> None:
        self._at, self._script = None, ""


@pytest.fixture(scope="module")
def run_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with passes, conventions, failures, waived failures and hostile texts."""
    folder = tmp_path_factory.mktemp("record")
    path = folder / "numpy.jsonl"
    some = () if WHOLE else ("--exclude", "*/error/*", "--exclude", "*/bfloat16/*", "--exclude", "*/float64/*")
    result = lossproof("run", "numpy", "--deck", "smoke", *some, "--in-process", "--record", str(path))
    assert result.exit_code == 0, result.output
    made = record.read_record(path)
    header = made.header | {"command": ["lossproof", HOSTILE]}
    header["targets"] = {name: facts | {"facts": {"build": HOSTILE}} for name, facts in header["targets"].items()}
    with Writer(folder / "hostile.jsonl", {k: v for k, v in header.items() if k not in ("lossproof", "format")}) as out:
        for i, o in enumerate(made):
            if i % 40 == 0 and o.verdict == "pass":
                o = replace(o, verdict="fail", share=3.5, message=f"{HOSTILE} {i}", note=HOSTILE)
            elif i % 41 == 0 and o.verdict == "pass" and o.got is not None:
                o = replace(o, verdict="fail", waiver=f"known-{HOSTILE}", message=HOSTILE, share=math.inf)
            out.write(o)
        out.end({"seconds": 1.0})
    return folder / "hostile.jsonl"


@pytest.fixture(scope="module")
def page(run_record: Path) -> Path:
    out = run_record.with_suffix(".html")
    result = lossproof("report", str(run_record), "-o", str(out), "--no-programs")
    assert result.exit_code == 0, result.output
    return out


def test_the_numbers_are_those_of_the_record(page: Path, run_record: Path) -> None:
    observations = list(record.read_record(run_record))
    counts = Counter(verdict(o) for o in observations)
    assert {"fail", "waived", "pass", "convention"} <= counts.keys()
    found = Page(page)
    assert found.counts == {
        "outputs": len(observations) - counts["unsupported"],
        **{v: n for v, n in counts.items() if n},
    }
    bounded = [o for o in observations if o.profile and o.got is not None and math.isfinite(o.share)]
    judged = [o for o in bounded if o.verdict != "unsupported"]
    assert sum(c["n"] for c in found.data["accuracy"]) == len(judged)
    assert sum(sum(c["histogram"]) for c in found.data["accuracy"]) == len(judged)
    for cell in found.data["accuracy"]:
        where = (cell["target"], cell["op"], cell["dtype"])
        mine = [o.share for o in judged if (o.target, o.case.op, o.case.dtype) == where]
        assert cell["share"][-1] == pytest.approx(max(mine), rel=1e-3)
        assert cell["n"] == len(mine)
    listed = Counter(o[0] for o in found.data["observations"])
    assert listed == {v: n for v, n in counts.items() if v in ("fail", "waived", "suspect")}


def test_nothing_of_a_record_is_markup(page: Path) -> None:
    found = Page(page)
    assert found.tags["img"] == 0
    assert found.tags["b"] == len(found.counts) + found.text.count(" outputs of family ")
    assert found.tags["script"] == 3
    assert found.handlers == []
    assert all(link.startswith(("#", "https://github.com/")) for link in found.links)
    assert HOSTILE in found.text
    assert any(HOSTILE in o[5] for o in found.data["observations"])


def test_nothing_is_loaded() -> None:
    from importlib import resources

    text = (resources.files("lossproof.views.html") / "page.html").read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


def test_json_in_a_script_is_no_markup() -> None:
    text = embedded({"a": HOSTILE + "\u2028", "b": [math.inf, math.nan, 1.5]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": HOSTILE + "\u2028", "b": ["inf", "nan", 1.5]}


def test_two_records_are_compared(run_record: Path, tmp_path: Path) -> None:
    out = tmp_path / "diff.html"
    before = run_record.with_name("numpy.jsonl")
    result = lossproof("report", str(before), str(run_record), "-o", str(out), "--no-programs")
    assert result.exit_code == 0, result.output
    text = Page(out).text
    assert "What changed" in text
    assert "Regressions: " in text
    assert re.search(r"\d+ before", text)


def test_a_run_writes_its_page_and_its_programs(tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    planted = Path(__file__).parents[1] / "support" / "planted.py"
    result = lossproof(
        "run", f"{planted}:ADAPTER", "--op", "softmax", "--dtype", "float32",
        "--deck", "smoke", "--html", str(out),
    )  # fmt: skip
    assert result.exit_code == 1
    text = Page(out).text
    assert "raise SystemExit(0 if right else 1)" in text
    assert "lossproof repro softmax/float32/" in text
    assert "--deck smoke" in text


def test_without_its_packages_it_is_one_line(run_record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossproof.views.html.page.find_spec", lambda name: None)
    result = lossproof("report", str(run_record), "-o", str(tmp_path / "x.html"))
    assert result.exit_code == 2
    assert "pip install 'lossproof[report]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_three_records_are_one_line(run_record: Path, tmp_path: Path) -> None:
    result = lossproof("report", *[str(run_record)] * 3, "-o", str(tmp_path / "x.html"))
    assert result.exit_code == 2
    assert "got 3 records; expected one, or two" in result.stderr


def test_what_several_calls_say_is_looked_up_in_the_deck() -> None:
    texts = ReproducerTexts(options={"record": "r.jsonl"}, place={"deck": "smoke", "seed": 3})
    relation = "softmax/float32/relation/layout-n2-k4/00000001"
    found = texts.of(Observation(relation, "value", "numpy", "fail"))
    assert found.command == f"lossproof explain {relation} --target numpy --deck smoke --seed 3"
    convention = "softmax/all/convention/clause-4/value"
    found = texts.of(Observation(convention, "value", "numpy", "fail"))
    assert found.command == f"lossproof repro {convention} --target numpy --deck smoke --seed 3"


def test_commands_of_a_page_find_the_deck_of_its_record(tmp_path: Path) -> None:
    about = {"adapter": "numpy", "device": "cpu", "mode": "eager", "versions": {"numpy": "2.4.0"}}
    convention = "softmax/all/convention/clause-4/value"
    path = tmp_path / "r.jsonl"
    with Writer(path, {"deck": {"size": "smoke", "seed": 3}, "targets": {"numpy": about}}) as out:
        out.write(Observation(convention, "value", "numpy", "fail", message="float16 is other"))
        out.end({})
    result = lossproof("report", str(path), "-o", str(tmp_path / "r.html"), "--no-programs")
    assert result.exit_code == 0, result.output
    assert f"lossproof repro {convention} --target numpy --deck smoke --seed 3" in Page(tmp_path / "r.html").text


def test_the_number_of_classes_is_that_of_the_call() -> None:
    x = np.zeros((1, 17, 24))
    p = Problem("softmax", "float32", x, cotangent=x, axis=1)
    blank = Observation.of(Call(p, "hot"), "value", "t", profile="W")
    one = replace(blank, verdict="pass", got=0.0, share=0.5)
    assert (one.rows, one.classes, one.reduction) == (24, 17, "")
    assert "-k" not in one.id, "nothing but the record says it"
    accuracy = Accuracy()
    relation = replace(one, id="softmax/float32/relation/shift-s1x17x24-ax1/00")
    for o in (relation, replace(one, classes=None)):
        accuracy.add(o)
    known = [accuracy.classes_known]
    accuracy.add(one)
    assert [*known, accuracy.classes_known] == [False, True]
    assert [cell["classes"] for cell in accuracy.facts()] == [[[17, 1, 0.5]]]


def test_the_histogram_has_a_bin_for_each_power_of_ten_above_the_bound() -> None:
    accuracy = Accuracy()
    one = Observation("softmax/float32/hot/n2-k4/0", "value", "t", "pass", profile="W", got=0.0)
    shares = (1e-9, 2e-4, 0.9, *(2.0,) * 2, *(20.0,) * 3, *(200.0,) * 4, *(2000.0,) * 5)
    for share in shares:
        accuracy.add(replace(one, share=share))
    (cell,) = accuracy.facts()
    # Four to the power below it, the last of which ends there.
    assert cell["histogram"] == [1, *(0, 1), *(0,) * 13, 1, 2, 3, 4, 5]


def test_a_record_without_classes_says_so(page: Path, run_record: Path, tmp_path: Path) -> None:
    """Older records have no such fields: their plot over the classes is empty, and everything else is there."""
    older = tmp_path / "older.jsonl"
    lines = [json.loads(line) for line in run_record.read_text().splitlines()]
    assert any("classes" in line for line in lines)
    new = ("rows", "classes", "reduction")
    older.write_text("".join(json.dumps({k: v for k, v in x.items() if k not in new}) + "\n" for x in lines))
    out = tmp_path / "older.html"
    assert lossproof("report", str(older), "-o", str(out), "--no-programs").exit_code == 0
    found, whole = Page(out), Page(page)
    assert "not in this record" in found.text
    assert "not in this record" not in whole.text
    assert found.counts == whole.counts
    assert all(cell["classes"] for cell in whole.data["accuracy"] if cell["n"] and cell["dtype"] != "all")
    assert not any(cell["classes"] for cell in found.data["accuracy"])


def test_memory_does_not_grow_with_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the errors themselves, 16 bytes an observation, the failures that are listed, and ids taken apart, of
    which so many are kept."""

    def stream(n: int) -> Iterator[Observation]:
        for i in range(n):
            fine = i % 3
            call = None if fine else {"x": {"hex": ["0x1p+0"] * 500}}
            yield Observation(
                f"softmax/float32/hot/n2-k4/{i:08x}", "value", "numpy", "pass" if fine else "fail",
                share=0.5, got=0.5, exact=(0.5, 0.5), allowed=1e-7, profile="W", met="W", message="m" * 100,
                call=call,
            )  # fmt: skip

    def peak(n: int) -> int:
        tracemalloc.start()
        collected = Collected().add_all(stream(n))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(collected.listed) + collected.unlisted == -(-n // 3)
        return most

    # How many are listed is the same code.
    listed = at_least(collect.LISTED, to=20)
    monkeypatch.setattr(collect, "LISTED", listed)
    n = 3 * listed
    peak(2 * n)
    assert peak(2 * n) - peak(n) < 64 * n


# A browser


def test_a_browser_shows_it(browser: Any, page: Path) -> None:
    opened(browser, page)
    plots = browser.execute_script(
        "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.trace path, .trace .point, .boxlayer path').length)"  # noqa: E501
    )
    assert len(plots) == 4
    assert all(plots), plots
    assert browser.execute_script("return window.hacked") is None
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_filters_and_search(browser: Any, page: Path) -> None:
    opened(browser, page)
    count = "return document.querySelectorAll('#list tbody tr').length"
    cards = "return [...document.querySelectorAll('.item')].filter(c => !c.hidden).length"
    choose_ = (
        "const s = document.querySelector(`select[data-filter=${arguments[0]}]`); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))"
    )
    rows, all_cards = browser.execute_script(count), browser.execute_script(cards)
    assert rows
    browser.execute_script(choose_, "op", "softmax")
    assert 0 < browser.execute_script(cards) < all_cards
    ids = browser.execute_script(
        "return [...document.querySelectorAll('#list tbody tr')].map(r => r.cells[2].textContent)"
    )
    assert all(id.startswith("softmax/") for id in ids)
    browser.execute_script(choose_, "verdict", "waived")
    assert set(
        browser.execute_script("return [...document.querySelectorAll('#list .badge')].map(b => b.textContent)")
    ) <= {"waived"}
    search = "const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    browser.execute_script(search, "nothing has this text")
    assert browser.execute_script(count) == 0
    assert browser.execute_script(cards) == 0
    browser.execute_script("document.querySelector('#filters button[type=reset]').click()")
    for _ in range(3000):
        if browser.execute_script(count) == rows:
            break
        time.sleep(0.1)
    assert browser.execute_script(count) == rows
    assert browser.execute_script(cards) == all_cards


def test_light_and_dark(browser: Any, page: Path) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        opened(browser, page)
        browser.execute_script("try { localStorage.clear() } catch {}; delete document.documentElement.dataset.theme")
        seen[scheme] = browser.execute_script(colour)
    assert seen["light"] != seen["dark"]
    browser.execute_script("document.getElementById('theme').click()")
    assert browser.execute_script(colour) == seen["light"]
    browser.execute_script("try { localStorage.clear() } catch {}")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_axe_finds_nothing(browser: Any, page: Path, run_record: Path, tmp_path: Path) -> None:
    """On a page with findings, on one without, and on that of a comparison."""
    good, pair = tmp_path / "good.html", tmp_path / "pair.html"
    before = str(run_record.with_name("numpy.jsonl"))
    for records, out in (((before,), good), ((before, str(run_record)), pair)):
        assert lossproof("report", *records, "-o", str(out), "--no-programs").exit_code == 0
    for scheme, width, file in product(("light", "dark"), (1280, 390), (page, good, pair)):
        assert keeps_from_reading(browser, file, width=width, scheme=scheme) == [], f"{file.name}, {width}, {scheme}"


def test_a_phone_does_not_scroll_sideways(browser: Any, page: Path) -> None:
    opened(browser, page, width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def grown(path: Path) -> None:
    """Write a record of how the memory of a loss grows, whose value takes rows alone."""
    target = {"adapter": "numpy", "device": "cpu", "mode": "eager", "versions": {}, "facts": {}}
    with Writer(path, {"deck": {"size": "giant"}, "targets": {"numpy": target}}) as writer:
        for n, k in ((1, 1), (1, 16), (16, 1), (4, 16), (16, 4), (16, 16)):
            for output, each, grade in (("value", n, "O(N)"), ("vjp", n * k, "O(N K)")):
                shown = {"memory": grade} if n == k == 16 else {}
                id = f"cross_entropy/float32/giant-growth/n17-k{k}-mean/{n:08x}"
                writer.write(
                    Observation(id, output, "numpy", "pass", rows=n, classes=k, memory=each << 20, conventions=shown)
                )


def test_how_memory_grows_is_plotted(browser: Any, tmp_path: Path) -> None:
    record, out = tmp_path / "giant.jsonl", tmp_path / "giant.html"
    grown(record)
    done = lossproof("report", str(record), "-o", str(out), "--no-programs")
    assert done.exit_code == 0, done.output
    value, gradient = Page(out).data["memory"]
    assert (value["output"], value["grade"]) == ("value", "O(N)")
    assert value["classes"] == [[1, 16.0], [4, 16.0], [16, 16.0]]
    assert value["rows"] == [[1, 1.0], [4, 4.0], [16, 16.0]]
    assert (gradient["output"], gradient["grade"]) == ("vjp", "O(N K)")
    assert gradient["classes"] == [[1, 16.0], [4, 64.0], [16, 256.0]]
    opened(browser, out)
    points = "return document.querySelectorAll('#plot-memory-' + arguments[0] + ' .point').length"
    assert [browser.execute_script(points, axis) for axis in ("classes", "rows")] == [6, 6]
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_a_page_without_growth_has_no_plot_of_memory(page: Path) -> None:
    found = Page(page)
    assert found.data["memory"] == []
    assert "Memory beyond the inputs" not in found.text


def test_columns_are_those_of_targets_that_were_run_and_known_deviations_are_marked() -> None:
    summary = Summary()
    good = Observation("softmax/float32/hot/n2-k4/00000001", "value", "a", "pass", share=0.5, profile="W", met="W")
    summary.add(good)
    summary.add(replace(good, id="softmax/float32/hot/n2-k4/00000002", verdict="fail", share=math.inf, waiver="w"))
    several = columns(summary, ["a", "b"])
    assert [c.target for c in several] == ["a"]
    (row,) = matrix(several)
    assert (row["cells"][0]["over"], row["cells"][0]["known"]) == (False, True)
    summary.add(replace(good, id="softmax/float32/hot/n2-k4/00000003", verdict="fail", share=3.0))
    (row,) = matrix(columns(summary, ["a"]))
    assert (row["cells"][0]["over"], row["cells"][0]["known"]) == (True, False)


def test_a_comparison_has_columns_before_and_after() -> None:
    before, after = Summary(), Summary()
    old = Observation("softmax/float32/hot/n2-k4/00000001", "value", "a@old", "pass", share=0.5, profile="W", met="W")
    before.add(old)
    after.add(replace(old, target="a", share=0.25))
    several = columns(after, ["a"], before, [("a@old", "a")])
    assert [(c.side, c.own) for c in several] == [("before", "a@old"), ("after", "a")]
    (row,) = matrix(several)
    assert [cell["worst"].split()[0] for cell in row["cells"]] == ["0.5", "0.25"]


def test_what_is_concluded_of_an_adapter_is_in_the_columns_of_its_targets() -> None:
    summary = Summary()
    good = Observation("softmax/float32/hot/n2-k4/00000001", "value", "a@x", "pass", share=0.5, profile="W", met="W")
    concluded = replace(good, id="softmax/all/convention/clause-4/value", target="a", profile="", met="")
    for o in (good, replace(good, target="b"), concluded, replace(concluded, target="b")):
        summary.add(o)
    several = columns(summary, ["a@x", "b", "a"], adapters={"a@x": "a", "b": "b"})
    assert [c.target for c in several] == ["a@x", "b"]
    assert [[cell["total"] for cell in row["cells"]] for row in matrix(several)] == [[1, 1], [1, 1]]
    # With a target of the adapter's name it is that one's.
    both = columns(summary, ["a@x", "b", "a"], adapters={"a@x": "a", "b": "b", "a": "a"})
    assert [c.target for c in both] == ["a@x", "b", "a"]
    assert [cell["total"] for cell in next(iter(matrix(both)))["cells"]] == [0, 1, 1]


def test_the_top_of_the_page_says_when_with_what_and_where(page: Path, run_record: Path) -> None:
    text = page.read_text("utf-8")
    top = text[text.index('<header class="top">') : text.index("<main")]
    header = record.read_record(run_record).header
    assert re.search(r"<span>\d{4}-\d\d-\d\d</span>", top)
    assert f"numpy {header['targets']['numpy']['versions']['numpy']}" in top
    assert str(header["cpu"]["model"]) in html.unescape(top)


def test_the_address_keeps_the_filters(browser: Any, page: Path) -> None:
    opened(browser, page)
    choose = "const s = document.querySelector('[data-filter=op]'); s.value = 'softmax';"
    choose += "s.dispatchEvent(new Event('change'))"
    browser.execute_script(choose)
    address = browser.execute_script("return location.href")
    assert address.endswith("#op=softmax")
    hits = browser.execute_script("return document.getElementById('hits').value")
    browser.get("about:blank")
    browser.get(address)
    drawn(browser)
    assert browser.execute_script("return document.querySelector('[data-filter=op]').value") == "softmax"
    assert browser.execute_script("return document.getElementById('hits').value") == hits
