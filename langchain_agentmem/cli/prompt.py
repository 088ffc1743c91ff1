"""Where a person types: with line editing and a history, if Python has readline."""

from __future__ import annotations

import os
from contextlib import suppress

import typer

from langchain_agentmem.cli.console import Screen

with suppress(ImportError):
    import readline  # noqa: F401 - `input` uses it from now on


class Prompt:
    """Asks for lines on the terminal.

    What is typed is kept for this session only: a memory is no place for a second, hidden record.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._colored = (
            screen.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def ask(self, prompt: str) -> str:
        """A line; `EOFError` and `KeyboardInterrupt` as `input` raises them."""
        return input(self._marked(prompt))

    def confirm(self, question: str) -> bool:
        """Ask until it is yes or no, and return whether it is yes. The end of the input and Ctrl-C are no."""
        try:
            return typer.confirm(question, default=None, prompt_suffix=" [yes/no] ", show_default=False)
        except (typer.Abort, UnicodeDecodeError):
            self._screen.line()
            return False

    def _marked(self, prompt: str) -> str:
        # readline has to know which characters take no room: those between \x01 and \x02.
        return f"\x01\x1b[1;36m\x02{prompt}\x01\x1b[0m\x02" if self._colored else prompt
