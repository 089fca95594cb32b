"""``lossproof new-adapter``: what it writes passes its own test as it is written."""

from __future__ import annotations

import ast
import importlib.util
import tomllib
from pathlib import Path

import pytest

from tests.support.thinned import WHOLE
from tests.support.views import lossproof, python


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax", "tensorflow"])
def test_a_new_adapter_passes_its_own_test(framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    monkeypatch.chdir(tmp_path)
    made = lossproof("new-adapter", "my_kernels", "--framework", framework)
    assert made.exit_code == 0, made.output
    assert "cd lossproof-my-kernels && python -m pytest" in made.stdout
    root = tmp_path / "lossproof-my-kernels"
    if not WHOLE:
        own = root / "test_conformance.py"
        asked = "expected_failures={}"
        assert asked in own.read_text()
        own.write_text(own.read_text().replace(asked, f'{asked}, deck="smoke"'))
    base = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result = python(*base, "-k", "float32-ordinary or float32-spread or float32-error", cwd=root)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout
    if framework != "numpy":
        return
    module = (root / "lossproof_my_kernels.py").read_text()
    (root / "lossproof_my_kernels.py").write_text(module.replace("({x}, {axis})", "({x}, {axis}) * 2"))
    broken = python(*base, "-k", "float32-ordinary", cwd=root)
    assert "value got" in broken.stdout


def test_the_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    assert lossproof("new-adapter", "mine", "--folder", str(tmp_path / "there")).exit_code == 0
    project = tomllib.loads((tmp_path / "there/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["lossproof.adapters"] == {"mine": "lossproof_mine:ADAPTER"}
    names = {path.relative_to(tmp_path / "there").as_posix() for path in (tmp_path / "there").rglob("*.*")}
    assert {"README.md", "lossproof_mine.py", "test_conformance.py", ".github/workflows/conformance.yml"} <= names
    ast.parse((tmp_path / "there/lossproof_mine.py").read_text())
    ran = lossproof(
        "run", f"{tmp_path}/there/lossproof_mine.py:ADAPTER", "--deck", "smoke", "--op", "softmax", "--dtype", "float32"
    )
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy",), "there is an adapter numpy already"),
        (("My-Kernels",), "'My-Kernels' is no name of an adapter"),
        (("mine", "--framework", "mxnet"), "unknown framework 'mxnet'"),
        (("mine", "--folder", "full"), "full exists; name another folder with --folder"),
    ],
)
def test_mistakes_are_one_clear_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    result = lossproof("new-adapter", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
