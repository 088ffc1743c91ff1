"""Runs operations on redis-py: one class for sync, one for async, the same few lines in each.

A batch goes out as one write and its replies are read one by one, straight from the connection:
undecoded and past redis-py's response callbacks, so that RESP2 and RESP3, `decode_responses` on and
off, hiredis or not, give the same replies. Nothing on the client is changed.
"""

from __future__ import annotations

import asyncio
import codecs
import select
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from tenacity import AsyncRetrying, Retrying

from langchain_agentmem.core.operations import Batch, Command, Op, T
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.redis_errors import answered, unreachable
from langchain_agentmem.transport.retries import PACE, NotRun, Sending

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

# Error replies. The last two are subclasses of redis-py's ConnectionError, though nothing broke.
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)
# What a pool may raise instead of a connection; a ValueError is a host or setting that no socket takes.
_NO_CONNECTION = (RedisError, OSError, ValueError)


class RedisDriver:
    """Runs operations on a `redis.Redis` of any pool and protocol. Thread-safe, as the client is."""

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        self._where = address(client)
        self._encoded = _encoding(client)

    def run(self, op: Op[T]) -> T:
        """Run the operation to its end and return its result."""
        try:
            batch = next(op)
            while True:
                batch = op.send(self._exchange(batch))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    def _exchange(self, batch: Batch) -> list[Any]:
        sending = Sending(batch)
        try:
            try:
                self._attempt(sending)
            except NotRun:
                Retrying(**PACE)(self._attempt, sending)
        except NotRun as signal:
            return sending.give_up(signal.cause)
        return sending.replies

    def _attempt(self, sending: Sending) -> None:
        try:
            connection = self._pool.get_connection()
        except _NO_CONNECTION as error:
            raise _not_made(error, sending, self._where) from error
        expected, answers = len(sending.left), []
        try:
            connection.send_packed_command(connection.pack_commands(self._encoded(sending.left.values())))
            for _ in range(expected):
                answers.append(self._read(connection))
        except (RedisError, OSError) as error:
            raise sending.lost(answers, unreachable(error, self._where)) from error
        finally:
            if len(answers) < expected:
                connection.disconnect()  # it may still hold replies that nobody will read
            self._pool.release(connection)
        sending.settle(answers)

    @staticmethod
    def _read(connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _REFUSALS as error:
            if not isinstance(error, ResponseError):
                _step_over(connection)
            return answered(error)


class AsyncRedisDriver:
    """Async version of `RedisDriver`, for one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        self._pool: Any = client.connection_pool
        self._where = address(client)
        self._encoded = _encoding(client)
        # A pool with no connection left refuses at once, so a burst of tasks waits here for its turn.
        self._free = asyncio.Semaphore(self._pool.max_connections)

    async def run(self, op: Op[T]) -> T:
        """Async version of `RedisDriver.run`."""
        try:
            batch = next(op)
            while True:
                batch = op.send(await self._exchange(batch))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    async def _exchange(self, batch: Batch) -> list[Any]:
        sending = Sending(batch)
        try:
            try:
                await self._attempt(sending)
            except NotRun:
                await AsyncRetrying(**PACE)(self._attempt, sending)
        except NotRun as signal:
            return sending.give_up(signal.cause)
        return sending.replies

    async def _attempt(self, sending: Sending) -> None:
        async with self._free:
            try:
                connection = await self._connection()
            except _NO_CONNECTION as error:
                raise _not_made(error, sending, self._where) from error
            expected, answers = len(sending.left), []
            try:
                commands = connection.pack_commands(self._encoded(sending.left.values()))
                await connection.send_packed_command(commands)
                for _ in range(expected):
                    answers.append(await self._read(connection))
            except (RedisError, OSError) as error:
                raise sending.lost(answers, unreachable(error, self._where)) from error
            finally:
                if len(answers) < expected:
                    await connection.disconnect(nowait=True)
                await self._pool.release(connection)
        sending.settle(answers)

    async def _connection(self) -> Any:
        connection = await self._pool.get_connection()
        if not _has_news(connection):
            return connection
        # Nothing is awaited here, so the server has closed the connection or pushes something. The pool
        # only sees what the loop has read already, and with maintenance notifications not even that.
        try:
            await asyncio.sleep(0)  # the loop polls the socket,
            await asyncio.sleep(0)  # and reads it
            if connection._reader.at_eof():
                await connection.disconnect(nowait=True)
                await connection.connect()
        except BaseException:
            await self._pool.release(connection)
            raise
        return connection

    @staticmethod
    async def _read(connection: Any) -> Any:
        try:
            return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _REFUSALS as error:
            return answered(error)


def _not_made(error: Exception, sending: Sending, where: str) -> Exception:
    """What to raise when the pool has no connection to give."""
    if isinstance(error, ValueError) and not isinstance(error, RedisError):
        return ConfigurationError(f"No connection to {where} can be made: {error}.")
    return sending.unsent(unreachable(error, where))


def _encoding(client: Redis | AsyncRedis) -> Any:
    """What commands go through before the client packs them: here, text is UTF-8, whatever its encoding."""
    pool: Any = client.connection_pool
    name = pool.connection_kwargs.get("encoding", "utf-8")
    try:
        return _as_they_are if codecs.lookup(name).name == "utf-8" else _as_utf8
    except (LookupError, TypeError):
        return _as_utf8


def _as_they_are(commands: Iterable[Command]) -> Iterable[Command]:
    return commands


def _as_utf8(commands: Iterable[Command]) -> Iterable[Command]:
    return [tuple(arg.encode() if isinstance(arg, str) else arg for arg in command) for command in commands]


def _step_over(connection: Any) -> None:
    """Take the error reply that was just raised out of the buffer of redis-py's own sync parsers.

    They raise LOADING and NOAUTH with the buffer wound back, so that the next read would find the same
    error again, and every later reply would be taken for that of the command before.
    """
    buffer: Any = getattr(getattr(connection, "_conn", connection)._parser, "_buffer", None)
    if hasattr(buffer, "readline"):  # hiredis has another buffer, and is past the error
        buffer.readline()
        buffer.purge()


def _has_news(connection: Any) -> bool:
    """Whether there is something to read on an idle connection."""
    transport = getattr(connection._writer, "transport", None)
    at_hand = None if transport is None else transport.get_extra_info("socket")
    if at_hand is None or at_hand.fileno() < 0 or not hasattr(select, "poll"):
        return transport is not None and bool(connection._reader.at_eof())
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
        return f"the primary of {pool.service_name!r}, as the sentinels name it,"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
