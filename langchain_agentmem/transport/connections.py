"""Decides which connection an operation runs on: one shared per URL, or a caller-supplied client's.

Nothing connects before the first operation. Objects made from the same URL in one process share one pool
for all threads, and one per event loop, because async sockets belong to a loop.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import redis
import redis.asyncio

from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Batch, Op, T
from langchain_agentmem.core.partition_count import PartitionCounts
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.fork_safe_lock import ForkSafeLock
from langchain_agentmem.transport import cluster_clients
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch
from langchain_agentmem.transport.redis_driver import AsyncRedisDriver, RedisDriver
from langchain_agentmem.transport.rest_api import address_of
from langchain_agentmem.transport.trace import traced
from langchain_agentmem.transport.urls import Source, is_cluster, is_rest, open_source, socket_timeout

SOCKET_TIMEOUT_SECONDS = 5.0  # after which a silent server is an error, unless another time is given


class Transport(ABC):
    """Runs operations, synchronously or asynchronously.

    Attributes:
        async_only: Whether `run` is refused, because only an async client was supplied.
        rest: Whether it talks to Upstash's REST API, and not to Redis.
        cluster: Whether it talks to all nodes of a Redis Cluster.
        known: What was found out about the server over this connection, for all objects that share it.
        socket_timeout_seconds: How long a reply may take, and so less than that a command may block; `None`
            for any time.
    """

    async_only: bool = False
    rest: bool = False
    cluster: bool = False
    known: dict[Any, Any]
    socket_timeout_seconds: float | None = None

    @cached_property
    def partition_counts(self) -> PartitionCounts:
        """Return what has to be known of data in partitions before an operation runs."""
        return PartitionCounts(self.known)

    def run(self, op: Op[T]) -> T:
        """Run an operation to its end, and return its result.

        Raises:
            StoreError: The server refused what the operation needs, or did not answer.
            ConfigurationError: The transport is closed, or has no client for sync calls; or data has another
                number of partitions than is set.
        """
        return self._run(traced(self.partition_counts.checked(op), self))

    async def arun(self, op: Op[T]) -> T:
        """Async version of `run`."""
        return await self._arun(traced(self.partition_counts.checked(op), self))

    def run_about_server(self, op: Op[T]) -> T:
        """Run an operation that needs no data, as `run` does: the number of partitions is not asked first.

        So it is answered where the nodes that have the numbers are away.
        """
        return self._run(traced(op, self))

    @abstractmethod
    def _run(self, op: Op[T]) -> T:
        """Run an operation to its end, and return its result."""

    @abstractmethod
    async def _arun(self, op: Op[T]) -> T:
        """Async version of `_run`."""

    @abstractmethod
    def close(self) -> None:
        """Close what this object opened; a second call does nothing."""

    @abstractmethod
    async def aclose(self) -> None:
        """Async version of `close`."""


class _InThreads(AsyncDriver):
    """Sends each batch with a sync driver, in a thread."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._pace = driver._pace

    def _begin(self, batch: Batch) -> InFlightBatch:
        return self._driver._begin(batch)

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        await asyncio.to_thread(self._driver._attempt, in_flight)

    async def aclose(self) -> None:
        """Do nothing: the driver is somebody else's."""


class CallerSuppliedClients(Transport):
    """Runs operations on caller-supplied redis-py clients: used as they are, never closed.

    With only a sync client, async calls run it in a thread; with only an async one, sync calls are
    refused. Of a `RedisCluster`, only the settings are used, for connections of this object's own: it is
    these that `close` and `aclose` close.

    Args:
        client: For sync calls.
        async_client: For async calls, on the event loop that it belongs to.

    Raises:
        ConfigurationError: One of them is not such a client of redis-py, or only one of them is of a cluster.
    """

    def __init__(
        self,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
    ) -> None:
        _check_client(client, (redis.Redis, redis.RedisCluster), "client")
        _check_client(async_client, (redis.asyncio.Redis, redis.asyncio.RedisCluster), "async_client")
        given = [one for one in (client, async_client) if one is not None]
        of_clusters = [isinstance(one, redis.RedisCluster | redis.asyncio.RedisCluster) for one in given]
        if len(set(of_clusters)) > 1:
            raise ConfigurationError("client= and async_client= must both be of a cluster, or neither.")
        self.cluster = any(of_clusters)
        self._driver: Driver | None = None
        if isinstance(client, redis.RedisCluster):
            self._driver = cluster_clients.driver_like(client)
        elif client is not None:
            self._driver = RedisDriver(client)
        self.async_only = self._driver is None
        self._async_driver: AsyncDriver | None = None
        if isinstance(async_client, redis.asyncio.RedisCluster):
            self._async_driver = cluster_clients.async_driver_like(async_client)
        elif async_client is not None:
            self._async_driver = AsyncRedisDriver(async_client)
        elif self._driver is not None:
            self._async_driver = _InThreads(self._driver)
        limits = [cluster_clients.settings_of(one).get("socket_timeout") for one in given]
        self.socket_timeout_seconds = min((one for one in limits if one is not None), default=None)
        self.known = {}
        if given:
            shared: Any = given[0] if self.cluster else getattr(given[0], "connection_pool", None)
            self.known = _known_to_clients.setdefault(shared, {})

    def _run(self, op: Op[T]) -> T:
        if self._driver is None:
            raise ConfigurationError("Only async_client= was given; pass client= too for sync calls.")
        return self._driver.run(op)

    async def _arun(self, op: Op[T]) -> T:
        if self._async_driver is None:
            raise ConfigurationError("No client was given.")
        return await self._async_driver.run(op)

    def close(self) -> None:
        """Do nothing to the clients, which are the caller's."""
        if self.cluster and self._driver is not None:
            self._driver.close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        if self.cluster and self._async_driver is not None:
            await self._async_driver.aclose()
        self.close()


