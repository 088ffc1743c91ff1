"""Where a person types: with line editing and a history, if Python has readline."""

from __future__ import annotations

import os
from contextlib import suppress

from langchain_agentmem.cli.console import Screen

with suppress(ImportError):
    import readline  # noqa: F401 - `input` uses it from now on

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


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
        """Whether the person agrees: asked until it is yes or no. The end of the input and Ctrl-C are no."""
        while True:
            try:
                answer = self.ask(f"{question} [yes/no] ").strip().lower()
            except (EOFError, KeyboardInterrupt):
                self._screen.line()
                return False
            except UnicodeDecodeError:
                answer = ""
            if answer in _ANSWERS:
                return _ANSWERS[answer]

    def _marked(self, prompt: str) -> str:
        # readline has to know which characters take no room: those between \x01 and \x02.
        return f"\x01\x1b[1;36m\x02{prompt}\x01\x1b[0m\x02" if self._colored else prompt
