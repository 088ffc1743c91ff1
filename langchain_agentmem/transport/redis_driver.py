"""Runs operations on redis-py: one class for sync, one for async, the same few lines in each.

A batch goes out as one write and its replies are read one by one, straight from the connection:
undecoded and past redis-py's response callbacks, so that RESP2 and RESP3, `decode_responses` on and
off, hiredis or not, give the same replies. Nothing on the client is changed.
"""

from __future__ import annotations

import asyncio
import select
import traceback
from collections.abc import Collection, Sequence
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

from langchain_agentmem.core.operations import Command, asks
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError, StoreError
from langchain_agentmem.transport.cluster_scan import is_scan
from langchain_agentmem.transport.cluster_slots import READ_TABLE
from langchain_agentmem.transport.connection_limit import Turns
from langchain_agentmem.transport.drivers import AsyncDriver, Driver, InFlightBatch
from langchain_agentmem.transport.redis_errors import answered, cluster_node, hide, underlying, unreachable
from langchain_agentmem.transport.resp import pack

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

# Error replies. The last two are subclasses of redis-py's ConnectionError, though nothing broke.
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)
# Raised for a host or setting that no socket takes.
_NO_ADDRESS = (ValueError, TypeError, OverflowError)
# What tells whether a server is a node of a cluster: the second, where a user may not ask for the first.
_ABOUT_CLUSTER = (asks("INFO", "cluster"), READ_TABLE)
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
        self._is_alone = False
        self.unchecked = notified and not caches and hasattr(self.pool.connection_class, "can_read")

    def to_send(self, in_flight: InFlightBatch) -> Collection[Command]:
        """Return what to send for what is left of a batch.

        Behind a SCAN, the server is asked whether it is a node of a cluster, until it is known not to be one:
        a node answers with its own keys only, and not with MOVED.
        """
        left = in_flight.left.values()
        if self._is_alone or not any(map(is_scan, left)):
            return left
        return [*left, *_ABOUT_CLUSTER]

    def check_alone(self, answers: list[Any], in_flight: InFlightBatch) -> None:
        """Take out the answers to what was asked about a cluster, if it was.

        Raises:
            ClusterNodeError: It is one.
        """
        asked = answers[len(in_flight.left) :]
        del answers[len(in_flight.left) :]
        if len(asked) == len(_ABOUT_CLUSTER):
            about, slots = asked
            if b"cluster_enabled:1" in about if isinstance(about, bytes) else isinstance(slots, list):
                raise cluster_node(self.where)
            self._is_alone = True

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

    def not_made(self, error: Exception) -> AgentMemoryError:
        """Return the error for a connection that the pool could not give."""
        error = underlying(error)
        if not isinstance(error, _NO_ADDRESS) or isinstance(error, RedisError) or _reading(error):
            return self.broken(error)
        hide(error, self._password, "password")
        ours = ConfigurationError(
            f"No connection to {self.where} can be made: {error}.",
            plain=f"No connection to {self.where} can be made. Check the host and options in the URL.",
        )
        ours.__cause__ = error
        return ours

    def broken(self, error: Exception) -> StoreError:
        """Return the error for a connection that broke, or brought what is no reply."""
        error = underlying(error)  # also sending may have connected anew
        hide(error, self._password, "password")
        return unreachable(error, self.where)


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


class _Exchange:
    """Holds the state of one write to a server, and of the replies to it.

    Attributes:
        answers: The replies so far; an error reply is a `StoreError`.
        unsent: Why there was no connection, and so nothing was sent.
        lost: Why no more answers came.
    """

    def __init__(self, target: Any, commands: Collection[Command]) -> None:
        self.answers: list[Any] = []
        self.unsent: AgentMemoryError | None = None
        self.lost: StoreError | None = None
        self._target = target
        self._packed = pack(commands)
        self._expected = len(commands)
        self._connection: Any = None

    def settle(self, in_flight: InFlightBatch) -> None:
        """Hand over what came of sending all that is left of a batch.

        Raises:
            Retryable: Some of it must be sent again.
            AgentMemoryError: It failed, and must not.
        """
        if self.unsent is not None:
            raise in_flight.unsent(self.unsent)
        if self.lost is not None:
            raise in_flight.lost(self.answers, self.lost)
        in_flight.settle(self.answers)


