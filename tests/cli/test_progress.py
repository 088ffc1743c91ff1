"""What tells that something takes long: with a terminal, and without."""

from __future__ import annotations

import io
import os
import threading
import time

import pytest
from rich.spinner import Spinner

from langchain_agentmem import chat_export_lines
from langchain_agentmem.cli import console
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.transfer.import_ import Reading
from langchain_agentmem.importing.report import ImportReport, RefusedLine


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("langchain_agentmem.cli.transfer.import_.time.monotonic", lambda: now[0])
    lines = chat_export_lines(io.BytesIO((b"x" * 249 + b"\n") * 4))
    with Reading(Screen(), lines) as shown:
        report = ImportReport()
        for now[0], _ in zip((1.0, 5.0, 9.0, 10.0), shown, strict=True):
            report.lines += 10
            shown.show(report)
        report.refused.append(RefusedLine(7, "\x1b[2Jodd [bold]one[/bold]"))
        shown.show(report)
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe, Reading(Screen(), chat_export_lines(pipe)) as unknown:
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


@pytest.mark.parametrize(
    ("report", "stored"),
    [
        (ImportReport(lines=3, new_messages=2, new_memories=1), "2 messages and 1 memory"),
        (ImportReport(lines=3, new_memories=1, duplicate_memories=2), "1 memory (2 were there before)"),
        (ImportReport(lines=3, duplicate_messages=3), "nothing new (3 were there before)"),
    ],
)
def test_an_import_that_is_ended_says_what_it_stored_and_no_zeros(
    capsys: pytest.CaptureFixture[str], report: ImportReport, stored: str
) -> None:
    reading = Reading(Screen(), chat_export_lines(io.BytesIO(b"")))
    reading.show(report)
    reading.tell_end()
    assert capsys.readouterr().err.startswith(f"Stopped after 3 lines: stored {stored}.\n")


def test_what_is_done_soon_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_AFTER_SECONDS", 60.0)
    screen = Screen()
    with screen.busy("loading the model …", step="model"):
        pass
    assert capsys.readouterr() == ("", "")
    (step,) = screen.steps
    assert step.startswith("model 0.")


def test_without_a_terminal_what_takes_long_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_AFTER_SECONDS", 0.0)
    told = threading.Event()
    screen = Screen()
    aside = screen.aside

    def tell(text: str) -> None:
        aside(text)
        told.set()

    monkeypatch.setattr(screen, "aside", tell)
    with screen.busy("loading the model …"):
        assert told.wait(10)
    assert capsys.readouterr() == ("", "loading the model …\n")


def test_on_a_terminal_a_spinner_turns_while_something_is_computed_and_vanishes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(console, "SPINNER_AFTER_SECONDS", 0.0)
    frames = set()
    render = Spinner.render

    def counted(self: Spinner, now: float) -> object:
        frames.add(int(now * 10))
        return render(self, now)

    monkeypatch.setattr(Spinner, "render", counted)
    with Screen().busy("loading the model …"):
        deadline = time.monotonic() + 10
        while len(frames) < 3:  # keeps the interpreter busy, as reading a model's files does
            assert time.monotonic() < deadline
    said = capsys.readouterr().err
    assert "loading the model …" in said
    assert said.endswith(("\x1b[2K", "\x1b[?25h", "\r\x1b[1A\x1b[2K")), said[-40:]


def test_a_failure_ends_the_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.enumerate()
    with pytest.raises(ZeroDivisionError), Screen().busy("loading the model …"):
        raise ZeroDivisionError
    assert {*threading.enumerate()} <= {*before}