class SharedConnection(Transport):
    """Runs operations on the process's own clients for a URL, which all objects of that URL share.

    The clients are closed when the last of those objects is; an async one when its event loop ends, at
    the latest.

    Args:
        url: A URL, as for `AgentMemory`.
        socket_timeout_seconds: How long a connection, and each answer, may take; above 0.
        token: The token of a REST API; `None` for any other URL.

    Raises:
        ConfigurationError: The URL is not understood, or these do not go together.
    """

    def __init__(
        self, url: str, socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS, token: str | None = None
    ) -> None:
        self.rest = is_rest(url)
        self.cluster = is_cluster(url)
        self._key: _Key = (url, socket_timeout_seconds, token)
        self._drivers: _Drivers | None = _borrow(self._key)
        self.known = self._drivers.known
        named = socket_timeout(url)
        self.socket_timeout_seconds = socket_timeout_seconds if named is None else named

    def _run(self, op: Op[T]) -> T:
        drivers = self._open()
        return (drivers.of_threads or drivers.make_for_threads()).run(op)

    async def _arun(self, op: Op[T]) -> T:
        drivers = self._open()
        of_loop = drivers.of_loops.get(asyncio.get_running_loop()) or await drivers.make_for_this_loop()
        return await of_loop.driver.run(op)

    def close(self) -> None:
        """Close the connections if no other object uses them; async ones when their loop comes to it."""
        if (drivers := self._release()) is not None:
            drivers.close()

    async def aclose(self) -> None:
        """Async version of `close`; this loop's connections are closed when it returns."""
        if (drivers := self._release()) is not None:
            await drivers.aclose()

    def _open(self) -> _Drivers:
        if self._drivers is None:
            raise ConfigurationError("This memory is closed; make a new one.")
        return self._drivers

    def _release(self) -> _Drivers | None:
        """Give the drivers back, and return them if nobody else uses them."""
        drivers, self._drivers = self._drivers, None
        return drivers if drivers is not None and _give_back(self._key) else None


