"""The connections operations run on: made from a URL and shared, or handed in and left alone.

Nothing connects before the first operation. Objects made from the same URL in one process share one
pool a URL (and, for async, one pool an event loop, because sockets belong to a loop).
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import redis
import redis.asyncio

from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.redis_driver import AsyncRedisDriver, RedisDriver
from langchain_agentmem.transport.urls import Source, open_source


class Transport(Protocol):
    """Runs operations, synchronously or asynchronously."""

    def run(self, op: Op[T]) -> T:
        """Run an operation to its result."""

    async def arun(self, op: Op[T]) -> T:
        """Async version of `run`."""

    def close(self) -> None:
        """Close what this object opened; a second call does nothing."""

    async def aclose(self) -> None:
        """Async version of `close`."""


class HandedClients:
    """A transport on clients that belong to the caller: used as they are, never closed.

    With only a sync client, async calls run it in a thread; with only an async one, sync calls are
    refused.
    """

    def __init__(
        self, client: redis.Redis | None = None, async_client: redis.asyncio.Redis | None = None
    ) -> None:
        _check_client(client, redis.Redis, "client")
        _check_client(async_client, redis.asyncio.Redis, "async_client")
        self._driver = None if client is None else RedisDriver(client)
        self._async_driver = None if async_client is None else AsyncRedisDriver(async_client)

    def run(self, op: Op[T]) -> T:
        """Run an operation to its result."""
        if self._driver is None:
            raise ConfigurationError("Only async_client= was given; pass client= too for sync calls.")
        return self._driver.run(op)

    async def arun(self, op: Op[T]) -> T:
        """Async version of `run`."""
        if self._async_driver is None:
            return await asyncio.to_thread(self.run, op)
        return await self._async_driver.run(op)

    def close(self) -> None:
        """Do nothing: the clients are the caller's."""

    async def aclose(self) -> None:
        """Do nothing: the clients are the caller's."""


class SharedConnection:
    """A transport on the process's own clients for a URL, which all objects of that URL share.

    The clients are closed when the last of those objects is.
    """

    def __init__(self, url: str, socket_timeout_seconds: float = 5.0) -> None:
        self._key = (url, socket_timeout_seconds)
        self._pooled: _Clients | None = _borrow(self._key)

    def run(self, op: Op[T]) -> T:
        """Run an operation to its result."""
        return self._open().driver().run(op)

    async def arun(self, op: Op[T]) -> T:
        """Async version of `run`."""
        pooled = self._open()
        driver = pooled.async_driver()
        if driver is None:
            await asyncio.to_thread(pooled.source.prepare)
            # Other tasks may have come here too while this one waited.
            driver = pooled.async_driver() or pooled.new_async_driver()
        return await driver.run(op)

    def close(self) -> None:
        """Close the connections if no other object uses them. Async ones are closed by `aclose`."""
        if (pooled := self._release()) is not None:
            pooled.close()

    async def aclose(self) -> None:
        """Async version of `close`; closes the sync connections too."""
        if (pooled := self._release()) is not None:
            await pooled.aclose()

    def _open(self) -> _Clients:
        if self._pooled is None:
            raise ConfigurationError("This memory is closed; make a new one.")
        return self._pooled

    def _release(self) -> _Clients | None:
        pooled, self._pooled = self._pooled, None
        return pooled if pooled is not None and _give_back(self._key) else None


class _Clients:
    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._client: redis.Redis | None = None
        self._driver: RedisDriver | None = None
        self._async: WeakKeyDictionary[Any, tuple[redis.asyncio.Redis, AsyncRedisDriver]] = (
            WeakKeyDictionary()
        )

    def driver(self) -> RedisDriver:
        if self._driver is None:
            with self._lock:
                if self._driver is None:
                    self._client = self.source.client()
                    self._driver = RedisDriver(self._client)
        return self._driver

    def async_driver(self) -> AsyncRedisDriver | None:
        found = self._async.get(asyncio.get_running_loop())
        return None if found is None else found[1]

    def new_async_driver(self) -> AsyncRedisDriver:
        client = self.source.async_client()
        driver = AsyncRedisDriver(client)
        self._async[asyncio.get_running_loop()] = (client, driver)
        return driver

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self.source.close()

    async def aclose(self) -> None:
        here = self._async.pop(asyncio.get_running_loop(), None)
        if here is not None:
            await here[0].aclose()
        await asyncio.to_thread(self.close)


_shared: dict[tuple[str, float], tuple[_Clients, int]] = {}
_shared_lock = threading.Lock()


def _borrow(key: tuple[str, float]) -> _Clients:
    with _shared_lock:
        clients, users = _shared.get(key) or (_Clients(open_source(*key)), 0)
        _shared[key] = (clients, users + 1)
        return clients


def _give_back(key: tuple[str, float]) -> bool:
    """Whether that was the last user, so that the clients are to be closed."""
    with _shared_lock:
        clients, users = _shared.pop(key)
        if users > 1:
            _shared[key] = (clients, users - 1)
        return users == 1


def _check_client(client: Any, expected: type, name: str) -> None:
    if client is not None and not isinstance(client, expected):
        raise ConfigurationError(
            f"{name}= must be a {expected.__module__.split('.client')[0]}.Redis, "
            f"not {type(client).__module__}.{type(client).__qualname__}."
        )


def connect(
    url: str | None,
    client: redis.Redis | None,
    async_client: redis.asyncio.Redis | None,
    socket_timeout_seconds: float,
) -> Transport:
    """The transport for what a caller gave: clients of its own, or a URL."""
    if client is None and async_client is None:
        return SharedConnection(url or "", socket_timeout_seconds)
    if url is not None:
        raise ConfigurationError("Give a URL or clients, not both.")
    return HandedClients(client, async_client)
