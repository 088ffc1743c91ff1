"""`agentmem events`: what happened in a thread, and what happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, clock, milliseconds, show_json

if TYPE_CHECKING:
    from langchain_agentmem.events.event import Event

_PAGE = 500
_POLL_SECONDS = 0.25


def events(
    thread: options.ThreadId,
    redis: options.Redis = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many of the last.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new ones, until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the last events of a conversation, oldest first.

    \b
      agentmem events 4f0c9a --count 100
      agentmem events 4f0c9a --follow          new ones as they come, until Ctrl-C
      agentmem events 4f0c9a --follow --json   a JSON object a line, for other programs

    --json without --follow is one JSON list. Ctrl-C ends with exit code 130.
    """
    screen = Screen()
    with open_store(redis, screen) as memory:
        found = memory.events.recent(thread, count)[::-1]
        if as_json and not follow:
            return show_json([event.to_dict() for event in found])
        if found or not follow:
            show_events(screen, found, as_json=as_json)
        last, pause = found[-1].id if found else "", threading.Event()
        while follow:
            if new := memory.events.after(thread, last, _PAGE):
                show_events(screen, new, as_json=as_json)
                last = new[-1].id
            else:
                # Asked again and again rather than with a blocking read: that would keep the shared
                # connection from other commands, and a REST API has none.
                pause.wait(_POLL_SECONDS)
    return None


def show_events(screen: Screen, found: Sequence[Event], *, as_json: bool = False) -> None:
    """Print events, each in a row, or as a JSON object per line."""
    if as_json:
        for event in found:
            show_json(event.to_dict())
        return None
    if not found:
        return screen.facts([("events", "none in this thread")])
    columns = {"time": 10, "action": 20, "name": 24, "took": 20, "detail": 120}
    rows = [(clock(e.ts), e.action, e.name, milliseconds(e.duration_seconds), e.detail) for e in found]
    return screen.table("event", columns, rows)
