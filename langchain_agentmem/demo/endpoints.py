"""What answers the page's requests, put together: conversations, memories, and what concerns a whole user."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import IO, Any, cast

from langchain_agentmem import AgentMemory
from langchain_agentmem.demo import models
from langchain_agentmem.demo.changes import MEMORIES, SESSIONS, Changes, Watch
from langchain_agentmem.demo.conversations import Answering, Conversations
from langchain_agentmem.demo.imports import import_file
from langchain_agentmem.demo.lives import Lives
from langchain_agentmem.demo.memories import Memories
from langchain_agentmem.demo.samples import NAMESPACE, WALKS, Samples
from langchain_agentmem.demo.security import MAX_UPLOAD_BYTES
from langchain_agentmem.demo.sse import follow, next_events
from langchain_agentmem.demo.undo import Undo
from langchain_agentmem.errors import AgentMemoryError


class Endpoints:
    """The answers of one server.

    Args:
        memory: What is shown.
        samples: Fills it, and resets it.
        answering: What answers an exchange.
        about: What else the page says about itself.
        stopping: Returns whether the server is about to end, and streams with it.
    """

    def __init__(
        self,
        memory: AgentMemory,
        samples: Samples,
        answering: Answering,
        about: dict[str, Any],
        stopping: Callable[[], bool],
    ) -> None:
        self._memory = memory
        self._samples = samples
        self._about = about
        self._changes = Changes()
        self._undo = Undo(memory)
        self.stopping = stopping
        self.memories = Memories(memory, answering)
        self.lives = Lives(memory, self._changes, self._undo)
        self.conversations = Conversations(memory, self.memories, self._changes, answering)

    @property
    def modes(self) -> tuple[str, ...]:
        """Return the ways in which this memory can rank."""
        return tuple(self._memory.long_term.modes)

    async def about(self, asked: models.ApiRequest) -> dict[str, Any]:
        """Return the settings of the page, and how each tier is stored."""
        settings = self._memory.settings
        return {
            **self._about,
            "kinds": [*models.KINDS, models.SKIP],
            "modes": self.modes,
            "recall_threshold": settings.recall_threshold,
            "session_ttl_seconds": settings.session_ttl_seconds,
            "max_turns": settings.max_turns,
            "may_reset": self._samples.may_reset,
            "max_import_bytes": MAX_UPLOAD_BYTES,
            "samples_user": self._samples.user,
            "samples_namespace": NAMESPACE,
            "walks": WALKS,
            "stored": {
                "working": {"key": f"{settings.session_prefix}<thread>", "type": "Hash"},
                "long_term": {"type": "JSON" if settings.storage == "json" else "Hash"},
                "events": {"key": f"{settings.events_prefix}<thread>", "type": "Stream"},
            },
        }

    async def follow(self, asked: models.ThreadRequest, last_id: str) -> AsyncIterator[str]:
        """Return the thread's events after an id as they come, and what changes for its user.

        What fails at once is raised here.
        """
        await self.conversations.session(asked.thread, asked.user)
        log = self._memory.events
        first = await next_events(log, asked.thread, last_id)
        shown = partial(self.conversations.own_events, asked.thread, asked.user)
        return self._following(asked, last_id, first, shown)

    async def _following(
        self, asked: models.ThreadRequest, last_id: str, first: Any, shown: Any
    ) -> AsyncIterator[str]:
        watch = Watch(self._memory, asked.user)
        with self._changes.listening(asked.user) as changes:
            lines = follow(
                self._memory.events, asked.thread, last_id, first, shown, changes, watch, self.stopping
            )
            async with aclosing(lines) as open_lines:  # type: ignore[type-var]  # a generator in fact
                async for line in open_lines:
                    yield line

    async def reset(self, asked: models.ResetRequest) -> dict[str, Any]:
        """Remove everything of a user; return how much that was, and the token that restores it."""
        if asked.dry_run:
            return {**await self._samples.would_reset(asked.user), "undo": None}
        lines, removed = await self._samples.reset(asked.user)
        told = _told(removed)
        if asked.thread is not None:
            await self._memory.events.arecord(asked.thread, "forget", told, user=asked.user)
        self._changes.tell(asked.user, MEMORIES, SESSIONS)
        return {**removed, "undo": self._undo.keep(asked.user, lines, asked.thread, told)}

    async def importing(
        self, asked: models.ImportRequest, file: IO[bytes]
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """Import a file, close it, and yield how that goes: `began`, any number of `progress`, and `report`.

        `began` has the token that undoes the import, or `None` if the user had something before.
        """
        with file:
            had = await self._samples.would_reset(asked.user)
            undo = None if any(had.values()) else self._undo.keep_import(asked.user)
            yield "began", {"undo": undo}
            try:
                steps = import_file(
                    self._memory, file, user=asked.user, namespace=asked.namespace, plain=asked.plain
                )
                async with aclosing(cast(Any, steps)):
                    async for step in steps:
                        if undo is not None and "format" in step:
                            await self._undo.import_ended(undo)
                        yield ("report" if "format" in step else "progress"), step
            except BaseException:
                if undo is not None:
                    with suppress(AgentMemoryError):
                        await self._undo.import_ended(undo)
                raise
            finally:
                self._changes.tell(asked.user, MEMORIES, SESSIONS)

    async def undo(self, asked: models.UndoRequest) -> dict[str, Any]:
        """Store again what was removed, and return how much."""
        try:
            return await self._undo.restore(asked.undo, asked.user)
        finally:
            self._changes.tell(asked.user, MEMORIES, SESSIONS)


def _told(removed: dict[str, Any]) -> str:
    """Return in words how much a reset has removed."""
    nouns = {
        "memories": ("memory", "memories"),
        "threads": ("conversation", "conversations"),
        "events": ("event", "events"),
        "items": ("item", "items"),
    }
    counts = {name: int(removed[name]) for name in nouns if name != "items" or removed[name]}
    return ", ".join(f"{count} {nouns[name][count != 1]}" for name, count in counts.items())
