"""Exchanges on the page: the memory's own `wrap`, and around it what the page shows of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

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
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError
from langchain_agentmem.events.event import Event
from langchain_agentmem.longterm.types import MemoryRecord, Mode
from langchain_agentmem.working.session import SessionState

if TYPE_CHECKING:
    from redisvl.query.filter import FilterExpression

Answering: TypeAlias = Callable[[bool], Runnable[Any, Any]]
"""Returns what answers, given whether the exchange will be remembered."""


_TICK_SECONDS = 0.01  # to which `created_ts` is told


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
        noted = self._memory_id(asked)
        await self._store.note_exchange(asked.thread, noted, begins=state is None)
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
        shown, report = measure(), reports.pop()
        if report.remembered is not None and report.remembered.id != noted:
            await self._store.note_memory(report.remembered.id)  # said again after it was superseded
        happened = await self._happened(asked, report, meter)
        happened["answer"] = answer
        happened["cost"]["page_round_trips"] = pages_own.round_trips + shown.round_trips
        yield happened

    def _memory_id(self, asked: ExchangeRequest) -> str | None:
        """Return the id that the words get if they become a memory; `None` if they cannot."""
        if asked.kind == SKIP:
            return None
        try:
            return self._memories.drafting.draft(
                asked.text, user=asked.user, namespace=asked.namespace, kind=asked.kind
            ).id
        except InvalidInputError:  # too long; the exchange goes on without
            return None

    async def _chunks(
        self, asked: ExchangeRequest, state: SessionState | None, reports: list[ExchangeReport]
    ) -> AsyncGenerator[str]:
        """Yield the answer of the wrapped runnable in parts."""
        chain = self._memory.wrap(
            self._answering(asked.kind != SKIP),
            history_key="chat_history",
            remember=None if asked.kind == SKIP else partial(noteworthy, kind=asked.kind),
            k=NEAREST,
            mode=asked.mode,
            distance_threshold=self._threshold(asked),
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
        own: MemoryRecord | None = None
        if report.remembered is not None:
            own = await self._memories.aget(report.remembered.id, user=asked.user)
        fate = self._fate(asked, report, own)
        near: list[MemoryRecord] = []
        if meter.vector is not None or asked.mode == "text":
            before = own if fate["what"] == "stored" else None
            look = RecallRequest.model_construct(
                user=asked.user, query=asked.text, namespace=asked.namespace, mode=asked.mode
            )
            near = await self._memory.transport.arun(self._whatever_is_near(look, meter.vector, before))
        return {
            "recall": self._recall_answer(asked.text, asked, report.recalled, near),
            "fate": fate,
            "failures": report.failures,
            "cost": {**_cost(meter), "model_ms": report.chain_seconds * 1000},
        }

    def _fate(
        self, asked: ExchangeRequest, report: ExchangeReport, own: MemoryRecord | None
    ) -> dict[str, Any]:
        """Return what became of the words: stored, said before, or neither; `own` is what holds them."""
        remembered = report.remembered
        if remembered is None:
            because = {"off": {"what": "skipped"}, "unusable": {"what": "too long"}}
            passed_over = {"what": "not noteworthy", "because": occasion(asked.text)}
            return because.get(report.not_remembered or "", passed_over)
        near = None if remembered.near is None else asdict(remembered.near)
        fate: dict[str, Any] = {"id": remembered.id, "near": near}
        if not remembered.deduped:
            return {**fate, "what": "stored"}
        about = {"text": own.text, "hit_count": own.hit_count} if own else {}
        return {**fate, "what": "merged", **about}

    async def recall(self, asked: RecallRequest) -> dict[str, Any]:
        """Return what is recalled for a query, and what just misses. One round trip, two with `before`."""
        meter = measure()
        before = None
        if asked.before is not None:
            before = await self._memories.aget(asked.before, user=asked.user)
        recalled, near = await self._memory.transport.arun(self._recall(asked, before))
        return {**self._recall_answer(asked.query, asked, recalled, near), "cost": _cost(meter)}

    def _recall(self, asked: RecallRequest, before: MemoryRecord | None) -> Op[list[list[MemoryRecord]]]:
        """Recall, and recall whatever is near, without a gate or a threshold."""
        vector = None
        if asked.mode != "text":
            embeddings = cast(Embeddings, self._memories.embeddings)  # what searches by vectors has them
            (vector,) = yield Embed(embeddings, [asked.query], "query")
        found = yield from gather(
            [
                self._ranked(asked, asked.mode, vector, self._threshold(asked), before),
                self._whatever_is_near(asked, vector, before),
            ]
        )
        return [ok(one) for one in found]

    def _whatever_is_near(
        self, asked: RecallRequest, vector: list[float] | None, before: MemoryRecord | None
    ) -> Op[list[MemoryRecord]]:
        """Recall without a gate or a threshold, and then the nearest that have no rank, without a score."""
        modes = [asked.mode or self._memories.modes[0]]
        modes += ["vector"] if modes == ["hybrid"] else []
        found = yield from gather(self._ranked(asked, mode, vector, None, before) for mode in modes)
        ranked, *nearest = map(ok, found)
        ids = {record.id for record in ranked}
        unranked = (record for record in chain(*nearest) if record.id not in ids)
        return [*ranked, *(replace(record, score=None, explanation=None) for record in unranked)]

    def _ranked(
        self,
        asked: RecallRequest,
        mode: Mode | None,
        vector: list[float] | None,
        threshold: float | EllipsisType | None,
        before: MemoryRecord | None,
    ) -> Op[list[MemoryRecord]]:
        """Recall with a threshold, and with the parts of each rank.

        What is not older than a memory is left out: an exchange does not recall itself, and would be the
        measure of everything else.
        """
        older: FilterExpression | None = None
        if before is not None:
            from redisvl.query.filter import Num

            older = Num("created_ts") < before.created_ts - _TICK_SECONDS
        return self._memories.recall_op(
            asked.query,
            embedding=vector,
            user=asked.user,
            namespace=asked.namespace,
            mode=mode,
            k=NEAREST,
            distance_threshold=threshold,
            filter=older,
            explain=True,
        )

    def _recall_answer(
        self,
        query: str,
        asked: ExchangeRequest | RecallRequest,
        recalled: list[MemoryRecord],
        near: list[MemoryRecord],
    ) -> dict[str, Any]:
        explained = {record.id: record for record in near}
        ids = {record.id for record in recalled}
        shown = [explained.get(record.id, record) for record in recalled]
        shown += [record for record in near if record.id not in ids]
        threshold = self._threshold(asked)
        return {
            "query": query,
            "mode": asked.mode or self._memories.modes[0],
            "threshold": None if threshold is ... else threshold,
            "memories": nearest_answer(shown[:NEAREST], ids),
        }

    def _threshold(self, asked: ExchangeRequest | RecallRequest) -> float | EllipsisType:
        """Return the distance up to which is recalled; `...` for what the mode does by itself."""
        if asked.mode == "text" or asked.threshold is None:
            vector = asked.mode == "vector"
            return self._memory.settings.recall_threshold if vector else ...
        return asked.threshold


def _cost(meter: Meter) -> dict[str, Any]:
    return {
        "round_trips": meter.round_trips,
        "embedding_ms": meter.embedding_seconds * 1000,
        "redis_ms": meter.redis_seconds * 1000,
    }
