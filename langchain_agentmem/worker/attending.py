"""A queue that a worker was told of: when it is due, what is done of it, and what becomes of a failure."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.errors import StoreConnectionError, StoreError, StoreLoadingError
from langchain_agentmem.tasks.task import Place, Queued
from langchain_agentmem.worker.consolidating import Consolidating
from langchain_agentmem.worker.exchanges import is_full, taken_together
from langchain_agentmem.worker.failures import (
    LONGEST_BACKOFF_SECONDS,
    OUTAGES,
    Outage,
    backoff,
    note_done,
    note_failure,
    told,
)
from langchain_agentmem.worker.metrics import Tally
from langchain_agentmem.worker.operations import Done, Work, look

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

logger = logging.getLogger("langchain_agentmem")

_LONGEST_DEBOUNCE = 10  # times as long as a thread has to be quiet
LONGEST_WAIT_SECONDS = 1.25 * LONGEST_BACKOFF_SECONDS  # for a task that another clock says is not due
_OUTAGES_PASSED_OVER = 3  # failures of the store in a row that are no attempts of a task
DEATHS_PASSED_OVER = 1  # of workers that had a queue in hand, until one of its tasks is suspected
_CLAIMED = ("claimed", "Workers that had it in hand died, or gave no sign of life.")


@dataclass(frozen=True, slots=True)
class ShiftOptions:
    """The options of a worker, checked."""

    group: str
    name: str
    concurrency: int
    debounce_seconds: float
    max_attempts: int
    claim_idle_seconds: float


@dataclass(slots=True, eq=False)
class Held:
    """A queue that a worker was told of, until it is empty.

    Attributes:
        place: Which queue.
        ids: Its signals that the worker was given.
        since: Since when, by the monotonic clock.
        outages: How often in a row the store has failed.
        timer: What lets it go on when its time has come.
        is_suspect: Whether workers that had it in hand died again and again, perhaps of it.
        head: The first task in the queue, when it was last looked at.
        head_since: Since when it is that one, by the monotonic clock.
    """

    place: Place
    ids: list[str]
    since: float
    outages: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    is_suspect: bool = False
    head: bytes = field(default=b"", repr=False)
    head_since: float = 0.0


class Attending:
    """Does what is due of queues, one step of one queue at a time.

    Args:
        memory: The memory.
        work: What is done.
        options: How.
        tally: Where it is counted.
        outage: Where it is noted that the store fails.
        consolidating: Where it is noted whose memories were changed; `None` for nowhere.
        once: Whether threads need not be quiet.

    Attributes:
        ends: Whether what is in hand is being cancelled.
    """

    def __init__(
        self,
        memory: AgentMemory,
        work: Work,
        options: ShiftOptions,
        tally: Tally,
        outage: Outage,
        consolidating: Consolidating | None,
        *,
        once: bool,
    ) -> None:
        self._memory, self._work, self._options, self._tally = memory, work, options, tally
        self._tasks = memory.tasks
        self._outage = outage
        self._consolidating = consolidating
        self._once = once
        self._one_suspect = asyncio.Lock()
        self.ends = False

    async def step(self, held: Held) -> float | None:
        """Do what is due of a queue; return in how many seconds to go on, `None` if there is nothing left.

        Of those of which workers may have died, one is done at a time, and its attempt is counted before: if
        this worker dies as well, no other one is blamed.
        """
        if not held.is_suspect:
            return await self._step(held)
        async with self._one_suspect:
            held.is_suspect = False
            queued = await self._run(self._tasks.read_op(held.place, 1))
            if queued and held.ids:  # else it has been taken over meanwhile
                await self._note_attempt(held, queued[0], held.ids[0], *_CLAIMED, not_before=time.time())
            return await self._step(held)

    async def _step(self, held: Held) -> float | None:
        asked = list(held.ids)
        left, queued = await self._run(look(self._tasks, held.place, asked, self._options.group))
        held.ids = left + [id for id in held.ids if id not in asked]
        if not held.ids:
            return None
        if not queued:  # between the two, another worker has taken off the last one
            return 0.0
        if (seconds := self._seconds_until(held, queued)) > 0:
            return seconds
        taken, signal_id = taken_together(queued, time.time()), held.ids[0]
        try:
            done = await self._run(self._tally.timed(self._work.do(held.place, taken, signal_id)))
        except BaseException as error:
            # A model's client may raise even what would end this worker, and then the next one.
            if self.ends or isinstance(error, KeyboardInterrupt):
                raise
            return await self._failed(held, taken[0], signal_id, error)
        held.outages = 0
        self._count(held.place, taken, done)
        return 0.0

    def _seconds_until(self, held: Held, queued: Sequence[Queued]) -> float:
        """Return in how many seconds the first task of a queue is due; 0 if it is.

        Clocks may differ: by another one, nothing waits for longer than it would by this one.
        """
        head, now = queued[0].task, time.time()
        if held.head != queued[0].stored:
            held.head, held.head_since = queued[0].stored, time.monotonic()
        due = min(head.not_before - now, LONGEST_WAIT_SECONDS - (time.monotonic() - held.head_since))
        if not self._once and not head.attempts and not is_full(queued):
            quiet = self._options.debounce_seconds
            longest = quiet * _LONGEST_DEBOUNCE
            newest = max(one.task.ts for one in queued)
            waited = time.monotonic() - held.since
            due = max(due, min(newest + quiet - now, quiet, head.ts + longest - now, longest - waited))
        return max(due, 0.0)

    def _count(self, place: Place, taken: Sequence[Queued], done: Done) -> None:
        tally = self._tally
        tally.folded_messages += done.folded
        if not done.taken:
            tally.stale += 1
        elif place.what == "extract":
            tally.exchanges += len(taken)
            tally.unreadable_messages += done.unreadable
            tally.changes.update(result.outcome for _, result in done.changes)
            if done.changes and self._consolidating is not None:
                self._consolidating.note(place.user)
        note_done(self._memory.events, place, done)

    async def _failed(self, held: Held, queued: Queued, signal_id: str, error: BaseException) -> float:
        """Note that a task failed; return in how many seconds to look at its queue again."""
        reason, message = told(error)
        self._tally.failures[reason] += 1
        if isinstance(error, OUTAGES) and held.outages < _OUTAGES_PASSED_OVER:
            return self.put_off(held, error)
        await self._note_attempt(
            held,
            queued,
            signal_id,
            reason,
            message,
            not_before=time.time() + backoff(queued.task.attempts + 1),
        )
        return 0.0

    async def _note_attempt(
        self, held: Held, queued: Queued, signal_id: str, reason: str, message: str, *, not_before: float
    ) -> None:
        """Note in a task that it failed once more; set it aside if that was its last attempt."""
        attempts = queued.task.attempts + 1
        set_aside = attempts >= self._options.max_attempts
        noted = await self._run(
            self._tasks.fail_op(
                held.place,
                queued,
                reason=reason,
                message=message,
                not_before=not_before,
                set_aside=set_aside,
                group=self._options.group,
                signal_id=signal_id,
            )
        )
        if noted:
            self._tally.set_aside += set_aside
            note_failure(self._memory.events, held.place, message, attempts, set_aside=set_aside)
        else:
            self._tally.stale += 1

    def put_off(self, held: Held, error: StoreError) -> float:
        """Return in how many seconds to try again what the store failed at."""
        held.outages += 1
        if isinstance(error, StoreConnectionError | StoreLoadingError):
            self._outage.begins(error)
        elif held.outages == 1:
            logger.warning("The store refuses work on thread %r: %s", held.place.thread_id, error)
        return backoff(held.outages, most=30.0)

    async def _run(self, op: Op[T]) -> T:
        return await self._memory.transport.arun(op)
