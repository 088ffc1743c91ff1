"""Server-sent events: how an answer is streamed, and how a thread's event log is followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from langchain_agentmem.demo import views
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.events.event import Event
from langchain_agentmem.events.event_log import EventLog

_POLL_SECONDS = 0.5
_HEARTBEAT_POLLS = 30
_AT_ONCE = 200
HEARTBEAT = ": still here\n\n"


def sse(name: str, data: Any, id: str = "") -> str:
    """One server-sent event; its data is JSON, which has no line breaks."""
    numbered = f"id: {id}\n" if id else ""
    return f"{numbered}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def follow(
    log: EventLog, thread: str, last_id: str, first: list[Event], stopping: Callable[[], bool]
) -> AsyncIterator[str]:
    """A thread's events as they come, until the server stops or the reader goes.

    Args:
        log: Where they are.
        thread: Whose they are.
        last_id: What the reader has seen.
        first: The events behind it that were read already.
        stopping: Whether the server is about to end.
    """
    events, quiet = first, 0
    yield HEARTBEAT  # so that the reader knows that it is connected
    while not stopping():
        for event in events:
            last_id = event.id
            yield sse("event", views.event(event), id=event.id)
        quiet = 0 if events else quiet + 1
        if quiet >= _HEARTBEAT_POLLS:
            quiet = 0
            yield HEARTBEAT
        if len(events) < _AT_ONCE:
            await asyncio.sleep(_POLL_SECONDS)
        try:
            events = await log.aafter(thread, last_id, _AT_ONCE)
        except AgentMemoryError as error:  # the reader comes again, from where it was
            yield sse("error", {"error": str(error)})
            return


async def first_events(log: EventLog, thread: str, last_id: str) -> list[Event]:
    """The first events behind an id, read before an answer is begun: a failure can still be told."""
    return await log.aafter(thread, last_id, _AT_ONCE)
