"""Server-sent events: stream an answer or an import, and follow a thread's event log.

A stream with nothing to tell sends a heartbeat every two seconds: a page takes silence for a hanging server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from langchain_agentmem import Event, EventLog
from langchain_agentmem.demo.changes import Watch
from langchain_agentmem.demo.models import event_answer
from langchain_agentmem.errors import AgentMemoryError

_POLL_SECONDS = 0.5
_LOOK_POLLS = 4  # between two looks at what other programs have changed
_HEARTBEAT_POLLS = 4
_AT_ONCE = 200
_STOP_CHECK_SECONDS = 0.5  # how often what takes long checks whether the server is about to end
_HEARTBEAT_CHECKS = 4
_UNAVAILABLE = 503
_LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
HEARTBEAT = ": still here\n\n"


def sse(name: str, data: Any, id: str = "") -> str:
    """Return one server-sent event; its data is JSON, which has no line breaks."""
    numbered = f"id: {id}\n" if id else ""
    return f"{numbered}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream_exchange(
    parts: AsyncIterator[str | dict[str, Any]],
    status: Callable[[Exception], int],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """Return an exchange as server-sent events: `delta` per part of the answer, and at last `exchange`."""

    async def named() -> AsyncGenerator[tuple[str, Any]]:
        async with aclosing(cast(Any, parts)):
            async for part in parts:
                yield ("delta", {"text": part}) if isinstance(part, str) else ("exchange", part)

    return stream(named(), status, stopping)


async def stream(
    parts: AsyncGenerator[tuple[str, Any]],
    status: Callable[[Exception], int],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """Yield what happens as server-sent events; what fails is the last one, `error`.

    It runs in a task of its own: when the reader goes it is cancelled once, and can still record that.

    Args:
        parts: The name of each event, and its data.
        status: Returns the HTTP status that tells of an error.
        stopping: Returns whether the server is about to end.
    """
    ready: asyncio.Queue[str | None] = asyncio.Queue()

    async def run() -> None:
        try:
            async with aclosing(parts):
                async for name, data in parts:
                    ready.put_nowait(sse(name, data))
        except AgentMemoryError as error:
            ready.put_nowait(sse("error", {"error": str(error), "status": status(error)}))
        finally:
            ready.put_nowait(None)

    task, silent = asyncio.create_task(run()), 0
    try:
        while not stopping():
            try:
                line = await asyncio.wait_for(ready.get(), _STOP_CHECK_SECONDS)
            except asyncio.TimeoutError:  # not the builtin before Python 3.11
                silent += 1
                if silent % _HEARTBEAT_CHECKS == 0:
                    yield HEARTBEAT
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
    changes: asyncio.Queue[str],
    watch: Watch,
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    """Yield a thread's events as they come (`event`), and what has changed for its user (`changed`).

    It ends when the server stops or the reader goes.

    Args:
        log: Where they are.
        thread: Whose they are.
        last_id: The last one that the reader has seen; empty for none.
        first: The events after it that were read already.
        shown: Returns those of some events that the reader may see.
        changes: Gets what this server changes for the user.
        watch: Finds what other programs change.
        stopping: Returns whether the server is about to end.
    """
    read, polls = first, 0
    yield HEARTBEAT  # so that the reader knows that it is connected
    while not stopping():
        try:
            for event in await shown(read):
                yield sse("event", event_answer(event), id=event.id)
            if polls % _LOOK_POLLS == 0:
                for what in await watch.changed():
                    changes.put_nowait(what)
        except AgentMemoryError as error:  # the reader comes again, from where it was
            yield sse("error", {"error": str(error)})
            return
        polls += 1
        if polls % _HEARTBEAT_POLLS == 0:
            yield HEARTBEAT
        told = await _changed(changes) if len(read) < _AT_ONCE else []
        last_id = read[-1].id if read else last_id
        try:
            if told:  # or what another program takes back at once would not be noticed
                told += await watch.changed()
            read = await next_events(log, thread, last_id)
        except AgentMemoryError as error:
            yield sse("error", {"error": str(error)})
            return
        for what in dict.fromkeys(told):
            yield sse("changed", {"what": what})


async def _changed(changes: asyncio.Queue[str]) -> list[str]:
    """Wait for a change, until it is time to look for events again; return those that came."""
    try:
        found = [await asyncio.wait_for(changes.get(), _POLL_SECONDS)]
    except asyncio.TimeoutError:  # not the builtin before Python 3.11
        return []
    while not changes.empty():
        found.append(changes.get_nowait())
    return found


async def next_events(log: EventLog, thread: str, last_id: str) -> list[Event]:
    """Return the next events after an id, oldest first."""
    if last_id == _LAST_ID:  # Redis takes no range that begins after it
        return []
    return await log.aafter(thread, last_id, _AT_ONCE)
