"""What an extractor makes of a turn: here, once the turn is written, or in a worker.

The task is queued in the round trip that writes the turn, in both cases: whatever ends the process or the
extractor, the exchange is there for a worker. Changes are made in the step that takes the task off its queue.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_core.messages import BaseMessage

from langchain_agentmem.chain.failures import Failures, said
from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.memories import ExchangeMemories
from langchain_agentmem.chain.options import ChainMemory, NotRemembered, TurnOptions
from langchain_agentmem.core.operations import Op, ok
from langchain_agentmem.errors import ExtractionError, StoreConnectionError
from langchain_agentmem.extraction.applying import extract_op, note_changes
from langchain_agentmem.extraction.extractor import Exchange
from langchain_agentmem.extraction.history import before
from langchain_agentmem.extraction.known import known_op
from langchain_agentmem.longterm.changes import ChangeResult
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult
from langchain_agentmem.tasks.task import Place, Queued, Taking, Task, encode

if TYPE_CHECKING:
    from langchain_agentmem.extraction.extractor import Extractor

INLINE_SECONDS = 60.0
"""How long a task that is extracted from here is left alone by workers."""

RETRY_SECONDS = 1.0
"""When a worker may try again what failed here."""


class TurnExtraction:
    """The extraction of one turn.

    Args:
        memory: The memory.
        options: What is remembered, and when.
        ids: Whose turn it is.
        memories: The turn's memories: its text and vectors, and what was recalled.
        failures: Where to note what is passed over.

    Attributes:
        results: What became of the changes.
        failed: Whether it has failed, or could not be queued.
    """

    def __init__(
        self,
        memory: ChainMemory,
        options: TurnOptions,
        ids: Ids,
        memories: ExchangeMemories,
        failures: Failures,
    ) -> None:
        self._memory = memory
        self._options = options
        self._ids = ids
        self._memories = memories
        self._failures = failures
        self._sent: Queued | None = None  # it is in the queue, or may be
        self._queued: Queued | None = None
        self._done_elsewhere = False
        self.results: list[ChangeResult] = []
        self.failed = False

    @property
    def wanted(self) -> bool:
        """Return whether the turn is extracted from."""
        return self._options.extracts and bool(self._memories.text)

    @property
    def inline(self) -> bool:
        """Return whether that is done here."""
        return self._options.extracts_inline and bool(self._memories.text)

    @property
    def remembered(self) -> list[RememberResult]:
        """Return what became of each fact that is remembered."""
        return [
            RememberResult(one.id, deduped=one.outcome == "merged", replaced=one.replaced)
            for one in self.results
            if one.outcome in ("stored", "merged", "updated")
        ]

    @property
    def not_remembered(self) -> NotRemembered | None:
        """Return why nothing is remembered yet; `None` if it was not for an extractor to say."""
        if not self.wanted:
            return None
        if self.failed or (self._sent is not None and self._queued is None):  # it may not be there
            return "failed"
        return "declined" if self.inline and not self._done_elsewhere else "background"

    @property
    def _place(self) -> Place:
        return Place("extract", *self._ids)

    def enqueue(self, messages: Sequence[bytes], history: Sequence[BaseMessage]) -> Op[None]:
        """Queue the turn. One round trip.

        Args:
            messages: The turn's messages, as they are stored.
            history: What was said before it.
        """
        now = time.time()
        task = Task(
            id=uuid.uuid4().hex,
            ts=now,
            messages=tuple(messages),
            history=before(history),
            not_before=now + INLINE_SECONDS if self.inline else 0.0,
        )
        self._sent = Queued(task, encode(task))
        try:
            self._queued = yield from self._memory.tasks.enqueue_op(self._place, task)
        except Exception as error:
            self.failed = not self.inline
            if not isinstance(error, StoreConnectionError):  # else it may be there
                self._sent = None
            raise

    def known(self) -> Op[list[MemoryRecord]]:
        """Return what is known already of what the user says. One round trip."""
        return known_op(
            self._memory.long_term,
            [self._memories.text] if self._memories.searchable else [],
            user=self._ids.user,
            namespace=self._ids.namespace,
            vectors={} if self._memories.vector is None else {self._memories.text: self._memories.vector},
        )

    def withdraw(self) -> Op[None]:
        """Take the turn off the queue, if it is there: it has not been written, or will be again.

        One round trip, if it may be there.
        """
        if self._sent is not None:
            yield from self._memory.tasks.take_off_op(self._taking(self._sent))
            self._sent = self._queued = None

    def run(
        self,
        messages: Sequence[bytes],
        history: Sequence[BaseMessage],
        known: Sequence[MemoryRecord] | Exception,
    ) -> Op[None]:
        """Ask the extractor, and make the changes: one round trip, and an embedding of the new texts.

        Nothing is raised: a failure is noted, and the turn is left to a worker.

        Args:
            messages: The turn's messages, as they are stored.
            history: What was said before it.
            known: What is known of it already, or why that could not be read: without it, what is out of date
                would not be superseded.
        """
        try:
            yield from self._extract(messages, history, ok(known))
        except Exception as error:  # noqa: BLE001 - nothing is lost by it, and the answer is there
            self.failed = True
            self._failures.pass_over("extract", error)
            if self._queued is not None:
                with self._failures.passing_over("extract"):
                    yield from self._leave(self._queued, error)

    def _extract(
        self, messages: Sequence[bytes], history: Sequence[BaseMessage], known: Sequence[MemoryRecord]
    ) -> Op[None]:
        decoded = [self._memory.working.decode(message) for message in messages]
        now = time.time()
        times = [self._memory.working.said_at(message) or now for message in messages]
        exchange = Exchange(
            self._ids.user,
            decoded,
            times,
            memories=list({record.id: record for record in [*known, *self._memories.recalled]}.values()),
            history=list(history),
            namespace=self._ids.namespace,
            thread_id=self._ids.thread_id,
        )
        extractor: Extractor = self._options.remember  # type: ignore[assignment]
        taking = None if self._queued is None else self._taking(self._queued)
        made = yield from extract_op(extractor, exchange, self._memory.long_term, taking)
        self._sent = self._queued = None
        self._done_elsewhere = made is None  # a worker was faster
        self.results = [result for _, result in made or ()]
        note_changes(self._memory.events, self._ids.thread_id, self._ids.user, made or ())

    def _taking(self, queued: Queued) -> Taking:
        return self._memory.tasks.taking(self._place, [queued])

    def _leave(self, queued: Queued, error: Exception) -> Op[None]:
        """Let a worker try again soon."""
        yield from self._memory.tasks.fail_op(
            self._place,
            queued,
            reason=error.reason if isinstance(error, ExtractionError) else "failed",
            message=said(error),
            not_before=time.time() + RETRY_SECONDS,
            set_aside=False,
        )
