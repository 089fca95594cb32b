"""The distribution and the rules of its layout.

The folders ``conformance/``, ``adapters/`` and ``golden/`` are mapped onto one import name. A forgotten entry in that
map shows only after installation: the checkout goes on working while the wheel lacks a module. So the wheel is built
here from a clean copy of the tree and compared with it, file by file.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from lossproof import __version__
from tests.support.thinned import nightly

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"lossproof": "conformance", "lossproof.adapters": "adapters", "lossproof.golden": "golden"}
# Documents that the board quotes.
QUOTED = ("docs/findings.md", "docs/specification.md")
GENERATED = {"build", "dist", "__pycache__"}
FRAMEWORKS = (
    "torch",
    "tensorflow",
    "jax",
    "jaxlib",
    "optax",
    "keras",
    "onnxruntime",
    "mindspore",
    "mlx",
    "paddle",
    "tinygrad",
)
# Keras runs on other frameworks.
BACKENDS = {"keras": ("tensorflow", "jax", "torch")}
NEWER_THAN_38 = {"zoneinfo", "graphlib", "tomllib"}
FORBIDDEN = 66

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


# The wheel and the sdist


def generated(folder: str, names: list[str]) -> list[str]:
    """What is generated of the names in a folder."""
    return [n for n in names if n in GENERATED or n.endswith(".egg-info") or (n.startswith(".") and n not in KEPT)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project without anything that was generated in it, but for what builds have left of a module that is gone:
    it stays in ``build/lib``, where setuptools packs what it finds."""
    copy = tmp_path_factory.mktemp("tree") / "lossproof"
    shutil.copytree(ROOT, copy, ignore=generated)
    stale = copy / "build" / "lib" / "lossproof" / "core" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("", encoding="utf-8")
    listed = copy / "lossproof.egg-info" / "SOURCES.txt"
    listed.parent.mkdir()
    listed.write_text("build/lib/lossproof/core/stale.py\n", encoding="utf-8")
    return copy


KEPT = {".ci", ".gitignore", ".pre-commit-config.yaml"}


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


def build(kind: str, source: Path, out: Path) -> Path:
    """Run the build backend that the tree's pyproject.toml names, in this environment: nothing is fetched."""
    system = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    program = (
        f"import sys; sys.path[:0] = sys.argv[2:]; import {system['build-backend']} as b; b.build_{kind}(sys.argv[1])"
    )
    arguments = [sys.executable, "-c", program, out, *(source / folder for folder in system.get("backend-path", ()))]
    out.mkdir(exist_ok=True)
    done = subprocess.run(arguments, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (artefact,) = out.iterdir()
    return artefact


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_exactly_the_tree(wheel: Path, tree: Path) -> None:
    expected = {f"lossproof/{name}": (tree / name).read_bytes() for name in QUOTED}
    for package, folder in FOLDERS.items():
        for path in (tree / folder).rglob("*"):
            if path.is_file():
                expected[f"{package.replace('.', '/')}/{path.relative_to(tree / folder).as_posix()}"] = (
                    path.read_bytes()
                )
    # sanity check: the walk has found the tree
    assert {"lossproof/__init__.py", "lossproof/adapters/protocol.py", "lossproof/golden/py.typed"} <= set(expected)
    info = f"lossproof-{__version__}.dist-info/"
    held = {name: data for name, data in contents(wheel).items() if not name.startswith(info)}
    assert sorted(held) == sorted(expected)
    assert held == expected


def test_a_stale_build_folder_gets_into_nothing(tree: Path, wheel: Path, sdist: Path) -> None:
    """That it is not in the wheel either is said by the test before."""
    assert (tree / "build" / "lib" / "lossproof" / "core" / "stale.py").is_file()
    assert not [name for name in contents(wheel) if "stale" in name]
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if "stale" in name]
    there = {p.name for p in tree.iterdir()}
    assert there - {"build"} == {p.name for p in ROOT.iterdir() if not generated("", [p.name])}


