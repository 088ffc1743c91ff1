"""Undo: what was removed is kept in this process, in the form of an export; an imported user is forgotten."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_agentmem import AgentMemory, Forgotten, MemoryRecord
from langchain_agentmem.errors import InvalidInputError

_KEPT = 20
_THREADS_NAMED = 5


class _Done(NamedTuple):
    """Holds what was done to a user, the thread that heard of it, and what it was, in words.

    Attributes:
        removed: The lines that restore it; `None` if all that the user has was imported.
        imported: What an import has ended with, as `forget_user` counts it; `None` as long as it runs.
    """

    user: str
    removed: list[dict[str, Any]] | None
    thread: str | None = None
    what: str = ""
    imported: Forgotten | None = None


class Undo:
    """Keeps what was done last.

    Args:
        memory: Where it was.
    """

    def __init__(self, memory: AgentMemory) -> None:
        self._memory = memory
        self._done: OrderedDict[str, _Done] = OrderedDict()

    def keep(self, user: str, lines: list[dict[str, Any]], thread: str | None = None, what: str = "") -> str:
        """Keep the lines of an export, and return the token by which they can be restored.

        Args:
            user: Whose they are.
            lines: What is restored.
            thread: Gets the event `restore`; `None` for none.
            what: The detail of that event.
        """
        return self._keep(_Done(user, lines, thread, what))

    def keep_import(self, user: str) -> str:
        """Return the token by which all that a user has is removed: it was imported."""
        return self._keep(_Done(user, None))

    async def import_ended(self, token: str) -> None:
        """Note how much the user has now: more is not of the import, and is not removed with it."""
        done = self._done.get(token)
        if done is not None:
            self._done[token] = done._replace(imported=await self._would_forget(done.user))

    async def _would_forget(self, user: str) -> Forgotten:
        return await self._memory.aforget_user(user, dry_run=True)

    def _keep(self, done: _Done) -> str:
        token = uuid.uuid4().hex
        self._done[token] = done
        while len(self._done) > _KEPT:
            self._done.popitem(last=False)
        return token

    def keep_memories(self, user: str, thread: str, records: Sequence[MemoryRecord]) -> str:
        """Keep memories as they were; the first one is what the event `restore` tells."""
        return self.keep(user, [record.to_line() for record in records], thread, records[0].text)

    async def restore(self, token: str, user: str) -> dict[str, int]:
        """Store again what was removed from a user, or remove what was imported; return how much that was.

        A memory that has come back meanwhile, as samples do, is replaced by what it was.

        Raises:
            InvalidInputError: It is no longer kept, or was another user's; the import still runs, or the user
                has more since; or a part of it, such as a thread that is another user's by now, was refused.
        """
        done = self._done.get(token)
        if done is None or done.user != user:
            raise InvalidInputError("That can no longer be undone.")
        if done.removed is None:
            await self._check_import(done)
            gone = await self._memory.aforget_user(user)
            self._done.pop(token, None)
            return {"memories": gone.memories, "threads": len(gone.threads)}
        ids = [line["id"] for line in done.removed if "text" in line and "id" in line]
        await asyncio.gather(*(self._memory.long_term.adelete_memory(id, user=user) for id in ids))
        report = await self._memory.aimport_lines(done.removed)
        if report.refused:
            raise InvalidInputError(_not_restored([done.removed[one.line - 1] for one in report.refused]))
        self._done.pop(token, None)
        if done.thread is not None:
            await self._memory.events.arecord(done.thread, "restore", done.what, user=user, memory_ids=ids)
        return {"memories": report.new_memories, "messages": report.new_messages}

    async def _check_import(self, done: _Done) -> None:
        then = done.imported
        if then is None:
            raise InvalidInputError("The import has not ended yet.")
        now = await self._would_forget(done.user)
        added = set(now.threads) - set(then.threads)
        more = now.memories > then.memories or now.events > then.events or now.items > then.items
        if added or more:
            raise InvalidInputError(
                f"{done.user} has more than what was imported by now, which would be removed with it."
            )


def _not_restored(lines: list[dict[str, Any]]) -> str:
    """Return a sentence on lines that were refused."""
    threads = dict.fromkeys(str(line.get("thread")) for line in lines if "text" not in line)
    of = f" of {', '.join([*threads][:_THREADS_NAMED])}, another user's by now" if threads else ""
    return f"Restored except for {len(lines):,} lines{of}."
