"""A headless Chromium for tests of pages, where there is one with its driver."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RUN_AXE = (
    "const done = arguments[arguments.length - 1];"
    "axe.run({preload: false}).then(r => done(r.violations.map(v => `${v.id}: ${v.nodes[0].target}`)))"
)


def chromium() -> Iterator[Any]:
    """Start it, and end it afterwards; skip where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("no chromium with chromedriver on PATH (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


def opened(browser: Any, page: Path, *, width: int = 1280) -> None:
    """Open a page in a window of this width, in pixels, and wait until its script is through."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(page.as_uri())
    drawn(browser)


def drawn(browser: Any) -> None:
    """Wait until the script of a page is through."""
    for _ in range(9000):
        if browser.execute_script("return document.documentElement.dataset.drawn === 'yes'"):
            return
        time.sleep(0.1)
    raise AssertionError("the page was not drawn")


def keeps_from_reading(browser: Any, page: Path, *, width: int, scheme: str) -> list[str]:
    """Say what axe-core finds to keep people from reading a page, in a window of this width, light or dark; skip
    without axe-core."""
    script = Path(os.environ.get("AXE_CORE", _AXE))
    if not script.is_file():
        pytest.skip("no axe-core (npm install axe-core, or the path of its axe.min.js in AXE_CORE)")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        opened(browser, page, width=width)
        browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
        browser.execute_script(script.read_text("utf-8"))
        found: list[str] = browser.execute_async_script(_RUN_AXE)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    return found
