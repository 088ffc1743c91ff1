"""How far a long command is: a bar on a terminal, else a line now and then; on standard error."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text
from typing_extensions import Self

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.text import printable

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Progress through a file.

    Args:
        screen: Where it is shown.
        size: The file's bytes, which say how much is left; `None` if nobody knows.
    """

    def __init__(self, screen: Screen, size: int | None) -> None:
        self._screen = screen
        self._size = size
        self._bytes = 0
        self._lines = 0
        self._began = self._said = time.monotonic()
        console = screen.progress_console
        self._bar = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._bar = Bar(
                SpinnerColumn(),
                BarColumn(),
                TextColumn("{task.fields[so_far]}", markup=False),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=size, so_far="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, lines: int, size: int) -> None:
        """So many lines, of so many bytes, are done."""
        self._lines += lines
        self._bytes += size
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._bytes, so_far=self._so_far(now))
        elif now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            part = f"{100 * self._bytes // self._size} %, " if self._size else ""
            self._screen.aside(part + self._so_far(now))

    def say(self, line: str) -> None:
        """A line beside the progress, without control characters."""
        self._screen.progress_console.print(Text(printable(line), "yellow"), soft_wrap=True)

    def _so_far(self, now: float) -> str:
        rate = self._lines / max(now - self._began, 1e-3)
        return f"{self._lines:,} lines, {rate:,.0f} a second"
