"""Each program of ``examples/`` gets the verdict that docs/kernels.md shows."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
# What each needs besides NumPy.
NEEDS = {
    "numpy_cross_entropy": (),
    "torch_chunked": ("torch",),
    "torch_vocab_parallel": ("torch",),
    "torch_linear": ("torch",),
    "triton_cross_entropy": ("torch", "triton"),
    "liger_cross_entropy": ("torch", "triton", "liger_kernel"),
    "jax_custom_vjp": ("jax",),
    "keras_loss": ("keras", "torch"),
}
# More lines of a failure, and what the deck counts, are not repeated in the page.
_NUMBERS = re.compile(r"\d+")


def shown(name: str) -> list[str]:
    """The lines that the page shows of an example's output."""
    found = re.search(rf"python examples/{name}\.py\n```\n+```text\n(.*?)^```", PAGE, re.M | re.S)
    assert found, f"docs/kernels.md does not show what examples/{name}.py prints"
    return [_NUMBERS.sub("#", line) for line in found.group(1).splitlines()]


def test_every_example_is_shown() -> None:
    assert {p.stem for p in (ROOT / "examples").glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_prints_what_the_page_shows(name: str) -> None:
    missing = [package for package in NEEDS[name] if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "KERAS_BACKEND": "torch", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", f"examples/{name}.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [_NUMBERS.sub("#", line) for line in done.stdout.splitlines()]
    assert [line for line in shown(name) if line not in lines] == [], done.stdout
    # What the page does not say fails, does not.
    assert any(" fail" in line for line in lines) == any(" fail" in line for line in shown(name)), done.stdout


@pytest.mark.parametrize("name", NEEDS)
def test_a_verdict_takes_at_most_five_lines(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    block = text[text.index("\nASKED") + 1 :].rstrip()
    assert f"{block}\n```" in PAGE
    beside = [line for line in block.splitlines() if line]
    # The import is one of them.
    assert len(beside) + 1 <= 5
