"""What a release is made of: one version, workflows whose actions are pinned, changes as files, the same bytes."""

from __future__ import annotations

import io
import re
import tarfile
import tomllib
from pathlib import Path

import pytest

from lossproof import __version__
from tools import backend, dist

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SHIPPED = [*WORKFLOWS, ROOT / "docs" / "ci" / "lossproof.yml"]
KINDS = {"added", "changed", "fixed", "removed"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "lossproof.__version__"}
    # The citation names a release.
    assert re.search(r"^version: (.*)$", text(ROOT / "CITATION.cff"), re.M)[1] == __version__  # type: ignore[index]


def loose(workflow: str) -> list[str]:
    """The actions of a workflow that are not pinned by a digest with its version beside it."""
    used = re.findall(r"uses: (.*)$", workflow, re.M)
    return [u for u in used if not u.startswith("./") and not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", u)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_actions_are_pinned_and_rights_are_few(path: Path) -> None:
    workflow = text(path)
    assert re.findall(r"uses: ", workflow)
    assert loose(workflow) == []
    assert re.search(r"^permissions:( \{\}|\n  contents: read)$", workflow, re.M)
    assert workflow.count("actions/checkout@") == workflow.count("persist-credentials: false")
    # Every job ends by itself.
    assert workflow.count("timeout-minutes: ") == workflow.count("    runs-on: ")
    assert "secrets." not in workflow


def test_an_action_that_moves_is_seen() -> None:
    assert loose("      - uses: actions/checkout@v4\n") == ["actions/checkout@v4"]
    assert loose(f"      - uses: a/b@{'0' * 40}\n") == [f"a/b@{'0' * 40}"]


def test_one_action_has_one_digest() -> None:
    sources = [*SHIPPED, ROOT / "docs/tutorials/gate-an-upgrade.md", ROOT / "conformance/functions/adapter_package.py"]
    digests: dict[str, set[str]] = {}
    for path in sources:
        for name, digest in re.findall(r"uses: ([\w/-]+)@(\S+)", text(path)):
            digests.setdefault(name, set()).add(digest)
    assert {name: found for name, found in digests.items() if len(found) > 1} == {}


def test_workflows_run_environments_that_there_are() -> None:
    settings = text(ROOT / "tox.ini")
    named = {e for path in WORKFLOWS for e in re.findall(r"tox run -e ([\w,]+)\s*$", text(path), re.M)}
    names = {name for each in named for name in each.split(",")}
    assert names >= {"lint", "types", "workflows", "dist", "docs", "nightly"}
    for name in names:
        assert f"[testenv:{name}]" in settings, name


def test_changes_are_of_a_kind() -> None:
    for path in (ROOT / "changes").glob("*.md"):
        assert path.name == "README.md" or re.fullmatch(rf"[\w-]+\.({'|'.join(KINDS)})\.md", path.name), path.name
    settings = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["towncrier"]
    assert {kind["directory"] for kind in settings["type"]} == KINDS
    assert settings["start_string"] in text(ROOT / "CHANGELOG.md")


def test_bug_reports_have_what_the_doctor_says() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"):
        assert "`lossproof doctor`" in text(path), path.name


def packed(path: Path, *, mtime: int, order: int) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in ("x-1/b.py", "x-1/a.sh")[::order]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname, info.mode = 3, mtime, "me", 0o777 if name.endswith("sh") else 0o600
            archive.addfile(info, io.BytesIO(name[-3:].encode()))
    return path


def test_a_source_distribution_of_the_same_files_has_the_same_bytes(tmp_path: Path) -> None:
    first, again = packed(tmp_path / "1", mtime=5, order=1), packed(tmp_path / "2", mtime=9, order=-1)
    assert first.read_bytes() != again.read_bytes()
    for path in (first, again):
        backend._pack_again(path, 1700000000)
    assert first.read_bytes() == again.read_bytes()
    with tarfile.open(first) as archive:
        found = [(m.name, m.mode, m.mtime, m.uname, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    date = 1700000000
    assert found == [("x-1/a.sh", 0o755, date, "", b".sh"), ("x-1/b.py", 0o644, date, "", b".py")]


def test_what_a_distribution_lacks_or_should_not_have_is_said() -> None:
    assert dist._faults(dist._IN_WHEEL, dist._IN_WHEEL) == []
    assert dist._faults(["a.py"], ["b.py"]) == ["lacks b.py"]
    assert dist._faults(["a.py", "x/__pycache__/a.pyc", "run.jsonl"], ["a.py"]) == [
        "has run.jsonl",
        "has x/__pycache__/a.pyc",
    ]
