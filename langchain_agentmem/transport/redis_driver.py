"""Runs operations on redis-py: one class for sync, one for async, the same few lines in each.

A batch goes out as one write and its replies are read one by one, straight from the connection:
undecoded and past redis-py's response callbacks, so that RESP2 and RESP3, `decode_responses` on and
off, hiredis or not, give the same replies. Nothing on the client is changed.
"""

from __future__ import annotations

import asyncio
import select
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    RedisError,
    ResponseError,
)

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.connection_limit import Turns
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch
from langchain_agentmem.transport.redis_errors import answered, hide, underlying, unreachable
from langchain_agentmem.transport.resp import pack

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

# Error replies. The last two are subclasses of redis-py's ConnectionError, though nothing broke.
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)
# Raised for a host or setting that no socket takes.
_NO_ADDRESS = (ValueError, TypeError, OverflowError)
# After so long without an operation, an async connection's socket is asked whether it is still open.
_STILL_SECONDS = 0.001


def _leaves_it_broken(error: Exception) -> bool:
    """Return whether redis-py has put a connection back half made, or (6.x) with what is no reply in it."""
    return isinstance(error, InvalidResponse) or not isinstance(error, RedisError | OSError)


class Target:
    """Knows a client: what a driver needs of it for each batch, and what its errors become.

    An attempt uses one from beginning to end: the driver of a private Redis may be given another meanwhile.
    """

    def __init__(self, client: Redis | AsyncRedis) -> None:
        self.client: Any = client
        self.pool: Any = client.connection_pool
        self.where = address(client)
        self._password = str(self.pool.connection_kwargs.get("password") or "")
        # Such a pool gives connections on which something waits to be read: it may be a notification.
        notified = getattr(self.pool, "maint_notifications_enabled", bool)()
        caches = getattr(self.pool, "cache", None) is not None
        self.unchecked = notified and not caches and hasattr(self.pool.connection_class, "can_read")

    def clients(self) -> list[Any]:
        """Return the client, and those that ask sentinels for it."""
        manager = getattr(self.pool, "sentinel_manager", None)
        return [self.client, *getattr(manager, "sentinels", ())]

    def check(self, connection: Any) -> None:
        """Connect anew if something waits to be read, which would be taken for the next command's reply."""
        try:
            if connection.can_read():
                connection.disconnect()
                connection.connect()
        except BaseException:
            self.pool.release(connection)
            raise

    def not_made(self, error: Exception, in_flight: InFlightBatch) -> Exception:
        """Return what to raise when the pool has no connection to give."""
        error = underlying(error)
        hide(error, self._password, "password")
        if isinstance(error, _NO_ADDRESS) and not isinstance(error, RedisError) and not _reading(error):
            return ConfigurationError(
                f"No connection to {self.where} can be made: {error}.",
                plain=f"No connection to {self.where} can be made. Check the host and options in the URL.",
            )
        return in_flight.unsent(unreachable(error, self.where))

    def broken(self, error: Exception, in_flight: InFlightBatch, answers: Sequence[Any]) -> Exception:
        """Return what to raise when the connection broke, or brought what is no reply."""
        error = underlying(error)  # sending may have connected anew
        hide(error, self._password, "password")
        return in_flight.lost(answers, unreachable(error, self.where))