def test_an_editable_install_is_a_folder_of_links(tree: Path, tmp_path: Path) -> None:
    """What type checkers, editors and Python see is one plain folder on the path, and a new module is in it at once."""
    used = tmp_path / "used"
    shutil.copytree(tree, used)
    moved = used / ".dev" / "lossproof" / "moved"
    moved.parent.mkdir(parents=True)
    moved.symlink_to("../../conformance/moved")
    files = contents(build("editable", used, tmp_path / "wheel"))
    info = f"lossproof-{__version__}.dist-info"
    assert files["__editable__.lossproof.pth"].decode().split() == [str(used / ".dev")]
    assert {f"{info}/METADATA", f"{info}/entry_points.txt", f"{info}/WHEEL", f"{info}/RECORD"} <= set(files)
    assert set(files) == {line.split(",")[0] for line in files[f"{info}/RECORD"].decode().splitlines()}
    (used / "conformance" / "core" / "new.py").write_text("", encoding="utf-8")
    linked = {
        f"{package}.{path.stem}": path
        for package, folder in FOLDERS.items()
        for path in (used / folder).glob("*.py")
        if path.stem not in ("__init__", "__main__")
    }
    # sanity check: of each of the three folders there is one
    assert {"lossproof.plugin", "lossproof.adapters.boot"} <= set(linked)
    program = "import importlib.util as u, sys; print(*(u.find_spec(n).origin for n in sys.argv[1:]), sep='\\n')"
    names = [*linked, "lossproof.core.new", "lossproof.golden"]
    done = python("-P", "-c", program, *names, path=used / ".dev", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    origins = [Path(line) for line in done.stdout.splitlines()]
    assert all(p.is_relative_to(used / ".dev") for p in origins), "another installation was found"
    expected = [*linked.values(), used / "conformance/core/new.py", used / "golden/__init__.py"]
    assert [p.resolve() for p in origins] == expected
    assert not moved.is_symlink(), "a link of the day before"


def test_every_folder_of_modules_is_a_declared_package(tree: Path) -> None:
    declared = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join([package, *path.parent.relative_to(tree / folder).parts])
        for package, folder in FOLDERS.items()
        for path in (tree / folder).rglob("__init__.py")
    }
    assert set(declared) == found | {"lossproof.docs"}, "[tool.setuptools] packages in pyproject.toml"


def test_the_wheel_says_what_it_needs_and_offers(wheel: Path) -> None:
    files = contents(wheel)
    info = f"lossproof-{__version__}.dist-info/"
    assert {n.removeprefix(info) for n in files if n.startswith(info)} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "top_level.txt",
    }
    assert files[info + "top_level.txt"].split() == [b"lossproof"]
    entry_points = files[info + "entry_points.txt"].decode()
    for text in ("[console_scripts]", "[lossproof.adapters]", "[pytest11]"):
        assert text in entry_points
    required = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", files[info + "METADATA"].decode(), re.M)
    assert not set(required) & set(FRAMEWORKS), "a plain install brings no framework"


@pytest.fixture(scope="module")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return source


def test_the_sdist_has_what_it_is_built_and_tested_with(source: Path, tree: Path) -> None:
    for name in ("tox.ini", "LICENSE", "README.md", "tools/backend.py", "tests/packaging/test_packaging.py", ".ci/run"):
        assert (source / name).is_file(), f"the sdist lacks {name}"
    for folder in FOLDERS.values():
        packed, there = (
            {p.relative_to(root): p.read_bytes() for p in (root / folder).rglob("*") if p.is_file()}
            for root in (source, tree)
        )
        assert packed == there, f"{folder}/ of the sdist is another one"


# With every change tox builds the wheel that it tests of an sdist.
@nightly
def test_the_sdist_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    assert contents(build("wheel", source, tmp_path / "again")) == contents(wheel)


def test_every_module_is_declared_and_every_entry_point_exists(tree: Path) -> None:
    for group in (PROJECT["scripts"], *PROJECT["entry-points"].values()):
        for value in group.values():
            module, _, member = value.partition(":")
            path = source_of(module, tree)
            assert path is not None, f"{value}: no such module"
            names = {n for node in ast.parse(path.read_text(encoding="utf-8")).body for n in bound_names(node)}
            assert not member or member in names, f"{value}: {path.name} has no {member}"


