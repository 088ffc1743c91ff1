"""Server-sent events: stream an answer, and follow a thread's event log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from langchain_agentmem.demo.models import event_answer
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.events.event import Event
from langchain_agentmem.events.event_log import EventLog

_POLL_SECONDS = 0.5
_HEARTBEAT_POLLS = 30
_AT_ONCE = 200
_STOP_CHECK_SECONDS = 0.5  # how often a long exchange checks whether the server is about to end
_UNAVAILABLE = 503
_LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
HEARTBEAT = ": still here\n\n"


def sse(name: str, data: Any, id: str = "") -> str:
    """Return one server-sent event; its data is JSON, which has no line breaks."""
    numbered = f"id: {id}\n" if id else ""
    return f"{numbered}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def stream_exchange(
    parts: AsyncIterator[str | dict[str, Any]],
    status: Callable[[Exception], int],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """Yield an exchange as server-sent events: `delta` for a part of the answer, then `exchange`, or `error`.

    It runs in a task of its own: when the reader goes it is cancelled once, and can still record that.

    Args:
        parts: The exchange.
        status: Returns the HTTP status that tells of an error.
        stopping: Returns whether the server is about to end.
    """
    ready: asyncio.Queue[str | None] = asyncio.Queue()

    async def run() -> None:
        try:
            async with aclosing(cast(Any, parts)):
                async for part in parts:
                    is_delta = isinstance(part, str)
                    ready.put_nowait(sse("delta", {"text": part}) if is_delta else sse("exchange", part))
        except AgentMemoryError as error:
            ready.put_nowait(sse("error", {"error": str(error), "status": status(error)}))
        finally:
            ready.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        while not stopping():
            try:
                line = await asyncio.wait_for(ready.get(), _STOP_CHECK_SECONDS)
            except asyncio.TimeoutError:  # not the builtin before Python 3.11
                continue
            if line is None:
                await task
                return
            yield line
        yield sse("error", {"error": "The server ends.", "status": _UNAVAILABLE})
    finally:
        task.cancel()


async def follow(
    log: EventLog,
    thread: str,
    last_id: str,
    first: list[Event],
    shown: Callable[[list[Event]], Awaitable[list[Event]]],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """Yield a thread's events as they come, until the server stops or the reader goes.

    Args:
        log: Where they are.
        thread: Whose they are.
        last_id: The last one that the reader has seen; empty for none.
        first: The events after it that were read already.
        shown: Returns those of some events that the reader may see.
        stopping: Returns whether the server is about to end.
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
            yield sse("event", event_answer(event), id=event.id)
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
    """Return the next events after an id, oldest first."""
    if last_id == _LAST_ID:  # Redis takes no range that begins after it
        return []
    return await log.aafter(thread, last_id, _AT_ONCE)
