"""Tables show the names of adapters; commands have the target strings."""

from __future__ import annotations

from pathlib import Path

from lossproof.views.shown_names import shown_names
from tests.support import wrong_adapters as wrong
from tests.support.views import lossproof

WRONG = f"{wrong.__file__}:INACCURATE"


def header(**targets: str) -> dict[str, object]:
    return {"targets": {name: {"adapter": adapter} for name, adapter in targets.items()}}


def test_the_place_of_an_adapter_is_its_name_in_tables() -> None:
    given = {
        "my/kernel.py:ADAPTER+fast:cuda:0@old": "kernel",
        "package.module:ADAPTER": "other",
        "torch:cuda:0": "torch",
        "jax+jit@/path/x.py": "jax",
    }
    assert shown_names(header(**given)) == {
        "my/kernel.py:ADAPTER+fast:cuda:0@old": "kernel+fast:cuda:0@old",
        "package.module:ADAPTER": "other",
        "torch:cuda:0": "torch:cuda:0",
        "jax+jit@/path/x.py": "jax+jit@/path/x.py",
    }


def test_two_of_one_name_keep_their_places() -> None:
    given = {"a.py:ADAPTER": "kernel", "b.py:ADAPTER": "kernel", "c.py:ADAPTER": "numpy", "numpy": "numpy"}
    assert shown_names(header(**given)) == {name: name for name in given}
    assert shown_names({}) == {}
    assert shown_names({"targets": {"a.py:ADAPTER": None}}) == {"a.py:ADAPTER": "a.py:ADAPTER"}


def test_tables_of_runs_records_and_pages(tmp_path: Path) -> None:
    kept, page = tmp_path / "r.jsonl", tmp_path / "r.html"
    part = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "ordinary", "--in-process")
    ran = lossproof("run", WRONG, *part, "--record", str(kept), "--html", str(page))
    shown = lossproof("show", str(kept))
    for text in (ran.stdout, shown.stdout):
        tables = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
        assert any("│ inaccurate │" in line for line in tables)
        assert not any(".py" in line for line in tables)
        assert "  inaccurate softmax float32 " in text
        assert f"--target {WRONG}" in text
    assert f'title="{WRONG}">inaccurate</th>' in page.read_text("utf-8")