class Exchange(_Exchange):
    """Writes commands to a server, and reads the replies. What goes wrong is kept, not raised.

    The methods are called one after the other, whatever came of the one before, and `end` in any case.

    Args:
        target: A `Target`.
        commands: What to send.

    Raises:
        InvalidInputError: An argument cannot be sent.
    """

    def run(self) -> None:
        """Do all of it, with one server alone."""
        try:
            self.begin()
            self.send()
            self.receive()
        finally:
            self.end()

    def begin(self) -> None:
        """Take a connection."""
        target = self._target
        try:
            connection = target.pool.get_connection()
            if target.unchecked:
                target.check(connection)
        except Exception as error:  # noqa: BLE001 - kept for whoever settles it
            if _leaves_it_broken(error):
                target.pool.disconnect(inuse_connections=False)  # else that connection is used next
            self.unsent = target.not_made(error)
        else:
            self._connection = connection

    def send(self) -> None:
        """Send the commands, if there is a connection."""
        if (connection := self._connection) is None:
            return
        try:
            connection.send_packed_command([self._packed])  # one write, where redis-py would make several
        except Exception as error:  # noqa: BLE001 - kept for whoever settles it
            self.lost = self._target.broken(error)

    def receive(self) -> None:
        """Read the replies, if the commands were sent."""
        if (connection := self._connection) is None or self.lost is not None:
            return
        answers = self.answers
        try:
            while len(answers) < self._expected:
                try:
                    answer = connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except _REFUSALS as error:
                    if not isinstance(error, ResponseError):
                        _step_over(connection)
                    answer = answered(error, self._target.where)
                answers.append(answer)
        except Exception as error:  # noqa: BLE001 - on what is no reply, a parser may raise anything
            self.lost = self._target.broken(error)

    def end(self) -> None:
        """Give the connection back."""
        if (connection := self._connection) is None:
            return
        if len(self.answers) < self._expected:
            connection.disconnect()  # it may still hold replies that nobody will read
        self._target.pool.release(connection)


class AsyncExchange(_Exchange):
    """Async version of `Exchange`, with an `AsyncTarget`."""

    _has_turn = False

    async def run(self) -> None:
        """Async version of `Exchange.run`."""
        try:
            await self.begin()
            await self.send()
            await self.receive()
        finally:
            await self.end()

    async def begin(self) -> None:
        """Async version of `Exchange.begin`; waits until a connection is free."""
        target = self._target
        await target.free.acquire()
        self._has_turn = True
        try:
            connection = await target.pool.get_connection()
            await target.acheck(connection)
        except Exception as error:  # noqa: BLE001 - kept for whoever settles it
            if _leaves_it_broken(error):
                await target.pool.disconnect(inuse_connections=False)
            self.unsent = target.not_made(error)
        else:
            self._connection = connection

    async def send(self) -> None:
        """Async version of `Exchange.send`."""
        if (connection := self._connection) is None:
            return
        try:
            rest = _write(connection, self._packed)
            if rest is not None:
                await connection.send_packed_command(rest)
        except Exception as error:  # noqa: BLE001 - kept for whoever settles it
            self.lost = self._target.broken(error)

    async def receive(self) -> None:
        """Async version of `Exchange.receive`."""
        if (connection := self._connection) is None or self.lost is not None:
            return
        answers = self.answers
        try:
            while len(answers) < self._expected:
                try:
                    answer = await connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except _REFUSALS as error:
                    answer = answered(error, self._target.where)
                answers.append(answer)
        except Exception as error:  # noqa: BLE001 - kept for whoever settles it
            self.lost = self._target.broken(error)

    async def end(self) -> None:
        """Async version of `Exchange.end`."""
        try:
            if (connection := self._connection) is not None:
                if len(self.answers) < self._expected:
                    await connection.disconnect(nowait=True)
                await self._target.pool.release(connection)
        finally:
            if self._has_turn:
                self._target.give_back_turn()


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
        target = self._target
        exchange = Exchange(target, target.to_send(in_flight))
        exchange.run()
        target.check_alone(exchange.answers, in_flight)
        exchange.settle(in_flight)

    def close(self) -> None:
        """Close the client, and those that ask sentinels for it."""
        for client in self._target.clients():
            client.close()


class AsyncRedisDriver(AsyncDriver):
    """Async version of `RedisDriver`, for one event loop."""

    def __init__(self, client: AsyncRedis) -> None:
        self._target = AsyncTarget(client)

    async def _attempt(self, in_flight: InFlightBatch) -> None:
        target = self._target
        exchange = AsyncExchange(target, target.to_send(in_flight))
        await exchange.run()
        target.check_alone(exchange.answers, in_flight)
        exchange.settle(in_flight)

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
