"""A turn on the page: the memory's own `wrap`, and around it what the page shows of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any, TypeAlias

from langchain_core.runnables import Runnable

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.core.redaction import redact
from langchain_agentmem.demo import views
from langchain_agentmem.demo.asked import NEAREST, SKIP, RecallAsked, TurnAsked
from langchain_agentmem.demo.measuring import Meter, measure, on_redis
from langchain_agentmem.demo.store import DemoStore
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.events.event import Event
from langchain_agentmem.turn import TurnReport
from langchain_agentmem.working.session import SessionState

Answering: TypeAlias = Callable[[bool], Runnable[Any, Any]]
"""What answers, given whether the turn will be remembered."""

_NOBODY = ("", "default")
_turns_id: ContextVar[str | None] = ContextVar("agentmem_demo_turns_id", default=None)


class ModelError(AgentMemoryError):
    """The model that answers failed."""


class ForeignThreadError(AgentMemoryError):
    """The thread is another user's."""


class Turns:
    """Takes turns and recalls, for any user and thread."""

    def __init__(self, memory: AgentMemory, store: DemoStore, answering: Answering) -> None:
        self._memory = memory
        self._memories = on_redis(memory)
        # The id of a turn's memory is made before the turn, so that its key is noted before it is written.
        self._memories.drafting.new_id = lambda: _turns_id.get() or uuid.uuid4().hex
        self._store = store
        self._answering = answering

    async def session(self, thread: str, user: str) -> SessionState | None:
        """The session of a thread.

        Raises:
            ForeignThreadError: It is another user's.
        """
        state = await self._memory.working.aload(thread)
        if state is not None and state.user not in (*_NOBODY, user):
            raise ForeignThreadError(f"The thread {thread} is {state.user}'s; begin one of your own.")
        return state

    async def own_events(self, thread: str, user: str, found: list[Event]) -> list[Event]:
        """Those of a thread's events that are this user's to see.

        Events that name nobody are, as long as the session is: only then they are looked up by it.
        """
        session = None
        if any(event.user in _NOBODY for event in found):
            with suppress(ForeignThreadError):
                session = await self.session(thread, user)
        may_see = {user} if session is None else {user, *_NOBODY}
        return [event for event in found if event.user in may_see]

    async def take(self, asked: TurnAsked) -> AsyncIterator[str | dict[str, Any]]:
        """A turn: the answer in parts, and then what happened.

        Raises:
            ForeignThreadError: The thread is another user's.
            ModelError: The model failed; what was said is kept, marked as unanswered, and so are the events.
        """
        pages_own = measure()
        state = await self.session(asked.thread, asked.user)
        memory_id = uuid.uuid4().hex
        await self._store.note_turn(asked.thread, memory_id, begins=state is None)
        _turns_id.set(memory_id)
        reports: list[TurnReport] = []
        chain = self._memory.wrap(
            self._answering(asked.kind != SKIP),
            history_key="chat_history",
            remember=None if asked.kind == SKIP else asked.kind,
            k=NEAREST,
            distance_threshold=self._threshold(asked.threshold),
            on_turn=reports.append,
        )
        chain.options.recall["mode"] = asked.mode
        inputs = {
            "input": asked.text,
            "goal": state.goal if state else "",
            "scratchpad": state.scratchpad if state else "",
        }
        scope = {"session_id": asked.thread, "user_id": asked.user, "namespace": asked.namespace}
        meter = measure()
        answer = ""
        try:
            async with aclosing(chain.astream(inputs, {"configurable": scope})) as chunks:  # type: ignore[type-var]  # an iterator by its type, a generator in fact
                async for chunk in chunks:
                    part = str(getattr(chunk, "text", chunk))
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

    async def _happened(self, asked: TurnAsked, report: TurnReport, meter: Meter) -> dict[str, Any]:
        """What became of the words, and what was near them before."""
        remembered = report.remembered
        fate: dict[str, Any] = {"what": "skipped" if asked.kind == SKIP else "too long"}
        own = None
        if remembered is not None:
            fate = {"id": remembered.id, "distance": remembered.existing_distance}
            fate["what"] = "merged" if remembered.deduped else "stored"
            if remembered.deduped:
                known = await self._memories.aget(remembered.id, user=asked.user)
                fate |= {"text": known.text, "hits": known.hit_count} if known else {}
            else:
                own = remembered.id
        hits = report.recalled
        if meter.vector is not None:
            near = await self._memory.transport.arun(
                self._memories.recall_op(
                    embedding=meter.vector,
                    user=asked.user,
                    namespace=asked.namespace,
                    mode=asked.mode,  # type: ignore[arg-type]  # checked when it was asked
                    k=NEAREST + 1,
                    distance_threshold=None,
                )
            )
            given = {record.id for record in hits}
            missed = [record for record in near if record.id not in given and record.id != own]
            hits = [*hits, *missed][:NEAREST]
        return {
            "recall": {
                "query": asked.text,
                "threshold": self._threshold(asked.threshold),
                "hits": views.nearest(hits, {record.id for record in report.recalled}),
            },
            "fate": fate,
            "failures": report.failures,
            "cost": {
                "round_trips": meter.round_trips,
                "embedding_ms": meter.embedding_seconds * 1000,
                "redis_ms": meter.redis_seconds * 1000,
                "model_ms": report.chain_seconds * 1000,
            },
        }

    async def recall(self, asked: RecallAsked) -> dict[str, Any]:
        """What is recalled for a query, and what just misses the threshold. One round trip."""
        meter = measure()
        embedding = await self._memories.embeddings.aembed_query(asked.query)
        about: dict[str, Any] = {
            "embedding": embedding,
            "user": asked.user,
            "namespace": asked.namespace,
            "mode": asked.mode,
            "k": NEAREST + len(asked.exclude),
        }
        threshold = self._threshold(asked.threshold)
        found = await self._memory.transport.arun(
            gather(
                [self._memories.recall_op(distance_threshold=limit, **about) for limit in (threshold, None)]
            )
        )
        recalled, near = (
            [record for record in ok(one) if record.id not in asked.exclude][:NEAREST] for one in found
        )
        given = {record.id for record in recalled}
        return {
            "query": asked.query,
            "threshold": threshold,
            "hits": views.nearest(
                [*recalled, *(record for record in near if record.id not in given)][:NEAREST], given
            ),
            "cost": {
                "round_trips": meter.round_trips,
                "embedding_ms": meter.embedding_seconds * 1000,
                "redis_ms": meter.redis_seconds * 1000,
            },
        }

    def _threshold(self, asked: float | None) -> float:
        return self._memory.settings.recall_threshold if asked is None else asked
