"""docs/own-tests.md: each of its code blocks runs as it stands, and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lossproof import enclose
from tests.support.frameworks import needs
from tests.support.views import lossproof

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own-tests.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]


def test_every_block_is_run_by_a_test() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "text", "python", "python", "sh"]


@needs("torch")
@pytest.mark.parametrize("text", PROGRAMS, ids=[re.findall(r"def (test_\w+)", text)[0] for text in PROGRAMS])
def test_a_block_is_a_file_of_tests_that_pass(text: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_block=text)
    result = pytester.runpytest_subprocess(
        "-q", "-p", "no:cacheprovider", "-k", "not conformance or ordinary or error or answers"
    )
    counts = result.parseoutcomes()
    assert counts.get("passed"), result.stdout.str()
    assert not {"failed", "error", "errors"} & set(counts), result.stdout.str()


def test_the_message_of_a_wrong_answer_is_as_shown() -> None:
    x, y = np.array([[0.5, -1.0, 2.0], [0.25, 1.0, 0.0]]), np.array([2, 1])
    with pytest.raises(AssertionError) as caught:
        enclose("cross_entropy", x, y).check(vjp=np.full((2, 3), 0.125))
    (shown,) = [text.strip() for language, text in BLOCKS if language == "text"]
    assert re.sub(r"[\d.e+-]+", "#", str(caught.value)) == re.sub(r"[\d.e+-]+", "#", shown)


def test_the_command_judges_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = [text.strip() for language, text in BLOCKS if language == "sh"]
    program, *arguments = command.split()
    assert program == "lossproof"
    text = (Path(__file__).resolve().parents[2] / "examples" / "numpy_cross_entropy.py").read_text(encoding="utf-8")
    text = text.replace("def cross_entropy(", "def my_cross_entropy(")
    (tmp_path / "losses.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = lossproof(*arguments, "--rank", "2", "--target", "index", "--no-errors")
    assert result.exit_code == 0, result.output
    assert "OK (my_cross_entropy: " in result.stdout
