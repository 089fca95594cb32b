"""Where an exception was raised in the caller's own code, as a note in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossproof.core.formats import FORMATS
from lossproof.core.own_frames import note_place, own_frames
from tests.support.views import lossproof

KERNEL = """\
import numpy as np


def lowest(x):
    raise ValueError("not today")


def deep(x, n):
    return deep(x, n - 1) if n else lowest(x)


def long(x):
    return lowest(x) + "{letters}"


def softmax(x, axis=-1):
    return lowest(x)
""".format(letters="a" * 200)


@pytest.fixture
def kernel(tmp_path: Path) -> dict[str, Callable[..., object]]:
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL, "utf-8")
    space: dict[str, Callable[..., object]] = {}
    exec(compile(KERNEL, str(path), "exec"), space)
    return space


def noted(function: Callable[..., object], *arguments: object) -> list[str]:
    with pytest.raises(ValueError, match="not today") as caught:
        function(*arguments)
    error = caught.value
    # pytest's own frame, and that of this helper, are not the caller's code.
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    note_place(error)
    note_place(error)
    return getattr(error, "__notes__", [])


def test_the_innermost_comes_first_with_its_line(kernel: dict[str, Callable[..., object]]) -> None:
    expected = (
        'at kernel.py:5, in lowest: raise ValueError("not today"); from kernel.py:17, in softmax: return lowest(x)'
    )
    assert noted(kernel["softmax"], 1) == [expected]


def test_a_deep_one_is_cut_at_five_frames(kernel: dict[str, Callable[..., object]]) -> None:
    (note,) = noted(kernel["deep"], 1, 9)
    assert note.count("kernel.py:") == 5
    assert note.startswith("at kernel.py:5, in lowest: ")


def test_a_long_line_is_cut(kernel: dict[str, Callable[..., object]]) -> None:
    (note,) = noted(kernel["long"], 1)
    assert note.endswith("...")
    assert max(len(part) for part in note.split(": ")) <= 100


def test_code_of_packages_and_of_lossproof_is_nobodys() -> None:
    with pytest.raises(np.exceptions.AxisError) as of_numpy:
        np.concatenate([[1.0]], axis=3)
    with pytest.raises(KeyError) as of_lossproof:
        FORMATS["float7"]
    for caught in (of_numpy, of_lossproof):
        assert {Path(f.filename).name for f in own_frames(caught.value)} <= {Path(__file__).name}


def test_a_failure_has_them_in_its_message(kernel: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--deck", "smoke", "--dtype", "float32", "--quiet", "--in-process")
    result = lossproof("check", "kernel.py:softmax", *options)
    assert result.exit_code == 1, result.output
    assert "ValueError: not today" in result.stdout
    assert 'kernel.py:5, in lowest: raise ValueError("not today"); from kernel.py:17, in softmax' in result.stdout
    # The diagnosis has the traceback itself, outermost first.
    own = result.stdout[result.stdout.index("in your own code:") :].splitlines()
    assert [line.split(", ")[1:] for line in own if "File " in line] == [
        ["line 17", "in softmax"],
        ["line 5", "in lowest"],
    ]
    assert own.index("      return lowest(x)") < own.index('      raise ValueError("not today")')
