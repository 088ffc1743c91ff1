"""What every long-term memory does in the same way, however it searches: single memories, and its end."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.longterm.drafts import Batch
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.transport.connected import Connected

logger = logging.getLogger("langchain_agentmem.longterm")

Progress: TypeAlias = Callable[[int, int], None]


class Memories(Connected):
    """Memories behind a connection, by their ids and by their users."""

    @abstractmethod
    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """The operation of `get`."""

    @abstractmethod
    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """The operation of `delete_memory`."""

    @abstractmethod
    def forget_op(self, user: str, thorough: bool) -> Op[Removed]:
        """The operation of `forget_user`."""

    @abstractmethod
    def ids_op(self, user: str | None) -> Op[list[str]]:
        """The ids of a user's memories, or of everybody's; others' may be among a user's."""

    @abstractmethod
    def drop_op(self, delete_documents: bool) -> Op[None]:
        """The operation of `drop_index`."""

    @abstractmethod
    def clear(self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None) -> int:
        """Delete memories; how many."""

    @abstractmethod
    async def aclear(
        self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None
    ) -> int:
        """Async version of `clear`."""

    def get(self, id: str, *, user: str | None = None) -> MemoryRecord | None:
        """A memory by its id, or `None`; with `user`, only if it is that user's. One round trip.

        Raises:
            StoreError: What is stored there is no memory.
        """
        return self.transport.run(self.get_op(id, user))

    async def aget(self, id: str, *, user: str | None = None) -> MemoryRecord | None:
        """Async version of `get`."""
        return await self.transport.arun(self.get_op(id, user))

    def delete_memory(self, id: str, *, user: str | None = None) -> bool:
        """Delete a memory; with `user`, only if it is that user's. One atomic step, one round trip.

        Returns:
            Whether it was there.
        """
        return self.transport.run(self.delete_op(id, user))

    async def adelete_memory(self, id: str, *, user: str | None = None) -> bool:
        """Async version of `delete_memory`."""
        return await self.transport.arun(self.delete_op(id, user))

    def forget_user(self, user: str, *, thorough: bool = False) -> int:
        """Delete every memory of a user, in all namespaces, indexed or not, and of nobody else.

        Args:
            user: The user.
            thorough: Look at every key under the prefix even if the index names every memory. SCANs the
                database.

        Returns:
            How many were deleted.

        Raises:
            StoreError: Some could not be deleted; the others were. Call it again.
        """
        return self.transport.run(self.forget_op(user, thorough)).all()

    async def aforget_user(self, user: str, *, thorough: bool = False) -> int:
        """Async version of `forget_user`."""
        return (await self.transport.arun(self.forget_op(user, thorough))).all()

    def drop_index(self, delete_documents: bool = False) -> None:
        """Remove the search index, and with `delete_documents` every memory under the prefix."""
        self.transport.run(self.drop_op(delete_documents))

    async def adrop_index(self, delete_documents: bool = False) -> None:
        """Async version of `drop_index`."""
        await self.transport.arun(self.drop_op(delete_documents))

    def _in_batches(
        self,
        batches: Sequence[Batch],
        store: Callable[[Batch], list[RememberResult]],
        on_progress: Progress | None,
    ) -> list[RememberResult]:
        """Store batches one after the other, and tell after each how many are done."""
        total = sum(len(batch.drafts) for batch in batches)
        results: list[RememberResult] = []
        for batch in batches:
            results += store(batch)
            _tell(on_progress, len(results), total)
        return results

    async def _ain_batches(
        self,
        batches: Sequence[Batch],
        store: Callable[[Batch], Awaitable[list[RememberResult]]],
        on_progress: Progress | None,
    ) -> list[RememberResult]:
        total = sum(len(batch.drafts) for batch in batches)
        results: list[RememberResult] = []
        for batch in batches:
            results += await store(batch)
            _tell(on_progress, len(results), total)
        return results


def _tell(on_progress: Progress | None, done: int, total: int) -> None:
    """Tell how far storing has come. What that raises is logged: it must not cost what is stored."""
    if on_progress is None:
        return
    try:
        on_progress(done, total)
    except Exception as error:  # noqa: BLE001 - a caller's function may raise anything
        logger.warning("on_progress failed, and storing goes on: %s: %s", type(error).__name__, error)
