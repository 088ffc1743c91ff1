"""The layout: a turn's facts, a table, an answer; on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest

from langchain_agentmem.cli.chat.conversation import summary
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.events.event import Event


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def plain(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    return Screen()


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int, **environment: str) -> Screen:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": str(columns), "TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    return Screen()


def shown() -> str:
    assert isinstance(sys.stdout, io.StringIO)
    return sys.stdout.getvalue()


FACTS = [
    ("recalled", "1 within 0.55"),
    ("recalled", "0.100  episodic  [bold]x[/bold] " + "y " * 60),
    ("memory", "stored as new memory"),
]


def test_elsewhere_every_fact_is_one_line_that_begins_with_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = plain(monkeypatch)
    screen.facts(FACTS)
    screen.table("memories", {"id": 40, "text": 300}, [("1", "z" * 200)])
    assert shown().splitlines() == [
        "recalled   1 within 0.55",
        "recalled   0.100  episodic  [bold]x[/bold] " + "y " * 60,
        "memory     stored as new memory",
        "memories   1  " + "z" * 200,
    ]


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_on_a_terminal_nothing_is_wider_than_it(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen = terminal(monkeypatch, columns, NO_COLOR="1")
    screen.facts(FACTS)
    screen.table("memories", {"id": 40, "text": 300}, [("1", "z" * 200)])
    screen.table("events", {"an id that leaves no room": 40, "text": 300}, [("1", "z" * 200)])
    assert max(map(len, shown().splitlines())) <= columns
    assert "[bold]x[/b" in shown()
    assert shown().count("recalled") == 1
    assert shown().count("z") == 400
    assert all(line.startswith("  ") for line in shown().splitlines())


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, 80).facts(FACTS)
    assert "\x1b[" in shown()
    terminal(monkeypatch, 80, NO_COLOR="1").facts(FACTS)
    assert "\x1b" not in shown()


def test_an_answer_cannot_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = plain(monkeypatch)
    with screen.waiting() as answer:
        for part in ("one\x1b[2J ", "two\n", "\x07three"):
            answer.add(part)
    assert shown() == "one[2J two\nthree\n"


@pytest.mark.parametrize("columns", [30, 100])
def test_an_answer_is_wrapped_between_words_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    screen = terminal(monkeypatch, columns, NO_COLOR="1")
    words = [f"word{number}" for number in range(20)]
    with screen.waiting() as answer:
        for word in words:
            answer.add(f"{word} ")
        answer.add("\nthe end")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown())
    assert [word for word in words if not re.search(rf"{word}\b", drawn)] == []
    assert max(map(len, drawn.splitlines())) <= columns
    assert drawn.endswith("the end\n")


def event(action: str, run_id: str = "", took: float | None = None) -> Event:
    return Event("1-1", action, "", 0.0, run_id, name="it" if run_id else "", duration_seconds=took)


def test_what_began_and_ended_is_one_event_of_a_turn() -> None:
    events = [
        event("recall"),
        event("chain_start", "1"),
        event("tool_start", "2"),
        event("chain_end", "1", 0.012),
    ]
    assert summary(events) == "recall · tool_start it · chain_end it 12 ms"
    assert summary([]) == "none"
    assert summary([event("custom")] * 9).endswith("· and 3 more (/events)")
