"""`agentmem events`: what happened in a thread, and what happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.options import AsJson, Redis
from langchain_agentmem.cli.output import show_json

if TYPE_CHECKING:
    from langchain_agentmem.events.event import Event

HELP = """Show the last events of a conversation, oldest first.

\b
  agentmem events 4f0c9a --count 100
  agentmem events 4f0c9a --follow          new ones as they come, until Ctrl-C
  agentmem events 4f0c9a --follow --json   a JSON object a line, for other programs

--json without --follow is one JSON list. Ctrl-C ends with exit code 130."""

_COLUMNS = ("time", "action", "name", "took", "detail")
_PAGE = 500
_POLL_SECONDS = 0.25


def events(
    thread: Annotated[str, typer.Argument(metavar="ID", help="The conversation; see agentmem sessions.")],
    redis: Redis = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the last.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new ones, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem events`."""
    from langchain_agentmem.cli.connect import open_store

    screen = Screen()
    with open_store(redis, screen) as memory:
        found = memory.events.recent(thread, count)[::-1]
        if as_json and not follow:
            return show_json([asdict(event) for event in found])
        _show(screen, found, as_json)
        if not found and not follow:
            screen.facts([("events", "none in this thread")])
        last, pause = found[-1].id if found else "", threading.Event()
        while follow:
            new = memory.events.after(thread, last, _PAGE)
            _show(screen, new, as_json)
            if new:
                last = new[-1].id
            else:
                # Asked again and again rather than with a blocking read: that would keep the shared
                # connection from other commands, and a REST API has none.
                pause.wait(_POLL_SECONDS)
    return None


def _show(screen: Screen, found: Sequence[Event], as_json: bool) -> None:
    if as_json:
        for event in found:
            show_json(asdict(event))
    elif found:
        screen.table("event", _COLUMNS, [row(event) for event in found], cut=True)


def row(event: Event) -> tuple[str, ...]:
    """An event in columns."""
    return (
        text.clock(event.ts),
        text.one_line(event.action, 20),
        text.one_line(event.name, 24),
        "" if event.duration_seconds is None else text.milliseconds(event.duration_seconds),
        text.one_line(event.detail, 120),
    )
