"""`EventLog`: what happened in each thread, in a Redis stream of bounded length per thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core import threads
from langchain_agentmem.core.checks import Ttl, validate_id
from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.partition_count import of_threads
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.events import operations
from langchain_agentmem.events.background import BackgroundWriter, EventBuffer, LoopBuffer, Losses, Sink
from langchain_agentmem.events.config import EventLogConfig
from langchain_agentmem.events.event import Entry, Event, event_fields
from langchain_agentmem.events.usage import Usage
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS, Transport

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class EventLog(Connected):
    """Records and reads what happened in threads: a bounded stream per thread, under one key prefix.

    `record` writes at once and raises if that fails. Handlers write through `sink`, in the background:
    nothing raises there, and events that cannot be written are counted in `dropped`. Before reading, the
    log waits, for at most one second, for the events that are still queued, so that a process reads its
    own events. The constructor does no I/O.

    Args:
        url: A Redis URL, or `embedded://`; or pass clients.
        client: A caller-supplied sync client; it is neither changed nor closed.
        async_client: A caller-supplied async client.
        transport: The connection of another object of this package, to share it.
        max_len: About how many events a thread keeps; the oldest are dropped, a hundred at a time.
        ttl_seconds: The TTL of a thread's stream, extended by each write; `None` if it does not expire.
        max_detail_bytes: How long a detail may be, in bytes of UTF-8; longer ones are cut.
        key_prefix: What stands before the thread id in a stream's key.
        threads_prefix: What stands before the user in the key of a user's record of threads.
        partitions: In how many partitions these records are. If not given: 256 on a cluster, else none.
        token: The token of a REST database, for an `https://` URL.
        socket_timeout_seconds: How long to wait for the server before raising.

    Raises:
        ConfigurationError: The URL or a client is not usable.
        InvalidInputError: A number is not above zero.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        transport: Transport | None = None,
        max_len: int = EventLogConfig.max_len,
        ttl_seconds: int | None = EventLogConfig.ttl_seconds,
        max_detail_bytes: int = EventLogConfig.max_detail_bytes,
        key_prefix: str = EventLogConfig.key_prefix,
        threads_prefix: str = EventLogConfig.threads_prefix,
        partitions: int | None = EventLogConfig.partitions,
        token: str | None = None,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        config = EventLogConfig(
            max_len=max_len,
            ttl_seconds=ttl_seconds,
            max_detail_bytes=max_detail_bytes,
            key_prefix=key_prefix,
            threads_prefix=threads_prefix,
            partitions=partitions,
        )
        self._connect(transport, url, client, async_client, socket_timeout_seconds, token)
        self.config = config.on(cluster=self.transport.cluster)
        self._keys = self.config.keys
        if self._keys.partitions:
            self.transport.partition_counts.add(of_threads(self._keys))
        self._losses = Losses()
        recording = partial(
            operations.record_each,
            self._keys,
            max_len=self.config.max_len,
            ttl_seconds=self.config.ttl_seconds,
        )
        self.sink = _sink(self.transport, recording, self._losses)

    @property
    def dropped(self) -> int:
        """Return how many events of handlers could not be written since this object was made."""
        return self._losses.events

    def key(self, thread_id: str) -> str:
        """Return the key of a thread's stream."""
        return self._keys.events(thread_id)

    def record(
        self,
        thread_id: str,
        action: str,
        detail: str = "",
        *,
        name: str = "",
        run_id: str = "",
        parent_run_id: str = "",
        duration_seconds: float | None = None,
        user: str = "",
        memory_ids: Sequence[str] = (),
    ) -> str:
        """Append an event. One round trip.

        Args:
            thread_id: The thread.
            action: What kind of thing happened, such as `order_placed`.
            detail: What matters about it. It is stored without redaction; if it is too long, it is cut.
            name: The name of the runnable, tool, model or custom event.
            run_id: The LangChain run it belongs to.
            parent_run_id: The run that started that run.
            duration_seconds: How long the run took.
            user: The user it belongs to; empty for none.
            memory_ids: The memories it is about; those after the first 2,000 bytes are left out.

        Returns:
            The event's id in the stream.

        Raises:
            InvalidInputError: An argument is not valid; nothing was sent.
            StoreError: The stream could not be written.
        """
        event = {
            "action": action,
            "detail": detail,
            "name": name,
            "run_id": run_id,
            "parent_run_id": parent_run_id,
            "duration_seconds": duration_seconds,
            "user": user,
            "memory_ids": memory_ids,
        }
        return self.record_many([(thread_id, event)])[0]

    async def arecord(
        self,
        thread_id: str,
        action: str,
        detail: str = "",
        *,
        name: str = "",
        run_id: str = "",
        parent_run_id: str = "",
        duration_seconds: float | None = None,
        user: str = "",
        memory_ids: Sequence[str] = (),
    ) -> str:
        """Async version of `record`."""
        event = {
            "action": action,
            "detail": detail,
            "name": name,
            "run_id": run_id,
            "parent_run_id": parent_run_id,
            "duration_seconds": duration_seconds,
            "user": user,
            "memory_ids": memory_ids,
        }
        return (await self.arecord_many([(thread_id, event)]))[0]

    def record_many(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Append any number of events of any threads in one round trip; return their ids, in order.

        Args:
            events: Thread ids, each with the other arguments of `record`, and `ts` (epoch seconds) unless
                it is now.

        Raises:
            InvalidInputError: One of them is not valid; nothing was sent.
            StoreError: A thread's stream could not be written; those of the other threads were.
        """
        return self.transport.run(self.record_op(self.entries(events)))

    async def arecord_many(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Async version of `record_many`."""
        return await self.transport.arun(self.record_op(self.entries(events)))

    def recent(self, thread_id: str, count: int = 20) -> list[Event]:
        """Return the last `count` events of a thread, newest first. One round trip."""
        self.sink.settle()
        return self.transport.run(operations.recent(self._keys, thread_id, count))

    async def arecent(self, thread_id: str, count: int = 20) -> list[Event]:
        """Async version of `recent`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.recent(self._keys, thread_id, count))

    def after(self, thread_id: str, last_id: str = "", count: int = 100) -> list[Event]:
        """Return the next events after an id, oldest first, to follow a thread. One round trip.

        Args:
            thread_id: The thread.
            last_id: The last id you have seen; empty to begin with the oldest event.
            count: How many events to return at most.

        Raises:
            InvalidInputError: `last_id` is not an event's id.
        """
        self.sink.settle()
        return self.transport.run(operations.after(self._keys, thread_id, last_id, count))

    async def aafter(self, thread_id: str, last_id: str = "", count: int = 100) -> list[Event]:
        """Async version of `after`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.after(self._keys, thread_id, last_id, count))

    def length(self, thread_id: str) -> int:
        """Return how many events a thread has. One round trip."""
        self.sink.settle()
        return self.transport.run(operations.length(self._keys, thread_id))

    async def alength(self, thread_id: str) -> int:
        """Async version of `length`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.length(self._keys, thread_id))

    def usage(self, thread_id: str, *, user: str | None = None) -> Usage:
        """Return how many tokens a thread's models took, and how often they and its tools were called.

        These are the sums over the thread's events; those of events which the server has dropped are kept
        in the stream. They begin anew when it expires or is cleared. One round trip per 1,000 events.

        Args:
            thread_id: The thread.
            user: Whose events are counted; `None` for all of the thread.

        Raises:
            InvalidInputError: The thread or the user is not a valid id.
        """
        self.sink.settle()
        return self.transport.run(self._usage(thread_id, user))

    async def ausage(self, thread_id: str, *, user: str | None = None) -> Usage:
        """Async version of `usage`."""
        await self.sink.asettle()
        return await self.transport.arun(self._usage(thread_id, user))

    def _usage(self, thread_id: str, user: str | None) -> Op[Usage]:
        whose = None if user is None else validate_id("user", user)
        return operations.usage(self._keys, thread_id, whose)

    def clear(self, thread_id: str) -> int:
        """Delete a thread's events; return how many there were. One round trip."""
        self.sink.settle()
        return self.transport.run(operations.clear(self._keys, thread_id))

    async def aclear(self, thread_id: str) -> int:
        """Async version of `clear`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.clear(self._keys, thread_id))

    def forget_user(self, user: str, thread_ids: Iterable[str] = (), *, thorough: bool = False) -> int:
        """Delete a user's events.

        These are all events of the threads in `thread_ids`, and the events that name the user in every
        other thread of the user's record.

        Args:
            user: The user.
            thread_ids: The threads that are the user's own.
            thorough: Also look through every other stream under the prefix. SCANs the database.

        Returns:
            How many events were deleted.

        Raises:
            InvalidInputError: The user is not a valid id; nothing was sent.
            StoreError: A stream could not be reached; the others were. Call it again.
        """
        self.sink.settle()
        return self.transport.run(self._forget(user, thread_ids, thorough))

    async def aforget_user(self, user: str, thread_ids: Iterable[str] = (), *, thorough: bool = False) -> int:
        """Async version of `forget_user`."""
        await self.sink.asettle()
        return await self.transport.arun(self._forget(user, thread_ids, thorough))

    def record_op(self, entries: Sequence[Entry], *, noted_ttl_seconds: Ttl = ...) -> Op[list[str]]:
        """Append the events of a buffer, to be gathered with other operations; see `operations.record`.

        Args:
            entries: What `drain` of the buffer returned.
            noted_ttl_seconds: The TTL for which the caller notes the entries' threads in their users'
                records, earlier in the same round trip and in any case; `...` if it does not.

        Raises:
            StoreError: A stream could not be written; those of the other threads were.
        """
        return operations.record(
            self._keys,
            entries,
            max_len=self.config.max_len,
            ttl_seconds=self.config.ttl_seconds,
            noted_ttl_seconds=noted_ttl_seconds,
        )

    def forget_op(
        self,
        user: str,
        removed: Removed,
        *,
        own: Iterable[str] = (),
        unowned: Iterable[str] = (),
        others: Iterable[str] = (),
        thorough: bool = False,
        counted: Iterable[str] = (),
    ) -> Op[None]:
        """Delete a user's events from the given threads, to be gathered; see `operations.forget`.

        Args:
            user: The user.
            removed: Where events, and what could not be reached, are counted; in its dry run, nothing is
                deleted.
            own: The user's own threads: all their events are deleted.
            unowned: Threads whose owner is not known any more: the user's events are deleted, and, if no
                other user has events there, those that name nobody.
            others: Other threads: the user's events are deleted.
            thorough: Also look through every other stream under the prefix. SCANs the database.
            counted: Threads to pass over in that search: a dry run has counted what is to be counted there.

        Raises:
            InvalidInputError: The user is not a valid id.
        """
        return operations.forget(
            self._keys,
            validate_id("user", user),
            removed,
            own=own,
            unowned=unowned,
            others=others,
            thorough=thorough,
            counted=counted,
        )

    def after_op(self, thread_id: str, last_id: str, count: int) -> Op[list[Event]]:
        """Return the next events after an id, to be gathered; the arguments are those of `after`."""
        return operations.after(self._keys, thread_id, last_id, count)

    def list_threads_op(self) -> Op[list[str]]:
        """Return the threads that have events, in no order. SCANs the database."""
        return operations.list_threads(self._keys)

    def _forget(self, user: str, thread_ids: Iterable[str], thorough: bool) -> Op[int]:
        removed, own = Removed(), list(dict.fromkeys(thread_ids))
        noted = yield from threads.every(self._keys, validate_id("user", user))
        rest = [one.thread_id for one in noted if one.thread_id not in own]
        yield from self.forget_op(user, removed, own=own, others=rest, thorough=thorough)
        return removed.all()

    def put(
        self,
        thread_id: str,
        action: str,
        detail: object = "",
        *,
        user: str = "",
        memory_ids: Sequence[str] = (),
        sink: Sink | None = None,
    ) -> None:
        """Record an event as handlers do: in the background, without secrets; failures are only counted.

        Args:
            thread_id: The thread.
            action: What kind of thing happened.
            detail: What matters about it: any value, of which a short text is made. A text that is
                `core.redaction.Clean` holds no secret and is not redacted.
            user: The user it belongs to; empty for none.
            memory_ids: The memories it is about.
            sink: What takes the event in place of the log's own sink.

        Raises:
            InvalidInputError: The thread or the user is not a valid id.
        """
        validate_id("thread_id", thread_id)
        user = validate_id("user", user) if user else ""
        sink = sink or self.sink
        try:
            # Imported here: it loads LangChain's messages, which reading a log does not need.
            from langchain_agentmem.events.sanitize import describe

            text = describe(detail, self.config.max_detail_bytes)
            limit = self.config.max_detail_bytes
            fields = event_fields(action, text, user=user, memory_ids=memory_ids, max_detail_bytes=limit)
            sink.put(thread_id, fields)
        except Exception as error:  # noqa: BLE001 - the log must not break what it records
            sink.losses.add(1, f"An event could not be made ({type(error).__name__}).")

    def buffer(self) -> EventBuffer:
        """Return a sink whose events you write yourself (`record_op`); its drops count in `dropped`."""
        return EventBuffer(self._losses)

    def count_dropped(self, events: int, reason: object) -> None:
        """Count events of a buffer as dropped, for a reason that is logged once per outage."""
        self._losses.add(events, reason)

    def close(self) -> None:
        """Write what is queued, within seconds, and close the connection if this object opened it."""
        self.sink.close()
        super().close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        await self.sink.aclose()
        await super().aclose()

    def entries(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Entry]:
        """Return events as they are stored; they are given as to `record_many`.

        Raises:
            InvalidInputError: One of them is not valid.
        """
        limit = self.config.max_detail_bytes
        return [
            (validate_id("thread_id", thread_id), event_fields(**event, max_detail_bytes=limit))
            for thread_id, event in events
        ]


def _sink(
    transport: Transport,
    recording: Callable[[Sequence[Entry]], Op[list[Any]]],
    losses: Losses,
) -> BackgroundWriter | LoopBuffer:
    # Not methods: the background thread must not keep the log alive.
    if transport.async_only:
        return LoopBuffer(lambda entries: transport.arun(recording(entries)), losses)
    return BackgroundWriter(lambda entries: transport.run(recording(entries)), losses)
