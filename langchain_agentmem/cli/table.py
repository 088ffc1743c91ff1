"""Tables: laid out for people on a terminal, tab-separated for `cut` and `awk` elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from langchain_agentmem.cli.text import printable

_INDENT = 2
_GAP = 2
_LEAST_LAST = 20  # columns for the text at the end of a row; with less, it gets a line of its own
_MOST_CHARACTERS = 2000  # of a text on a terminal


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: Its heading.
        most: How many columns of a terminal it takes at most; the last one takes what is left.
        least: How many it takes in any case, as where more rows follow.
        right: Whether it is aligned to the right, as numbers are.
    """

    name: str
    most: int = 24
    least: int = 0
    right: bool = False


class Cell(NamedTuple):
    """A value that a terminal shows in short: `3 min ago`, where a program reads the whole of it."""

    short: str
    whole: str


Row: TypeAlias = Sequence[object]


def separated(columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines for a program: names, then whole values, separated by tabs; each row on one line."""
    yield "\t".join(column.name for column in columns)
    for row in rows:
        yield "\t".join(_line(str(cell.whole if isinstance(cell, Cell) else cell)) for cell in row)


def laid_out(
    console: Console, columns: Sequence[Column], rows: Sequence[Row], *, lines: int, heading: bool
) -> Iterator[Text]:
    """Yield the lines for a terminal. A column that has nothing in it is left out.

    Args:
        console: The terminal.
        columns: The columns; the last one, which says most, takes what room there is.
        rows: Their cells.
        lines: How many lines of the last column are shown at most; 0 for all.
        heading: Whether the names of the columns come first.
    """
    shown = [[_shown(cell) for cell in row] for row in rows]
    kept = [at for at in range(len(columns)) if columns[at].least or any(row[at].strip() for row in shown)]
    columns = [columns[at] for at in kept]
    shown = [[row[at] for at in kept] for row in shown]
    longest = [max(map(cell_len, cells)) for cells in zip([one.name for one in columns], *shown, strict=True)]
    widths = [max(one.least, min(one.most, taken)) for one, taken in zip(columns, longest, strict=True)]
    room = console.width - _INDENT - sum(widths[:-1]) - _GAP * (len(widths) - 1)
    if room >= min(_LEAST_LAST, longest[-1]):
        yield from _in_columns(console, columns, shown, [*widths[:-1], room], lines, heading)
    else:
        yield from _below(console, columns, shown, lines, heading)


def _in_columns(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[list[str]],
    widths: Sequence[int],
    lines: int,
    heading: bool,
) -> Iterator[Text]:
    """Yield rows in columns of these widths; what the last one continues stands under its beginning."""
    right = max(cell_len(row[-1]) for row in [[column.name for column in columns], *rows])
    names = [column.name for column in columns]
    for number, (*cells, last) in enumerate([names, *rows]):
        if number == 0 and not heading:
            continue
        first = _joined(columns, cells, widths)
        for part in wrapped(console, last, widths[-1], lines):
            blank = " " * (right - cell_len(part)) if columns[-1].right else ""
            yield Text(first + blank + part, "" if number else "dim")
            first = " " * cell_len(first)


def _joined(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return the cells before the last, with what stands between them."""
    parts = [" " * _INDENT]
    for column, cell, width in zip(columns[:-1], cells, widths, strict=False):
        cell = clipped(cell, width)
        blank = " " * (width - cell_len(cell))
        parts.append((blank + cell if column.right else cell + blank) + " " * _GAP)
    return "".join(parts)


def _below(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[list[str]],
    lines: int,
    heading: bool,
) -> Iterator[Text]:
    """Yield each row's last cell below the others, unless it is a number, for a narrow terminal."""
    for number, row in enumerate([[column.name for column in columns], *rows]):
        if number == 0 and not heading:
            continue
        last = [] if columns[-1].right else [row[-1]]
        above = [cell for cell in map(str.strip, row[: len(row) - len(last)]) if cell]
        for part in wrapped(console, " · ".join(above), console.width - _INDENT, 0):
            yield Text(" " * _INDENT + part, "" if number and not last else "dim")
        for text in last:
            for part in wrapped(console, text, console.width - _INDENT - _GAP, lines):
                yield Text(" " * (_INDENT + _GAP) + part, "" if number else "dim")


def wrapped(console: Console, text: str, room: int, lines: int = 0) -> list[str]:
    """Return a text in lines that fit into `room` columns, between words where that is possible.

    Args:
        console: The terminal.
        text: The text, on one line.
        room: How many columns a line has.
        lines: How many lines at most; 0 for all. What is left out ends with `…`.
    """
    found = [line.plain.rstrip() for line in Text(text).wrap(console, max(room, 2), overflow="fold")] or [""]
    if 0 < lines < len(found):
        found[lines - 1] = clipped(f"{found[lines - 1]} …", room)
        found = found[:lines]
    return found


def clipped(text: str, width: int) -> str:
    """Return a text that takes so many columns at most; what is longer ends with `…`."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text.removesuffix(" …"), max(width - 1, 0)).rstrip() + "…"


def _shown(cell: object) -> str:
    text = str(cell.short if isinstance(cell, Cell) else cell)
    kept = text[: len(text) - len(text.lstrip(" "))][:20]  # how far it is indented
    line = _line(text[: 4 * _MOST_CHARACTERS])
    return kept + (line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…")


def _line(text: str) -> str:
    return " ".join(printable(text, keep="\n\t\r").split())
