"""Long-term memory on Upstash with a connection: its index, and what is about many memories at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_agentmem.longterm.drafts import Batch
from langchain_agentmem.longterm.memories import Memories, Progress
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.longterm.upstash.memory_operations import UpstashOperations


class UpstashConnectedMemory(UpstashOperations, Memories):
    """What `UpstashLongTermMemory` is built on: whatever is not about storing or recalling."""

    def create_index(self) -> None:
        """Make the search index if it is not there. Only needed to have it early. One round trip.

        Memories that are there already are found as soon as the server has indexed them: see
        `wait_indexing`.

        Raises:
            IndexMismatchError: There is one of another shape.
        """
        self.transport.run(self.store.index.ensure())

    async def acreate_index(self) -> None:
        """Async version of `create_index`."""
        await self.transport.arun(self.store.index.ensure())

    def index_info(self) -> dict[str, Any]:
        """What the server says about the index: its name, documents and shape. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        return self.transport.run(self.store.index.info())

    async def aindex_info(self) -> dict[str, Any]:
        """Async version of `index_info`."""
        return await self.transport.arun(self.store.index.info())

    def wait_indexing(self) -> bool:
        """Wait until everything written so far is found; for tests, not after each write. One round trip.

        Returns:
            Whether there is an index.
        """
        return self.transport.run(self.store.index.wait())

    async def await_indexing(self) -> bool:
        """Async version of `wait_indexing`."""
        return await self.transport.arun(self.store.index.wait())

    def list_memories(
        self, *, user: str, namespace: str | None = "default", kind: str | None = None, limit: int = 100
    ) -> list[MemoryRecord]:
        """A user's newest memories, newest first, with what they have left to live. Two round trips.

        One more a thousand. A memory is listed once it is indexed; 11,000 is the most that Upstash brings.
        """
        return self.transport.run(self.list_op(user, namespace, kind, limit))

    async def alist_memories(
        self, *, user: str, namespace: str | None = "default", kind: str | None = None, limit: int = 100
    ) -> list[MemoryRecord]:
        """Async version of `list_memories`."""
        return await self.transport.arun(self.list_op(user, namespace, kind, limit))

    def clear(self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None) -> int:
        """Delete the memories of a user, of a kind, or of both together, indexed or not.

        With neither given, every JSON document under the prefix is deleted. A round trip or two a
        thousand keys of the whole database.

        Returns:
            How many were deleted.
        """
        return self.transport.run(self.clear_op(user, namespace, kind))

    async def aclear(
        self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None
    ) -> int:
        """Async version of `clear`."""
        return await self.transport.arun(self.clear_op(user, namespace, kind))

    def _store_batches(self, batches: Sequence[Batch], on_progress: Progress | None) -> list[RememberResult]:
        return self._in_batches(batches, lambda batch: self.transport.run(self.store_op(batch)), on_progress)

    async def _astore_batches(
        self, batches: Sequence[Batch], on_progress: Progress | None
    ) -> list[RememberResult]:
        return await self._ain_batches(
            batches, lambda batch: self.transport.arun(self.store_op(batch)), on_progress
        )
