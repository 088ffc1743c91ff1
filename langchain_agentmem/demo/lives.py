"""The life of one memory on the page: what happened to it, and what a person may do with it.

Whatever is done here is an event of a thread, and can be undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

from langchain_agentmem import AgentMemory, MemoryRecord
from langchain_agentmem.demo.changes import MEMORIES, SESSIONS, Changes
from langchain_agentmem.demo.models import (
    DropRequest,
    MemoryRequest,
    ReplaceRequest,
    event_answer,
    memory_answer,
)
from langchain_agentmem.demo.undo import Undo

_EVENTS_READ = 20_000
_MEMORIES_READ = 500
_TOLD = 500  # events of a life


class Lives:
    """Tells the lives of memories, and changes them.

    Args:
        memory: Where they are.
        changes: Where to tell what changes.
        undo: Keeps what a memory was.
    """

    def __init__(self, memory: AgentMemory, changes: Changes, undo: Undo) -> None:
        self._memory = memory
        self._long_term = memory.long_term
        self._changes = changes
        self._undo = undo

    async def life(self, asked: MemoryRequest) -> dict[str, Any]:
        """Return a memory, the events about it, oldest first, and what it replaces or is replaced by.

        A recall comes with the question, as far as the log still has it. Of a memory that is gone, the events
        are told.
        """
        record = await self._long_term.aget(asked.id, user=asked.user)
        events = await self._events_about(asked.id, asked.user)
        answer: dict[str, Any] = {"memory": None, "events": events, "replaced_by": None, "replaces": []}
        if record is None:
            return answer
        by = record.superseded_by
        newer = await self._long_term.aget(by, user=asked.user) if by else None
        return {
            **answer,
            "memory": {
                **memory_answer(record, self._long_term.is_truncated(record.text), whole=True),
                "namespace": record.namespace,
                "max_tokens": getattr(self._long_term.embeddings, "max_tokens", None),
            },
            "replaced_by": None if newer is None else memory_answer(newer),
            "replaces": [memory_answer(one) for one in await self._replaced_by(record, events)],
        }

    async def _events_about(self, id: str, user: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked: dict[str, str] = {}  # by thread, what was said last
        async for thread, event in self._events(user):
            if event["action"] == "turn_start":
                asked[thread] = event["detail"]
            elif id in event["memory_ids"]:
                question = asked.get(thread) if event["action"] == "recall" else None
                found.append({"thread": thread, "question": question, **event_answer(event)})
        found.sort(key=lambda event: event["ts"])
        return found[-_TOLD:]

    async def _events(self, user: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield a user's events with their threads; those of a thread oldest first."""
        lines = self._memory.aexport_user(user, tiers=["events"])
        async with aclosing(lines) as open_lines:  # type: ignore[type-var]  # a generator in fact
            left = _EVENTS_READ
            async for line in open_lines:
                yield line.pop("thread"), line
                left -= 1
                if not left:
                    return

    async def _replaced_by(self, record: MemoryRecord, told: Iterable[dict[str, Any]]) -> list[MemoryRecord]:
        """Return what a memory has replaced, by its events, and where it does not take long, by looking."""
        ids = {event["memory_ids"][-1] for event in told if event["action"] == "replace"}
        looked = await asyncio.gather(*(self._long_term.aget(id, user=record.user) for id in ids))
        found = {one.id: one for one in looked if one is not None}
        scope: dict[str, Any] = {
            "user": record.user,
            "namespace": record.namespace,
            "include_superseded": True,
        }
        if await self._long_term.acount_memories(**scope) <= _MEMORIES_READ:
            listed = await self._long_term.alist_memories(**scope, limit=_MEMORIES_READ)
            found |= {one.id: one for one in listed}
        return [one for one in found.values() if one.superseded_by == record.id]

    async def drop(self, asked: DropRequest) -> dict[str, Any]:
        """Delete a memory if it is that user's; return whether it was, and the token that restores it."""
        record = await self._long_term.aget(asked.id, user=asked.user)
        dropped = record is not None and await self._long_term.adelete_memory(asked.id, user=asked.user)
        if record is None or not dropped:
            return {"dropped": False, "undo": None}
        await self._note(asked, "delete", record)
        return {"dropped": True, "undo": self._undo.keep_memories(asked.user, asked.thread, [record])}

    async def replace(self, asked: ReplaceRequest) -> dict[str, Any]:
        """Let a memory replace another one, which is no longer recalled.

        Returns:
            Whether it did, and the token that undoes it.
        """
        old, by = (
            await self._long_term.aget(asked.id, user=asked.user),
            await self._long_term.aget(asked.by, user=asked.user),
        )
        if old is None or by is None or by.id == old.id or by.superseded_by is not None:
            return {"replaced": False, "undo": None}
        result = await self._long_term.aremember(
            by.text,
            user=asked.user,
            namespace=by.namespace,
            kind=by.kind,
            source_thread=by.source_thread,
            context=by.context,
            metadata=by.metadata,
            replaces=old.id,
        )
        if result.replaced is None:
            return {"replaced": False, "undo": None}
        await self._note(asked, "replace", old, result.id, old.id)
        return {"replaced": True, "undo": self._undo.keep_memories(asked.user, asked.thread, [old, by])}

    async def keep(self, asked: DropRequest) -> dict[str, Any]:
        """Let a memory never expire; return whether it was there, and the token that undoes it."""
        record = await self._long_term.aget(asked.id, user=asked.user)
        kept = record is not None and await self._long_term.aupdate(
            asked.id, user=asked.user, ttl_seconds=None
        )
        if record is None or not kept:
            return {"kept": False, "undo": None}
        await self._note(asked, "keep", record)
        return {"kept": True, "undo": self._undo.keep_memories(asked.user, asked.thread, [record])}

    async def _note(self, asked: DropRequest, action: str, record: MemoryRecord, *ids: str) -> None:
        """Record what was done, and tell every page of it."""
        await self._memory.events.arecord(
            asked.thread, action, record.text, user=asked.user, memory_ids=ids or (record.id,)
        )
        self._changes.tell(asked.user, MEMORIES, SESSIONS)
