"""Tables in narrow terminals: whatever the width, every word of a table is there whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from lossproof.views.fitted import fitted

HEADERS = ("target", "op", "dtype", "pass", "convention", "unsupported", "fail", "worst share", "declared")
ROWS = (
    ("torch+compile", "cross_entropy", "bfloat16", "1204", "19", "204", "3", "0.899", "W"),
    ("numpy", "softmax", "all", "4", "", "", "", "", ""),
)


def main_table() -> Table:
    table = Table(title="Observations", title_justify="left")
    for name in HEADERS:
        table.add_column(name, no_wrap=name in HEADERS[:3])
    for row in ROWS:
        table.add_row(*row)
    return table


def printed(width: int) -> str:
    file = io.StringIO()
    out = Console(file=file, width=width, force_terminal=True, color_system=None)
    for part in fitted(out, main_table(), width):
        out.print(part, soft_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_every_header_and_figure_is_there_whole(width: int) -> None:
    text = printed(width)
    words = set(text.replace("│", " ").replace("┃", " ").split())
    expected = {word for row in (HEADERS, *ROWS) for cell in row for word in cell.split()}
    assert expected <= words
    assert "…" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(width).splitlines())) <= width


def test_lines_are_drawn_where_there_is_room() -> None:
    assert "┏" in printed(120)
    assert "┏" not in printed(80)


def test_columns_without_lines_are_two_blanks_apart() -> None:
    assert "torch+compile  cross_entropy  bfloat16" in printed(80)


def test_each_part_names_its_rows() -> None:
    lines = [line.split() for line in printed(60).splitlines()]
    assert sum("torch+compile" in line and "cross_entropy" in line and "bfloat16" in line for line in lines) > 1
    assert sum(line[:1] == ["target"] for line in lines) > 1


def test_words_wrap_between_words_before_anything_is_divided() -> None:
    table = Table(title="Conventions", title_justify="left")
    table.add_column("clause", no_wrap=True)
    table.add_column("numpy")
    table.add_row("tail", "float32: absolute; float16: relative; float64: absolute")
    file = io.StringIO()
    out = Console(file=file, width=40)
    (part,) = fitted(out, table, 40)
    out.print(part)
    assert "absolute;" in file.getvalue()
    assert max(map(len, file.getvalue().splitlines())) <= 40
