"""Runs operations on a private Redis, which the operation that finds it gone has started again.

A killed server is brought back by its supervisor, and the usual attempts wait for it. Nobody but a user
brings back a killed supervisor: so a connection that cannot be made is a reason to look, in sync and async.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.fork_safe_lock import ForkSafeLock
from langchain_agentmem.transport.drivers import InFlightBatch
from langchain_agentmem.transport.redis_driver import AsyncRedisDriver, AsyncTarget, RedisDriver, Target

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis


class EmbeddedDriver(RedisDriver):
    """Runs operations on a private Redis; makes a new client when it has another URL than before.

    Args:
        server: The private Redis; started here.
        connect: Makes a client for its URL.
    """

    def __init__(self, server: EmbeddedRedis, connect: Callable[[str], Redis]) -> None:
        self._server = server
        self._connect = connect
        self._lock = ForkSafeLock()
        self._url = server.url
        super().__init__(connect(self._url), waits=True)

    def _attempt_again(self, in_flight: InFlightBatch) -> None:
        if isinstance(in_flight.failure, StoreConnectionError):
            url = self._server.url_after_failure(self._url)
            if url is not None:
                self._move_to(url)
        self._attempt(in_flight)

    def _move_to(self, url: str) -> None:
        with self._lock.held():
            if url == self._url:  # at the same place as before, or another thread was quicker
                return
            left = self._target.client
            self._target, self._url = Target(self._connect(url)), url
        left.close()


class AsyncEmbeddedDriver(AsyncRedisDriver):
    """Async version of `EmbeddedDriver`."""

    def __init__(self, server: EmbeddedRedis, connect: Callable[[str], AsyncRedis]) -> None:
        self._server = server
        self._connect = connect
        self._url = server.url
        super().__init__(connect(self._url))

    async def _attempt_again(self, in_flight: InFlightBatch) -> None:
        if isinstance(in_flight.failure, StoreConnectionError):
            url = await asyncio.to_thread(self._server.url_after_failure, self._url)
            if url is not None and url != self._url:
                left = self._target.client
                self._target, self._url = AsyncTarget(self._connect(url)), url
                await left.aclose()
        await self._attempt(in_flight)
