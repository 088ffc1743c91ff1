"""The tables below that of the targets: the rows in detail, where time goes, memory; on the screen and on the page."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from integration_tests.benchmarks.measure import Compared, Figure, Measured
from integration_tests.benchmarks.reach import Line
from integration_tests.benchmarks.targets import TARGETS
from integration_tests.benchmarks.time_spent import Spent

_STYLES = {True: "green", False: "red", None: "default"}
_COMMANDS = 4  # of a side's commands on the server; the rest take next to nothing


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _sent(one: Measured | Compared) -> list[str]:
    return ["" if count is None else f"{count:,}" for count in (one.round_trips, one.sent_bytes)]


def _target(one: Compared) -> str:
    return str(TARGETS[one.target]) if one.target else ""


def show_reach(console: Console, found: Sequence[Line]) -> None:
    """The targets on the screen."""
    table = Table(title="targets")
    table.add_column("what", ratio=3)
    table.add_column("against", ratio=2)
    for heading in ("measured", "on HNSW", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in found:
        cells = [escape(cell.replace("`", "")) for cell in line.cells()]
        cells[2] = f"[{_STYLES[line.reached]}]{cells[2]}[/]"
        table.add_row(*cells)
    console.print(table)


def show_rows(console: Console, rows: Sequence[Measured]) -> None:
    """The rows on the screen."""
    table = Table(title="median times of both sides, in an order drawn anew each round")
    table.add_column("what, and against what", ratio=1)
    for heading in ("ms", "trips", "bytes", "ratio", "from-to", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_section()
        table.add_row(
            f"[bold]{escape(row.what)}[/]\n  {escape(row.ours)}", _milliseconds(row.milliseconds), *_sent(row)
        )
        for one in row.others:
            table.add_row(
                f"  vs {escape(one.name)}",
                _milliseconds(one.milliseconds),
                *_sent(one),
                f"[{_STYLES[one.reached]}]{one.ratio:.2f}[/]",
                f"{one.lowest:.2f}-{one.highest:.2f}",
                _target(one),
            )
    console.print(table)


def show_figures(console: Console, figures: Sequence[Figure]) -> None:
    """The figures on the screen, with what they are made of."""
    for one in figures:
        target = TARGETS[one.target]
        console.print(
            f"[{_STYLES[one.reached]}]{escape(target.what)}: {target.show(one.value)}[/] ({escape(one.detail)})"
        )


def rows_markdown(rows: Sequence[Measured]) -> str:
    """The rows in detail."""
    lines = [
        "| what, and against what | ms | round trips | bytes sent | ratio | from–to | target |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        sent = " | ".join(_sent(row))
        lines.append(f"| **{row.what}**: `{row.ours}` | {_milliseconds(row.milliseconds)} | {sent} | | | |")
        for one in row.others:
            sent, mark = " | ".join(_sent(one)), "**" if one.target else ""
            lines.append(
                f"| against {one.name} | {_milliseconds(one.milliseconds)} | {sent} | {mark}{one.ratio:.2f}{mark} "
                f"| {one.lowest:.2f}–{one.highest:.2f} | {_target(one)} |"
            )
    return "\n".join(lines)


def figures_markdown(figures: Sequence[Figure]) -> str:
    """What the figures are made of, a line each."""
    lines = []
    for one in figures:
        target = TARGETS[one.target]
        detail = f" ({one.detail})" if one.detail else ""
        on = f", {one.index}" if one.index else ""
        lines.append(f"* {target.what}{on}: **{target.show(one.value)}**{detail}")
    return "\n".join(lines)


def spent_markdown(rows: Sequence[Measured], spent: Sequence[Spent]) -> str:
    """Where the time of our side and of the judged ones goes."""
    names = {row.key: row.what.partition(";")[0] for row in rows}
    lines = [
        "| what | ms | the server's commands | the client's CPU | waiting | on the server |",
        "|---|---:|---:|---:|---:|---|",
    ]
    row = ""
    for one in spent:
        title = "ours" if not one.target else one.side
        if one.row != row:
            row, title = one.row, f"**{names[one.row]}**: ours"
        times = " | ".join(f"{value:.3f}" for value in (one.total, one.server, one.client, one.waiting))
        commands = ", ".join(
            f"{name.upper()} {took:.3f}"
            for name, took in [*one.commands.items()][:_COMMANDS]
            if took >= 0.001
        )
        lines.append(f"| {title} | {times} | {commands} |")
    return "\n".join(lines)


def footprint_markdown(footprints: dict[str, dict[str, float]]) -> str:
    """The table of memory by storage."""
    lines = ["| storage | the key, KB | with its part of the index, KB |", "|---|---:|---:|"]
    for name, sizes in footprints.items():
        lines.append(f"| {name} | {sizes['key'] / 1024:.1f} | {sizes['total'] / 1024:.1f} |")
    return "\n".join(lines)
