"""Wheel and source distribution, built twice and compared, checked and installed: ``tox run -e dist``.

They are left in ``dist/``. Building takes the packages build and twine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
# Files without which a distribution is none.
_IN_WHEEL = ("lossproof/py.typed", "lossproof/cli/main.py", "lossproof/adapters/boot.py", "lossproof/golden/spec.json")
_IN_SDIST = ("pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "docs/index.md", "tests/conftest.py", "tox.ini")
# Parts of paths that have no business in one.
_OUT = ("__pycache__", ".pyc", ".jsonl", ".hypothesis", ".dev/", ".manual/", "node_modules")


def built(folder: Path) -> list[Path]:
    """Build both into a folder, with the date of the last commit."""
    date = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    environment = {"SOURCE_DATE_EPOCH": date.stdout.strip() or "1767225600"} | os.environ
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted(folder.iterdir())


def faults(path: Path) -> list[str]:
    """What a distribution lacks, and what it has and should not."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return _faults(archive.namelist(), _IN_WHEEL)
    with tarfile.open(path) as archive:
        return _faults([name.partition("/")[2] for name in archive.getnames()], _IN_SDIST)


def _faults(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    there = set(names)
    return [
        *(f"lacks {name}" for name in wanted if name not in there),
        *(f"has {name}" for name in sorted(there) if any(part in name for part in _OUT)),
    ]


def try_out(path: Path, folder: Path) -> None:
    """Install a distribution in a new environment, and judge with it."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", path], check=True)
    start = [str(python), "-m", "lossproof"]
    subprocess.run([*start, "--version"], cwd=folder, check=True)
    judge = ["run", "numpy", "--require", "numpy", "--deck", "smoke", "--op", "softmax", "--strict", "--quiet"]
    subprocess.run([*start, *judge], cwd=folder, check=True)


def main() -> int:
    """Build, compare, check and install; the exit code is 1 where something is wrong."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as made:
        first, again = built(DIST), built(Path(made))
        wrong = [
            f"{a.name}: two builds differ"
            for a, b in zip(first, again, strict=True)
            if a.read_bytes() != b.read_bytes()
        ]
        wrong += [f"{path.name} {fault}" for path in first for fault in faults(path)]
        print("\n".join(wrong) or "two builds have the same bytes; contents are as they should be")
        if (
            subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *first], check=False).returncode
            or wrong
        ):
            return 1
        for i, path in enumerate(first):
            try_out(path, Path(made) / f"environment-{i}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
