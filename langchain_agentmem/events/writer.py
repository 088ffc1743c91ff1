"""Writes events in the background, so that a chain never waits for the log but at its end.

One daemon thread a log, started by the first event. What waits is written in batches, in order, one
round trip each. A thread without a log (closed, or collected as garbage) writes what is left and ends.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from langchain_agentmem.events.event import Entry, Fields
from langchain_agentmem.events.losses import Losses

Write: TypeAlias = Callable[[Sequence[Entry]], Sequence[Any]]
"""Writes events; a result each, an exception for one that was refused."""

MAX_WAITING = 10_000
MAX_BATCH = 500
RUN_END_SECONDS = 1.0
EXIT_SECONDS = 5.0

_lock = threading.RLock()
_workers: set[_Worker] = set()


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
        """How many events were dropped."""
        return self.losses.events

    def put(self, thread_id: str, fields: Fields) -> None:
        """Hand over an event. Never blocks, never raises."""
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
        """Wait until what was put so far is written, or dropped; whether it was, in time."""
        worker = self._running()
        if worker is None or threading.current_thread() is worker.thread:
            return True
        return worker.reached().wait(timeout_seconds)

    def settle(self) -> None:
        """A short `flush`, and none at all while the server does not answer."""
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
    """The thread's side: it holds on to nothing of the log but how to write."""

    def __init__(self, write: Write, losses: Losses) -> None:
        self.pid = os.getpid()
        self.queue: SimpleQueue[Entry | threading.Event | None] = SimpleQueue()
        self.failing = False
        self.thread = threading.Thread(target=self._run, name="agentmem-events", daemon=True)
        self._write = write
        self._losses = losses

    def reached(self) -> threading.Event:
        """Set as soon as everything that waits now is dealt with."""
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
        """Everything that waits, up to a batch; blocks while nothing does."""
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
