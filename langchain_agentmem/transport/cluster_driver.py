"""Runs operations on a Redis Cluster: one class for sync, one for async, the same few lines in each.

A batch costs one write to each node that it is for, and all are written before a reply is read. Of redis-py,
only the connections to single servers are used: its cluster clients repeat writes whose answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError, StoreConnectionError
from langchain_agentmem.fork_safe_lock import ForkSafeLock
from langchain_agentmem.transport.cluster_batch import CLUSTER_PACE, ClusterBatch, Part
from langchain_agentmem.transport.cluster_scan import Scans
from langchain_agentmem.transport.cluster_slots import READ_TABLE, SlotTable, split_address
from langchain_agentmem.transport.connection_limit import MAX_CONNECTIONS, TaskTurns, ThreadTurns
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch
from langchain_agentmem.transport.redis_driver import AsyncExchange, AsyncTarget, Exchange, Target

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

Remap: TypeAlias = Callable[[tuple[str, int]], tuple[str, int]]


class ClusterDriver(Driver):
    """Runs operations on a Redis Cluster. Thread-safe.

    Args:
        seeds: Nodes of the cluster, as `host:port`; one of them has to answer.
        connect: Makes a client for the node at a host and port.
        remap: Makes another address of each that the cluster names; `None` to use them as they are.
        turns: How many batches are sent at once, each of which takes at most one connection to each node;
            `None` for as many as there are.
    """

    _pace = CLUSTER_PACE

    def __init__(
        self,
        seeds: Sequence[str],
        connect: Callable[[str, int], Redis],
        remap: Remap | None = None,
        turns: ThreadTurns | None = None,
    ) -> None:
        self._connect = connect
        self._table = SlotTable(seeds, remap)
        self._scans = Scans()
        self._turns = turns
        self._targets: dict[str, Target] = {}
        self._lock = ForkSafeLock()

    def _begin(self, batch: Batch) -> ClusterBatch:
        return ClusterBatch(batch, self._table, self._scans)

    def _attempt(self, in_flight: InFlightBatch) -> None:
        batch = cast(ClusterBatch, in_flight)
        if self._table.is_due():
            self._read_table(batch)
        parts = batch.parts()
        if self._turns is None:
            self._send(batch, parts)
            return
        nodes = [part.node for part in parts]
        self._turns.take(nodes)
        try:
            self._send(batch, parts)
        finally:
            self._turns.give(nodes)

    def _send(self, batch: ClusterBatch, parts: Sequence[Part]) -> None:
        exchanges = [(part, Exchange(self._target(part.node), batch.commands(part))) for part in parts]
        try:
            for _, exchange in exchanges:
                exchange.begin()
            for _, exchange in exchanges:
                exchange.send()
            for _, exchange in exchanges:
                exchange.receive()
        finally:
            for _, exchange in exchanges:
                exchange.end()
        batch.take(exchanges)

    def _read_table(self, batch: ClusterBatch) -> None:
        """Read where the slots are, from the first node that tells.

        Raises:
            Unreachable: No node answers, and nothing is known.
            AgentMemoryError: The nodes refuse to tell.
        """
        with self._lock.held():
            reading = _Reading(self._table, batch)
            while (node := reading.next_node()) is not None:
                exchange = Exchange(self._target(node), [READ_TABLE])
                exchange.run()
                reading.take(node, exchange)
            for node, target in self._targets.items():
                if not self._table.names(node):
                    target.pool.disconnect(inuse_connections=False)

    def _target(self, node: str) -> Target:
        found = self._targets.get(node)
        if found is None:
            with self._lock.held():
                found = self._targets.get(node)
                if found is None:
                    found = self._targets[node] = Target(self._connect(*split_address(node)))
        return found

    def close(self) -> None:
        """Close the connections to all nodes."""
        for target in list(self._targets.values()):
            target.pool.disconnect()


class AsyncClusterDriver(AsyncDriver):
    """Async version of `ClusterDriver`, for one event loop.

    Args:
        seeds: As for `ClusterDriver`.
        connect: As for `ClusterDriver`.
        remap: As for `ClusterDriver`.
        limit: How many batches are sent at once: as many as a node's pool has connections.
    """

    _pace = CLUSTER_PACE

    def __init__(
        self,
        seeds: Sequence[str],
        connect: Callable[[str, int], AsyncRedis],
        remap: Remap | None = None,
        limit: int = MAX_CONNECTIONS,
    ) -> None:
        self._turns = TaskTurns(limit)
        self._connect = connect
        self._table = SlotTable(seeds, remap)
        self._scans = Scans()
        self._targets: dict[str, AsyncTarget] = {}
        self._lock = asyncio.Lock()

    def _begin(self, batch: Batch) -> ClusterBatch:
        return ClusterBatch(batch, self._table, self._scans)

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        batch = cast(ClusterBatch, in_flight)
        if self._table.is_due():
            await self._read_table(batch)
        parts = batch.parts()
        nodes = [part.node for part in parts]
        await self._turns.take(nodes)
        try:
            await self._send(batch, parts)
        finally:
            self._turns.give(nodes)

    async def _send(self, batch: ClusterBatch, parts: Sequence[Part]) -> None:
        exchanges = [(part, AsyncExchange(self._target(part.node), batch.commands(part))) for part in parts]
        try:
            for _, exchange in exchanges:
                await exchange.begin()
            for _, exchange in exchanges:
                await exchange.send()
            for _, exchange in exchanges:
                await exchange.receive()
        finally:
            for _, exchange in exchanges:
                await exchange.end()
        batch.take(exchanges)

    async def _read_table(self, batch: ClusterBatch) -> None:
        """Async version of `ClusterDriver._read_table`."""
        async with self._lock:
            reading = _Reading(self._table, batch)
            while (node := reading.next_node()) is not None:
                exchange = AsyncExchange(self._target(node), [READ_TABLE])
                await exchange.run()
                reading.take(node, exchange)
            for node, target in list(self._targets.items()):
                if not self._table.names(node):
                    await target.pool.disconnect(inuse_connections=False)

    def _target(self, node: str) -> AsyncTarget:
        found = self._targets.get(node)
        if found is None:
            found = self._targets[node] = AsyncTarget(self._connect(*split_address(node)))
        return found

    async def aclose(self) -> None:
        """Async version of `ClusterDriver.close`."""
        for target in list(self._targets.values()):
            await target.pool.disconnect()


class _Reading:
    """Keeps account of reading the table: whom to ask next, until one has told."""

    def __init__(self, table: SlotTable, batch: ClusterBatch) -> None:
        self._table = table
        self._batch = batch
        self._is_done = not table.is_due()  # another was quicker
        self._to_ask = table.to_ask()
        self._asked = 0
        self._failure: AgentMemoryError | None = None

    def next_node(self) -> str | None:
        """Return the node to ask; `None` if one has told, or none will and the table of before is there.

        Raises:
            Unreachable: No node answers, and nothing is known.
            AgentMemoryError: The nodes refuse to tell.
        """
        if self._is_done:
            return None
        if self._asked < len(self._to_ask):
            self._asked += 1
            return self._to_ask[self._asked - 1]
        self._table.missed()
        if not self._table.primaries and isinstance(self._failure, StoreConnectionError):
            raise self._batch.unreachable(self._with_all_names(self._failure))
        if not self._table.primaries and self._failure is not None:
            raise self._failure
        return None

    def _with_all_names(self, failure: StoreConnectionError) -> StoreConnectionError:
        """Return the last failure with the names of all nodes that were asked."""
        if len(self._to_ask) == 1:
            return failure
        says = f"None of the nodes {', '.join(self._to_ask)} of the cluster answers."
        error = type(failure)(f"{says} {failure}", plain=f"{says} {failure.plain}")
        error.__cause__ = failure.__cause__
        return error

    def take(self, node: str, exchange: Exchange | AsyncExchange) -> None:
        """Take what came of asking a node.

        Raises:
            ConfigurationError: It is in no cluster.
        """
        answer: Any = exchange.unsent or exchange.lost or exchange.answers[0]
        if not isinstance(answer, AgentMemoryError):
            self._table.take(answer, node)
            self._is_done = True
        elif "cluster support disabled" in str(answer):
            raise ConfigurationError(
                f"{node} is no node of a Redis Cluster. Use redis://{node}, or rediss:// with TLS.",
                plain=f"{node} is no node of a Redis Cluster. Begin the URL with redis://, or with rediss:// "
                "for TLS.",
            ) from answer
        else:
            if isinstance(answer, StoreConnectionError):
                self._table.doubt(node)
            if self._failure is None or isinstance(self._failure, StoreConnectionError):
                self._failure = answer  # what a server has said tells more than that another was silent
