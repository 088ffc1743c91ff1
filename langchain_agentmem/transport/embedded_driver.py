"""Runs operations on a private Redis, which the operation that finds it gone has started again.

A killed server is brought back by its supervisor, and the usual attempts wait for it. Nobody but a user
brings back a killed supervisor: so a connection that cannot be made is a reason to look, in sync and async.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.fork_safe_lock import ForkSafeLock
from langchain_agentmem.transport.drivers import AsyncDriver, Driver
from langchain_agentmem.transport.redis_driver import AsyncRedisDriver, RedisDriver
from langchain_agentmem.transport.retries import InFlightBatch, Retryable


class EmbeddedDriver(Driver):
    """Runs operations on a private Redis; makes a new client when it has another URL than before.

    Args:
        server: The private Redis; started here.
        connect: Makes a driver for its URL.
    """

    def __init__(self, server: EmbeddedRedis, connect: Callable[[str], RedisDriver]) -> None:
        self._server = server
        self._connect = connect
        self._lock = ForkSafeLock()
        self._url = server.url
        self._driver = connect(self._url)

    def _attempt(self, sending: InFlightBatch) -> None:
        url, driver = self._url, self._driver
        try:
            driver._attempt(sending)
        except Retryable as signal:
            if not isinstance(signal.cause, StoreConnectionError):
                raise
            if (again := self._server._url_after_failure(url)) is None:
                raise
            self._at(again)._attempt(sending)

    def _at(self, url: str) -> RedisDriver:
        with self._lock.held():
            if url != self._url:
                left, self._driver, self._url = self._driver, self._connect(url), url
                left.close()
            return self._driver

    def close(self) -> None:
        """Close the client."""
        self._driver.close()


class AsyncEmbeddedDriver(AsyncDriver):
    """Async version of `EmbeddedDriver`."""

    def __init__(self, server: EmbeddedRedis, connect: Callable[[str], AsyncRedisDriver]) -> None:
        self._server = server
        self._connect = connect
        self._url = server.url
        self._driver = connect(self._url)

    async def _attempt(self, sending: InFlightBatch) -> None:
        url, driver = self._url, self._driver
        try:
            await driver._attempt(sending)
        except Retryable as signal:
            if not isinstance(signal.cause, StoreConnectionError):
                raise
            if (again := await asyncio.to_thread(self._server._url_after_failure, url)) is None:
                raise
            await (await self._at(again))._attempt(sending)

    async def _at(self, url: str) -> AsyncRedisDriver:
        driver = self._driver
        if url != self._url:
            left, self._driver, self._url = driver, self._connect(url), url
            driver = self._driver
            await left.aclose()
        return driver

    async def aclose(self) -> None:
        """Async version of `EmbeddedDriver.close`."""
        await self._driver.aclose()
