"""The output for people: laid out on a terminal; elsewhere plain lines, each beginning with its label.

Nothing here reads markup: whatever somebody typed or stored is shown as it is.
"""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, BinaryIO, Literal, NoReturn
from urllib.parse import urlsplit

import typer
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from langchain_agentmem.errors import AgentMemoryError

USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT: what a shell reports of a program that it ends

_LABEL_WIDTH = 10
_LEAST_LAST = 24  # columns for the text at the end of a table's row
_LONGEST_SECONDS = 1e12  # 30,000 years; what is stored may be anything
# Characters that reorder the line they stand in: a text could pretend to be another one.
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class CommandError(AgentMemoryError):
    """Something outside the memory went wrong: the model, the input."""


def message(error: AgentMemoryError) -> str:
    """Return the line for an error, without secrets; a person reads it, so a class name says little."""
    from langchain_agentmem.core.redaction import redact

    return printable(f"error: {redact(str(error))}", keep="\n")


def printable(text: str, keep: str = "") -> str:
    """Return the text without control characters, except those to `keep`: they could change the terminal."""
    return "".join(
        char
        for char in text
        if char in keep or not (unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _REORDERING)
    )


def one_line(text: str, limit: int = 300) -> str:
    """Return the text on one line: runs of blanks are one, what is longer than the limit ends with `…`."""
    # A few times the limit is enough to look at: a memory may have 32 KiB.
    line = " ".join(printable(text[: 8 * limit], keep="\n\t\r").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def bar(distance: float, threshold: float, width: int = 10) -> str:
    """Draw how near a memory is: full at distance 0, empty at the threshold and beyond."""
    nearness = 1 - distance / threshold if threshold > 0 else float(distance <= 0)
    filled = round(width * min(max(nearness, 0.0), 1.0))
    return "█" * filled + "░" * (width - filled)


def span(seconds: float | None) -> str:
    """Return a TTL or an age in its two largest units: `6 d 23 h`; `None` is `never`."""
    if seconds is None:
        return "never"
    if not abs(seconds) < _LONGEST_SECONDS:  # NaN neither
        return "an unknown time"
    minutes, s = divmod(max(int(seconds), 0), 60)
    hours, m = divmod(minutes, 60)
    parts = [*zip((*divmod(hours, 24), m, s), ("d", "h", "min", "s"), strict=True)]
    first = next((at for at, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def clock(ts: float) -> str:
    """Return the time of day, in the local time zone; `?` for what is no time."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).strftime("%H:%M:%S")
    return "?"


def moment(ts: float) -> str:
    """Return a time for a person: ISO 8601, in the local time zone."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).astimezone().isoformat(timespec="seconds")
    return f"{ts:g} s"


def day(ts: float) -> str:
    """Return the day of a time, in the local time zone: `2026-05-17`; nothing for what is no time."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).date().isoformat()
    return ""


def milliseconds(seconds: float | None) -> str:
    """Return a duration: `0.3 ms`, `12 ms`, `1,240 ms`; nothing for `None`."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.001 else f"{seconds * 1000:,.0f} ms"


def counted(number: int, noun: str) -> str:
    """Return `1 memory`, `2 memories`, `2 keys`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeou" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def place(url: str) -> str:
    """Return where a URL leads, without user, password and query."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def show_json(value: Any) -> None:
    """Write one JSON document on a line of standard output, at once."""
    from langchain_agentmem.core import json

    out = standard("output")
    out.write(json.dumps(value) + b"\n")
    out.flush()


def standard(name: Literal["input", "output"]) -> BinaryIO:
    """Return standard input or output as bytes, behind what was written as text.

    Raises:
        CommandError: Whoever runs this has closed it.
    """
    stream = sys.stdin if name == "input" else sys.stdout
    if stream is None:
        raise CommandError(f"Standard {name} is closed: give it a file or a pipe.")
    if name == "output":
        stream.flush()
    return stream.buffer


class _Console(Console):
    def __init__(self, **how: Any) -> None:
        color = None if os.environ.get("NO_COLOR") else "auto"
        super().__init__(markup=False, highlight=False, emoji=False, color_system=color, **how)  # type: ignore[arg-type]
        self.is_lively = self.is_terminal and not self.is_dumb_terminal

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to whoever runs the command; rich would end the process here."""
        raise BrokenPipeError


class Screen:
    """Standard output for what a command tells, standard error (`err`) for progress and failures."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that knows fewer characters gets `?`
                stream.reconfigure(errors="replace")
        self.out, self.err = _Console(), _Console(stderr=True)
        self.is_terminal, self.steps = self.out.is_terminal, list[str]()

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line of output."""
        self.out.print(Text(text, style), soft_wrap=not self.is_terminal)

    def aside(self, text: str, style: str = "dim") -> None:
        """Print a line on standard error."""
        self.err.print(Text(text, style), soft_wrap=not self.err.is_terminal)

    @contextmanager
    def busy(self, doing: str, step: str = "") -> Iterator[None]:
        """Show a spinner on a terminal while something takes long, else a line; on standard error.

        Args:
            doing: What goes on.
            step: What it is called when `steps` tells how long it took.
        """
        began = time.perf_counter()
        if self.err.is_lively:
            with self.err.status(Text(doing, "dim"), spinner_style="cyan"):
                yield
        else:
            self.aside(doing)
            yield
        self.steps += [f"{step} {time.perf_counter() - began:.1f} s"] if step else []

    def ready(self) -> None:
        """Print how long the steps of a start took."""
        self.aside("ready: " + ", ".join(self.steps))

    def confirmed(self, question: str, yes: bool) -> bool:
        """Return whether it may be done: `--yes` was given, or a person agrees.

        Raises:
            typer.Exit: With exit code 2: nobody is there to ask.
        """
        if yes:
            return True
        if not (self.is_terminal and sys.stdin is not None and sys.stdin.isatty()):
            typer.echo("error: Nobody is there to confirm it: add --yes.", err=True)
            raise typer.Exit(USAGE)
        return self.confirm(question)

    def confirm(self, question: str) -> bool:
        """Ask until it is yes or no, and return whether it is yes. The end of the input and Ctrl-C are no."""
        try:
            return typer.confirm(question, default=None, prompt_suffix=" [yes/no] ", show_default=False)
        except (typer.Abort, UnicodeDecodeError):
            self.line()
            return False

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Print labelled facts that belong together; a terminal shows equal labels once."""
        if not self.is_terminal:
            for label, fact in facts:
                self.line(f"{label:<{_LABEL_WIDTH}} {fact}")
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH)
        grid.add_column(overflow="fold")
        before = ""
        for label, fact in facts:
            grid.add_row("" if label == before else label, Text(fact))
            before = label
        self._indented(grid)

    def table(self, label: str, columns: Mapping[str, int], rows: Iterable[Sequence[object]]) -> None:
        """Print rows with a heading; the last column takes what room there is.

        Args:
            label: What a row is, where there is no heading.
            columns: How many characters are shown at most, by the column's name.
            rows: The cells, in the columns' order; blanks alone stay as they are.
        """
        shown = [[*map(_cell, row, columns.values())] for row in rows]
        if not self.is_terminal:
            for cells in shown:
                self.line(f"{label:<{_LABEL_WIDTH}} {'  '.join(cell or '-' for cell in cells)}")
            return
        taken = [max(map(cell_len, cells)) + 2 for cells in zip(columns, *shown, strict=True)][:-1]
        if self.out.width - sum(taken) < _LEAST_LAST:  # else the last column, which says most, has no room
            return self._indented(Group(*(Text(" · ".join(filter(str.strip, cells))) for cells in shown)))
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for name in columns:
            table.add_column(name, no_wrap=name != [*columns][-1], overflow="fold")
        for cells in shown:
            table.add_row(*map(Text, cells))
        return self._indented(table)

    def _indented(self, content: RenderableType) -> None:
        self.out.print(Padding(content, (0, 0, 0, 2), expand=False))

    def waiting(self) -> Answer:
        """Show an answer that comes in parts; until the first, a terminal shows that something goes on."""
        return Answer(self.out)


def _cell(value: object, limit: int) -> str:
    return " " if value == " " else one_line(str(value), limit)


class Answer:
    """Shows an answer as it comes; a terminal redraws its last paragraph, wrapped between words."""

    def __init__(self, console: _Console) -> None:
        self._console, self._text = console, ""
        spinner = Spinner("dots", style="cyan")
        self._live = Live(spinner, console=console, redirect_stdout=False) if console.is_lively else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def add(self, part: str) -> None:
        """Show a part of it; without control characters."""
        part = printable(part, keep="\n\t")
        if self._live is None:
            self._text = part or self._text
            self._console.print(Text(part), end="", soft_wrap=True)
            return
        *whole, self._text = (self._text + part).split("\n")
        for paragraph in whole:
            self._console.print(Text(paragraph, "bold"), overflow="fold")
        self._live.update(Text(self._text, "bold", overflow="fold"))

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.transient = not self._text
            self._live.stop()
        elif not self._text.endswith("\n") and self._text:
            self._console.print()
