"""Writes events in the background, so that a chain waits for them only when its root run ends.

`BackgroundWriter` has one daemon thread per log, started by the first event, which writes what waits in
batches, in order, one round trip each. Without a log (closed, or collected as garbage) it writes what is
left and ends. `EventBuffer` and `LoopBuffer` are for who writes events otherwise. `Losses` counts drops.
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
"""Writes events; a result each, an exception for one that was refused."""

MAX_WAITING = 10_000
MAX_BATCH = 500
RUN_END_SECONDS = 1.0
EXIT_SECONDS = 5.0

_lock = threading.RLock()  # re-entrant: a garbage collection inside may end a run, and lose its event
_workers: set[_Worker] = set()


class Losses:
    """Counts events that were dropped. Thread-safe."""

    def __init__(self) -> None:
        self._events = 0
        self._reported = False

    @property
    def events(self) -> int:
        """Return how many events were dropped so far."""
        return self._events

    def add(self, events: int, reason: object) -> None:
        """Count dropped events, and log the first ones since a batch went well. Never raises."""
        with _lock:
            self._events += events
            first, self._reported = not self._reported, True
        if first:
            with suppress(Exception):  # of the exception's own text, or of the application's log handlers
                why = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
                logger.warning(
                    "Events are dropped, %d so far; further ones are only counted, until writing works: %s",
                    self._events,
                    why,
                )

    def count(self, results: Sequence[object]) -> None:
        """Take the results of a batch: an exception is an event that was refused.

        With none, events are written again, and the next drop is worth a log line.
        """
        refusals = [result for result in results if isinstance(result, Exception)]
        if refusals:
            self.add(len(refusals), refusals[0])
        else:
            self._reported = False


class Sink(Protocol):
    """Takes events from a handler. Nothing here raises."""

    losses: Losses

    def put(self, thread_id: str, fields: Fields) -> None:
        """Take an event; never blocks."""

    def flush(self, timeout_seconds: float = ...) -> bool:
        """Wait until what was put is written; return whether it was, in time."""

    def settle(self) -> None:
        """Write what was put, if that is quick: a root run has ended, or somebody reads."""

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
        """Return how many events were dropped."""
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
        with suppress(IndexError):
            while True:
                entries.append(self._entries.popleft())
        return entries

    def flush(self, timeout_seconds: float = 0.0) -> bool:
        """Return whether nothing waits; whoever drains writes."""
        return not self._entries

    def settle(self) -> None:
        """Do nothing: whoever drains writes."""

    async def asettle(self) -> None:
        """Do nothing: whoever drains writes."""


class LoopBuffer(EventBuffer):
    """An `EventBuffer` that writes itself at the end of a run, on the event loop.

    For a log with only an async client, which a background thread could not use.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], Awaitable[Sequence[Any]]], losses: Losses) -> None:
        super().__init__(losses)
        self._write = write
        self._writing = asyncio.Lock()

    async def asettle(self) -> None:
        """Write what is kept."""
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
        """Write what is kept."""
        await self.asettle()

    def close(self) -> None:
        """Give up what is kept, which only `aclose` can write."""
        if lost := len(self.drain()):
            self.losses.add(lost, "The log was closed without aclose().")


class BackgroundWriter:
    """A bounded queue and the thread that empties it. Thread-safe, also in a forked child.

    A child of `fork` begins with an empty queue and a thread of its own: what waited in the parent
    is written by the parent.

    Args:
        write: Writes a batch. It must not hold on to this object.
        losses: Where dropped events are counted.
        max_waiting: With so many events waiting, further ones are dropped.
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
        """Wait until what was put so far is written, or dropped; return whether it was, in time."""
        worker = self._running()
        if worker is None or threading.current_thread() is worker.thread:
            return True
        return worker.reached().wait(timeout_seconds)

    def settle(self) -> None:
        """Flush for a second at most, and not at all while the server does not answer."""
        worker = self._running()
        if worker is not None and not worker.failing and not self.flush(RUN_END_SECONDS):
            worker.failing = True  # until a write works, nobody waits again

    async def asettle(self) -> None:
        """Async version of `settle`."""
        worker = self._running()
        if worker is not None and not worker.failing:
            with suppress(RuntimeError):  # the loop's threads are already gone
                await asyncio.to_thread(self.settle)

    def close(self) -> None:
        """Write what waits and end the thread, within seconds. A second call does nothing."""
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
    """Runs in the thread; holds on to nothing of the log except how to write."""

    def __init__(self, write: Write, losses: Losses) -> None:
        self.pid = os.getpid()
        self.queue: SimpleQueue[Entry | threading.Event | None] = SimpleQueue()
        self.failing = False
        self.thread = threading.Thread(target=self._run, name="agentmem-events", daemon=True)
        self._write = write
        self._losses = losses

    def reached(self) -> threading.Event:
        """Return what is set as soon as everything that waits now is dealt with."""
        event = threading.Event()
        self.queue.put(event)
        return event

    def stop(self) -> None:
        """End the thread when it has dealt with everything that waits now."""
        self.queue.put(None)

    def abandon(self) -> None:
        """Count what still waits as dropped: nobody will wait for it any more."""
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
        """Take everything that waits, up to a batch; block while nothing does."""
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
        except Exception as error:  # noqa: BLE001 - no failed batch may end the thread, or reach a chain
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
