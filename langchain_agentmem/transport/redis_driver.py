"""Runs operations on redis-py: one class for sync, one for async, the same few lines in each.

A batch goes out as one write and its replies are read one by one, straight from the connection:
undecoded and past redis-py's response callbacks, so that RESP2 and RESP3, `decode_responses` on and
off, hiredis or not, give the same replies. Nothing on the client is changed.
"""

from __future__ import annotations

import asyncio
import codecs
import select
import traceback
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    DataError,
    InvalidResponse,
    RedisError,
    ResponseError,
)

from langchain_agentmem.core.operations import Command
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.transport.drivers import AsyncDriver, Driver
from langchain_agentmem.transport.redis_errors import answered, hide, underlying, unreachable
from langchain_agentmem.transport.retries import InFlightBatch

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

# Error replies. The last two are subclasses of redis-py's ConnectionError, though nothing broke.
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)
# A host or setting that no socket takes.
_NO_ADDRESS = (ValueError, TypeError, OverflowError)
# After so long without an operation, an async connection's socket is asked whether it is still open.
_STILL_SECONDS = 0.001


def _leaves_it_broken(error: Exception) -> bool:
    """Return whether redis-py has put a connection back half made, or (6.x) with what is no reply in it."""
    return isinstance(error, InvalidResponse) or not isinstance(error, RedisError | OSError)


class _OnClient:
    """What both drivers know of their client, and what its errors become."""

    def __init__(self, client: Redis | AsyncRedis) -> None:
        self._pool: Any = client.connection_pool
        self._where = address(client)
        self._encoded = _encoding(client)
        self._password = str(self._pool.connection_kwargs.get("password") or "")
        # Such a pool gives connections on which something waits to be read: it may be a notification.
        notified = getattr(self._pool, "maint_notifications_enabled", bool)()
        caches = getattr(self._pool, "cache", None) is not None
        self._unchecked = notified and not caches and hasattr(self._pool.connection_class, "can_read")

    def _not_made(self, error: Exception, sending: InFlightBatch) -> Exception:
        """What to raise when the pool has no connection to give."""
        error = underlying(error)
        hide(error, self._password, "password")
        if isinstance(error, _NO_ADDRESS) and not isinstance(error, RedisError) and not _reading(error):
            return ConfigurationError(f"No connection to {self._where} can be made: {error}.")
        return sending.unsent(unreachable(error, self._where))

    def _broken(self, error: Exception, sending: InFlightBatch, answers: Sequence[Any]) -> Exception:
        """What to raise when the connection broke, or brought what is no reply, after these answers."""
        if isinstance(error, DataError | UnicodeEncodeError):
            return InvalidInputError(f"An argument of a command cannot be sent: {error}.")
        error = underlying(error)  # sending may have connected anew
        hide(error, self._password, "password")
        return sending.lost(answers, unreachable(error, self._where))


