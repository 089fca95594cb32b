"""Tables in the width that there is: no word, name or figure is cut or broken in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Column, Table

# What a column takes beside its words: with lines, and without.
_LINED, _PLAIN = 3, 2


def fitted(out: Console, table: Table, width: int) -> Iterator[Table]:
    """Yield a table in at most ``width`` columns of a terminal: as it is, or without lines, or in parts.

    Each part has those columns that must not wrap (``no_wrap``), which name its rows. A word that is wider than all
    that is there stays whole, and the part is wider then.
    """
    needs = [_needs(out, column) for column in table.columns]
    if sum(need.minimum + _LINED for need in needs) + 1 <= width:
        yield _of(table, range(len(needs)), needs, width - _LINED * len(needs) - 1, plain=False)
        return
    for part in _parts(table.columns, needs, width):
        yield _of(table, part, needs, width - _PLAIN * len(part), plain=True)


def _parts(columns: Sequence[Column], needs: Sequence[Measurement], width: int) -> Iterator[list[int]]:
    names = [i for i, column in enumerate(columns) if column.no_wrap] or [0]
    taken = sum(needs[i].minimum + _PLAIN for i in names)
    part, used = list[int](), taken
    for i in (i for i in range(len(columns)) if i not in names):
        need = needs[i].minimum + _PLAIN
        if part and used + need > width:
            yield sorted([*names, *part])
            part, used = [], taken
        part.append(i)
        used += need
    yield sorted([*names, *part])


def _of(table: Table, part: Sequence[int], needs: Sequence[Measurement], room: int, *, plain: bool) -> Table:
    """The columns of a part as a table, in a room of so many letters."""
    style = {"box": None, "padding": (0, _PLAIN, 0, 0), "pad_edge": False} if plain else {}
    made = Table(title=table.title, title_justify="left", **style)  # type: ignore[arg-type]
    widths = _widths([needs[i] for i in part], room)
    for i, wide in zip(part, widths, strict=True):
        made.columns.append(replace(table.columns[i], _index=len(made.columns), width=wide, _cells=[]))
    # Also where that is more than the terminal has: nothing is cut.
    made.width = sum(widths) + (_PLAIN * (len(widths) - 1) if plain else _LINED * len(widths) + 1)
    cells = [list(table.columns[i].cells) for i in part]
    for row in zip(*cells, strict=True):
        made.add_row(*row)
    return made


def _needs(out: Console, column: Column) -> Measurement:
    """The width of the longest word of a column, or of its longest line, where it must not wrap, and of the latter."""
    options: ConsoleOptions = out.options.update(width=1 << 16)
    found = [Measurement.get(out, options, cell) for cell in (column.header, *column.cells)]
    wide = max(m.maximum for m in found)
    return Measurement(wide if column.no_wrap else max(m.minimum for m in found), wide)


def _widths(needs: Sequence[Measurement], room: int) -> list[int]:
    """Give each column its longest word, and what is left of the room to those that want more, the least first."""
    widths = [need.minimum for need in needs]
    left = room - sum(widths)
    wanting = sorted(range(len(needs)), key=lambda i: needs[i].maximum - needs[i].minimum)
    for n, i in enumerate(wanting):
        more = min(needs[i].maximum - needs[i].minimum, max(0, left) // (len(wanting) - n))
        widths[i] += more
        left -= more
    return widths
