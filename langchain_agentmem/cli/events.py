"""`agentmem events`: what happened in a thread, and what happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, show_json
from langchain_agentmem.cli.ids import chosen_thread
from langchain_agentmem.cli.table import Cell, Column
from langchain_agentmem.cli.text import milliseconds, moment, one_line, when

if TYPE_CHECKING:
    from langchain_agentmem.events.event import Event

_PAGE = 500
_POLL_SECONDS = 0.25
_BEGIN = "turn_start"  # of an exchange: what follows belongs to it


def events(
    thread: options.ThreadId,
    redis: options.Redis = None,
    count: Annotated[int, options.count_option("--count", "How many of the last.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new ones, until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what happened in a conversation, oldest first.

    An exchange begins on the left; what it did is indented.

    \b
      agentmem events 4f0c9a12 --count 100
      agentmem events 4f0c9a12 --follow         new ones too, until Ctrl-C
      agentmem events 4f0c9a12 --follow --json  a JSON object a line

    --json without --follow is one JSON list. Ctrl-C ends with exit code 130.
    """
    screen = Screen()
    with options.usage(), open_store(redis, screen) as memory:
        found = memory.events.recent(thread, count)[::-1]
        # With --follow, the thread may be one that only begins.
        if not found and not follow and (whole := chosen_thread(memory, thread)) is not None:
            thread = whole
            found = memory.events.recent(thread, count)[::-1]
        if as_json and not follow:
            return show_json([event.to_dict() for event in found])
        log = _Log(screen, as_json=as_json, follow=follow)
        if found or not follow:
            log.show(found, empty=f"no events in the thread {one_line(thread, 60)}")
        last, pause = found[-1].id if found else "", threading.Event()
        while follow:
            if new := memory.events.after(thread, last, _PAGE):
                log.show(new)
                last = new[-1].id
            else:
                # Asked again and again rather than with a blocking read: that would keep the shared
                # connection from other commands, and a REST API has none.
                pause.wait(_POLL_SECONDS)
    return None


def show_events(screen: Screen, found: Sequence[Event]) -> None:
    """Print events as a table."""
    _Log(screen).show(found, empty="no events in this thread")


class _Log:
    """Shows events as they come, each in a row, or as a JSON object per line."""

    def __init__(self, screen: Screen, *, as_json: bool = False, follow: bool = False) -> None:
        self._screen, self._as_json, self._follow = screen, as_json, follow
        self._heading, self._in_exchange = True, False
        self._depths: dict[str, int] = {}  # of runs, by their ids

    def show(self, found: Sequence[Event], *, empty: str = "") -> None:
        """Show some events, oldest first; if there are none, what is `empty` says so."""
        if self._as_json:
            for event in found:
                show_json(event.to_dict())
            return
        # Rows that come later stand below these.
        least = (19, 16, 16, 8, 1) if self._follow else (0, 0, 0, 0, 0)
        columns = [
            Column("time", 19, least[0]),
            Column("action", 32, least[1]),
            Column("name", 16, least[2]),
            Column("took", 12, least[3], right=True),
            Column("user"),
            Column("detail", least=least[4]),
        ]
        rows = [self._row(event) for event in found]
        self._screen.table(columns, rows, empty=empty, heading=self._heading)
        self._heading = False

    def _row(self, event: Event) -> tuple[object, ...]:
        self._in_exchange = self._in_exchange or event.action == _BEGIN
        outside = event.action == _BEGIN or not self._in_exchange
        depth = self._depths.get(event.parent_run_id, -1 if outside else 0) + 1
        if event.run_id:
            self._depths.setdefault(event.run_id, depth)
        seconds = event.duration_seconds
        return (
            Cell(when(event.ts), moment(event.ts)),
            Cell("  " * min(depth, 5) + event.action, event.action),
            event.name,
            Cell(milliseconds(seconds), "" if seconds is None else f"{seconds:g} s"),
            Cell("", event.user),
            event.detail,
        )
