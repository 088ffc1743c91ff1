"""How far a long command is, where there is no terminal."""

from __future__ import annotations

import pytest

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.transfer.import_ import Reading


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("langchain_agentmem.cli.transfer.import_.time.monotonic", lambda: now[0])
    with Reading(Screen(), 1000) as shown:
        for now[0] in (1.0, 5.0, 9.0, 10.0):
            shown.advance(10, 250)
        shown.say("line 7: \x1b[2Jodd [bold]one[/bold]")
    with Reading(Screen(), None) as unknown:
        now[0] = 20.0
        unknown.advance(1234, 9)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "50 %, 20 lines, 4 a second",
        "100 %, 40 lines, 4 a second",
        "line 7: [2Jodd [bold]one[/bold]",
        "1,234 lines, 123 a second",
    ]
