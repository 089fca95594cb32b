"""References in documents, docstrings and settings lead somewhere: paths of files, links, modules and commands."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("conformance", "adapters", "golden", "tests", "docs", "benchmarks", "examples", "tools")
SETTINGS = ("pyproject.toml", "tox.ini", "MANIFEST.in", ".pre-commit-config.yaml", ".ci/run")
_PATH = re.compile(rf"(?<![\w/.*-])((?:{'|'.join(FOLDERS)})/[\w./{{}},*-]*[\w}}*/])")
_MEMBER = re.compile(rf"(?<![\w/.*-])((?:{'|'.join(FOLDERS)})/[\w./]+\.py):([A-Za-z_][\w.]*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MODULE = re.compile(r"(?<![\w./-])lossproof((?:\.[A-Za-z_]\w*)+)(?![\w/-])")
_COMMAND = re.compile(r"python -m (tests(?:\.\w+)*)")
# Files that only a test makes.
INVENTED = {"conformance/core/new.py"}
FIELDS = re.compile(r"\{\w+[}.(]")


def documents() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.md"))
    yield from (p for p in (ROOT / ".github").rglob("*.md"))


def sources() -> Iterator[Path]:
    yield from (ROOT / name for name in SETTINGS)
    for folder in FOLDERS:
        # This module has paths of nothing.
        yield from (p for p in sorted((ROOT / folder).rglob("*.py")) if p != Path(__file__).resolve())


@cache
def lines_of(path: Path) -> tuple[tuple[str, str], ...]:
    where = path.relative_to(ROOT).as_posix()
    return tuple((f"{where}:{n}", line) for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1))


def lines(several: Iterator[Path]) -> Iterator[tuple[str, str]]:
    """Each line with its place."""
    for path in several:
        yield from lines_of(path)


def alternatives(path: str) -> Iterator[str]:
    """``a/{b,c}.py`` stands for two paths."""
    parts = [part.split(",") for part in re.split(r"[{}]", path)]
    yield from ("".join(chosen) for chosen in itertools.product(*parts))


@cache
def is_there(path: str) -> bool:
    return any(ROOT.glob(path))


def missing(text: str) -> list[str]:
    """The paths in a line that are those of no file, folder or pattern with files."""
    found = []
    for match in _PATH.finditer(text):
        path = match[1]
        # A path with a field of a format string is one of many, and so is one with NAME.
        if "NAME" not in path and path not in INVENTED and not FIELDS.search(text[match.start() :].split(" ")[0]):
            found += [p for p in alternatives(path) if not is_there(p.rstrip("/"))]
    return found


def test_paths_are_those_of_files() -> None:
    several = [
        (where, path) for where, line in lines(itertools.chain(documents(), sources())) for path in missing(line)
    ]
    assert not several, "\n".join(f"{where}: there is no {path}" for where, path in several)


def test_the_walk_sees_what_is_missing() -> None:
    assert missing("see conformance/nowhere.py and tests/cases/test_{deck,nothing}.py, tests/**/*.nothing") == [
        "conformance/nowhere.py",
        "tests/cases/test_nothing.py",
        "tests/**/*.nothing",
    ]
    assert missing("conformance/core/call.py, docs/, golden/waivers/*.toml and x/docs/nothing.md") == []
    assert undefined("conformance/core/call.py:Call, conformance/core/call.py:Cull, adapters/wire.py:Reader.fed") == [
        "conformance/core/call.py:Cull",
        "adapters/wire.py:Reader.fed",
    ]
    assert resolves("lossproof.core.call.Call")
    assert resolves("lossproof.adapters")
    assert not resolves("lossproof.core.call.Cull")
    assert not resolves("lossproof.cores.call")
    assert resolves("lossproof.check_implementation")


def undefined(text: str) -> list[str]:
    """The ``FILE:NAME`` in a line whose file defines no such name, ``Class.method`` included."""
    found = []
    for path, name in _MEMBER.findall(text):
        names = defined(path)
        if name not in names:
            found.append(f"{path}:{name}")
    return found


@cache
def defined(path: str) -> frozenset[str]:
    """The names that a module defines, those of methods with their class."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.Assign):
            found |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(found)


def test_names_in_files_are_defined_there() -> None:
    several = [(where, name) for where, line in lines(documents()) for name in undefined(line)]
    assert not several, "\n".join(f"{where}: there is no {name}" for where, name in several)


@pytest.mark.parametrize("path", [*documents()], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{path.name} links to {target}, which has no such heading"


def anchors(path: Path) -> set[str]:
    """The names under which GitHub finds the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def resolves(name: str) -> bool:
    """Whether a dotted name is that of a module of the project, or of what a module defines."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        source = source_of(parts[:end])
        if source is not None:
            member = parts[end] if end < len(parts) else ""
            return not member or bool(re.search(rf"\b{member}\b", source.read_text(encoding="utf-8")))
    return False


def source_of(parts: list[str]) -> Path | None:
    """The file of a module."""
    inner = parts[1:]
    at = ROOT.joinpath(*inner) if inner[:1] in (["adapters"], ["golden"]) else ROOT.joinpath("conformance", *inner)
    return next((p for p in (at.with_suffix(".py"), at / "__init__.py") if p.is_file()), None)


def test_dotted_names_are_those_of_modules() -> None:
    # Type checkers read imports; tests make modules of their own.
    several = (p for p in sources() if p.parts[len(ROOT.parts)] != "tests")
    wrong = [
        f"{where}: lossproof{name}"
        for where, line in lines(itertools.chain(documents(), several))
        for name in _MODULE.findall(line)
        if not name.endswith((".yml", ".json")) and not resolves(f"lossproof{name}")
    ]
    assert not wrong, "\n".join(wrong)


def test_commands_name_modules_that_run() -> None:
    for where, line in lines(itertools.chain(documents(), sources())):
        for module in _COMMAND.findall(line):
            at = ROOT.joinpath(*module.split("."))
            source = at / "__main__.py" if at.is_dir() else at.with_suffix(".py")
            assert source.is_file(), f"{where}: python -m {module}"
            assert at.is_dir() or "__main__" in source.read_text(encoding="utf-8"), f"{where}: {module} does nothing"