class RedisDriver(_OnClient, Driver):
    """Runs operations on a `redis.Redis` of any pool and protocol. Thread-safe, as the client is."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.client = client

    def _attempt(self, sending: InFlightBatch) -> None:
        try:
            connection = self._pool.get_connection()
            if self._unchecked:
                self._check(connection)
        except Exception as error:
            if _leaves_it_broken(error):
                self._pool.disconnect(inuse_connections=False)  # else that connection is used next
            raise self._not_made(error, sending) from error
        expected, answers = len(sending.left), []
        try:
            packed = connection.pack_commands(self._encoded(sending.left.values()))
            connection.send_packed_command([b"".join(packed)])  # one write, where redis-py would make several
            for _ in range(expected):
                answers.append(self._read(connection))
        except Exception as error:  # on what is no reply, a parser may raise anything
            raise self._broken(error, sending, answers) from error
        finally:
            if len(answers) < expected:
                connection.disconnect()  # it may still hold replies that nobody will read
            self._pool.release(connection)
        sending.settle(answers)

    def close(self) -> None:
        """Close the client, and those that ask sentinels for it."""
        for client in _with_its_sentinels(self.client):
            client.close()

    def _check(self, connection: Any) -> None:
        """Connect anew if something waits to be read, which would be taken for the next command's reply."""
        try:
            if connection.can_read():
                connection.disconnect()
                connection.connect()
        except BaseException:
            self._pool.release(connection)
            raise

    @staticmethod
    def _read(connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _REFUSALS as error:
            if not isinstance(error, ResponseError):
                _step_over(connection)
            return answered(error)


class AsyncRedisDriver(_OnClient, AsyncDriver):
    """Async version of `RedisDriver`, for one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        super().__init__(client)
        self.client = client
        # A pool with no connection left refuses at once, so a burst of tasks waits here for its turn.
        self._free = asyncio.Semaphore(self._pool.max_connections)
        self._last_used = 0.0

    async def _attempt(self, sending: InFlightBatch) -> None:
        await self._free.acquire()
        try:
            try:
                connection = await self._pool.get_connection()
                if await self._may_be_spoilt(connection):
                    await self._renew(connection)
            except Exception as error:
                if _leaves_it_broken(error):
                    await self._pool.disconnect(inuse_connections=False)
                raise self._not_made(error, sending) from error
            expected = len(sending.left)
            answers: list[Any] = []
            try:
                packed = connection.pack_commands(self._encoded(sending.left.values()))
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
                raise self._broken(error, sending, answers) from error
            finally:
                if len(answers) < expected:
                    await connection.disconnect(nowait=True)
                await self._pool.release(connection)
        finally:
            self._free.release()
            self._last_used = monotonic()
        sending.settle(answers)

    async def aclose(self) -> None:
        """Async version of `RedisDriver.close`."""
        for client in _with_its_sentinels(self.client):
            await client.aclose()

    async def _may_be_spoilt(self, connection: Any) -> bool:
        """Whether the pool may have overlooked that the server has closed, or written to, this connection.

        The pool sees only what the loop has read already, and with maintenance notifications not even
        that. The socket itself is asked if the loop may have stood still meanwhile.
        """
        reader = getattr(connection, "_reader", None)
        if reader is None:
            return False
        if reader.at_eof() or (self._unchecked and await connection.can_read()):
            return True
        return monotonic() - self._last_used > _STILL_SECONDS and _has_news(connection)

    async def _renew(self, connection: Any) -> None:
        """Connect anew if the server has closed the connection, or something waits to be read on it."""
        try:
            await asyncio.sleep(0)  # the loop polls the socket,
            await asyncio.sleep(0)  # and reads it
            if connection._reader.at_eof() or (self._unchecked and await connection.can_read()):
                await connection.disconnect(nowait=True)
                await connection.connect()
        except BaseException:
            await self._pool.release(connection)
            raise


def _with_its_sentinels(client: Any) -> list[Any]:
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return [client, *getattr(manager, "sentinels", ())]


def _reading(error: Exception) -> bool:
    """Whether the error was raised as a reply was read."""
    return any(frame.f_code.co_name == "read_response" for frame, _ in traceback.walk_tb(error.__traceback__))


def _encoding(client: Redis | AsyncRedis) -> Any:
    """What commands go through before the client packs them: here, text is UTF-8, whatever its encoding."""
    pool: Any = client.connection_pool
    name = pool.connection_kwargs.get("encoding", "utf-8")
    try:
        return _as_they_are if codecs.lookup(name).name == "utf-8" else _as_utf8
    except (LookupError, TypeError):
        return _as_utf8


def _as_they_are(commands: Iterable[Command]) -> Iterable[Any]:
    return [command.args for command in commands]


def _as_utf8(commands: Iterable[Command]) -> Iterable[Any]:
    return [
        tuple(arg.encode() if isinstance(arg, str) else arg for arg in command.args) for command in commands
    ]


def _step_over(connection: Any) -> None:
    """Take the error reply that was just raised out of the buffer of redis-py's own sync parsers.

    They raise LOADING and NOAUTH with the buffer wound back, so that the next read would find the same
    error again, and every later reply would be taken for that of the command before.
    """
    buffer: Any = getattr(getattr(connection, "_conn", connection)._parser, "_buffer", None)
    if hasattr(buffer, "readline"):  # hiredis has another buffer, and is past the error
        buffer.readline()
        buffer.purge()


def _write(connection: Any, packed: list[bytes]) -> Sequence[bytes] | None:
    """Hand the commands to the socket; what redis-py has to send, or wait for, yet, if anything.

    It sends with `asyncio.wait_for`, which before Python 3.12 starts a task each time, and loses a
    cancellation that comes as that task ends.
    """
    writer = getattr(connection, "_writer", None)
    if writer is None or connection.health_check_interval:
        return packed
    writer.writelines(packed)
    return () if writer.transport.get_write_buffer_size() else None


def _has_news(connection: Any) -> bool:
    """Whether there is something to read on an idle async connection."""
    transport = getattr(getattr(connection, "_writer", None), "transport", None)
    at_hand = None if transport is None else transport.get_extra_info("socket")
    if at_hand is None or at_hand.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(at_hand.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def address(client: Redis | AsyncRedis) -> str:
    """Where the client connects to, for messages: no user, password or query."""
    pool: Any = client.connection_pool
    known = pool.connection_kwargs
    if "path" in known:
        return f"unix:{known['path']}"
    if hasattr(pool, "service_name"):
        return f"the primary of {pool.service_name!r} (by its sentinels)"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
