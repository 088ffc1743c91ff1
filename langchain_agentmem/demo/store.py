"""Whose the store is: the demo fills an empty one, and empties no other than its own.

Every memory, session and stream of the demo is noted in a set beside them, before it is written: whatever
becomes of an exchange, and whenever one looks, a key under the prefixes that is not in the set was written by
somebody else, and the store is theirs. Only what is there under the prefixes is ever deleted. Users' records
of threads may be shared by stores, so they lose the deleted threads only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core import threads
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, call, gather, late, reads, text, writes
from langchain_agentmem.core.scan import scan
from langchain_agentmem.demo.samples import NAMESPACE, SAMPLES, USER
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.redisearch.document import REDIS_TYPES

_REFUSAL = (
    "This store holds memories or sessions that the demo did not write, so it is not emptied. "
    "To empty it all the same, start the demo with --reset."
)
_AT_ONCE = 1000


class NotTheDemosError(AgentMemoryError):
    """The store holds what the demo did not write."""


def marker_key(memory_prefix: str) -> str:
    """Return the key under which the demos of a store note what they write."""
    return f"agentmem:demo:wrote:{memory_prefix}"


def vector_memories(memory: AgentMemory) -> BaseLongTermMemory:
    """Return the long-term memory, if it searches by vectors.

    Raises:
        ConfigurationError: It is on a database that cannot.
    """
    if not memory.long_term.supports_vectors:
        raise ConfigurationError("The demo needs Redis with Search and JSON; a REST API will not do.")
    return memory.long_term


class DemoStore:
    """The store of a demo.

    Args:
        memory: What is in it.
        may_empty: Whether everything under the prefixes may be deleted, whoever wrote it.
    """

    def __init__(self, memory: AgentMemory, *, may_empty: bool) -> None:
        self._memory = memory
        self._memories = vector_memories(memory)
        self._memory_key = Keys(memory_prefix=memory.settings.memory_prefix).memory
        self._may_empty = may_empty
        self._marker = marker_key(memory.settings.memory_prefix)
        self._resetting = asyncio.Lock()  # two at once would fill in the samples twice
        self.is_own = False

    async def open(self) -> str:
        """Make the store ready, leaving what an earlier demo wrote; return what was done, for a person."""
        present, noted = await self._looked()
        if present - noted and not self._may_empty:
            return f"not the demo's: {len(present - noted)} keys were there before; nothing was changed"
        self.is_own = True
        if present and not self._may_empty:
            return "kept as the last demo left it (--reset empties it)"
        await self._empty(present, noted)
        await self._memory.transport.arun(call(writes("UNLINK", self._marker)))
        await self._seed()
        return f"{'emptied, and ' if present else ''}filled with sample memories"

    @property
    def may_reset(self) -> bool:
        """Return whether `reset` has a chance."""
        return self.is_own or self._may_empty

    async def reset(self) -> None:
        """Empty the store and fill in the samples again.

        Raises:
            NotTheDemosError: Not everything in it is the demo's.
        """
        async with self._resetting:
            present, noted = await self._looked()
            if not self._may_empty and (not self.is_own or present - noted):
                raise NotTheDemosError(_REFUSAL)
            # What was noted stays noted: an exchange of another browser may write the same keys in a moment.
            await self._empty(present, noted)
            await self._seed()

    async def note(self, *keys: str | bytes) -> None:
        """Note that the demo wrote these keys. One round trip."""
        if self.is_own and keys:
            await self._memory.transport.arun(call(writes("SADD", self._marker, *keys)))

    async def note_thread(self, thread_id: str) -> None:
        """Note that the demo is about to begin this thread."""
        await self.note(*self._keys_of(thread_id))

    async def note_exchange(self, thread_id: str, memory_id: str | None, *, begins: bool) -> None:
        """Note what an exchange is about to write: this memory, if any, and the thread if it begins it."""
        memory = () if memory_id is None else (self._memory_key(memory_id),)
        await self.note(*memory, *(self._keys_of(thread_id) if begins else ()))

    async def note_memory(self, memory_id: str) -> None:
        """Note that the demo has written this memory."""
        await self.note(self._memory_key(memory_id))

    def _keys_of(self, thread_id: str) -> tuple[str, str]:
        return self._memory.working.key(thread_id), self._memory.events.key(thread_id)

    async def _looked(self) -> tuple[set[bytes], set[bytes]]:
        """Return the keys that are there, and then those noted, so that what is written meanwhile is."""
        present = await self._memory.transport.arun(self._keys())
        return present, set(await self._memory.transport.arun(call(reads("SMEMBERS", self._marker))))

    def _keys(self) -> Op[set[bytes]]:
        found: set[bytes] = set()

        def visit(page: list[bytes]) -> Op[bool]:
            yield from ()
            found.update(page)
            return False

        settings = self._memory.settings
        yield from scan(settings.session_prefix, "hash", visit)
        yield from scan(settings.memory_prefix, REDIS_TYPES[settings.storage], visit)
        yield from scan(settings.events_prefix, "stream", visit)
        return found

    async def _empty(self, present: set[bytes], noted: set[bytes]) -> None:
        """Delete the keys that are present, and take their threads, and those noted, out of the records."""
        keys = [*present]
        for start in range(0, len(keys), _AT_ONCE):
            page = keys[start : start + _AT_ONCE]
            await self._memory.transport.arun(self._drop_memories(page))
            await self._memory.transport.arun(call(_unlink(page)))
        await self._memory.transport.arun(self._drop_threads(present | noted))

    def _drop_memories(self, deleted: Iterable[bytes]) -> Op[None]:
        """Delete the memories among these keys, with what is kept beside them; others stay as they are."""
        prefix = self._memory.settings.memory_prefix.encode()
        ids = [text(key.removeprefix(prefix)) for key in deleted if key.startswith(prefix)]
        yield from gather(late(partial(self._memories.delete_op, one, None)) for one in ids)

    def _drop_threads(self, deleted: set[bytes]) -> Op[None]:
        """Take the threads whose session or stream is among these keys out of every user's record."""
        settings = self._memory.settings
        prefix, keys = settings.threads_prefix.encode(), Keys(threads_prefix=settings.threads_prefix)

        def visit(page: list[bytes]) -> Op[bool]:
            for record in page:
                try:
                    user = record.removeprefix(prefix).decode()
                except UnicodeDecodeError:  # of another program
                    continue
                found = yield from threads.every(keys, user)
                yield from threads.drop(
                    keys,
                    user,
                    (
                        one
                        for one in found
                        if not deleted.isdisjoint(key.encode() for key in self._keys_of(one.thread_id))
                    ),
                )
            return False

        if deleted:
            yield from scan(settings.threads_prefix, "zset", visit)

    async def _seed(self) -> None:
        for kind, texts in SAMPLES.items():
            batches = self._memories.write_batches(texts, user=USER, namespace=NAMESPACE, kind=kind)
            await self.note(*(self._memory_key(draft.id) for batch in batches for draft in batch.drafts))
            await self._memory.transport.arun(self._memories.store_all_op(batches))


def _unlink(keys: list[bytes]) -> Command:
    return Command(("UNLINK", *keys), tuple(keys))
