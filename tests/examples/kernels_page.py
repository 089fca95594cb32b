"""The outputs of ``examples/`` that docs/kernels.md shows.

``python -m tests.examples.kernels_page`` runs the examples whose packages are installed, and puts what they print into
the page.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.forked import run_program

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "kernels.md"
COMMAND = "python -m tests.examples.kernels_page"
# What each needs besides NumPy.
NEEDS = {
    "numpy_cross_entropy": (),
    "torch_chunked": ("torch",),
    "torch_capped": ("torch",),
    "torch_vocab_parallel": ("torch",),
    "torch_fused_linear": ("torch",),
    "torch_linear": ("torch",),
    "torch_linear_module": ("torch",),
    "triton_cross_entropy": ("torch", "triton"),
    "liger_cross_entropy": ("torch", "triton", "liger_kernel"),
    "jax_custom_vjp": ("jax",),
    "keras_loss": ("keras", "torch"),
}
SETTINGS = {"TRITON_INTERPRET": "1", "KERAS_BACKEND": "torch", "JAX_PLATFORMS": "cpu"}


def missing(name: str) -> str:
    """The packages that an example needs and that are not here, as a text."""
    return ", ".join(package for package in NEEDS[name] if importlib.util.find_spec(package) is None)


def printed(name: str) -> str:
    """What an example prints."""
    done = run(ROOT / "examples" / f"{name}.py", NEEDS[name])
    assert done.returncode == 0, done.stdout + done.stderr
    # Where the file lies is nobody else's place.
    return done.stdout.replace(f"{ROOT}/", "")


def run(program: Path, needed: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with what the examples need set; one that needs PyTorch where PyTorch is imported already."""
    # Of JAX there is one example, and Keras chooses its backend when it is imported.
    is_shared = "torch" in needed and "keras" not in needed
    imported = [
        name
        for name in ("torch", "numba", "lossproof.running.loop")
        if is_shared and importlib.util.find_spec(name) is not None
    ]
    return run_program(program, imported, *arguments, variables={**SETTINGS, "PYTHONWARNINGS": "ignore"})


def block(name: str, page: str) -> tuple[int, int]:
    """The place of an example's output in the page."""
    found = re.search(rf"python examples/{name}\.py\n```\n+```text\n(.*?)^```", page, re.M | re.S)
    assert found, f"docs/kernels.md does not show what examples/{name}.py prints"
    return found.span(1)


def shown(name: str, page: str) -> str:
    """What the page shows of an example's output."""
    start, end = block(name, page)
    return page[start:end]


def main() -> None:
    """Write the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    for name in NEEDS:
        if missing(name):
            print(f"{name} is left as it is: no {missing(name)}")
            continue
        start, end = block(name, page)
        page = page[:start] + printed(name) + page[end:]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
