"""The mutation tests of the program's own code: what they choose, change and explain."""

from __future__ import annotations

import gc
import importlib
import sys
import tomllib
import weakref
from pathlib import Path

import pytest

from tools import code_patch
from tools.covering_tests import Covering

ROOT = Path(__file__).resolve().parents[2]
BEFORE = """\
LIMIT = 3


def decorated(f):
    return lambda n: f(n) + 0


@decorated
def small(n):
    return n < LIMIT


class Some:
    def __init__(self, n=1):
        self.n = n

    @property
    def twice(self):
        return [2 * i for i in (self.n,)][0]
"""


@pytest.mark.parametrize(
    ("old", "new", "can"),
    [
        ("n < LIMIT", "n > LIMIT", True),
        ("2 * i", "3 * i", True),
        ("self.n = n", "self.n = n + 1", True),
        ("[2 * i for i in (self.n,)][0]", "0", True),
        ("f(n) + 0", "f(n) + 7", True),
        ("LIMIT = 3", "LIMIT = 4", False),
        ("n=1", "n=2", False),
        ("@decorated\n", "", False),
        ("    @property\n", "", False),
    ],
)
def test_code_that_is_imported_becomes_its_mutant(
    old: str, new: str, can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "patched_module.py"
    path.write_text(BEFORE)
    after = BEFORE.replace(old, new)
    # sanity check: a change
    assert after != BEFORE
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "patched_module", raising=False)
    module = importlib.import_module("patched_module")
    assert code_patch.patched(path, BEFORE, after) is can
    meant: dict[str, object] = {}
    exec(after if can else BEFORE, meant)
    for n in (1, 9):
        assert module.small(n) == meant["small"](n)  # type: ignore[operator]
        assert module.Some(n).twice == meant["Some"](n).twice  # type: ignore[operator]


def test_proxies_of_what_is_gone_are_no_matter(tmp_path: Path) -> None:
    """The garbage collector knows of them, and they refuse to be looked at."""

    class Gone: ...

    proxy = weakref.proxy(Gone())
    gc.collect()
    # sanity check
    with pytest.raises(ReferenceError):
        isinstance(proxy, str)
    assert not code_patch.patched(tmp_path / "module.py", BEFORE, BEFORE.replace("2 * i", "3 * i"))


def test_the_cheapest_tests_of_a_line_come_first_and_few_that_are_dear() -> None:
    lines = {"a.py": {3: frozenset({"dear", "cheap"}), 4: frozenset({"other"}), 9: frozenset[str]()}}
    covering = Covering(lines, {"dear": 7.0, "cheap": 0.5, "other": 1.0, "elsewhere": 0.1})
    assert covering.of("a.py", 3, 3, most=8.0) == ["cheap", "dear"]
    assert covering.of("a.py", 3, 3, most=7.0) == ["cheap"]
    assert covering.of("a.py", 3, 3, most=0.1) == ["cheap"], "never none"
    assert covering.of("a.py", 3, 4, most=8.0) == ["cheap", "other"]
    assert covering.of("a.py", 9, 9, most=100.0) == ["cheap", "other", "dear"], "what only an import runs"
    assert covering.of("b.py", 1, 1, most=100.0) == []
    assert covering.of("a.py", 4, 4, most=100.0) == ["other"]
    assert covering.of("a.py", 4, 4, most=100.0, imported=True) == ["cheap", "other", "dear"]


def test_explained_survivors_are_of_lines_that_are_there() -> None:
    for entry in tomllib.loads((ROOT / "tools" / "survivors.toml").read_text("utf-8")).get("survivor", []):
        lines = {line.strip() for line in (ROOT / entry["module"]).read_text("utf-8").splitlines()}
        gone = [line[1:].strip() for line in entry["change"].strip().splitlines() if line.strip().startswith("-")]
        assert gone, entry["change"]
        assert set(gone) <= lines, f"{entry['module']}: explained, and not there any more: {gone}"
        assert len(entry["why"]) > 20


def test_mutants_compile_and_change_what_is_seen() -> None:
    code_mutants = pytest.importorskip("tools.code_mutants", reason="needs cosmic-ray", exc_type=ImportError)
    found = code_mutants.sample(ROOT, ["conformance/records/filters.py"], 9, 0)
    assert len({m.text for m in found}) == 9
    assert found == code_mutants.sample(ROOT, ["conformance/records/filters.py"], 9, 0)
    for mutant in found:
        compile(mutant.text, mutant.path, "exec")
        assert mutant.change(ROOT)
        assert "Sequence" not in mutant.change(ROOT), "an annotation"


def test_what_an_import_runs_is_told_from_the_body_of_a_function(tmp_path: Path) -> None:
    code_mutants = pytest.importorskip("tools.code_mutants", reason="needs cosmic-ray", exc_type=ImportError)
    (tmp_path / "some.py").write_text(BEFORE)
    lines = {"LIMIT = 3": True, "@decorated": True, "return lambda": False, "n=1": True, "self.n = n": False}
    for text, imported in lines.items():
        (number,) = [i for i, line in enumerate(BEFORE.splitlines(), 1) if text in line]
        mutant = code_mutants.CodeMutant("some.py", number, number, "", "")
        assert mutant.shows_at_import(tmp_path) is imported, text
