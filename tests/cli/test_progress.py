"""How far a long command is, where there is no terminal."""

from __future__ import annotations

import pytest

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.transfer.import_ import Reading
from langchain_agentmem.importing.report import ImportReport, RefusedLine


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("langchain_agentmem.cli.transfer.import_.time.monotonic", lambda: now[0])
    lines = [b"x" * 249 + b"\n"] * 4
    with Reading(Screen(), lines, 1000) as shown:
        report = ImportReport()
        for now[0], _ in zip((1.0, 5.0, 9.0, 10.0), shown, strict=True):
            report.lines += 10
            shown.show(report)
        report.refused.append(RefusedLine(7, "\x1b[2Jodd [bold]one[/bold]"))
        shown.show(report)
    with Reading(Screen(), [b"a line\n"], None) as unknown:
        list(unknown)
        now[0] = 20.0
        unknown.show(ImportReport(lines=1234))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "50 %, 20 lines, 4 a second",
        "100 %, 40 lines, 4 a second",
        "line 7: [2Jodd [bold]one[/bold]",
        "1,234 lines, 123 a second",
    ]