class _Drivers:
    """Holds the drivers of one URL: one for all threads, and one per event loop."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[Any, Any] = {}
        self.of_threads: Driver | None = None
        self.of_loops: dict[asyncio.AbstractEventLoop, _OfOneLoop] = {}
        self._lock = ForkSafeLock()

    def make_for_threads(self) -> Driver:
        """Return the driver for all threads, made once."""
        with self._lock.held():
            self.of_threads = self.of_threads or self.source.driver()
            return self.of_threads

    def leave_to_parent(self) -> tuple[object, ...]:
        """Begin without drivers, in a forked child, and return what its parent has."""
        left = (self.of_threads, self.of_loops)
        self.of_threads, self.of_loops = None, {}
        return left

    async def make_for_this_loop(self) -> _OfOneLoop:
        """Return the driver for the running event loop, made once."""
        loop = asyncio.get_running_loop()
        driver = await asyncio.to_thread(self.source.async_driver)  # may start an embedded server
        # Other tasks may have come here too while this one waited.
        if (found := self.of_loops.get(loop)) is None:
            found = self.of_loops[loop] = _OfOneLoop(driver, loop)
            await found.close_with_the_loop()
            for ended in [each for each in _of_loops if each.loop.is_closed()]:
                _of_loops.discard(ended)  # a loop that was closed without closing its generators
            for loop in [each for each in self.of_loops if each.is_closed()]:
                del self.of_loops[loop]
        return found

    def close(self) -> None:
        for loop, of_loop in list(self.of_loops.items()):
            if loop.is_running():
                loop.call_soon_threadsafe(of_loop.close_soon)
        if self.of_threads is not None:
            self.of_threads.close()
        self.source.close()

    async def aclose(self) -> None:
        if (here := self.of_loops.get(asyncio.get_running_loop())) is not None:
            await here.aclose()
        await asyncio.to_thread(self.close)


class _OfOneLoop:
    """Holds the async driver of one event loop, whose sockets belong to that loop."""

    def __init__(self, driver: AsyncDriver, loop: asyncio.AbstractEventLoop) -> None:
        self.driver = driver
        self.loop = loop
        self._closer = self._close_at_the_end()

    async def close_with_the_loop(self) -> None:
        """Have the driver closed when its loop ends: `asyncio.run` then closes open async generators."""
        _of_loops.add(self)
        await self._closer.__anext__()

    async def aclose(self) -> None:
        """Close the driver; a second call does nothing."""
        await self._closer.aclose()

    def close_soon(self) -> None:
        """Begin to close the driver; called on its loop."""
        self._closing = self.loop.create_task(self.aclose())

    async def _close_at_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            _of_loops.discard(self)
            await self.driver.aclose()


# What was found out, by the clients' pools: several clients may share one. It goes with the pool. Clients of
# clusters have none in common.
_known_to_clients: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()
_Key: TypeAlias = tuple[str, float, str | None]
_of_loops: set[_OfOneLoop] = set()  # a loop does not keep its async generators alive
_shared: dict[_Key, tuple[_Drivers, int]] = {}
_shared_lock = ForkSafeLock()
_of_parent: list[object] = []


def _begin_anew_in_child() -> None:
    """Have a forked child make drivers of its own.

    Those of its parent are neither used (a lock of their pool may have been held when it was copied, and
    their sockets and selectors are shared) nor dropped (that would take the same lock).
    """
    _of_parent.extend(drivers.leave_to_parent() for drivers, _ in _shared.values())
    _of_parent.append(list(_of_loops))
    _of_loops.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)


def _borrow(key: _Key) -> _Drivers:
    with _shared_lock.held():
        drivers, users = _shared.get(key) or (_Drivers(open_source(*key)), 0)
        _shared[key] = (drivers, users + 1)
        return drivers


def _give_back(key: _Key) -> bool:
    """Return whether that was the last user, so that the drivers are to be closed."""
    with _shared_lock.held():
        drivers, users = _shared[key]
        if users > 1:  # one step, and never none of them: a forked child begins with what is there
            _shared[key] = (drivers, users - 1)
        else:
            del _shared[key]
        return users == 1


def _check_client(client: Any, expected: tuple[type, ...], name: str) -> None:
    if client is not None and not isinstance(client, expected):
        module = expected[0].__module__.split(".client")[0]
        raise ConfigurationError(
            f"{name}= must be a {module}.Redis or {module}.RedisCluster, "
            f"not {type(client).__module__}.{type(client).__qualname__}."
        )


def connect(
    url: str | None,
    client: Any,
    async_client: Any,
    socket_timeout_seconds: float,
    token: Any = None,
) -> Transport:
    """Return the transport for what a caller gave: clients of its own, or a URL.

    Of an `upstash_redis` client, the address and the credentials are taken; it is not used itself, as it
    has no time limit and sends writes twice.

    Args:
        url: A URL, as for `AgentMemory`; `None` with clients.
        client: A caller-supplied client for sync calls, of redis-py or `upstash_redis`.
        async_client: The same for async calls, of the same database.
        socket_timeout_seconds: How long a connection, and each answer, may take; above 0. For a URL only.
        token: The token of a REST API, a string or a pydantic `SecretStr`; for an https:// URL only.

    Raises:
        ConfigurationError: These do not go together, or one of them is not understood.
    """
    if hasattr(token, "get_secret_value"):
        token = token.get_secret_value()
    if client is None and async_client is None:
        return SharedConnection(url or "", socket_timeout_seconds, token)
    if url is not None or token is not None:
        raise ConfigurationError("Give a URL (with a token, if it is https://) or clients, not both.")
    addresses = {address_of(one) for one in (client, async_client) if one is not None}
    if addresses == {None}:
        return CallerSuppliedClients(client, async_client)
    if len(addresses) > 1:
        raise ConfigurationError("client= and async_client= must be of the same database.")
    url, token = addresses.pop() or ("", None)
    return SharedConnection(url, socket_timeout_seconds, token)