def bound_names(node: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (t.id for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


# Who imports whom


def source_of(module: str, root: Path = ROOT) -> Path | None:
    """The file that holds a module of this project, or None."""
    for package in sorted(FOLDERS, key=len, reverse=True):
        if module == package or module.startswith(package + "."):
            path = root / FOLDERS[package] / Path(*module.removeprefix(package).split("."))
            return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
    return None


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Every import in a file, at any depth: its relative level, and the dotted name with the member that it takes."""
    return tuple(imports_of(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, a.name) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, f"{node.module or ''}.{a.name}".strip(".")) for a in node.names)


def reach(start: Iterable[str]) -> set[str]:
    """The modules of this project that importing ``start`` can execute, itself included."""
    seen: set[str] = set()
    todo = list(start)
    while todo:
        module = todo.pop()
        path = source_of(module)
        if path is None or module in seen:
            continue
        seen.add(module)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for level, name in imports(path):
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            full = ".".join([*base, name])
            todo += [full, full.rpartition(".")[0]]
    return seen


def test_adapters_import_nothing_of_the_engine() -> None:
    """A worker in somebody's old environment has the adapters' folder, numpy and the framework, and nothing else."""
    extras = PROJECT["optional-dependencies"]
    stdlib = sys.stdlib_module_names - NEWER_THAN_38
    for path in sorted((ROOT / "adapters").rglob("*.py")):
        adapter = path.stem if path.stem in extras else path.stem.partition("_")[0]
        own = (*(re.split(r"\W", d)[0] for d in extras.get(adapter, ())), *BACKENDS.get(adapter, ()))
        for level, name in imports(path):
            assert level <= 1, f"{path.name} imports from outside adapters/: {'.' * level}{name}"
            if level == 0:
                top = name.partition(".")[0]
                # The prefix lets in a framework's own companions, such as jaxlib.
                assert top in stdlib | {"numpy", "ml_dtypes"} or top.startswith(own), f"{path.name} imports {name}"


def test_adapters_are_python_38() -> None:
    for path in sorted((ROOT / "adapters").rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 8))


def test_oracle_and_numpy_adapter_share_no_code() -> None:
    """An error that both had would never show, so the truth and the embedded default have no common source."""
    folder = ROOT / "conformance" / "truth" / "oracle"
    oracle = reach(["lossproof.truth.oracle", *(f"lossproof.truth.oracle.{p.stem}" for p in folder.glob("*.py"))])
    adapter = reach(["lossproof.adapters.numpy"])
    # sanity check: the walk follows imports
    assert "lossproof.truth.oracle.in_balls" in oracle
    assert "lossproof.adapters.protocol" in adapter
    # The vocabulary of problems and outcomes, and the table of outputs, compute nothing.
    vocabulary = {f"lossproof.adapters.{name}" for name in ("protocol", "outcome", "outputs")}
    assert oracle & adapter <= {"lossproof", "lossproof.adapters", *vocabulary}


def test_no_engine_module_imports_a_framework() -> None:
    for path in sorted((ROOT / "conformance").rglob("*.py")):
        # What is imported stands there.
        text = path.read_text(encoding="utf-8")
        for _, name in imports(path) if any(name in text for name in FRAMEWORKS) else ():
            assert name.partition(".")[0] not in FRAMEWORKS, f"{path.name} imports {name}"


# The installed distribution


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stand-ins for the frameworks, each of which ends the process that imports it."""
    folder = tmp_path_factory.mktemp("mined")
    for name in FRAMEWORKS:
        text = f"import os\nos.write(2, b'{name} was imported\\n')\nos._exit({FORBIDDEN})\n"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def python(*arguments: str | Path, path: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with a folder in front of its path."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8", "LOSSPROOF_COMPILED": "0"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


def test_the_stand_ins_work(mined: Path, tmp_path: Path) -> None:
    assert python("-c", "import torch", path=mined, cwd=tmp_path).returncode == FORBIDDEN


@pytest.mark.parametrize(
    "arguments",
    [
        # The next one imports it, too.
        pytest.param(("-c", "import lossproof"), marks=nightly),
        ("-c", "import lossproof.api, lossproof.cases.deck, lossproof.targets.target, lossproof.plugin"),
        ("-m", "lossproof", "--help"),
        pytest.param(("-m", "lossproof", "--version"), marks=nightly),
        ("-m", "pytest", "--version"),
    ],
    ids=" ".join,
)
def test_nothing_loads_a_framework_unasked(arguments: tuple[str, ...], mined: Path, tmp_path: Path) -> None:
    done = python(*arguments, path=mined, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_costs_other_projects_nothing() -> None:
    """pytest imports every installed plugin in every project; this one may not bring the engine with it."""
    heavy = ("numpy", "flint", "rich", "hypothesis.strategies")
    program = f"import sys, lossproof.plugin; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_suite_is_found_by_its_import_name(tmp_path: Path) -> None:
    options = ("--lossproof-target", "numpy", "--lossproof-deck", "smoke", "--lossproof-op", "softmax")
    arguments = (
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "--pyargs",
        "lossproof.suite",
        *options,
    )
    done = python(*arguments, path=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numpy" in done.stdout


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the out-of-tree adapter installed in it: an unpacked wheel is an installation."""
    source = tmp_path_factory.mktemp("adopter") / "source"
    shutil.copytree(
        ROOT / "tests" / "adopter", source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    )
    installed = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(build("wheel", source, tmp_path_factory.mktemp("wheel"))) as archive:
        archive.extractall(installed)
    return installed


def test_an_adapter_from_outside_the_tree_is_found_and_judged(adopted: Path, tmp_path: Path) -> None:
    # What is installed is listed as another one is (tests of the command line).
    some = ("--deck", "smoke", "--op", "softmax", "--dtype", "float32", "--family", "ordinary")
    done = python("-m", "lossproof", "run", "adopter", *some, path=adopted, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "adopter" in done.stdout
