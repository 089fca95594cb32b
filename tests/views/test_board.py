"""The board: its numbers are the records', its pages lead to each other, nothing in it is markup from a record, and a
browser shows it, from files, wide and narrow, to a keyboard and to axe."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from lossproof.core.errors import UsageError
from lossproof.records.waivers import shipped
from lossproof.views.board.condense import condense
from lossproof.views.board.condensed import Condensed, ShownConvention, UnexplainedFailure, condensed_text
from lossproof.views.board.findings import clause_texts, known_findings
from lossproof.views.board.site import board_files, write_board
from lossproof.views.board.standings import board_of
from lossproof.views.prose import inline_html
from tests.support.board_records import header, observations, write
from tests.support.browser import keeps_from_reading, opened
from tests.support.views import lossproof
from tools import board_releases

pytest.importorskip("jinja2", reason="the board needs the extra report")
pytest.importorskip("plotly", reason="the board needs the extra report")

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "board.schema.json").read_text("utf-8"))
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\"'`& <b>"
KNOWN = "torch-float16-denominator-silent"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Condensed]:
    """Two releases of a target, one that is nonconforming, and one that fails in hostile words."""
    folder = tmp_path_factory.mktemp("records")
    made = []
    for version in ("2.9.0", "2.13.0"):
        path = write(folder / f"{version}.jsonl", header("torch", version=version), observations("torch"))
        made += condense(path, date="2026-11-27")
    old, new = made
    new = replace(new, waived=tuple(replace(w, name=KNOWN) for w in new.waived))
    behaviour = ShownConvention("4", "softmax", "value", {"float32": {"limit": 1}})
    wrong = UnexplainedFailure("softmax", "float32", HOSTILE, "value", HOSTILE, 1, 5, HOSTILE, HOSTILE)
    hostile = condense(write(folder / "h.jsonl", header("t"), observations("t", waived=0, failed=1)))[0]
    return [
        replace(old, waived=(), conventions=(behaviour,)),
        new,
        replace(new, name="torch+compile", cases_waived=2),
        replace(hostile, name="hostile<b>", version=HOSTILE, failures=(wrong,), notes={HOSTILE: 1}),
    ]


@pytest.fixture(scope="module")
def files(records: list[Condensed]) -> dict[str, str]:
    return board_files(records)


@pytest.fixture(scope="module")
def site(records: list[Condensed], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_board(records, folder)
    return folder


class Parsed(HTMLParser):
    """The tags of a page, its ids, its links, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.ids = [a["id"] or "" for _, a in self.tags if "id" in a]
        self.links = [a[name] or "" for _, a in self.tags for name in ("href", "src") if name in a]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, text: str) -> None:
        self.text += text


@pytest.fixture(scope="module")
def pages(files: dict[str, str]) -> dict[str, Parsed]:
    return {name: Parsed(text) for name, text in files.items() if name.endswith(".html")}


def test_every_page_is_led_to_and_every_link_leads_somewhere(pages: dict[str, Parsed], files: dict[str, str]) -> None:
    led_to = {"index.html"}
    for name, page in pages.items():
        for link in page.links:
            if "://" in link:
                assert link.startswith("https://"), f"{name}: {link}"
                continue
            address, _, anchor = unquote(link).partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(name), address)) if address else name
            assert there in files, f"{name} links {link}"
            if anchor:
                assert anchor in pages[there].ids, f"{name} links {link}"
            led_to.add(there)
    assert set(pages) <= led_to
    assert {"implementations/torch.html", "conventions/clause-4.html", f"findings/{_finding()}.html"} <= set(pages)


def _finding() -> str:
    return next(f.name for f in known_findings().values() if KNOWN in [w.name for w in f.waivers])


def test_nothing_of_a_record_is_markup(pages: dict[str, Parsed]) -> None:
    page = pages["implementations/hostile-b.html"]
    tags = Counter(tag for tag, _ in page.tags)
    assert (tags["script"], tags["img"]) == (2, 1), "the page's own"
    assert HOSTILE in page.text
    for name, other in pages.items():
        assert not [a for _, attributes in other.tags for a in attributes if a.startswith("on")], name
        assert all(tag != "b" for tag, _ in other.tags) or name == "index.html"


