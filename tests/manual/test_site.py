"""The site of the manual: it has every page, its links lead somewhere, and its generated parts are the program's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import lossproof
from lossproof.cli.main import cli
from tests.support.pages import ROOT
from tools import manual, manual_pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
NAV = re.findall(r": ([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    manual.stage(folder, parts={name: partial("## {}\n".format, name) for name in manual_pages.PARTS})
    return folder


def test_every_page_is_in_the_contents(pages: Path) -> None:
    written = {p.relative_to(pages).as_posix() for p in pages.rglob("*.md")}
    assert written - set(NAV) == set(), "pages that the nav of mkdocs.yml lacks"
    assert set(NAV) - written == set(), "pages of the nav of mkdocs.yml that are not there"


def test_links_lead_to_pages_of_the_site(pages: Path) -> None:
    seen = 0
    for page in pages.rglob("*.md"):
        for target in _LINK.findall(
            re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        ):
            if "://" in target or target.startswith(("#", "figures/")):
                continue
            seen += 1
            assert (page.parent / target.partition("#")[0]).is_file(), f"{page.name} links to {target}"
    # sanity check: there are links
    assert seen > 100


def test_sources_are_there_as_texts(pages: Path) -> None:
    text = (pages / "extending.md").read_text(encoding="utf-8")
    assert "](source/conformance/cases/relations.py.txt)" in text
    assert (pages / "source/conformance/cases/relations.py.txt").is_file()
    # A folder is no page, and a page is called by its title.
    assert "](../tests/adopter)" not in text
    assert "[What is public](public-api.md)" in text


def test_generated_parts_and_figures_are_in_their_places(pages: Path) -> None:
    assert "## command_line" in (pages / "command-line.md").read_text(encoding="utf-8")
    assert "](figures/bounds_and_tolerance.svg)" in (pages / "why.md").read_text(encoding="utf-8")
    for page in pages.rglob("*.md"):
        assert not re.search(r"<!-- (generated|figure):", page.read_text(encoding="utf-8")), page.name


def test_the_command_line_is_that_of_the_program() -> None:
    text = manual_pages.command_line()
    for name in cli.commands:
        assert f"## lossproof {name}\n" in text
    assert "--record" in text


def test_the_python_interface_has_every_public_name() -> None:
    text = manual_pages.python_interface()
    for name in lossproof.__all__:
        assert f"### lossproof.{name}\n" in text
    assert "### lossproof.adapters.Capabilities\n" in text


def test_the_fields_of_records_are_those_of_the_schema() -> None:
    text = manual_pages.record_fields()
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    for field in schema["$defs"]["observation"]["properties"]:
        assert f"| `{field}` |" in text


def test_anchors_are_those_of_the_repository() -> None:
    assert (
        manual.slug("What `lossproof` sees: 2^31 elements, and more", "-")
        == "what-lossproof-sees-231-elements-and-more"
    )


@pytest.fixture(scope="module")
def site() -> Path:
    pytest.importorskip("zensical", reason="the site needs Zensical (tox run -e docs)")
    pytest.importorskip("matplotlib", reason="figures need Matplotlib (tox run -e docs)")
    subprocess.run([sys.executable, "-m", "tools.manual"], cwd=ROOT, check=True)
    return manual.WORK / "site"


@pytest.mark.manual
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', page.read_text(encoding="utf-8"))
        loaded += re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="([^"]+)"', page.read_text(encoding="utf-8"))
        assert not [there for there in loaded if "//" in there], page.name


@pytest.mark.manual
def test_search_works_without_a_server(site: Path) -> None:
    selenium = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        pytest.skip("no Chromium here")
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--window-size=1300,1000"):
        options.add_argument(flag)
    service = selenium.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = selenium.Chrome(options=options, service=service)
    try:
        driver.get((site / "index.html").as_uri())
        time.sleep(2)
        driver.switch_to.active_element.send_keys("/")
        time.sleep(1)
        driver.switch_to.active_element.send_keys("enclosure")
        for _ in range(60):
            time.sleep(0.5)
            text = driver.execute_script(
                "const all = n => [...n.querySelectorAll('*')].flatMap(e => e.shadowRoot ? [e.shadowRoot.textContent, "
                "...all(e.shadowRoot)] : []); return document.body.innerText + all(document).join(' ')"
            )
            if "Why enclosures" in text and "results" in text:
                return
        pytest.fail("the search found nothing")
    finally:
        driver.quit()


@pytest.mark.manual
def test_a_link_to_nowhere_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the site needs Zensical (tox run -e docs)")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text("# A page\n\n[nowhere](nowhere.md)\n", encoding="utf-8")
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    text = text[: text.index("nav:")].replace(".manual/", "") + "nav:\n  - Home: index.md\n"
    (tmp_path / "mkdocs.yml").write_text(text, encoding="utf-8")
    build = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(tmp_path / "mkdocs.yml")]
    done = subprocess.run(build, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode
