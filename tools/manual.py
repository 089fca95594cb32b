"""The site of the manual: pages of ``docs/`` with what is generated for them, built strictly by Zensical.

``python -m tools.manual`` writes ``.manual/site``, of which every page can be opened as a file, search included. With
``--pages`` it writes the pages alone.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import manual_figures, manual_pages

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".manual"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_PART = re.compile(r"<!-- generated: (\w+) -->")
# What Zensical has pages load where they are not on a server.
_SHIM = "https://unpkg.com/iframe-worker/shim"
_FIGURE = re.compile(r"<!-- figure: (\w+) -->")


def slug(text: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", re.sub(r"<[^>]*>", "", text).strip().lower()).replace(" ", separator)


def place(path: str) -> str:
    """The place in the site of a file of the project, by paths from the root of each: pages and what lies beside them
    keep theirs, other documents get a folder, and sources are texts that a browser shows."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"project/{path}" if path.endswith(".md") else f"source/{path}.txt"


def stage(pages: Path, *, root: Path = ROOT, parts: Mapping[str, Callable[[], str]] | None = None) -> list[str]:
    """Write the pages to a folder, with every file of the project that one of them links to; return their names."""
    made = parts or manual_pages.PARTS
    todo = [p.relative_to(root).as_posix() for p in sorted((root / "docs").rglob("*")) if p.is_file()]
    seen: set[str] = set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        at = pages / place(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        if not path.endswith(".md"):
            shutil.copyfile(root / path, at)
            continue
        text, linked = relinked((root / path).read_text(encoding="utf-8"), path, root)
        text = _PART.sub(lambda m: made[m[1]](), text)
        text = _FIGURE.sub(lambda m: f"![{manual_figures.CAPTIONS[m[1]]}](figures/{m[1]}.svg)", text)
        at.write_text(text, encoding="utf-8")
        todo += linked
    return sorted(place(path) for path in seen)


def relinked(text: str, path: str, root: Path) -> tuple[str, list[str]]:
    """A page whose links lead to places in the site, and the files to which they lead. A link to a folder is text."""
    linked: list[str] = []

    def one(m: re.Match[str]) -> str:
        mark, words, target = m.groups()
        name, _, anchor = target.partition("#")
        if "://" in target or not name or target.startswith("mailto:"):
            return m[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        if (root / there / "README.md").is_file():
            there = f"{there}/README.md"
        if not (root / there).is_file():
            return words
        linked.append(there)
        if words == posixpath.basename(there) and words.endswith(".md"):
            words = title((root / there).read_text(encoding="utf-8"))
        short = posixpath.relpath(place(there), posixpath.dirname(place(path)) or ".")
        return f"{mark}[{words}]({short}{'#' + anchor if anchor else ''})"

    return _outside_fences(text, lambda prose: _LINK.sub(one, prose)), linked


def title(text: str) -> str:
    """The heading of a page."""
    return re.search(r"^# (.*)$", text, re.M)[1]  # type: ignore[index]  # every page has one


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(^ *```.*?^ *```[^\n]*$)", text, flags=re.M | re.S)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def without_network(site: Path) -> None:
    """Let pages take from the site itself what they would load from elsewhere: what search needs off a server."""
    shutil.copyfile(ROOT / "tools" / "iframe_worker.js", site / "assets" / "iframe_worker.js")
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(_SHIM, f"{up}assets/iframe_worker.js"), encoding="utf-8")


def main() -> int:
    """Write the pages and build the site; the exit code is that of the generator, which fails for a link to nowhere."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pages", action="store_true", help="write the pages, and build nothing")
    alone = parser.parse_args().pages
    shutil.rmtree(WORK, ignore_errors=True)
    names = stage(WORK / "pages")
    manual_figures.draw(WORK / "pages" / "figures")
    print(f"{len(names)} files in {WORK.relative_to(ROOT)}/pages")
    if alone:
        return 0
    build = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--clean",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    code = subprocess.run(build, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode
    if not code:
        without_network(WORK / "site")
    return code


if __name__ == "__main__":
    sys.exit(main())