def test_pages_are_in_order_for_those_who_do_not_see_them(pages: dict[str, Parsed]) -> None:
    for name, page in pages.items():
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1, name
        assert levels.count(1) == 1, name
        assert all(b - a <= 1 for a, b in pairwise(levels)), f"{name}: {levels}"
        assert len(page.ids) == len(set(page.ids)), name
        for tag, given in page.tags:
            assert tag != "th" or given.get("scope"), f"{name}: a header without a scope"
            assert tag != "img" or given.get("alt"), f"{name}: a picture without a text"
            assert tag != "html" or given.get("lang"), name
            assert tag != "input" or given.get("aria-label") or given.get("type") == "radio", f"{name}: {given}"
            if given.get("class") == "scroll":
                assert (given.get("tabindex"), bool(given.get("aria-label"))) == ("0", True), name


def test_text_stands_out_from_what_it_stands_on(files: dict[str, str]) -> None:
    """Contrast of 4.5 and more, as WCAG has it, in light and in dark."""

    def luminance(colour: str) -> float:
        digits = colour * 2 if len(colour) == 3 else colour
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    found = re.findall(r":root[^{]*\{(--bg[^}]*)\}", files["board.css"])
    assert len(found) == 3
    for block in found:
        colours = {k: luminance(v) for k, v in re.findall(r"--([\w-]+):#(\w{6}|\w{3})\b", block)}
        pairs = [(k, f"{k}-bg") for k in colours if f"{k}-bg" in colours]
        pairs += [(text, ground) for text in ("fg", "soft", "accent") for ground in ("bg", "panel", "code")]
        pairs += [("panel", "accent")]
        assert len(pairs) > 18
        for a, b in pairs:
            low, high = sorted((colours[a], colours[b]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{a} on {b}"


def test_the_json_has_what_the_records_have(records: list[Condensed], files: dict[str, str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    board = json.loads(files["board.json"])
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(board, SCHEMA)
    named = {i["name"]: i for i in board["implementations"]}
    assert {n: i["standing"] for n, i in named.items()} == {
        "hostile<b>": "fails", "torch": "deviates", "torch+compile": "nonconforming",
    }  # fmt: skip
    torch = named["torch"]
    assert (torch["version"], torch["cases"], torch["cases_waived"], torch["outputs"]) == ("2.13.0", 5, 1, 6)
    assert [(c["op"], c["dtype"], c["standing"]) for c in torch["cells"]] == [
        ("softmax", "float16", "absent"), ("softmax", "float32", "deviates"),
    ]  # fmt: skip
    assert torch["cells"][1]["verdicts"] == dict(records[1].cells[2].verdicts)
    assert torch["findings"] == {_finding(): 1}
    (shown,) = (c for c in board["conventions"] if c["clause"] == "4")
    assert shown["shown"][0]["implementations"]["torch"] == {"float32": {"nan": 1}}
    (mine,) = (f for f in board["findings"] if f["name"] == _finding())
    assert mine["shown_by"] == {"torch": 1, "torch+compile": 1}


def test_more_than_a_fifth_waived_is_called_nonconforming_everywhere(files: dict[str, str]) -> None:
    for name in ("index.html", "implementations/torch-compile.html", "badges/torch-compile.svg"):
        assert "nonconforming" in files[name]
    row = re.search(r'<tr id="torch-compile".*?</th>', files["index.html"], re.S)
    assert row
    assert "nonconforming" in row[0]
    assert "nonconforming" not in files["badges/torch.svg"]


def test_the_history_says_what_changed_from_release_to_release(records: list[Condensed], files: dict[str, str]) -> None:
    (standing,) = (s for s in board_of(records).standings if s.name == "torch")
    assert [(c.kind, c.where, c.was, c.now) for c in standing.changes] == [
        ("known deviation", KNOWN, "absent", "1 output"),
        ("convention", "clause 4, softmax value", "limit", "nan"),
    ]
    page = files["implementations/torch.html"]
    assert '<svg class="history"' in page
    assert "2.9.0: 0 failures, 0 known deviations; 2.13.0: 0 failures, 1 known deviation" in page
    assert "history" not in files["implementations/torch-compile.html"]


def test_a_badge_is_an_svg_that_says_it_in_words(files: dict[str, str]) -> None:
    said = {}
    for name, text in files.items():
        if name.startswith("badges/"):
            root = ElementTree.fromstring(text)
            said[name] = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
            assert int(root.attrib["width"]) > 80
    assert said == {
        "badges/hostile-b.svg": ["lossproof", "1 unexplained failure"],
        "badges/torch.svg": ["lossproof", "1 known deviation"],
        "badges/torch-compile.svg": ["lossproof", "nonconforming"],
    }


def test_every_finding_and_every_waiver_that_ships_has_a_page(files: dict[str, str]) -> None:
    headings = re.findall(r"^## (\S+)$", (ROOT / "docs" / "findings.md").read_text("utf-8").split("\n# ")[0], re.M)
    found = known_findings()
    assert len(headings) > 50
    assert list(found)[: len(headings)] == headings
    waivers = {w.name for f in found.values() for w in f.waivers}
    assert waivers == {w.name for w in shipped(p.stem for p in (ROOT / "golden" / "waivers").glob("*.toml"))}
    for f in found.values():
        assert f.story, f.name
        assert f.upstream, f.name
        assert f.program, f.name
        assert f"findings/{f.name}.html" in files
        assert "program" in files[f"findings/{f.name}.html"]


def test_clauses_are_quoted_from_the_specification() -> None:
    found = clause_texts()
    assert set(found) == {str(i) for i in range(1, 16)}
    assert found["3"].startswith("Targets that do not sum to 1")
    assert "never a crash" in found["10"]


def test_prose_keeps_code_and_links_and_nothing_else() -> None:
    assert inline_html("`a<b` **is** [x](y.md), [z](https://z.org) and a/b#7 <i>") == (
        '<code>a&lt;b</code> <strong>is</strong> x, <a href="https://z.org" rel="noreferrer noopener">z</a> and '
        '<a href="https://github.com/a/b/issues/7" rel="noreferrer noopener">a/b#7</a> &lt;i&gt;'
    )


def test_pages_that_are_gone_are_deleted_and_nothing_else(records: list[Condensed], tmp_path: Path) -> None:
    write_board(records, tmp_path)
    mine = tmp_path / "records" / "torch.json"
    mine.parent.mkdir()
    mine.write_text("{}", "utf-8")
    write_board(records[:2], tmp_path)
    assert {p.name for p in (tmp_path / "implementations").iterdir()} == {"torch.html"}
    assert {p.name for p in (tmp_path / "badges").iterdir()} == {"torch.svg"}
    assert mine.exists()


def test_the_command_takes_records_and_folders_of_condensed_ones(records: list[Condensed], tmp_path: Path) -> None:
    folder = tmp_path / "condensed"
    folder.mkdir()
    (folder / "a.json").write_text(condensed_text(records[0]), "utf-8")
    record = write(tmp_path / "r.jsonl.gz", header("jax"), observations("jax"))
    out = tmp_path / "site"
    result = lossproof("board", str(folder), str(record), "-o", str(out), "--address", "https://example.org/board")
    assert result.exit_code == 0, result.output
    assert re.search(r"index\.html: \d+ files, \d\.\d MB", result.stdout)
    assert {p.stem for p in (out / "implementations").iterdir()} == {"torch", "jax"}
    assert "(https://example.org/board/badges/torch.svg)" in (out / "implementations" / "torch.html").read_text("utf-8")


def test_mistakes_are_one_line(records: list[Condensed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="has no record; expected at least one"):
        board_files([])
    with pytest.raises(UsageError, match=r"torch-compile would have the page of another target"):
        board_files([*records, replace(records[0], name="torch-compile")])
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(UsageError, match="cannot write into"):
        write_board(records, tmp_path / "file")
    monkeypatch.setattr("lossproof.views.html.page.find_spec", lambda name: None)
    result = lossproof("board", str(tmp_path / "none"), "-o", str(tmp_path / "x"))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_history_prints_what_changed(records: list[Condensed], tmp_path: Path) -> None:
    for c in records[:3]:
        (tmp_path / c.file_name).write_text(condensed_text(c), "utf-8")
    result = lossproof("history", "torch", "--records", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "2.9.0 to 2.13.0" in result.stdout
    assert "convention, clause 4, softmax value: limit -> nan" in result.stdout
    missing = lossproof("history", "jax", "--records", str(tmp_path))
    assert missing.exit_code == 2
    assert "has no condensed record of jax; it has torch, torch+compile" in missing.stderr
    placed = lossproof("history", "torch@old", "--records", str(tmp_path))
    assert "expected NAME[+MODE][:DEVICE], and releases with --release" in placed.stderr


# A browser


def test_a_browser_shows_it_from_files(browser: Any, site: Path) -> None:
    for page in ("index.html", "implementations/torch.html", "conventions/clause-4.html", "findings/index.html"):
        for width in (1400, 390):
            opened(browser, site / page, width=width)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
    assert browser.execute_script("return window.hacked") is None
    assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []


def test_search_filter_and_choices_work_by_keyboard(browser: Any, site: Path) -> None:
    opened(browser, site / "index.html")
    browser.execute_script("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}))")
    assert browser.execute_script("return document.activeElement.id") == "search"
    browser.switch_to.active_element.send_keys("float16 denom")
    found = browser.execute_script(
        "return [...document.querySelectorAll('#hits a')].map(a => a.firstChild.textContent)"
    )
    assert _finding() in found
    browser.switch_to.active_element.send_keys("\ue015\ue007")
    assert browser.current_url.endswith(f"findings/{found[0]}.html")
    opened(browser, site / "index.html")
    shown = "return [...document.querySelectorAll('.matrix tbody tr')].filter(r => !r.hidden).map(r => r.id)"
    browser.find_element("id", "filter").send_keys("nonconforming")
    assert browser.execute_script(shown) == ["torch-compile"]
    browser.execute_script("document.querySelector('input[name=metric][value=share]').click()")
    cell = "return [...document.querySelectorAll('#torch-compile .cell')].map(c => c.innerText.trim())"
    assert browser.execute_script(cell) == ["0.30", "\N{EN DASH}"]


def test_light_and_dark_are_two(browser: Any, site: Path) -> None:
    colour, seen = "return getComputedStyle(document.body).backgroundColor", []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        opened(browser, site / "index.html")
        browser.execute_script("try { localStorage.clear() } catch {}; delete document.documentElement.dataset.theme")
        seen.append(browser.execute_script(colour))
    assert seen[0] != seen[1]
    browser.find_element("id", "theme").click()
    assert browser.execute_script(colour) == seen[0]
    browser.execute_script("try { localStorage.clear() } catch {}")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_axe_finds_nothing(browser: Any, site: Path) -> None:
    names = ("index", "implementations/torch", "conventions/clause-4", "conventions/index", "findings/index")
    for scheme, width, page in product(("light", "dark"), (1400, 390), names):
        found = keeps_from_reading(browser, site / f"{page}.html", width=width, scheme=scheme)
        assert found == [], f"{page}, {width} pixels, {scheme}"


def test_the_board_of_the_day_is_what_its_records_give(tmp_path: Path) -> None:
    """`lossproof board docs/board/records -o docs/board` writes it again, after new records, waivers or findings."""
    kept = ROOT / "docs" / "board"
    assert lossproof("board", str(kept / "records"), "-o", str(tmp_path)).exit_code == 0

    def pages(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "records")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    made, there = pages(tmp_path), pages(kept)
    assert [name for name in sorted(made.keys() | there) if made.get(name) != there.get(name)] == []


def test_nothing_on_the_board_fails_without_an_explanation() -> None:
    """A failure is mended, or told in docs/findings.md with a waiver, before its record is kept."""
    board = json.loads((ROOT / "docs" / "board" / "board.json").read_text("utf-8"))
    assert len(board["implementations"]) > 20
    assert [i["name"] for i in board["implementations"] if i["standing"] == "fails"] == []


def test_the_page_lists_the_releases_of_the_records(records: list[Condensed]) -> None:
    assert board_releases.renewed(board_releases.PAGE.read_text("utf-8")) == board_releases.PAGE.read_text("utf-8"), (
        f"renew it with {board_releases.COMMAND}"
    )
    assert board_releases.table(records).splitlines() == [
        "3 implementations, their newest release judged 3 by the smoke deck; 4 records.",
        "",
        "| implementation | releases in its history |",
        "|---|---|",
        "| `torch` | 2.9.0, 2.13.0 |",
    ]
