"""What is installed for an adapter, from the metadata of packages alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lossproof.targets.packages import AdapterPackages, adapter_packages

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that is nothing but its metadata."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, version: str, *metadata: str, adapter: str = "") -> None:
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        if adapter:
            (info / "entry_points.txt").write_text(f"[lossproof.adapters]\n{adapter} = no_such_module:ADAPTER\n")

    return make


def found(name: str) -> AdapterPackages:
    return next(each for each in adapter_packages() if each.name == name)


def test_an_extra_of_the_adapters_name_says_what_it_needs(install: Install) -> None:
    extra = ("Requires-Dist: other", "Provides-Extra: frame", 'Requires-Dist: frame-cpu>=2; extra == "frame"')
    install("its_package", "1.0", *extra, adapter="frame")
    assert found("frame").lacking == ["frame-cpu is not installed"]
    assert str(found("frame")) == "frame: frame-cpu is not installed; pip install 'lossproof[frame]'"
    install("frame_cpu", "2.1")
    assert found("frame").versions == {"frame-cpu": "2.1"}
    assert str(found("frame")) == "frame: frame-cpu 2.1"


def test_another_build_of_the_framework_will_do(install: Install, tmp_path: Path) -> None:
    install(
        "its_package", "1.0", "Provides-Extra: frame", 'Requires-Dist: frame-cpu>=2; extra == "frame"', adapter="frame"
    )
    (tmp_path / "frame.py").write_text("raise AssertionError('nothing is imported')\n")
    assert str(found("frame")) == "frame: frame (of a version that no package tells)"
    install("frame", "2.2")
    assert str(found("frame")) == "frame: frame 2.2"


@pytest.mark.parametrize("reader", ["importlib.metadata", "importlib_metadata"])
def test_half_of_a_package_is_no_matter(install: Install, tmp_path: Path, reader: str) -> None:
    """Others have the entry points of a package that has lost its metadata, or has none yet; some libraries read them
    with the backport, for the whole process."""
    pytest.importorskip(reader)
    install("its_package", "1.0", "Requires-Dist: other", adapter="frame")
    assert found("frame").lacking == ["other is not installed"]
    (tmp_path / "its_package-1.0.dist-info" / "METADATA").unlink()
    assert found("frame").lacking == []


def test_a_build_of_another_name_will_do(install: Install, tmp_path: Path) -> None:
    install("its_package", "1.0", "Provides-Extra: frame", 'Requires-Dist: frame>=2; extra == "frame"', adapter="frame")
    assert found("frame").lacking == ["frame is not installed"]
    install("frame_webgpu", "2.2")
    (tmp_path / "frame").mkdir()
    assert found("frame").lacking == ["frame is not installed"], "a folder is no module"
    (tmp_path / "frame.py").write_text("raise AssertionError('nothing is imported')\n")
    importlib.invalidate_caches()
    assert str(found("frame")) == "frame: frame (of a version that no package tells)"


def test_a_release_that_is_too_old_is_named(install: Install) -> None:
    install("its_package", "1.0", "Provides-Extra: frame", 'Requires-Dist: frame>=2; extra == "frame"', adapter="frame")
    install("frame", "1.9")
    assert found("frame").lacking == ["frame 1.9 is installed, frame>=2 is needed"]


def test_a_prerelease_and_a_local_build_are_releases(install: Install) -> None:
    install("its_package", "1.0", "Provides-Extra: frame", 'Requires-Dist: frame>=2; extra == "frame"', adapter="frame")
    install("frame", "2.3rc1+cu130")
    assert found("frame").versions == {"frame": "2.3rc1+cu130"}


def test_without_an_extra_everything_is_needed_that_the_package_requires(install: Install) -> None:
    install("its_package", "1.0", "Requires-Dist: lossproof", "Requires-Dist: engine", adapter="frame")
    assert found("frame").lacking == ["engine is not installed"]
    install("engine", "3")
    assert found("frame").versions == {"engine": "3"}
    assert found("numpy").versions.keys() == {"numpy"}


def test_requirements_of_other_systems_are_none(install: Install) -> None:
    elsewhere = ("Provides-Extra: frame", 'Requires-Dist: frame>=2; platform_system == "Nowhere" and extra == "frame"')
    install("its_package", "1.0", *elsewhere, adapter="frame")
    assert str(found("frame")) == "frame"
