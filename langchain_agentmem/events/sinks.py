"""Where handlers put events, besides the background writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from langchain_agentmem.events.event import Entry, Fields
from langchain_agentmem.events.losses import Losses


class Sink(Protocol):
    """Takes events from a handler. Nothing here raises."""

    losses: Losses

    def put(self, thread_id: str, fields: Fields) -> None:
        """Take an event; never blocks."""

    def flush(self, timeout_seconds: float = ...) -> bool:
        """Wait until what was put is written; whether it was, in time."""

    def settle(self) -> None:
        """A root run has ended, or somebody reads: write what was put, if that is quick."""

    async def asettle(self) -> None:
        """Async version of `settle`."""


class EventBuffer:
    """Keeps events until somebody drains them, to write them with something else. Thread-safe.

    Args:
        losses: Where events that do not fit are counted; its own, if not given.
        max_events: With so many kept, further ones are dropped.
    """

    def __init__(self, losses: Losses | None = None, max_events: int = 10_000) -> None:
        self.losses = losses or Losses()
        self._max_events = max_events
        self._entries: deque[Entry] = deque()

    @property
    def dropped(self) -> int:
        """How many events were dropped."""
        return self.losses.events

    def put(self, thread_id: str, fields: Fields) -> None:
        """Keep an event."""
        if len(self._entries) >= self._max_events:
            self.losses.add(1, f"{self._max_events:,} events wait to be written.")
        else:
            self._entries.append((thread_id, fields))

    def drain(self) -> list[Entry]:
        """Take out what is kept, oldest first."""
        entries: list[Entry] = []
        while True:
            try:
                entries.append(self._entries.popleft())
            except IndexError:
                return entries

    def flush(self, timeout_seconds: float = 0.0) -> bool:
        """Do nothing: whoever drains writes. Whether nothing waits."""
        return not self._entries

    def settle(self) -> None:
        """Do nothing: whoever drains writes."""

    async def asettle(self) -> None:
        """Do nothing: whoever drains writes."""


class LoopBuffer(EventBuffer):
    """An `EventBuffer` that writes itself at the end of a run, on the event loop.

    For a log with nothing but an async client, which a background thread could not use.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], Awaitable[Sequence[Any]]], losses: Losses) -> None:
        super().__init__(losses)
        self._write = write
        self._turn = asyncio.Lock()

    async def asettle(self) -> None:
        """Write what is kept."""
        async with self._turn:
            entries = self.drain()
            if not entries:
                return
            try:
                results = await self._write(entries)
            except BaseException as error:
                self.losses.add(len(entries), error)
                if isinstance(error, Exception):  # a failed write must not reach a chain
                    return
                raise
            self.losses.count(results)

    async def aclose(self) -> None:
        """Write what is kept."""
        await self.asettle()

    def close(self) -> None:
        """Give up what is kept, which only `aclose` can write."""
        if lost := len(self.drain()):
            self.losses.add(lost, "The log was closed without aclose().")
