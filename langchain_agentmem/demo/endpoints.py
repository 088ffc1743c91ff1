"""What the API answers. Nothing is kept between two requests: user and thread come with each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import gather
from langchain_agentmem.demo import views
from langchain_agentmem.demo.asked import (
    KINDS,
    SKIP,
    DropAsked,
    EventsAsked,
    NothingAsked,
    OfUser,
    RecallAsked,
    StateAsked,
    TurnAsked,
    WorkingAsked,
    modes,
)
from langchain_agentmem.demo.following import follow, next_events
from langchain_agentmem.demo.store import DemoStore
from langchain_agentmem.demo.turns import Answering, Turns
from langchain_agentmem.working.session import SessionState

_MEMORIES_SHOWN = 200
_EVENTS_SHOWN = 50
_THREADS_READ = 500
_THREADS_SHOWN = 30


class Endpoints:
    """The answers, one method a path.

    Attributes:
        memory: What is shown.
        stopping: Whether the server is about to end, and streams with it.
    """

    def __init__(
        self,
        memory: AgentMemory,
        store: DemoStore,
        answering: Answering,
        about: dict[str, Any],
        stopping: Callable[[], bool],
    ) -> None:
        self.memory = memory
        self.stopping = stopping
        self._store = store
        self._turns = Turns(memory, store, answering)
        self._about = about

    async def state(self, asked: StateAsked) -> dict[str, Any]:
        """Everything the page shows, but for the live events."""
        session, events, memories = await asyncio.gather(
            self._turns.session(asked.thread, asked.user),
            self.memory.events.arecent(asked.thread, _EVENTS_SHOWN),
            self.memory.long_term.alist_memories(
                user=asked.user, namespace=asked.namespace, limit=_MEMORIES_SHOWN
            ),
        )
        recall = None
        if asked.query.strip():
            about = asked.model_dump(include={"user", "namespace", "query", "threshold", "mode"})
            recall = await self._turns.recall(RecallAsked(**about))
        return {
            "session": views.session(session),
            "events": [
                views.event(event) for event in await self._turns.own_events(asked.thread, asked.user, events)
            ],
            "memories": [views.memory(record) for record in memories],
            "recall": recall,
            "about": self._settings(),
        }

    async def following(self, asked: EventsAsked, last_id: str) -> AsyncIterator[str]:
        """The thread's events behind an id as they come; what fails at once is raised here."""
        await self._turns.session(asked.thread, asked.user)
        log = self.memory.events
        first = await next_events(log, asked.thread, last_id)
        shown = partial(self._turns.own_events, asked.thread, asked.user)
        return follow(log, asked.thread, last_id, first, shown, self.stopping)

    def _settings(self) -> dict[str, Any]:
        settings = self.memory.settings
        return {
            **self._about,
            "kinds": [*KINDS, SKIP],
            "modes": modes(),
            "recall_threshold": settings.recall_threshold,
            "dedup_threshold": settings.dedup_threshold,
            "session_ttl_seconds": settings.session_ttl_seconds,
            "max_turns": settings.max_turns,
            "memories_shown": _MEMORIES_SHOWN,
            "may_reset": self._store.may_reset,
        }

    async def threads(self, asked: OfUser) -> dict[str, Any]:
        """A user's threads, the last active first."""
        working = self.memory.working
        ids = await working.alist_threads(limit=_THREADS_READ)
        found = await self.memory.transport.arun(gather([working.load_op(thread) for thread in ids]))
        sessions = [
            one for one in found if isinstance(one, SessionState) and one.user in ("", "default", asked.user)
        ]
        sessions.sort(key=lambda session: views.finite(session.last_active_ts) or 0, reverse=True)
        return {"threads": [views.thread(session) for session in sessions[:_THREADS_SHOWN]]}

    async def turn(self, asked: TurnAsked) -> dict[str, Any]:
        """A turn, answered as a whole."""
        happened: dict[str, Any] = {}
        async for part in self._turns.take(asked):
            if isinstance(part, dict):
                happened = part
        return happened

    def taking(self, asked: TurnAsked) -> AsyncIterator[str | dict[str, Any]]:
        """A turn, answered in parts."""
        return self._turns.take(asked)

    async def recall(self, asked: RecallAsked) -> dict[str, Any]:
        """What a query recalls, and what it nearly does."""
        return await self._turns.recall(asked)

    async def new_thread(self, asked: OfUser) -> dict[str, Any]:
        """Begin a thread; its id."""
        thread = self.memory.working.new_thread_id()
        await self._store.note_thread(thread)
        await self.memory.working.astart(thread, user=asked.user)
        return {"thread": thread}

    async def working(self, asked: WorkingAsked) -> dict[str, Any]:
        """Set goal or scratchpad, or both; the session."""
        working = self.memory.working
        if await self._turns.session(asked.thread, asked.user) is None:
            await self._store.note_thread(asked.thread)
        state = await working.astart(asked.thread, user=asked.user)
        if asked.goal is not None:
            state = await working.aset_goal(asked.thread, asked.goal)
        if asked.scratchpad is not None:
            state = await working.aset_scratchpad(asked.thread, asked.scratchpad)
        return {"session": views.session(state)}

    async def drop_memory(self, asked: DropAsked) -> dict[str, Any]:
        """Delete a memory, if it is that user's; whether it was."""
        return {"dropped": await self.memory.long_term.adelete_memory(asked.id, user=asked.user)}

    async def reset(self, asked: NothingAsked) -> dict[str, Any]:
        """Back to the samples."""
        await self._store.reset()
        return {"reset": True}
