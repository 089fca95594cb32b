"""How pages are played: a page that says something else than its commands print is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import blocks, matches, play

PAGE = """
```python title="hello.py"
import sys
print("7 files, 0.25 of them")
sys.exit(3)
```

```console
$ python hello.py
7 files, 0.11 of them
$ echo $?
3
$ echo a \\
>   b
a b
```
"""


def test_files_are_written_and_commands_run(tmp_path: Path) -> None:
    played = list(play(PAGE, tmp_path))
    assert [(c.command, c.code) for c in played] == [("python hello.py", 3), ("echo $?", 3), ("echo a b", 0)]
    assert all(c.is_as_written for c in played), "\n".join(map(str, played))


@pytest.mark.parametrize(("written", "instead"), [("7 files, 0.11", "8 files, 0.11"), ("\n3\n", "\n0\n"), ("a b", "a")])
def test_a_page_that_is_wrong_is_found_out(written: str, instead: str, tmp_path: Path) -> None:
    page = PAGE.replace(written, instead, 1) if written != "a b" else PAGE.replace("\na b\n", "\na\n")
    assert page != PAGE
    assert not all(c.is_as_written for c in play(page, tmp_path))


def test_what_is_left_out_is_left_out_and_no_more() -> None:
    assert matches("OK ... done", "OK\n  (1, 2)\ndone\n")
    assert not matches("OK ... done", "KO (1, 2) done")
    assert not matches("OK done", "OK (1, 2) done")
    assert matches("...\nOK", "anything\nOK")
    assert matches("allowed 1.5e-07 (12 differ in bits)", "allowed 2.25e-06 (9 differ in bits)")
    assert not matches("12 fail", "13 fail")


def test_blocks_in_lists_are_found() -> None:
    (block,) = blocks("1. one\n\n   ```sh\n   cd x\n   ls\n   ```\n")
    assert (block.language, block.text, block.line) == ("sh", "cd x\nls\n", 3)
