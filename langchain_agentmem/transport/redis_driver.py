"""Runs operations on redis-py: one class for sync, one for async, the same few lines in each.

A batch goes out as one write and its replies are read one by one, straight from the connection:
undecoded and past redis-py's response callbacks, so that RESP2 and RESP3, `decode_responses` on and
off, hiredis or not, give the same replies. Nothing on the client is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from tenacity import AsyncRetrying, Retrying

from langchain_agentmem.core.operations import Batch, Op, T
from langchain_agentmem.transport.redis_errors import answered, unreachable
from langchain_agentmem.transport.retries import PACE, NotRun, Sending

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

# Error replies. The last two are subclasses of redis-py's ConnectionError, though nothing broke.
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)


class RedisDriver:
    """Runs operations on a `redis.Redis` of any pool and protocol. Thread-safe, as the client is."""

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool
        self._where = address(client)

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
        except (RedisError, OSError) as error:
            raise NotRun(unreachable(error, self._where)) from error
        answers = None
        try:
            connection.send_packed_command(connection.pack_commands(sending.left.values()))
            answers = [self._read(connection) for _ in sending.left]
        except (RedisError, OSError) as error:
            raise sending.lost(unreachable(error, self._where)) from error
        finally:
            if answers is None:
                connection.disconnect()  # it may still hold replies that nobody will read
            self._pool.release(connection)
        sending.settle(answers)

    @staticmethod
    def _read(connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _REFUSALS as error:
            return answered(error)


class AsyncRedisDriver:
    """Async version of `RedisDriver`, for one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        self._pool: Any = client.connection_pool
        self._where = address(client)

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
        try:
            connection = await self._pool.get_connection()
        except (RedisError, OSError) as error:
            raise NotRun(unreachable(error, self._where)) from error
        answers = None
        try:
            await connection.send_packed_command(connection.pack_commands(sending.left.values()))
            answers = [await self._read(connection) for _ in sending.left]
        except (RedisError, OSError) as error:
            raise sending.lost(unreachable(error, self._where)) from error
        finally:
            if answers is None:
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)
        sending.settle(answers)

    @staticmethod
    async def _read(connection: Any) -> Any:
        try:
            return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _REFUSALS as error:
            return answered(error)


def address(client: Redis | AsyncRedis) -> str:
    """Where the client connects to, for messages: no user, password or query."""
    pool: Any = client.connection_pool
    known = pool.connection_kwargs
    if "path" in known:
        return f"unix:{known['path']}"
    if hasattr(pool, "service_name"):
        return f"the primary of {pool.service_name!r}, as the sentinels name it,"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
