"""Writes events in the background, so that a chain waits for them only when its root run ends.

`BackgroundWriter` has one daemon thread per log, started by the first event. It writes the queued events in
order, in batches of one round trip each. When its log is closed or garbage-collected, it writes what is left
and ends. `EventBuffer` and `LoopBuffer` are for events that are written in another way.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias

from langchain_agentmem.events.event import Entry, Fields

logger = logging.getLogger("langchain_agentmem")

Write: TypeAlias = Callable[[Sequence[Entry]], Sequence[Any]]
"""Writes events; returns one result per event, an exception for one that was refused."""

MAX_WAITING = 10_000
MAX_BATCH = 500
RUN_END_SECONDS = 1.0
EXIT_SECONDS = 5.0

_lock = threading.RLock()  # re-entrant: a garbage collection inside may end a run, and lose its event
_workers: set[_Worker] = set()


class Losses:
    """Counts dropped events; logs once per outage. Thread-safe."""

    def __init__(self) -> None:
        self._events = 0
        self._reported = False

    @property
    def events(self) -> int:
        """Return how many events were dropped so far."""
        return self._events

    def add(self, events: int, reason: object) -> None:
        """Count dropped events; log the first ones since the last batch that was written. Never raises."""
        with _lock:
            self._events += events
            first, self._reported = not self._reported, True
        if first:
            with suppress(Exception):  # the exception's own text, or the application's log handlers, may fail
                why = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
                logger.warning(
                    "Events are dropped, %d so far; further ones are only counted, until writing works: %s",
                    self._events,
                    why,
                )

    def count(self, results: Sequence[object]) -> None:
        """Count the refused events of a batch, whose results are exceptions.

        If there are none, the outage is over, and the next drop is logged again.
        """
        refusals = [result for result in results if isinstance(result, Exception)]
        if refusals:
            self.add(len(refusals), refusals[0])
        else:
            self._reported = False


class Sink(Protocol):
    """Takes events from a handler. Its methods never raise."""

    losses: Losses

    def put(self, thread_id: str, fields: Fields) -> None:
        """Take an event; never block."""

    def flush(self, timeout_seconds: float = ...) -> bool:
        """Wait until the events so far are written; return whether that happened in time."""

    def settle(self) -> None:
        """Write the events so far, if that is quick; called when a root run ends, and before reading."""

    async def asettle(self) -> None:
        """Async version of `settle`."""


class EventBuffer:
    """Keeps events until they are drained, to be written along with something else. Thread-safe.

    Args:
        losses: Where dropped events are counted; by default, a counter of its own.
        max_events: How many events it keeps at most; further ones are dropped.
    """

    def __init__(self, losses: Losses | None = None, max_events: int = 10_000) -> None:
        self.losses = losses or Losses()
        self._max_events = max_events
        self._entries: deque[Entry] = deque()

    @property
    def dropped(self) -> int:
        """Return how many events were dropped."""
        return self.losses.events

    def put(self, thread_id: str, fields: Fields) -> None:
        """Keep an event."""
        if len(self._entries) >= self._max_events:
            self.losses.add(1, f"{self._max_events:,} events wait to be written.")
        else:
            self._entries.append((thread_id, fields))

    def drain(self) -> list[Entry]:
        """Remove and return the events, oldest first."""
        entries: list[Entry] = []
        with suppress(IndexError):
            while True:
                entries.append(self._entries.popleft())
        return entries

    def flush(self, timeout_seconds: float = 0.0) -> bool:
        """Return whether there is nothing to write. The events are written by the caller of `drain`."""
        return not self._entries

    def settle(self) -> None:
        """Do nothing: whoever drains writes."""

    async def asettle(self) -> None:
        """Do nothing: whoever drains writes."""


class LoopBuffer(EventBuffer):
    """Keeps events until a root run ends, and then writes them on the event loop.

    For a log that has only an async client, which a background thread could not use.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], Awaitable[Sequence[Any]]], losses: Losses) -> None:
        super().__init__(losses)
        self._write = write
        self._writing = asyncio.Lock()

    async def asettle(self) -> None:
        """Write the events that are kept."""
        async with self._writing:
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
        """Write the events that are kept."""
        await self.asettle()

    def close(self) -> None:
        """Drop the events that are kept: only `aclose` can write them."""
        if lost := len(self.drain()):
            self.losses.add(lost, "The log was closed without aclose().")


