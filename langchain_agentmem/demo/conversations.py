"""The conversation on the page: sessions, their event logs, and exchanges by the memory's own `wrap`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict
from functools import partial
from typing import Any, TypeAlias

from langchain_core.runnables import Runnable

from langchain_agentmem import (
    AgentMemory,
    Event,
    ExchangeReport,
    MemoryRecord,
    SessionState,
    noteworthy,
    redact_secrets,
)
from langchain_agentmem.demo.changes import MEMORIES, SESSIONS, Changes
from langchain_agentmem.demo.memories import Memories
from langchain_agentmem.demo.models import (
    NEAREST,
    SKIP,
    ExchangeRequest,
    LogRequest,
    RecallRequest,
    ThreadRequest,
    UserRequest,
    WorkingRequest,
    event_answer,
    session_answer,
    thread_answer,
    trace_answer,
)
from langchain_agentmem.errors import AgentMemoryError, WrongOwnerError

Answering: TypeAlias = Callable[[bool], Runnable[Any, Any]]
"""Returns what answers, given whether the exchange will be remembered."""

_EVENTS_SHOWN = 400
_EVENTS_COUNTED = 100
_EVENTS_READ = 20_000
_THREADS_SHOWN = 30
_NOBODY = ("", "default")


class ModelError(AgentMemoryError):
    """The model that answers failed."""


class Conversations:
    """Sessions and exchanges, for any user and thread.

    Args:
        memory: What they are kept in.
        memories: The long-term memory, as the page shows it.
        changes: Where to tell what changes.
        answering: Returns what answers.
    """

    def __init__(
        self, memory: AgentMemory, memories: Memories, changes: Changes, answering: Answering
    ) -> None:
        self._memory = memory
        self._memories = memories
        self._changes = changes
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

    async def state(self, asked: ThreadRequest) -> dict[str, Any]:
        """Return a thread's session and latest events, and where the user's memories are.

        It says too whether the thread had a session that has expired.
        """
        session = await self.session(asked.thread, asked.user)
        events = await self._memory.events.arecent(asked.thread, _EVENTS_SHOWN)
        own = await self.own_events(asked.thread, asked.user, events)
        return {
            "session": session_answer(session),
            "expired": session is None and any(event.action == "turn_start" for event in own),
            "events": [event_answer(event) for event in own],
            "older": len(events) == _EVENTS_SHOWN,
            "memories": self._memories.stored(asked.user),
        }

    async def log(self, asked: LogRequest) -> dict[str, Any]:
        """Return the events of a thread before one, newest first, and whether there are still older ones."""
        await self.session(asked.thread, asked.user)  # refused if it is another user's
        events = await self._memory.events.arecent(asked.thread, _EVENTS_READ)
        before = [event for event in events if _order(event.id) < _order(asked.before)]
        own = await self.own_events(asked.thread, asked.user, before)
        shown = [event_answer(event) for event in own[:_EVENTS_SHOWN]]
        return {"events": shown, "older": len(own) > _EVENTS_SHOWN}

    async def own_events(self, thread: str, user: str, found: list[Event]) -> list[Event]:
        """Return those of a thread's events that are this user's to see.

        Events that name nobody are, as long as the session is: only then they are looked up by it.
        """
        session = None
        if any(event.user in _NOBODY for event in found):
            with suppress(WrongOwnerError):
                session = await self.session(thread, user)
        may_see = {user} if session is None else {user, *_NOBODY}
        return [event for event in found if event.user in may_see]

    async def threads(self, asked: UserRequest) -> dict[str, Any]:
        """Return a user's threads and those that nobody in particular began, those active last first."""
        users = dict.fromkeys([asked.user, "default"])
        pages = [await self._memory.alist_sessions(user=user, limit=_THREADS_SHOWN) for user in users]
        found = {session.thread_id: session for page in pages for session in page.sessions}
        latest = sorted(found.values(), key=lambda session: -session.last_active_ts)[:_THREADS_SHOWN]
        return {"threads": [thread_answer(session) for session in latest]}

    async def working(self, asked: WorkingRequest) -> dict[str, Any]:
        """Set goal or scratchpad, or both, and return the session."""
        working = self._memory.working
        await self.session(asked.thread, asked.user)  # refused if it is another user's
        state = await working.astart(asked.thread, user=asked.user)
        if asked.goal is not None:
            state = await working.aset_goal(asked.thread, asked.goal)
            await self.note(asked, "goal", asked.goal)
        if asked.scratchpad is not None:
            state = await working.aset_scratchpad(asked.thread, asked.scratchpad)
            await self.note(asked, "scratchpad", asked.scratchpad)
        self._changes.tell(asked.user, SESSIONS)
        return {"session": session_answer(state)}

    async def note(
        self, whose: ThreadRequest, action: str, detail: str, memory_ids: tuple[str, ...] = ()
    ) -> None:
        """Record what the page did to the memory, which a chain's own events do not tell."""
        await self._memory.events.arecord(
            whose.thread, action, detail, user=whose.user, memory_ids=memory_ids
        )

    async def exchange(self, asked: ExchangeRequest) -> dict[str, Any]:
        """Return an exchange as a whole."""
        happened: dict[str, Any] = {}
        async for part in self.stream(asked):
            if isinstance(part, dict):
                happened = part
        return happened

    async def stream(self, asked: ExchangeRequest) -> AsyncIterator[str | dict[str, Any]]:
        """Yield the answer in parts, and then what happened.

        Raises:
            WrongOwnerError: The thread is another user's.
            ModelError: The model failed; what was said is kept, marked as unanswered, and so are the events.
        """
        state = await self.session(asked.thread, asked.user)
        reports: list[ExchangeReport] = []
        answer = ""
        try:
            with self._memory.trace() as trace:
                async with aclosing(self._chunks(asked, state, reports)) as chunks:
                    async for part in chunks:
                        answer += part
                        yield part
        except AgentMemoryError:
            raise
        except Exception as error:
            raise ModelError(
                f"The model failed: {type(error).__name__}: {redact_secrets(str(error))}"
            ) from error
        report = reports.pop()
        before = 0 if state is None else state.turn_count
        yield {
            **await self._happened(asked, report),
            "answer": answer,
            "messages": None if report.turn_count is None else report.turn_count - before,
            "events": await self._events_of_the_last(asked.thread),
            "trace": trace_answer(trace, model_seconds=report.chain_seconds),
        }

    async def _chunks(
        self, asked: ExchangeRequest, state: SessionState | None, reports: list[ExchangeReport]
    ) -> AsyncGenerator[str]:
        """Yield the answer of the wrapped runnable in parts."""
        kind_of = partial(noteworthy, kind=asked.kind)
        chain = self._memory.wrap(
            self._answering(asked.kind != SKIP),
            history_key="chat_history",
            remember=None if asked.kind == SKIP else kind_of,
            k=NEAREST,
            mode=asked.mode,
            distance_threshold=self._memories.threshold(asked),
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

    async def _happened(self, asked: ExchangeRequest, report: ExchangeReport) -> dict[str, Any]:
        """Return what became of the words, and what was near them before."""
        own: MemoryRecord | None = None
        if report.remembered is not None:
            own = await self._memory.long_term.aget(report.remembered.id, user=asked.user)
        fate = self._fate(report, own)
        if report.memory_event is not None:
            await self._memory.events.arecord_many([report.memory_event])
        self._changes.tell(asked.user, SESSIONS, *([MEMORIES] if own is not None else []))
        look = RecallRequest.model_construct(
            user=asked.user,
            query=asked.text,
            namespace=asked.namespace,
            mode=asked.mode,
            threshold=asked.threshold,
            before=own.id if own is not None and fate["what"] == "stored" else None,
        )
        return {
            "recall": await self._memories.recall(look, recalled=report.recalled),
            "fate": fate,
            "failures": report.failures,
        }

    async def _events_of_the_last(self, thread: str) -> int:
        """Return how many events the last exchange of a thread has, up to 100."""
        actions = [event.action for event in await self._memory.events.arecent(thread, _EVENTS_COUNTED)]
        return actions.index("turn_start") + 1 if "turn_start" in actions else len(actions)

    def _fate(self, report: ExchangeReport, own: MemoryRecord | None) -> dict[str, Any]:
        """Return what became of the words: stored, said before, or neither; `own` is what holds them."""
        remembered = report.remembered
        if remembered is None:
            return {"what": "not remembered", "because": report.not_remembered}
        near = None if remembered.near is None else asdict(remembered.near)
        fate: dict[str, Any] = {"id": remembered.id, "near": near}
        if own is not None:
            fate |= {"text": own.text, "hit_count": own.hit_count, "kind": own.kind}
        return {**fate, "what": "merged" if remembered.deduped else "stored"}


def _order(event_id: str) -> tuple[int, ...]:
    """Return what sorts ids of events as they came."""
    return tuple(map(int, event_id.split("-")))
