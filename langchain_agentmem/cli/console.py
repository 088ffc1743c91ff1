"""The output for people: laid out on a terminal; elsewhere plain lines, of facts or separated by tabs.

Nothing here reads markup: whatever somebody typed or stored is shown as it is.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, NoReturn

import typer
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from langchain_agentmem.cli import table
from langchain_agentmem.cli.text import printable
from langchain_agentmem.errors import AgentMemoryError

USAGE = 2

_LABEL_WIDTH = 10
_WIDE = 120  # columns from which on a terminal shows whole ids
SPINNER_AFTER_SECONDS = 0.2  # on a terminal; what is done sooner should not flicker
LINE_AFTER_SECONDS = 0.5  # elsewhere


class CommandError(AgentMemoryError):
    """Something outside the memory went wrong: the model, the input."""


def message(error: AgentMemoryError) -> str:
    """Return the line for an error, without secrets; a person reads it, so a class name says little."""
    from langchain_agentmem.core.redaction import redact_secrets

    return printable(f"error: {redact_secrets(error.plain)}", keep="\n")


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
        self.is_wide = not self.is_terminal or self.out.width >= _WIDE

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line of output."""
        self.out.print(Text(text, style), soft_wrap=not self.is_terminal)

    def aside(self, text: str, style: str = "dim", *, is_command: bool = False) -> None:
        """Print a line on standard error; a command as one line, which can be copied whole."""
        self.err.print(Text(text, style), soft_wrap=is_command or not self.err.is_terminal)

    @contextmanager
    def busy(self, doing: str, step: str = "") -> Iterator[None]:
        """Tell on standard error what takes long; nothing if it is done soon.

        On a terminal, a spinner counts the seconds and vanishes; elsewhere it is a line.

        Args:
            doing: What goes on.
            step: What it is called when `steps` tells how long it took.
        """
        began, done = time.perf_counter(), threading.Event()
        show = self._spin if self.err.is_lively else self._tell
        shown = threading.Thread(target=show, args=(doing, began, done), daemon=True)
        shown.start()
        try:
            yield
        finally:  # before anything else is written
            done.set()
            shown.join()
        self.steps += [f"{step} {time.perf_counter() - began:.1f} s"] if step else []

    def _spin(self, doing: str, began: float, done: threading.Event) -> None:
        """Turn a spinner, by this thread alone: what loads a model lets others run only now and then."""
        if done.wait(SPINNER_AFTER_SECONDS):
            return
        with self.err.status(Text(doing, "dim"), spinner_style="cyan") as status:
            while not done.wait(1.0):
                status.update(Text(f"{doing} {time.perf_counter() - began:.0f} s", "dim"))

    def _tell(self, doing: str, began: float, done: threading.Event) -> None:
        if not done.wait(LINE_AFTER_SECONDS):
            self.aside(doing)

    def ready(self) -> None:
        """Print how long the steps of a start took."""
        self.aside("ready: " + ", ".join(self.steps))

    def confirmed(self, question: str, yes: bool) -> bool:
        """Return whether it may be done: `--yes` was given, or a person agrees.

        Raises:
            typer.Exit: With exit code 2: nobody is there to ask.
        """
        self.must_confirm(yes)
        return yes or self.confirm(question)

    def must_confirm(self, yes: bool) -> None:
        """Make sure that it can be confirmed, before anything is looked up.

        Raises:
            typer.Exit: With exit code 2: nobody is there to ask.
        """
        if not (yes or (self.is_terminal and sys.stdin is not None and sys.stdin.isatty())):
            typer.echo("error: Nobody is there to confirm it: add --yes.", err=True)
            raise typer.Exit(USAGE)

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

    def table(
        self,
        columns: Sequence[table.Column],
        rows: Sequence[table.Row],
        *,
        empty: str = "",
        lines: int = 2,
        heading: bool = True,
    ) -> None:
        """Print rows with a heading; elsewhere than on a terminal, separated by tabs.

        Args:
            columns: The columns; the last one takes what room there is.
            rows: Their cells; one that a terminal shows in short is a `Cell`.
            empty: What to say if there are no rows; elsewhere than on a terminal, on standard error.
            lines: How many lines of a row a terminal shows at most; 0 for all.
            heading: Whether the names of the columns come first, as they do except where rows follow rows.
        """
        if not self.is_terminal:
            for number, line in enumerate(table.separated(columns, rows)):
                if number or heading:
                    self.out.file.write(f"{line}\n")  # rich would expand the tabs
            self.out.file.flush()
        else:
            made = table.laid_out(self.out, columns, rows, lines=lines, heading=heading) if rows else ()
            for text in made:
                self.out.print(text, soft_wrap=True)
        if not rows and empty:
            self.note(empty, always=True)

    def note(self, text: str, *, always: bool = False) -> None:
        """Print a sentence about what is shown: on a terminal only, wherever there is one.

        Args:
            text: The sentence.
            always: Whether it also goes to a standard error that nobody looks at just now.
        """
        if self.is_terminal:
            self._indented(Text(text, "dim"))
        elif always or self.err.is_terminal:
            self.aside(text)

    def _indented(self, content: Any) -> None:
        self.out.print(Padding(content, (0, 0, 0, 2), expand=False))

    def waiting(self) -> Answer:
        """Show an answer that comes in parts; until the first, a terminal shows that something goes on."""
        return Answer(self.out)


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