class BackgroundWriter:
    """Writes queued events on a thread of its own. Thread-safe, also in a forked child.

    After a `fork`, the child starts with an empty queue and a thread of its own; the parent writes what
    was queued before.

    Args:
        write: Writes a batch. It must not hold a reference to this object.
        losses: Where dropped events are counted.
        max_waiting: How many events are queued at most; further ones are dropped.
    """

    def __init__(self, write: Write, losses: Losses, max_waiting: int = MAX_WAITING) -> None:
        self.losses = losses
        self._write = write
        self._max_waiting = max_waiting
        self._closed = False
        self._worker: _Worker | None = None

    @property
    def dropped(self) -> int:
        """Return how many events were dropped."""
        return self.losses.events

    def put(self, thread_id: str, fields: Fields) -> None:
        """Queue an event. Never blocks, never raises."""
        if self._closed:
            self.losses.add(1, "The event log is closed.")
            return
        worker = self._running() or self._start()
        if worker is None:
            self.losses.add(1, "No thread could be started.")
        elif worker.queue.qsize() >= self._max_waiting:
            self.losses.add(1, f"{self._max_waiting:,} events wait to be written.")
        else:
            worker.queue.put((thread_id, fields))

    def flush(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """Wait until the events so far are written or dropped; return whether that happened in time."""
        worker = self._running()
        if worker is None or threading.current_thread() is worker.thread:
            return True
        return worker.reached().wait(timeout_seconds)

    def settle(self) -> None:
        """Flush for at most one second; return at once while the server does not answer."""
        worker = self._running()
        if worker is not None and not worker.failing and not self.flush(RUN_END_SECONDS):
            worker.failing = True  # until a write works, nobody waits again

    async def asettle(self) -> None:
        """Async version of `settle`."""
        worker = self._running()
        if worker is not None and not worker.failing:
            with suppress(RuntimeError):  # the loop's thread pool is already shut down
                await asyncio.to_thread(self.settle)

    def close(self) -> None:
        """Write what is queued and end the thread, within seconds. A second call does nothing."""
        self._closed = True
        worker, self._worker = self._running(), None
        if worker is not None:
            worker.stop()
            if threading.current_thread() is not worker.thread:
                worker.thread.join(EXIT_SECONDS)
                worker.abandon()

    async def aclose(self) -> None:
        """Async version of `close`."""
        await asyncio.to_thread(self.close)

    def _running(self) -> _Worker | None:
        worker = self._worker
        usable = worker is not None and worker.pid == os.getpid() and worker.thread.is_alive()
        return worker if usable else None

    def _start(self) -> _Worker | None:
        with _lock:
            worker = self._running()
            if worker is None:
                worker = _Worker(self._write, self.losses)
                try:
                    worker.thread.start()
                except RuntimeError:  # too many threads, or the interpreter is shutting down
                    return None
                _workers.add(worker)
                self._worker = worker
                weakref.finalize(self, worker.stop).atexit = False
            return worker


class _Worker:
    """Runs in the thread. Of the log, it holds only the function that writes."""

    def __init__(self, write: Write, losses: Losses) -> None:
        self.pid = os.getpid()
        self.queue: SimpleQueue[Entry | threading.Event | None] = SimpleQueue()
        self.failing = False
        self.thread = threading.Thread(target=self._run, name="agentmem-events", daemon=True)
        self._write = write
        self._losses = losses

    def reached(self) -> threading.Event:
        """Return an event that is set once everything queued so far has been written or dropped."""
        event = threading.Event()
        self.queue.put(event)
        return event

    def stop(self) -> None:
        """End the thread once everything queued so far has been written or dropped."""
        self.queue.put(None)

    def abandon(self) -> None:
        """Drop, and count, what is still queued: the time to write it is over."""
        entries = 0
        with suppress(Empty):
            while True:
                item = self.queue.get_nowait()
                if isinstance(item, threading.Event):
                    item.set()
                elif item is not None:
                    entries += 1
        self.stop()
        if entries:
            self._losses.add(entries, f"They could not be written within {EXIT_SECONDS:.0f} s of closing.")

    def _run(self) -> None:
        stopping = False
        while not stopping:
            entries, reached, stopping = self._take()
            if entries:
                self._write_batch(entries)
            for event in reached:
                event.set()
        _workers.discard(self)

    def _take(self) -> tuple[list[Entry], list[threading.Event], bool]:
        """Take what is queued, at most a batch; block until there is something.

        Returns:
            The events, what to set once they are written, and whether the thread is to end.
        """
        entries: list[Entry] = []
        reached: list[threading.Event] = []
        stopping = False
        item = self.queue.get()
        while True:
            if item is None:
                stopping = True
            elif isinstance(item, threading.Event):
                reached.append(item)
            else:
                entries.append(item)
            if len(entries) == MAX_BATCH and not stopping:
                return entries, reached, stopping
            try:
                item = self.queue.get_nowait()
            except Empty:
                return entries, reached, stopping

    def _write_batch(self, entries: list[Entry]) -> None:
        try:
            results = self._write(entries)
        except Exception as error:  # noqa: BLE001 - a failed batch must neither end the thread nor reach a chain
            self.failing = True
            self._losses.add(len(entries), error)
            return
        self.failing = False
        self._losses.count(results)


def _flush_at_exit() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    for event in [worker.reached() for worker in list(_workers)]:
        event.wait(max(0.0, deadline - time.monotonic()))
    for worker in list(_workers):
        worker.abandon()


def _begin_anew_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    _workers.clear()


atexit.register(_flush_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
