"""The tables of the peers: on the screen and in the documentation, both from the same cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from integration_tests.benchmarks.growth import Growth, last_over_first
from integration_tests.benchmarks.peers.checks import CHECKS
from integration_tests.benchmarks.peers.compare import BULK, BYTES, LOADED, Cell, Comparison, ratio
from integration_tests.benchmarks.peers.libraries import COMPARED, GROWING, OURS

TITLES = {
    "append": "append 2 messages, ms",
    "read": "read 20 messages, ms",
    "recall": f"recall 5 of {LOADED:,} by vectors, ms",
    "recall-default": f"recall 5 of {LOADED:,} by default, by words too, ms",
    "remember": "remember a fact, ms",
    "turn": "a turn: read, recall, append, remember, ms",
    BULK: f"load {LOADED:,} facts at once, facts/s",
    BYTES: "a memory, with its part of the index, bytes",
}
Rows = list[list[str]]


def peers(found: Comparison) -> Rows:
    """Return the rows of times: libraries are columns, and each figure has how many times ours it is."""
    rows = [["", *(COMPARED[key].name for key in found.versions)]]
    rows.append(["version", *(one.words for one in found.versions.values())])
    for name, title in TITLES.items():
        cells = found.rows[name]
        rows.append([title, *(_figure(name, cells, key) for key in cells)])
    return rows


def _figure(name: str, cells: dict[str, Cell], key: str) -> str:
    value = cells[key].value
    if value is None:
        return cells[key].words
    figure = f"{value:,.0f}" if name in (BULK, BYTES) else milliseconds(value)
    times = ratio(cells, key, more_is_better=name == BULK)
    return figure if key == OURS or times is None else f"{figure} ({times:.2f}×)"


def correctness(found: Comparison) -> Rows:
    """Return the rows of promises: libraries are columns."""
    keys = [*next(iter(found.correctness.values()))]
    rows = [["", *(COMPARED[key].name for key in keys)]]
    for name, cells in found.correctness.items():
        rows.append([CHECKS[name][0], *(_verdict(cells[key]) for key in keys)])
    return rows


def _verdict(cell: Cell) -> str:
    if cell.words.startswith("not offered"):
        return cell.words
    return f"{'✓' if cell.kept else '✗'} {cell.words}"


def growth(found: Growth) -> dict[str, Rows]:
    """Return the rows of growth with memories and with messages: sizes are columns."""
    tables = {}
    for what, by_operation in (("memories", found.memories), ("messages", found.messages)):
        sizes = sorted(
            {size for by_key in by_operation.values() for cells in by_key.values() for size in cells}
        )
        rows = [[f"p50 in ms, with so many {what}", *(f"{size:,}" for size in sizes), "last / first"]]
        for operation, by_key in by_operation.items():
            rows += [
                [f"{operation}, {GROWING[key].name}", *_grown(cells, sizes)]
                for key, cells in by_key.items()
                if any(cell.value is not None for cell in cells.values())
            ]
        tables[what] = rows
    return tables


def _grown(cells: dict[int, Cell], sizes: Sequence[int]) -> list[str]:
    shown = [cells.get(size, Cell()) for size in sizes]
    times = last_over_first(cells)
    figures = [one.words if one.value is None else milliseconds(one.value) for one in shown]
    return [*figures, "" if times is None else f"{times:.2f}×"]


def milliseconds(value: float) -> str:
    """Return a time as it is shown."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(rows: Rows, *, figures: bool = True) -> str:
    """Return rows as a table of the documentation; the first is its head."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    head, *body = rows
    ruler = "|---" + ("|---:" if figures else "|---") * (len(head) - 1) + "|"
    return "\n".join([line(head), ruler, *map(line, body)])


def show(console: Console, title: str, rows: Rows, style: Callable[[str], str] = lambda cell: "") -> None:
    """Show rows on the screen."""
    head, *body = rows
    table = Table(title=title, show_lines=True)
    for heading in head:
        table.add_column(heading, overflow="fold")
    for row in body:
        table.add_row(row[0], *(f"[{style(cell) or 'default'}]{_plain(cell)}[/]" for cell in row[1:]))
    console.print(table)


def verdict_style(cell: str) -> str:
    """Return the colour of a promise that is kept, or is not."""
    return {"✓": "green", "✗": "red"}.get(cell[:1], "")


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")
