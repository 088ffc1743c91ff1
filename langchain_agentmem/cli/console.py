"""What a person sees: laid out on a terminal; elsewhere plain lines, each beginning with what it is.

Nothing here reads markup: whatever somebody typed or stored is shown as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from langchain_agentmem.cli.text import Wrapping, printable

_LABEL_WIDTH = 10
_NARROW = 60
_LEAST_LAST = 24  # columns for the text at the end of a table's row


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to whoever runs the command; rich would end the process here."""
        raise BrokenPipeError


def _console(stderr: bool = False) -> _Console:
    no_color = bool(os.environ.get("NO_COLOR"))
    return _Console(
        stderr=stderr, markup=False, highlight=False, emoji=False, color_system=None if no_color else "auto"
    )


class _Ruled:
    """Something with a line along its left side."""

    def __init__(self, content: RenderableType, style: str) -> None:
        self._content = content
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        style = console.get_style(self._style, default=Style.null())
        for line in console.render_lines(self._content, options.update_width(options.max_width - 2)):
            yield Segment("│ ", style)
            yield from line
            yield Segment.line()


class Screen:
    """Standard output for what a command tells, standard error for progress and failures."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that knows fewer characters gets `?`
                stream.reconfigure(errors="replace")
        self._out = _console()
        self._err = _console(stderr=True)
        self.is_terminal = self._out.is_terminal

    @property
    def progress_console(self) -> Console:
        """Where progress is drawn: standard error."""
        return self._err

    def line(self, text: str = "", style: str = "") -> None:
        """A line of output."""
        self._out.print(Text(text, style), soft_wrap=not self.is_terminal)

    def aside(self, text: str, style: str = "dim") -> None:
        """A line on standard error."""
        self._err.print(Text(text, style), soft_wrap=not self._err.is_terminal)

    @contextmanager
    def busy(self, doing: str) -> Iterator[None]:
        """A spinner on a terminal while something takes long, else a line; on standard error."""
        if self._err.is_terminal and not self._err.is_dumb_terminal:
            with self._err.status(Text(doing, "dim"), spinner="dots", spinner_style="cyan"):
                yield
        else:
            self.aside(doing)
            yield

    @contextmanager
    def waiting(self) -> Iterator[Answer]:
        """An answer that comes in parts; until the first, a terminal shows that something is going on."""
        answer = Answer(self._out)
        try:
            yield answer
        finally:
            answer.end()

    def facts(self, facts: Sequence[tuple[str, RenderableType | Listing]]) -> None:
        """Labelled facts that belong together."""
        if not self.is_terminal:
            for label, fact in facts:
                for text in fact.lines() if isinstance(fact, Listing) else [str(fact)]:
                    self.line(f"{label:<{_LABEL_WIDTH}} {text}")
            return
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH)
        grid.add_column(overflow="fold")
        for label, fact in facts:
            grid.add_row(label, fact.grid(self._out.width < _NARROW) if isinstance(fact, Listing) else fact)
        self._out.print(_Ruled(grid, "dim cyan"))

    def table(
        self, label: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, cut: bool = False
    ) -> None:
        """Rows with a heading; the last column takes what room there is, on more lines or `cut`."""
        if not self.is_terminal:
            for row in rows:
                self.line(f"{label:<{_LABEL_WIDTH}} {'  '.join(cell or '-' for cell in row)}")
            return
        how = {"no_wrap": True, "overflow": "ellipsis"} if cut else {"overflow": "fold"}
        taken = [max(map(cell_len, cells)) + 2 for cells in zip(columns, *rows, strict=True)][:-1]
        if self._out.width - sum(taken) < _LEAST_LAST:  # else the last column, which says most, has no room
            lines = [Text(" · ".join(filter(str.strip, row)), **how) for row in rows]
            self._out.print(_Ruled(Group(*lines), "dim cyan"))
            return
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for name in columns[:-1]:
            table.add_column(name, no_wrap=True)
        # Not cut as a column: of columns that may not wrap, rich makes every one narrower.
        table.add_column(columns[-1], overflow="fold")
        for *cells, last in rows:
            table.add_row(*map(Text, cells), Text(last, **how))
        self._out.print(_Ruled(table, "dim cyan"))


class Listing:
    """Recalled memories among the facts of a turn: a distance, its bar, a kind and a text each."""

    def __init__(self, heading: str, rows: Sequence[tuple[str, str, str, str]]) -> None:
        self._heading = heading
        self._rows = rows

    def lines(self) -> Iterator[str]:
        """Plain lines; without bars, the number says it."""
        yield self._heading
        for distance, _, kind, text in self._rows:
            yield f"{distance}  {kind}  {text}"

    def grid(self, narrow: bool) -> RenderableType:
        """The same in columns."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, style="cyan")
        grid.add_column(overflow="fold")
        for distance, bar, kind, text in self._rows:
            grid.add_row(distance, "" if narrow else bar, Text.assemble(text, "  ", (kind, "dim")))
        return Group(self._heading, grid)


class Answer:
    """The answer of a turn, shown as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._status = console.status("", spinner="dots", spinner_style="cyan")
            self._status.start()
        self._wrapping = Wrapping(console.width) if console.is_terminal else None
        self._ends_line = True

    def add(self, part: str) -> None:
        """A part of it; without control characters."""
        part = printable(part, keep="\n\t")
        if part:
            self._stop_waiting()
            self._print(self._wrapping.add(part) if self._wrapping else part)

    def end(self) -> None:
        """No more comes."""
        self._stop_waiting()
        if self._wrapping:
            self._print(self._wrapping.rest())
        if not self._ends_line:
            self._console.print()

    def _print(self, part: str) -> None:
        if part:
            self._console.print(Text(part, "bold"), end="", soft_wrap=True)
            self._ends_line = part.endswith("\n")

    def _stop_waiting(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
