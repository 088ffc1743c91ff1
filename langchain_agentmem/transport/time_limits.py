"""One time limit for what is made of many waits: making a Redis connection, and a request over REST.

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
    """Have the client's connections connect, handshake included, within one time-out in all.

    Of a sync handshake, each wait for a part of a reply gets what was left when the reply began.
    For clients that this package has made: it changes the class that their pool makes connections of.
    """
    pool: Any = client.connection_pool
    pool.connection_class = _in_time(pool.connection_class)


@cache
def _in_time(of: type) -> type:
    mixin = _AsyncInTime if asyncio.iscoroutinefunction(of.connect) else _InTime  # type: ignore[attr-defined]
    return type(of.__name__, (mixin, of), {})


def _seconds(connection: Any) -> float:
    return float(max(connection.socket_connect_timeout, connection.socket_timeout))


class _InTime:
    """For a sync connection: each reply of the handshake gets what is left of the time."""

    _sock: Any
    _end: float | None = None
    socket_timeout: float
    disconnect: Callable[[], None]

    def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        if self._sock or self._end is not None:
            super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
            return
        self._end = monotonic() + _seconds(self)
        try:
            super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
            self._sock.settimeout(self.socket_timeout)  # which the handshake has shortened
        except BaseException:
            self.disconnect()  # redis-py itself would keep one whose handshake was no Redis's
            raise
        finally:
            self._end = None

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        if self._end is not None and self._sock is not None:
            self._sock.settimeout(max(self._end - monotonic(), 0.001))
        return super().read_response(*args, **kwargs)  # type: ignore[misc]


class _AsyncInTime:
    """For an async connection."""

    is_connected: bool
    disconnect: Callable[..., Awaitable[None]]

    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        if self.is_connected:
            return
        try:
            async with timeout(_seconds(self)):
                await super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            await self.disconnect(nowait=True)
            if isinstance(error, asyncio.TimeoutError):
                raise RedisTimeoutError("Timeout connecting to server") from error
            raise
