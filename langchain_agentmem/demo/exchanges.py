"""Exchanges on the page: the memory's own `wrap`, and around it what the page shows of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias, cast

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import Runnable

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.chain.noteworthy import noteworthy, occasion
from langchain_agentmem.chain.options import ExchangeReport
from langchain_agentmem.core.checks import NOBODY
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.core.redaction import redact
from langchain_agentmem.demo.meter import Meter, measure
from langchain_agentmem.demo.models import NEAREST, SKIP, ExchangeRequest, RecallRequest, nearest_answer
from langchain_agentmem.demo.store import DemoStore, vector_memories
from langchain_agentmem.errors import AgentMemoryError, WrongOwnerError
from langchain_agentmem.events.event import Event
from langchain_agentmem.longterm.types import MemoryRecord
from langchain_agentmem.working.session import SessionState

Answering: TypeAlias = Callable[[bool], Runnable[Any, Any]]
"""Returns what answers, given whether the exchange will be remembered."""

_memory_id: ContextVar[str | None] = ContextVar("agentmem_demo_memory_id", default=None)


class ModelError(AgentMemoryError):
    """The model that answers failed."""


class Exchanges:
    """Exchanges and recalls, for any user and thread.

    Args:
        memory: What they are kept in.
        store: Where keys are noted before they are written.
        answering: Returns what answers.
    """

    def __init__(self, memory: AgentMemory, store: DemoStore, answering: Answering) -> None:
        self._memory = memory
        self._memories = vector_memories(memory)
        # The id of an exchange's memory is made before it, so that its key is noted before it is written.
        self._memories.drafting.new_id = lambda: _memory_id.get() or uuid.uuid4().hex
        self._store = store
        self._answering = answering

    async def session(self, thread: str, user: str) -> SessionState | None:
        """Return the session of a thread; `None` if there is none.

        Raises:
            WrongOwnerError: It is another user's.
        """
        try:
            return await self._memory.working.aload(thread, user=user)
        except WrongOwnerError as error:  # what it advises is for a program
            raise WrongOwnerError(f"The thread {thread} is another user's; begin one of your own.") from error

    async def own_events(self, thread: str, user: str, found: list[Event]) -> list[Event]:
        """Return those of a thread's events that are this user's to see.

        Events that name nobody are, as long as the session is: only then they are looked up by it.
        """
        session = None
        if any(event.user in NOBODY for event in found):
            with suppress(WrongOwnerError):
                session = await self.session(thread, user)
        may_see = {user} if session is None else {user, *NOBODY}
        return [event for event in found if event.user in may_see]

    async def stream(self, asked: ExchangeRequest) -> AsyncIterator[str | dict[str, Any]]:
        """Yield the answer in parts, and then what happened.

        Raises:
            WrongOwnerError: The thread is another user's.
            ModelError: The model failed; what was said is kept, marked as unanswered, and so are the events.
        """
        pages_own = measure()
        state = await self.session(asked.thread, asked.user)
        memory_id = uuid.uuid4().hex
        await self._store.note_exchange(asked.thread, memory_id, begins=state is None)
        _memory_id.set(memory_id)
        reports: list[ExchangeReport] = []
        meter = measure()
        answer = ""
        try:
            async with aclosing(self._chunks(asked, state, reports)) as chunks:
                async for part in chunks:
                    answer += part
                    yield part
        except AgentMemoryError:
            raise
        except Exception as error:
            raise ModelError(f"The model failed: {type(error).__name__}: {redact(str(error))}") from error
        shown = measure()
        happened = await self._happened(asked, reports.pop(), meter)
        happened["answer"] = answer
        happened["cost"]["page_round_trips"] = pages_own.round_trips + shown.round_trips
        yield happened

    async def _chunks(
        self, asked: ExchangeRequest, state: SessionState | None, reports: list[ExchangeReport]
    ) -> AsyncGenerator[str]:
        """Yield the answer of the wrapped runnable in parts."""
        chain = self._memory.wrap(
            self._answering(asked.kind != SKIP),
            history_key="chat_history",
            remember=None if asked.kind == SKIP else partial(noteworthy, kind=asked.kind),
            k=NEAREST,
            mode=asked.mode,  # type: ignore[arg-type]  # checked when it was asked
            distance_threshold=self._threshold(asked.threshold),
            on_exchange=reports.append,
        )
        inputs = {
            "input": asked.text,
            "goal": state.goal if state else "",
            "scratchpad": state.scratchpad if state else "",
        }
        scope = {"session_id": asked.thread, "user_id": asked.user, "namespace": asked.namespace}
        async with aclosing(chain.astream(inputs, {"configurable": scope})) as chunks:  # type: ignore[type-var]  # an iterator by its type, a generator in fact
            async for chunk in chunks:
                yield str(getattr(chunk, "text", chunk))

    async def _happened(self, asked: ExchangeRequest, report: ExchangeReport, meter: Meter) -> dict[str, Any]:
        """Return what became of the words, and what was near them before."""
        fate = await self._fate(asked, report)
        near = report.recalled
        if meter.vector is not None:
            own = fate.get("id") if fate["what"] == "stored" else None
            nearest = await self._memory.transport.arun(self._nearest(asked, meter.vector, NEAREST + 1))
            recalled = {record.id for record in near}
            missed = [record for record in nearest if record.id not in recalled and record.id != own]
            near = [*near, *missed][:NEAREST]
        return {
            "recall": self._recall_answer(asked.text, asked.threshold, near, report.recalled),
            "fate": fate,
            "failures": report.failures,
            "cost": {**_cost(meter), "model_ms": report.chain_seconds * 1000},
        }

    async def _fate(self, asked: ExchangeRequest, report: ExchangeReport) -> dict[str, Any]:
        """Return what became of the words: stored, merged into a memory, or neither."""
        remembered = report.remembered
        if remembered is None:
            because = {"off": {"what": "skipped"}, "unusable": {"what": "too long"}}
            passed_over = {"what": "not noteworthy", "because": occasion(asked.text)}
            return because.get(report.not_remembered or "", passed_over)
        fate: dict[str, Any] = {"id": remembered.id, "distance": remembered.existing_distance}
        if not remembered.deduped:
            return {**fate, "what": "stored"}
        merged = await self._memories.aget(remembered.id, user=asked.user)
        about = {"text": merged.text, "hit_count": merged.hit_count} if merged else {}
        return {**fate, "what": "merged", **about}

    async def recall(self, asked: RecallRequest) -> dict[str, Any]:
        """Return what is recalled for a query, and what just misses the threshold. One round trip."""
        meter = measure()
        recalled, near = await self._memory.transport.arun(self._recall(asked))
        ids = {record.id for record in recalled}
        near = [*recalled, *(record for record in near if record.id not in ids)][:NEAREST]
        return {
            **self._recall_answer(asked.query, asked.threshold, near, recalled),
            "cost": _cost(meter),
        }

    def _recall(self, asked: RecallRequest) -> Op[list[list[MemoryRecord]]]:
        """Recall within the threshold, and without one, leaving out the excluded memories."""
        embeddings = cast(Embeddings, self._memories.embeddings)  # what searches by vectors has them
        (vector,) = yield Embed(embeddings, [asked.query], "query")
        k = NEAREST + len(asked.exclude)
        limits = (self._threshold(asked.threshold), None)
        found = yield from gather([self._nearest(asked, vector, k, limit) for limit in limits])
        return [[record for record in ok(one) if record.id not in asked.exclude][:NEAREST] for one in found]

    def _nearest(
        self,
        asked: ExchangeRequest | RecallRequest,
        vector: list[float],
        k: int,
        threshold: float | None = None,
    ) -> Op[list[MemoryRecord]]:
        return self._memories.recall_op(
            "",
            embedding=vector,
            user=asked.user,
            namespace=asked.namespace,
            mode=asked.mode,  # type: ignore[arg-type]  # checked when it was asked
            k=k,
            distance_threshold=threshold,
        )

    def _recall_answer(
        self, query: str, threshold: float | None, near: list[MemoryRecord], recalled: list[MemoryRecord]
    ) -> dict[str, Any]:
        return {
            "query": query,
            "threshold": self._threshold(threshold),
            "memories": nearest_answer(near, {record.id for record in recalled}),
        }

    def _threshold(self, asked: float | None) -> float:
        return self._memory.settings.recall_threshold if asked is None else asked


def _cost(meter: Meter) -> dict[str, Any]:
    return {
        "round_trips": meter.round_trips,
        "embedding_ms": meter.embedding_seconds * 1000,
        "redis_ms": meter.redis_seconds * 1000,
    }
