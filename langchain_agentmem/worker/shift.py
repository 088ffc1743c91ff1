"""A run of a worker: what it takes, holds until it is due, does, and gives back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.errors import StoreError
from langchain_agentmem.tasks.task import Place, Signal, What
from langchain_agentmem.worker.attending import DEATHS_PASSED_OVER, Attending, Held, ShiftOptions
from langchain_agentmem.worker.consolidating import Consolidating
from langchain_agentmem.worker.failures import OUTAGES, Outage, backoff
from langchain_agentmem.worker.metrics import Tally, WorkerMetrics
from langchain_agentmem.worker.operations import NOBODY, Work

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

logger = logging.getLogger("langchain_agentmem")

MAX_HELD = 10_000  # signals whose time has not come, at most
_BLOCK_SECONDS = (
    1.0  # how long a read waits for signals; so long a worker may take to notice that it is stopped
)
_POLL_SECONDS = 5.0  # over REST, which cannot wait
_MINDING_SECONDS = 5.0
_PAGE = 100


class Shift:
    """A run of a worker.

    Args:
        memory: The memory.
        work: What is done.
        options: How.
        tally: Where it is counted.
        on_progress: Who is told.
        consolidating: The users whose memories are to be consolidated; `None` if none are.
        once: Whether to end when everything is done that is there.
    """

    def __init__(
        self,
        memory: AgentMemory,
        work: Work,
        options: ShiftOptions,
        tally: Tally,
        on_progress: Callable[[WorkerMetrics], None] | None,
        consolidating: Consolidating | None,
        *,
        once: bool,
    ) -> None:
        self._memory, self._work, self._options, self._tally = memory, work, options, tally
        self._tasks = memory.tasks
        self._on_progress = on_progress
        self._consolidating = consolidating
        self._once = once
        self._loop = asyncio.get_running_loop()
        self._held: dict[Place, Held] = {}
        self._others: list[str] = []  # signals of work that this worker cannot do
        self._warned_of: set[What] = set()
        self._ready: asyncio.Queue[Held | None] = asyncio.Queue()
        self._busy = 0
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._outage = Outage()
        self._attending = Attending(memory, work, options, tally, self._outage, consolidating, once=once)

    def stop(self) -> None:
        """Take nothing more; on the event loop."""
        self._stopping.set()
        self._room.set()

    def stop_soon(self) -> None:
        """Take nothing more; from any thread."""
        self._loop.call_soon_threadsafe(self.stop)

    async def run(self) -> None:
        """Work until it is stopped, or, once, until everything is done; then give back what is held."""
        await self._join()
        runners = [asyncio.create_task(self._run_each()) for _ in range(self._options.concurrency)]
        taking = asyncio.create_task(self._take_all() if self._once else self._take())
        minding = asyncio.create_task(self._mind())
        consolidating = asyncio.create_task(self._consolidate_forever())
        try:
            ended, _ = await asyncio.wait([taking, minding, *runners], return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            for _ in runners:
                self._ready.put_nowait(None)
            await asyncio.gather(taking, *runners, *ended)
            if self._once:
                await self._consolidate(quiet_seconds=0)
        except BaseException:
            self._attending.ends = True
            for task in (taking, *runners):
                task.cancel()
                self._ready.put_nowait(None)  # for one whose cancellation a connection has swallowed
            raise
        finally:
            self._stopping.set()
            self._ended.set()
            consolidating.cancel()  # each of its steps leaves all in order
            await asyncio.gather(taking, minding, consolidating, *runners, return_exceptions=True)
            await self._leave()
        self._tell()

    # Taking signals.

    async def _join(self, *, again: bool = False) -> None:
        """Be of the group. While the server cannot be reached, wait for it.

        Args:
            again: Whether it has been of it: then what the server refuses passes too, such as writes while
                another one takes its place.

        Raises:
            StoreError: The server refuses it, or, once, cannot be reached.
        """
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._run(self._tasks.create_group_op(self._options.group))
                return
            except StoreError as error:
                if self._once or not (again or isinstance(error, OUTAGES)):
                    raise
                failures += 1
                self._outage.begins(error)
                await self._pause(backoff(failures, most=30.0))

    async def _take(self) -> None:
        """Take signals, as long as there is room for them, until it is stopped."""
        block = self._block_ms()
        failures = 0
        while not self._stopping.is_set():
            room = 2 * self._options.concurrency - self._ready.qsize() - self._busy
            if room <= 0 or len(self._held) >= MAX_HELD:
                self._room.clear()
                await self._pause(_BLOCK_SECONDS, self._room)
                continue
            try:
                signals = await self._run(
                    self._tasks.next_op(self._options.group, self._options.name, room, block)
                )
            except StoreError as error:
                failures += 1
                self._outage.begins(error)
                await self._pause(backoff(failures, most=30.0))
                await self._join(again=True)  # whose group may be gone with what the server held
                continue
            failures = 0
            self._outage.ends()
            self._receive(signals)
            if not signals and block is None:
                await self._pause(min(max(self._options.debounce_seconds, 0.1), _POLL_SECONDS))

    async def _take_all(self) -> None:
        """Take what is there, also what dead workers have left, until all of it is done."""
        await self._claim()
        while not self._stopping.is_set():
            await self._ready.join()
            signals = await self._run(
                self._tasks.next_op(self._options.group, self._options.name, _PAGE, None)
            )
            if not signals:
                break
            self._receive(signals)

    async def _claim(self) -> None:
        """Take over what dead workers had in hand."""
        group, name = self._options.group, self._options.name
        idle_ms = int(self._options.claim_idle_seconds * 1000)
        while not self._stopping.is_set() and len(self._held) < MAX_HELD:
            signals = await self._run(self._tasks.claim_op(group, name, idle_ms, _PAGE))
            self._tally.claimed += self._receive(signals)
            for signal in signals:
                if signal.place in self._held:
                    self._held[signal.place].is_suspect |= signal.deliveries > DEATHS_PASSED_OVER + 1
            if not signals:
                break

    def _receive(self, signals: Iterable[Signal]) -> int:
        """Hold what signals are about; return how many of them are new."""
        new = 0
        for signal in signals:
            if not self._work.can(signal.place.what):
                self._leave_to_others(signal)
                continue
            held = self._held.get(signal.place)
            if held is None:
                held = self._held[signal.place] = Held(signal.place, [], time.monotonic())
                self._ready.put_nowait(held)
            if signal.id not in held.ids:  # else one that it had in hand itself
                held.ids.append(signal.id)  # its queue is looked at again before it lets go of it
                new += 1
        self._tally.signals += new
        return new

    def _leave_to_others(self, signal: Signal) -> None:
        """Give a signal back before long: whoever can do what it is about takes it over."""
        self._others.append(signal.id)
        if signal.place.what not in self._warned_of:
            self._warned_of.add(signal.place.what)
            logger.warning(NOBODY[signal.place.what])

    def _block_ms(self) -> int | None:
        """Return for how long a read may wait, below the time after which no answer is an error."""
        transport = self._memory.transport
        if transport.rest:
            return None
        limit = transport.socket_timeout_seconds
        return max(int(1000 * min(_BLOCK_SECONDS, _BLOCK_SECONDS if limit is None else limit / 2)), 1)

    # Doing what they are about.

    async def _run_each(self) -> None:
        """Attend to what is ready, one queue after the other."""
        while (held := await self._ready.get()) is not None:
            self._busy += 1
            try:
                await self._attend(held)
            finally:
                self._busy -= 1
                self._ready.task_done()
                self._room.set()
        self._ready.task_done()

    async def _attend(self, held: Held) -> None:
        """Do what is due of a queue, and let go of it if it is empty."""
        if self._stopping.is_set():
            return
        try:
            seconds = await self._attending.step(held)
        except StoreError as error:
            self._tally.failures["store"] += 1
            seconds = self._attending.put_off(held, error)
        if seconds is None:
            del self._held[held.place]
        elif not seconds:
            self._ready.put_nowait(held)
        elif not self._once:
            held.timer = self._loop.call_later(seconds, self._ready.put_nowait, held)
        self._tell()

    # What goes on besides.

    async def _mind(self) -> None:
        """Show that what is in hand is in hand, take over what dead workers had, and count what waits."""
        idle = self._options.claim_idle_seconds
        while not self._ended.is_set():
            try:
                await self._keep()
                if not self._once:
                    await self._claim()
                    await self._give_back(self._others)
                    self._others.clear()
                counts = await self._run(self._tasks.waiting_op())
                self._tally.waiting, self._tally.failed = counts
            except StoreError as error:
                self._outage.begins(error)
            self._tell()
            await self._pause(min(idle / 3, _MINDING_SECONDS), self._ended)

    async def _keep(self) -> None:
        """Show that what is held is held; let go of what another worker has taken over meanwhile."""
        held_ids = [(held, id) for held in self._held.values() for id in held.ids]
        for at in range(0, len(held_ids), _PAGE):
            page = held_ids[at : at + _PAGE]
            ids = [id for _, id in page]
            kept = await self._run(self._tasks.keep_op(self._options.group, self._options.name, ids))
            for held, id in page:
                if id not in kept and id in held.ids:
                    held.ids.remove(id)

    async def _consolidate_forever(self) -> None:
        while not self._once and self._consolidating is not None and not self._stopping.is_set():
            await self._pause(_MINDING_SECONDS)
            await self._consolidate()

    async def _consolidate(self, **quiet: float) -> None:
        if self._consolidating is not None:
            for user in self._consolidating.due(**quiet):
                await self._consolidating.consolidate(user)

    async def _leave(self) -> None:
        """Give back what is held, so that others can take it at once, and leave the group."""
        ids = [*self._others]
        for held in self._held.values():
            ids += held.ids
            if held.timer is not None:
                held.timer.cancel()
        try:
            await self._give_back(ids)
            await self._run(self._tasks.leave_op(self._options.group, self._options.name))
            self._tally.waiting, self._tally.failed = await self._run(self._tasks.waiting_op())
        except StoreError as error:
            logger.warning(
                "The worker could not give back what it holds; others will take it over: %s", error
            )

    async def _give_back(self, ids: Sequence[str]) -> None:
        for at in range(0, len(ids), _PAGE):
            page = ids[at : at + _PAGE]
            await self._run(self._tasks.release_op(self._options.group, self._options.name, page))

    async def _run(self, op: Op[T]) -> T:
        return await self._memory.transport.arun(op)

    async def _pause(self, seconds: float, until: asyncio.Event | None = None) -> None:
        """Wait, but no longer than until an event is set; if none is named, until the worker is stopped."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for((until or self._stopping).wait(), seconds)

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._tally.metrics())
