"""The layout: a turn's facts, a table, an answer; on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.cells import cell_len

from langchain_agentmem.cli.chat.results import summary
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.events import show_events
from langchain_agentmem.cli.table import Cell, Column
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


COLUMNS = [Column("id", 40), Column("seen", right=True), Column("learnt"), Column("text")]
ROWS = [
    (Cell("0f343b09", "0f343b0931126a20"), "", Cell("3 min ago", "2026-11-29T17:54:50+00:00"), "z " * 100),
    (Cell("1a", "1a"), "12", Cell("now", "2026-11-29T17:57:50+00:00"), "私は東京に住んでいます。" * 6),
    (Cell("2b", "2b"), "3", Cell("now", "2026-11-29T17:57:51+00:00"), "אני גר\tבתל אביב\n\x1b[2Jשם"),
]


def test_elsewhere_every_fact_is_one_line_that_begins_with_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = plain(monkeypatch)
    screen.facts(FACTS)
    assert shown().splitlines() == [
        "recalled   1 within 0.55",
        "recalled   0.100  episodic  [bold]x[/bold] " + "y " * 60,
        "memory     stored as new memory",
    ]


def test_elsewhere_a_table_is_a_heading_and_lines_of_whole_values_between_tabs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain(monkeypatch).table(COLUMNS, ROWS)
    assert [line.split("\t") for line in shown().splitlines()] == [
        ["id", "seen", "learnt", "text"],
        ["0f343b0931126a20", "", "2026-11-29T17:54:50+00:00", ("z " * 100).strip()],
        ["1a", "12", "2026-11-29T17:57:50+00:00", "私は東京に住んでいます。" * 6],
        ["2b", "3", "2026-11-29T17:57:51+00:00", "אני גר בתל אביב [2Jשם"],
    ]


def test_an_empty_table_is_its_heading_elsewhere_and_says_so_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = plain(monkeypatch)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    screen.table(COLUMNS, [], empty="no memories of ada")
    assert shown() == "id\tseen\tlearnt\ttext\n"
    assert sys.stderr.getvalue() == "no memories of ada\n"  # type: ignore[attr-defined]
    screen = terminal(monkeypatch, 80, NO_COLOR="1")
    screen.table(COLUMNS, [], empty="no memories of ada")
    assert shown().strip() == "no memories of ada"


@pytest.mark.parametrize("columns", [20, 30, 60, 80, 120])
def test_on_a_terminal_nothing_is_wider_than_it(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen = terminal(monkeypatch, columns, NO_COLOR="1")
    screen.facts(FACTS)
    screen.table(COLUMNS, ROWS)
    screen.table([Column("an id that leaves no room", 40), Column("text")], [("1", "q" * 200)], lines=0)
    assert max(map(cell_len, shown().splitlines())) <= columns
    assert "[bold]" in shown().replace(" ", "").replace("\n", "")
    assert shown().count("recalled") == 1
    assert shown().count("q") == 200
    assert all(line.startswith("  ") for line in shown().splitlines())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_row_of_a_table_takes_two_lines_at_most(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    terminal(monkeypatch, columns, NO_COLOR="1").table(COLUMNS, ROWS)
    heading, *lines = shown().splitlines()
    assert heading.split() == ["id", "seen", "learnt", "text"]
    assert len(lines) <= 2 * len(ROWS)
    assert [line[2:12].split() for line in lines if line[2] != " "] == [["0f343b09"], ["1a"], ["2b"]]
    assert lines[1].endswith("z…")
    assert "12  now" in shown()
    assert "\n   3  now" not in shown()


def test_a_terminal_that_is_narrow_shows_the_text_below_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, 40, NO_COLOR="1").table(COLUMNS, ROWS[:1])
    assert shown().splitlines()[:3] == ["  id · learnt", "    text", "  0f343b09 · 3 min ago"]
    assert len(shown().splitlines()) == 5


def test_a_column_that_is_empty_takes_no_room_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, 80, NO_COLOR="1").table(COLUMNS, ROWS[:1])
    assert shown().splitlines()[0].split() == ["id", "learnt", "text"]


def test_what_exchanges_did_is_indented_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        event("looked"),
        event("turn_start"),
        event("chain_start", "1"),
        Event("1-1", "tool_end", "", 0.0, "2", parent_run_id="1", name="it", duration_seconds=0.25),
        event("turn_start"),
    ]
    screen = terminal(monkeypatch, 80, NO_COLOR="1")
    show_events(screen, events)
    lines = shown().splitlines()
    at = lines[0].index("action")
    assert [line[at:].split("  it")[0].rstrip() for line in lines[1:]] == [
        *("looked", "turn_start", "  chain_start", "    tool_end", "turn_start"),
    ]
    assert "  it    250 ms" in lines[4]
    show_events(plain(monkeypatch), events)
    rows = [line.split("\t") for line in shown().splitlines()]
    assert rows[0] == ["time", "action", "name", "took", "user", "detail"]
    assert rows[4][1:4] == ["tool_end", "it", "0.25 s"]


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


def test_a_command_to_copy_is_one_line_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    screen = terminal(monkeypatch, 20, NO_COLOR="1")
    screen.aside("To go on with it: agentmem chat --user ada", style="", is_command=True)
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue() == "To go on with it: agentmem chat --user ada\n"


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
