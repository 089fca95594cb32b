"""``lossproof doctor``: what results depend on here, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.running import doctor
from lossproof.running.doctor import Folder, Started, State, complaints
from lossproof.targets import selection
from lossproof.targets.packages import AdapterPackages
from tests.support.views import install, lossproof

GIB = 2**30
HEALTHY = State(
    version="1.0",
    python=(3, 12, 1),
    system="Linux",
    platform="Linux",
    cpu={"model": "any"},
    cores=4,
    memory=16 * GIB,
    packages={"numpy": "2.4.6", "numba": "0.68.1"},
    adapters=[AdapterPackages("numpy", {"numpy": "2.4.6"}, ()), AdapterPackages("jax", {"jax": "0.10.2"}, ())],
    started=[Started("numpy", {"numpy": "2.4.6"}, ("cpu",), ("eager",), {})],
    flags={"XLA_FLAGS": "--xla_cpu_max_isa=AVX"},
    threads={"OMP_NUM_THREADS": "1"},
    switches={"LOSSPROOF_CACHE": "/caches"},
    folders=[Folder("caches", "/caches", True, 40 * GIB), Folder("environments", "/home", True, None)],
    cached_answers=12,
    cache_trouble="",
    not_compiled="",
    command="/env/bin/lossproof",
    interpreter="/env/bin/python",
)
TOO_OLD = AdapterPackages("torch", {}, ("torch 1.10 is installed, torch>=2.0 is needed",))
ABSENT = AdapterPackages("jax", {}, ("jax is not installed",))
# What is changed of a healthy state, whether that is a problem, and words of what is said of it.
SICK: list[tuple[dict[str, Any], bool, str]] = [
    ({"python": (3, 10, 4)}, True, "Python 3.10.4 is too old; make an environment with Python 3.11 or newer"),
    ({"system": "Windows"}, False, "no process of its own; give --in-process"),
    ({"memory": GIB}, True, "the machine has 1.0 GiB of memory"),
    (
        {"folders": [Folder("caches", "/ro", False, None)]},
        True,
        "cannot be written to: /ro; name another with the variable",
    ),
    ({"folders": [Folder("caches", "/full", True, GIB // 2)]}, True, "the disk of /full has 0.50 GiB left"),
    (
        {"cache_trouble": "malformed"},
        True,
        "the cache of judgements: malformed; delete it with lossproof cache --clear",
    ),
    (
        {"command": "/usr/bin/lossproof"},
        False,
        "the command on PATH is /usr/bin/lossproof, which is not that of /env/bin",
    ),
    ({"packages": {"numpy": "1.20"}}, True, "numpy 1.20 is installed, >=1.26 is needed; pip install 'numpy>=1.26'"),
    ({"adapters": [*HEALTHY.adapters, TOO_OLD]}, True, "torch>=2.0 is needed; pip install 'lossproof[torch]'"),
    ({"adapters": [HEALTHY.adapters[0], ABSENT]}, False, "no framework is installed"),
    ({"started": [Started("jax", {}, error="no such symbol")]}, True, "jax does not start: no such symbol"),
    ({"not_compiled": "numba is not installed"}, False, "pip install 'lossproof[fast]'"),
    ({"not_compiled": "Numba needs NumPy 2.3 or less"}, True, "numba cannot be used: Numba needs NumPy 2.3 or less"),
    ({"threads": {"OMP_NUM_THREADS": "8"}}, False, "OMP_NUM_THREADS=8: frameworks have several threads"),
    ({"flags": {"NVIDIA_TF32_OVERRIDE": "1"}}, True, "NVIDIA_TF32_OVERRIDE=1: float32 may be computed with ten bits"),
    ({"flags": {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}}, True, "expect failures at NaN and infinity"),
    ({"switches": {"LOSSPROOF_NO_CACHE": "1"}}, False, "LOSSPROOF_NO_CACHE=1: every answer is judged again"),
    ({"switches": {"LOSSPROOF_COMPILED": "0"}}, False, "LOSSPROOF_COMPILED=0"),
]


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert complaints(HEALTHY) == []
    assert complaints(replace(HEALTHY, flags={"NVIDIA_TF32_OVERRIDE": "0"}, memory=0, command="")) == []
    of_another = "numpy 2.4.6 is installed, numpy<2 is needed"
    absent = AdapterPackages("mindspore", {}, ("mindspore is not installed", of_another))
    assert complaints(replace(HEALTHY, adapters=[*HEALTHY.adapters, absent])) == []
    partly = AdapterPackages("mindspore", {"mindspore": "2.10.0"}, (of_another,))
    (found,) = complaints(replace(HEALTHY, adapters=[*HEALTHY.adapters, partly]))
    assert found.is_problem
    assert of_another in found.text


@pytest.mark.parametrize(("changed", "is_problem", "said"), SICK, ids=[said[:40] for _, _, said in SICK])
def test_what_is_wrong_is_said_with_a_remedy(changed: dict[str, Any], is_problem: bool, said: str) -> None:
    (found,) = complaints(replace(HEALTHY, **changed))
    assert found.is_problem is is_problem
    assert said in f"{found.text}; {found.remedy}"


def test_problems_come_first() -> None:
    found = complaints(replace(HEALTHY, system="Windows", python=(3, 9, 0)))
    assert [f.is_problem for f in found] == [True, False]


@pytest.fixture
def _well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LOSSPROOF_NO_CACHE", "LOSSPROOF_COMPILED", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path / "caches"))
    monkeypatch.setenv("JAX_SECRET_TOKEN", "hidden")


@pytest.mark.usefixtures("_well")
def test_it_prints_what_a_bug_report_needs() -> None:
    result = lossproof("doctor", "--no-start")
    assert result.exit_code == ("PROBLEM" in result.stdout), result.output
    for word in ("lossproof ", "Python 3.", "processor: ", "numpy ", "threads of targets: OMP_NUM_THREADS=", "caches"):
        assert word in result.stdout
    assert "hidden" not in result.stdout
    again = json.loads(lossproof("doctor", "--no-start", "--json").stdout)
    assert again["packages"]["python-flint"]
    assert set(again) == {*State.__dataclass_fields__, "complaints"}


def test_what_is_here_and_what_is_not_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(state: State) -> list[str]:
        monkeypatch.setattr("lossproof.cli.commands.doctor.look", lambda start: state)
        return [line for line in lossproof("doctor").stdout.splitlines() if line.startswith("  not here: ")]

    assert not_here(HEALTHY) == ["  not here: none"]
    packages = {"numpy": "2.4.6", "numba": "", "jinja2": ""}
    lacking = replace(HEALTHY, packages=packages, adapters=[HEALTHY.adapters[0], ABSENT, TOO_OLD])
    assert not_here(lacking) == ["  not here: numba, jinja2", "  not here: jax, torch"]


@pytest.mark.usefixtures("_well")
def test_a_cache_that_cannot_be_used_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LOSSPROOF_CACHE", str(tmp_path / "file" / "below"))
    result = lossproof("doctor", "--no-start")
    assert result.exit_code == 1
    assert f"PROBLEM: the folder of caches cannot be written to: {tmp_path / 'file' / 'below'}" in result.stdout
    assert result.stdout.count("PROBLEM: ") == int(result.stdout.splitlines()[-1].split()[0])


def test_an_adapter_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install(tmp_path / "site")))
    monkeypatch.setattr(selection, "PROCESSES", None)
    crooked, ghost = doctor._started(["crooked", "ghost"])
    assert (crooked.versions, crooked.error) == ({"crooked": "1.2.0"}, "")
    assert "no_such_framework" in ghost.error


def test_every_package_of_ours_is_listed() -> None:
    names = dict(doctor._packages())
    assert {"numpy", "python-flint", "jinja2", "click"} <= set(names)
    assert not {"torch", "mypy", "tensorflow"} & set(names)