class AsyncTarget(Target):
    """Knows an async client, of one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        super().__init__(client)
        # A pool with no connection left refuses at once, so a burst of tasks waits here for its turn.
        self.free = asyncio.Semaphore(self.pool.max_connections)
        self._last_used = 0.0

    def give_back_turn(self) -> None:
        """Let the next task have a connection."""
        self.free.release()
        self._last_used = monotonic()

    async def acheck(self, connection: Any) -> None:
        """Connect anew if the server has closed the connection, or something waits to be read on it."""
        try:
            if not await self._may_be_spoilt(connection):
                return
            await asyncio.sleep(0)  # the loop polls the socket,
            await asyncio.sleep(0)  # and reads it
            if connection._reader.at_eof() or (self.unchecked and await connection.can_read()):
                await connection.disconnect(nowait=True)
                await connection.connect()
        except BaseException:
            await self.pool.release(connection)
            raise

    async def _may_be_spoilt(self, connection: Any) -> bool:
        """Return whether the pool may have overlooked that the server has closed it, or written to it.

        The pool sees only what the loop has read already, and with maintenance notifications not even
        that. The socket itself is asked if the loop may have stood still meanwhile.
        """
        reader = getattr(connection, "_reader", None)
        if reader is None:
            return False
        if reader.at_eof() or (self.unchecked and await connection.can_read()):
            return True
        return monotonic() - self._last_used > _STILL_SECONDS and _has_news(connection)


class RedisDriver(Driver):
    """Runs operations on a `redis.Redis` of any pool and protocol. Thread-safe, as the client is.

    Args:
        client: The client.
        waits: Whether threads wait for a connection while all are in use, as long as for an answer, instead
            of being refused at once. Only for a pool that nobody else uses, and that no forked child shares.
    """

    def __init__(self, client: Redis, *, waits: bool = False) -> None:
        target = self._target = Target(client)
        self._turns: AbstractContextManager[None] = nullcontext()
        if waits:
            seconds = target.pool.connection_kwargs["socket_timeout"]
            self._turns = Turns(target.pool.max_connections, seconds, target.where)

    def _attempt(self, in_flight: InFlightBatch) -> None:
        with self._turns:
            self._send(in_flight)

    def _send(self, in_flight: InFlightBatch) -> None:
        target, packed = self._target, pack(in_flight.left.values())
        try:
            connection = target.pool.get_connection()
            if target.unchecked:
                target.check(connection)
        except Exception as error:
            if _leaves_it_broken(error):
                target.pool.disconnect(inuse_connections=False)  # else that connection is used next
            raise target.not_made(error, in_flight) from error
        expected = len(in_flight.left)
        answers: list[Any] = []
        try:
            connection.send_packed_command([packed])  # one write, where redis-py would make several
            while len(answers) < expected:
                try:
                    answer = connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except _REFUSALS as error:
                    if not isinstance(error, ResponseError):
                        _step_over(connection)
                    answer = answered(error)
                answers.append(answer)
        except Exception as error:  # on what is no reply, a parser may raise anything
            raise target.broken(error, in_flight, answers) from error
        finally:
            if len(answers) < expected:
                connection.disconnect()  # it may still hold replies that nobody will read
            target.pool.release(connection)
        in_flight.settle(answers)

    def close(self) -> None:
        """Close the client, and those that ask sentinels for it."""
        for client in self._target.clients():
            client.close()


class AsyncRedisDriver(AsyncDriver):
    """Async version of `RedisDriver`, for one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        self._target = AsyncTarget(client)

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        target, packed = self._target, pack(in_flight.left.values())
        await target.free.acquire()
        try:
            try:
                connection = await target.pool.get_connection()
                await target.acheck(connection)
            except Exception as error:
                if _leaves_it_broken(error):
                    await target.pool.disconnect(inuse_connections=False)
                raise target.not_made(error, in_flight) from error
            expected = len(in_flight.left)
            answers: list[Any] = []
            try:
                rest = _write(connection, packed)
                if rest is not None:
                    await connection.send_packed_command(rest)
                while len(answers) < expected:
                    try:
                        answer = await connection.read_response(
                            disable_decoding=True, disconnect_on_error=False
                        )
                    except _REFUSALS as error:
                        answer = answered(error)
                    answers.append(answer)
            except Exception as error:
                raise target.broken(error, in_flight, answers) from error
            finally:
                if len(answers) < expected:
                    await connection.disconnect(nowait=True)
                await target.pool.release(connection)
        finally:
            target.give_back_turn()
        in_flight.settle(answers)

    async def aclose(self) -> None:
        """Async version of `RedisDriver.close`."""
        for client in self._target.clients():
            await client.aclose()


def _reading(error: Exception) -> bool:
    """Return whether the error was raised as a reply was read."""
    return any(frame.f_code.co_name == "read_response" for frame, _ in traceback.walk_tb(error.__traceback__))


def _step_over(connection: Any) -> None:
    """Take the error reply that was just raised out of the buffer of redis-py's own sync parsers.

    They raise LOADING and NOAUTH with the buffer wound back, so that the next read would find the same
    error again, and every later reply would be taken for that of the command before.
    """
    buffer: Any = getattr(getattr(connection, "_conn", connection)._parser, "_buffer", None)
    if hasattr(buffer, "readline"):  # hiredis has another buffer, and is past the error
        buffer.readline()
        buffer.purge()


def _write(connection: Any, packed: bytes) -> Sequence[bytes] | None:
    """Hand the commands to the socket; return what redis-py has to send, or wait for, yet, if anything.

    It sends with `asyncio.wait_for`, which before Python 3.12 starts a task each time, and loses a
    cancellation that comes as that task ends.
    """
    writer = getattr(connection, "_writer", None)
    if writer is None or connection.health_check_interval:
        return [packed]
    writer.write(packed)
    return () if writer.transport.get_write_buffer_size() else None


def _has_news(connection: Any) -> bool:
    """Return whether there is something to read on an idle async connection."""
    transport = getattr(getattr(connection, "_writer", None), "transport", None)
    at_hand = None if transport is None else transport.get_extra_info("socket")
    if at_hand is None or at_hand.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(at_hand.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def address(client: Redis | AsyncRedis) -> str:
    """Return where the client connects to, for messages: no user, password or query."""
    pool: Any = client.connection_pool
    known = pool.connection_kwargs
    if "path" in known:
        return f"unix:{known['path']}"
    if hasattr(pool, "service_name"):
        return f"the primary of {pool.service_name!r} (by its sentinels)"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
