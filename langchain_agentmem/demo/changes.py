"""Tell every open page what has changed, by whichever page, program or process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_agentmem import AgentMemory

MEMORIES = "memories"
SESSIONS = "sessions"
_LOOKED_AT = 50


class Changes:
    """Passes on, within this server, what a request has changed for a user."""

    def __init__(self) -> None:
        self._listening: dict[str, set[asyncio.Queue[str]]] = {}

    def tell(self, user: str, *what: str) -> None:
        """Tell every page that shows this user what has changed: `MEMORIES`, `SESSIONS`."""
        for queue in self._listening.get(user, ()):
            for one in what:
                queue.put_nowait(one)

    @contextmanager
    def listening(self, user: str) -> Iterator[asyncio.Queue[str]]:
        """Return a queue that gets each change of a user's, until the end of the context."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listening.setdefault(user, set()).add(queue)
        try:
            yield queue
        finally:
            self._listening[user].discard(queue)
            if not self._listening[user]:
                del self._listening[user]


class Watch:
    """Finds out what other programs have changed for a user, by looking.

    It looks at the newest memories, those seen most often, how many there are, and the sessions active last.
    What is seen again, or changed, behind all of these is shown with the next change.

    Args:
        memory: Where to look.
        user: Whose memories and sessions.
    """

    def __init__(self, memory: AgentMemory, user: str) -> None:
        self._memory, self._user = memory, user
        self._seen: dict[str, Any] = {}

    async def changed(self) -> list[str]:
        """Return what has changed since the last call; the first one returns nothing."""
        known, sessions = await asyncio.gather(self._memories(), self._sessions())
        looked = {MEMORIES: known, SESSIONS: sessions}
        changed = [what for what, now in looked.items() if self._seen.get(what, now) != now]
        self._seen = looked
        return changed

    async def _memories(self) -> Any:
        long_term, user = self._memory.long_term, self._user
        *listed, count = await asyncio.gather(
            long_term.alist_memories(user=user, namespace=None, limit=_LOOKED_AT),
            long_term.alist_memories(user=user, namespace=None, limit=_LOOKED_AT, sort="most_seen"),
            long_term.acount_memories(user=user, namespace=None),
        )
        return count, [
            (one.id, one.text, one.namespace, one.kind, one.hit_count, one.superseded_by)
            for page in listed
            for one in page
        ]

    async def _sessions(self) -> Any:
        users = dict.fromkeys([self._user, "default"])  # whose threads a page lists
        pages = await asyncio.gather(
            *(self._memory.alist_sessions(user=user, limit=_LOOKED_AT) for user in users)
        )
        return [(one.thread_id, one.last_active_ts, one.title) for page in pages for one in page.sessions]
