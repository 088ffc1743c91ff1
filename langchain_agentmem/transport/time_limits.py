"""Gives one time limit to what is made of many waits: making a Redis connection, a request over REST.

redis-py and httpx give each wait its own time, so that a server which answers every one of them just in
time, or a byte at a time, could hold a caller for as long as it likes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING or sys.version_info >= (3, 11, 3):  # before, asyncio's own could swallow a cancellation
    from asyncio import Timeout, timeout

    def extend(limit: Timeout, end: float) -> None:
        """Move the end of an async time limit, in the loop's time."""
        limit.reschedule(end)

else:  # redis-py requires it there
    from async_timeout import Timeout, timeout

    def extend(limit: Timeout, end: float) -> None:
        """Move the end of an async time limit, in the loop's time."""
        limit.update(end)


if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

__all__ = ["connecting_in_time", "extend", "timeout"]


def connecting_in_time(client: Redis | AsyncRedis) -> None:
    """Make each connection of the client within the longer of its two time-outs, its handshake included.

    Of a sync handshake, each wait for a part of a reply gets what was left when the reply began.
    For clients that this package has made: it changes the class that their pool makes connections of.
    """
    pool: Any = client.connection_pool
    pool.connection_class = _in_time(pool.connection_class)


@cache
def _in_time(of: type) -> type:
    mixin = _AsyncInTime if asyncio.iscoroutinefunction(of.connect) else _InTime  # type: ignore[attr-defined]
    return type(of.__name__, (mixin, of), {})


class _Limited:
    """Knows when a connection has to be made, and whether it is greeting the server.

    Only what makes a connection is overridden: one that is in use costs nothing more.
    """

    socket_timeout: float
    socket_connect_timeout: float
    _greeting = False  # what breaks the handshake connects anew in the midst of it, within the same time
    _end = 0.0

    def _begin(self) -> None:
        if not self._greeting:
            self._end = monotonic() + max(self.socket_connect_timeout, self.socket_timeout)

    def _left(self) -> float:
        return max(self._end - monotonic(), 0.001)


class _InTime(_Limited):
    """Limits a sync connection: each reply of the handshake gets what is left of the time."""

    _sock: Any
    disconnect: Callable[[], None]
    read_response: Callable[..., Any]

    def _connect(self) -> Any:
        self._begin()
        return super()._connect()  # type: ignore[misc]

    def on_connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        if self._greeting:
            super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
            return
        read = self.read_response

        def read_in_time(*args: Any, **kwargs: Any) -> Any:
            if self._sock is not None:
                self._sock.settimeout(self._left())
            return read(*args, **kwargs)

        self._greeting, self.read_response = True, read_in_time
        try:
            super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
            self._sock.settimeout(self.socket_timeout)  # which the handshake has shortened
        except BaseException:
            self.disconnect()  # redis-py itself would keep one whose handshake was no Redis's
            raise
        finally:
            del self.read_response
            self._greeting = False


class _AsyncInTime(_Limited):
    """Limits an async connection: its handshake gets what is left of the time."""

    disconnect: Callable[..., Awaitable[None]]

    async def _connect(self) -> None:
        self._begin()
        async with timeout(self._left()):
            await super()._connect()  # type: ignore[misc]

    async def on_connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        if self._greeting:
            await super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
            return
        self._greeting = True
        try:
            async with timeout(self._left()):
                await super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            await self.disconnect(nowait=True)
            if isinstance(error, asyncio.TimeoutError):
                raise RedisTimeoutError("Timeout connecting to server") from error
            raise
        finally:
            self._greeting = False
