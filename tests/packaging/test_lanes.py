"""Which tests run in which lane of tox.ini: those that say a framework in its own, all others in that of NumPy."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import frameworks

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from tests.support.frameworks import needs

@pytest.mark.parametrize("name", ["torch-softmax", "numpy-softmax", "keras_jax_mean"])
def test_parameters(name):
    pass

def test_of_none():
    pass

@pytest.mark.of("torch")
def test_marked():
    pass

@needs("no_such_framework")
def test_needs():
    pass
"""


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("", ["torch-softmax", "numpy-softmax", "keras_jax_mean", "test_of_none", "test_marked", "test_needs"]),
        ("torch", ["torch-softmax", "test_marked"]),
        ("jax,keras", ["keras_jax_mean"]),
        ("torch,no_such_framework", ["torch-softmax", "test_marked", "test_needs"]),
    ],
)
def test_only_tests_that_say_a_name_are_left(names: str, left: list[str], pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=TESTS)
    found = pytester.inline_run("-p", "tests.support.frameworks", "-m", "", frameworks.OPTION, names, "--collect-only")
    (items,) = [call.items for call in found.getcalls("pytest_collection_finish") for call in [call.session]]
    assert [item.name.partition("[")[2].rstrip("]") or item.name for item in items] == left


class Asked:
    """What the rule asks of a test."""

    def __init__(self, nodeid: str, *marked: str) -> None:
        self.nodeid, self.marked = nodeid, marked

    def iter_markers(self, name: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name, args=self.marked)]


RUN = "tests/adapters/test_large.py"


@pytest.mark.parametrize(
    ("test", "reason", "words"),
    [
        (Asked(f"{RUN}::test_right"), "could not import 'torch': No module named 'torch'", "leave it out"),
        (Asked(f"{RUN}::test_right", "torch"), "could not import 'torch': No module named 'torch'", ""),
        (Asked(f"{RUN}::test_right[torch+vmap]"), "torch is not installed here", ""),
        (Asked(f"{RUN}::test_right[jax]"), "torch is not installed here", "leave it out"),
        (Asked("tests/core/test_case_id.py::test_torch"), "torch is not installed here", "no lane of tox.ini"),
        (Asked(f"{RUN}::test_right[keras]"), "keras is not installed", ""),
        # The lane of JAX has Keras, too, and runs what is of either.
        (Asked(f"{RUN}::test_right[keras-mean]"), "jax is not installed", ""),
        # At night no test of a file is left out.
        (Asked("tests/api/test_variants.py::test_right"), "torch is not installed here", ""),
        (Asked(f"{RUN}::test_right"), "torch_linear is not installed", ""),
        (Asked(f"{RUN}::test_right"), "target tfjs: @tensorflow/tfjs is not found", ""),
        (Asked(f"{RUN}::test_right"), "a part of it is tested", ""),
    ],
)
def test_what_no_lane_runs_is_a_failure(test: Asked, reason: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = frameworks.lost(test, reason)  # type: ignore[arg-type]
    assert words in found
    assert bool(found) == bool(words)


def test_a_skipped_test_that_no_lane_runs_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "missing", lambda reason: "torch" if "frame is not installed" in reason else "")
    pytester.makepyfile(
        test_it="""
        import pytest
        @pytest.mark.parametrize("reason", ["frame is not installed", "another one is not installed"])
        def test_it(reason):
            pytest.skip(reason)
        """
    )
    result = pytester.runpytest_inprocess("-p", "tests.support.frameworks", "-p", "no:cacheprovider")
    assert result.parseoutcomes() == {"failed": 1, "skipped": 1}
    result.stdout.fnmatch_lines(["*skipped for want of torch, and no lane of tox.ini that has it runs test_it.py*"])


def test_lanes_are_told_what_they_install() -> None:
    """A lane that is not told a framework of its own would leave its tests to nobody."""
    settings = (Path(__file__).parents[2] / "tox.ini").read_text("utf-8")
    found = frameworks.lanes()
    assert list(found) == ["torch", "tensorflow", "jax"]
    assert len(re.findall(r"-!more: pytest ", settings)) == len(found)
    assert {name for lane in found.values() for name in lane.names} >= set(frameworks.FRAMEWORKS)
    for name, lane in found.items():
        assert {name, "keras"} <= set(lane.names)
        # sanity check: it has files
        assert "tests/adapters/test_adapters.py" in lane.files
