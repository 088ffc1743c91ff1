"""`BackgroundTasks`: what waits for workers, and what they have set aside."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.tasks.entries import FailedTask
from langchain_agentmem.tasks.partitioned import PartitionedTaskQueue
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue
from langchain_agentmem.transport.connections import Transport


class BackgroundTasks(TaskQueue):
    """The tasks that turns leave to workers; `AgentMemory.tasks`.

    Args:
        keys: The key names.
        transport: The connection.
    """

    def __init__(self, keys: Keys, transport: Transport) -> None:
        super().__init__(keys)
        self._transport = transport

    def waiting(self) -> TaskCounts:
        """Return how many queues are not empty, and how many tasks are set aside. One round trip.

        A queue is the work of one kind for a thread, user and namespace.
        """
        return self._transport.run(self.waiting_op())

    async def awaiting(self) -> TaskCounts:
        """Async version of `waiting`."""
        return await self._transport.arun(self.waiting_op())

    def failed(self, *, limit: int = 100, cursor: str = "") -> list[FailedTask]:
        """Return tasks that were set aside after their last attempt, oldest first. One round trip.

        Args:
            limit: How many at most.
            cursor: The `id` of the last one of the page before; empty to begin with the oldest.

        Raises:
            InvalidInputError: An argument is not usable.
        """
        return self._transport.run(self.failed_op(limit, cursor))

    async def afailed(self, *, limit: int = 100, cursor: str = "") -> list[FailedTask]:
        """Async version of `failed`."""
        return await self._transport.arun(self.failed_op(limit, cursor))

    def replay(self, ids: Iterable[str] | None = None) -> int:
        """Put tasks that were set aside back into their queues, as if they had never failed.

        Each goes before those that wait in its queue, in one atomic step. Two round trips per 100 tasks.

        Args:
            ids: Which ones, by `FailedTask.id`; `None` for all.

        Returns:
            How many there were.
        """
        return self._transport.run(self.replay_op(ids))

    async def areplay(self, ids: Iterable[str] | None = None) -> int:
        """Async version of `replay`."""
        return await self._transport.arun(self.replay_op(ids))

    def drop_failed(self, ids: Iterable[str] | None = None) -> int:
        """Delete tasks that were set aside; return how many there were. One round trip.

        Args:
            ids: Which ones, by `FailedTask.id`; `None` for all.
        """
        return self._transport.run(self.drop_failed_op(ids))

    async def adrop_failed(self, ids: Iterable[str] | None = None) -> int:
        """Async version of `drop_failed`."""
        return await self._transport.arun(self.drop_failed_op(ids))


class PartitionedBackgroundTasks(PartitionedTaskQueue, BackgroundTasks):
    """The same in partitions: `FailedTask.id` begins with the partition, such as `p17:1715990400123-0`."""


def background_tasks(keys: Keys, transport: Transport) -> BackgroundTasks:
    """Return the tasks of these key names, which may have partitions."""
    return (PartitionedBackgroundTasks if keys.partitions else BackgroundTasks)(keys, transport)
