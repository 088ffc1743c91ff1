"""Server-sent events: how an answer is streamed, and how a thread's event log is followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from langchain_agentmem.demo import views
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.events.event import Event
from langchain_agentmem.events.event_log import EventLog

_POLL_SECONDS = 0.5
_HEARTBEAT_POLLS = 30
_AT_ONCE = 200
_LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
HEARTBEAT = ": still here\n\n"


def sse(name: str, data: Any, id: str = "") -> str:
    """One server-sent event; its data is JSON, which has no line breaks."""
    numbered = f"id: {id}\n" if id else ""
    return f"{numbered}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def follow(
    log: EventLog,
    thread: str,
    last_id: str,
    first: list[Event],
    shown: Callable[[list[Event]], Awaitable[list[Event]]],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """A thread's events as they come, until the server stops or the reader goes.

    Args:
        log: Where they are.
        thread: Whose they are.
        last_id: What the reader has seen.
        first: The events behind it that were read already.
        shown: Which of some events the reader may see.
        stopping: Whether the server is about to end.
    """
    read, quiet = first, 0
    yield HEARTBEAT  # so that the reader knows that it is connected
    while not stopping():
        try:
            events = await shown(read)
        except AgentMemoryError as error:  # the reader comes again, from where it was
            yield sse("error", {"error": str(error)})
            return
        for event in events:
            yield sse("event", views.event(event), id=event.id)
        quiet = 0 if events else quiet + 1
        if quiet >= _HEARTBEAT_POLLS:
            quiet = 0
            yield HEARTBEAT
        if len(read) < _AT_ONCE:
            await asyncio.sleep(_POLL_SECONDS)
        last_id = read[-1].id if read else last_id
        try:
            read = await next_events(log, thread, last_id)
        except AgentMemoryError as error:
            yield sse("error", {"error": str(error)})
            return


async def next_events(log: EventLog, thread: str, last_id: str) -> list[Event]:
    """The next events behind an id."""
    if last_id == _LAST_ID:  # Redis takes no range that begins behind it
        return []
    return await log.aafter(thread, last_id, _AT_ONCE)
