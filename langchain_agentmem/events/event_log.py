"""`EventLog`: what happened in each thread, as a Redis stream of bounded length a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core import threads
from langchain_agentmem.core.checks import positive, ttl, utf8, validate_id
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.events import operations
from langchain_agentmem.events.event import MAX_DETAIL_BYTES, Entry, Event, event_fields
from langchain_agentmem.events.losses import Losses
from langchain_agentmem.events.sinks import EventBuffer, LoopBuffer, Sink
from langchain_agentmem.events.writer import BackgroundWriter
from langchain_agentmem.transport.connected import Connected
from langchain_agentmem.transport.connections import Transport

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class EventLog(Connected):
    """The event log of one key prefix, a bounded stream a thread.

    `record` writes at once and raises what goes wrong. Handlers write through `sink`, in the
    background, where nothing raises and what fails is counted in `dropped`; reading waits (a second
    at most) for what is on its way, so that a process reads its own events. The constructor does no I/O.

    Args:
        url: A Redis URL, or `embedded://`; or hand in clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        max_len: About how many events a thread keeps; the server drops the oldest, in blocks.
        ttl_seconds: How long a thread's events live after the last one; `None` for ever.
        max_detail_bytes: Longer details are cut.
        key_prefix: What stands before the thread id in a key.
        threads_prefix: What stands before the user in the key of a user's record of threads.
        token: The token of a REST database, for a URL of `https://`.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable.
        InvalidInputError: A number is not above zero.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        max_len: int = 1000,
        ttl_seconds: int | None = None,
        max_detail_bytes: int = MAX_DETAIL_BYTES,
        key_prefix: str = "agent:events:",
        threads_prefix: str = "agent:threads:",
        token: str | None = None,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        self.max_len = positive("max_len", max_len)
        self.ttl_seconds = ttl("ttl_seconds", ttl_seconds)
        self.max_detail_bytes = positive("max_detail_bytes", max_detail_bytes)
        utf8("key_prefix", key_prefix)
        utf8("threads_prefix", threads_prefix)
        self.key_prefix = key_prefix
        self._keys = Keys(events_prefix=key_prefix, threads_prefix=threads_prefix)
        self._connect(transport, url, client, async_client, socket_timeout_seconds, token)
        self._losses = Losses()
        recording = partial(
            operations.record_each, self._keys, max_len=self.max_len, ttl_seconds=self.ttl_seconds
        )
        self.sink = _sink(self.transport, recording, self._losses)

    @property
    def dropped(self) -> int:
        """How many events of handlers were not written, since this object was made."""
        return self._losses.events

    def key(self, thread_id: str) -> str:
        """The key of a thread's stream."""
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
    ) -> str:
        """Append an event, as it is but for a detail that is too long; its id. One round trip."""
        event = {
            "action": action,
            "detail": detail,
            "name": name,
            "run_id": run_id,
            "parent_run_id": parent_run_id,
            "duration_seconds": duration_seconds,
            "user": user,
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
        }
        return (await self.arecord_many([(thread_id, event)]))[0]

    def record_many(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Append any number of events of any threads in one round trip; their ids, in order.

        Args:
            events: Thread ids, each with the arguments of `record` (and `ts`, if it is not now).

        Raises:
            InvalidInputError: One of them is not valid; none was written.
            StoreError: A thread's stream could not be written; those of other threads were.
        """
        return self.transport.run(self.record_op(self._entries(events)))

    async def arecord_many(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Async version of `record_many`."""
        return await self.transport.arun(self.record_op(self._entries(events)))

    def recent(self, thread_id: str, count: int = 20) -> list[Event]:
        """The last events of a thread, newest first."""
        self.sink.settle()
        return self.transport.run(operations.recent(self._keys, thread_id, count))

    async def arecent(self, thread_id: str, count: int = 20) -> list[Event]:
        """Async version of `recent`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.recent(self._keys, thread_id, count))

    def after(self, thread_id: str, last_id: str = "", count: int = 100) -> list[Event]:
        """The next events behind an id, oldest first; to follow a thread, hand in the last id you saw."""
        self.sink.settle()
        return self.transport.run(operations.after(self._keys, thread_id, last_id, count))

    async def aafter(self, thread_id: str, last_id: str = "", count: int = 100) -> list[Event]:
        """Async version of `after`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.after(self._keys, thread_id, last_id, count))

    def length(self, thread_id: str) -> int:
        """How many events a thread has."""
        self.sink.settle()
        return self.transport.run(operations.length(self._keys, thread_id))

    async def alength(self, thread_id: str) -> int:
        """Async version of `length`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.length(self._keys, thread_id))

    def clear(self, thread_id: str) -> int:
        """Delete a thread's events; how many there were."""
        self.sink.settle()
        return self.transport.run(operations.clear(self._keys, thread_id))

    async def aclear(self, thread_id: str) -> int:
        """Async version of `clear`."""
        await self.sink.asettle()
        return await self.transport.arun(operations.clear(self._keys, thread_id))

    def forget_user(self, user: str, thread_ids: Iterable[str] = (), *, thorough: bool = False) -> int:
        """Delete a user's events.

        Those that name the user go from every thread in the user's record; all events go from the streams
        of `thread_ids`.

        Args:
            user: The user.
            thread_ids: Threads that are the user's own.
            thorough: Also look through every other stream under the prefix. SCANs the database.

        Returns:
            How many events were deleted.

        Raises:
            StoreError: A stream could not be dealt with; the others were. Call it again.
        """
        self.sink.settle()
        return self.transport.run(self._forget(user, thread_ids, thorough))

    async def aforget_user(self, user: str, thread_ids: Iterable[str] = (), *, thorough: bool = False) -> int:
        """Async version of `forget_user`."""
        await self.sink.asettle()
        return await self.transport.arun(self._forget(user, thread_ids, thorough))

    def record_op(self, entries: Sequence[Entry]) -> Op[list[str]]:
        """The operation that appends events a buffer kept, to be run beside others."""
        return operations.record(self._keys, entries, max_len=self.max_len, ttl_seconds=self.ttl_seconds)

    def forget_op(
        self,
        user: str,
        removed: Removed,
        *,
        own: Iterable[str] = (),
        unowned: Iterable[str] = (),
        others: Iterable[str] = (),
        thorough: bool = False,
    ) -> Op[None]:
        """Delete a user's events from threads that are known; see `operations.forget`."""
        return operations.forget(
            self._keys,
            validate_id("user", user),
            removed,
            own=own,
            unowned=unowned,
            others=others,
            thorough=thorough,
        )

    def after_op(self, thread_id: str, last_id: str, count: int) -> Op[list[Event]]:
        """The operation of `after`."""
        return operations.after(self._keys, thread_id, last_id, count)

    def list_threads_op(self) -> Op[list[str]]:
        """The threads that have events, in no order. SCANs the database."""
        return operations.list_threads(self._keys)

    def _forget(self, user: str, thread_ids: Iterable[str], thorough: bool) -> Op[int]:
        removed, own = Removed(), list(dict.fromkeys(thread_ids))
        noted = yield from threads.every(self._keys, validate_id("user", user))
        rest = [one.thread_id for one in noted if one.thread_id not in own]
        yield from self.forget_op(user, removed, own=own, others=rest, thorough=thorough)
        return removed.all()

    def put(
        self, thread_id: str, action: str, detail: object = "", *, user: str = "", sink: Sink | None = None
    ) -> None:
        """Record an event as handlers do: in the background, without secrets, raising nothing.

        Args:
            thread_id: The thread.
            action: What kind of thing happened.
            detail: What matters about it: anything, of which a short text is made.
            user: Whose it is.
            sink: Something else that takes the event.
        """
        from langchain_agentmem.events.recorder import Recorder

        Recorder(sink or self.sink, thread_id, user, self.max_detail_bytes).note(action, "", detail, {})

    def buffer(self) -> EventBuffer:
        """A sink whose events you write yourself (`record_op`); what it drops counts in `dropped`."""
        return EventBuffer(self._losses)

    def count_dropped(self, events: int, reason: object) -> None:
        """Count events of a buffer that could not be written."""
        self._losses.add(events, reason)

    def close(self) -> None:
        """Write what waits, within seconds, and close the connection, if this object opened it."""
        self.sink.close()
        super().close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        await self.sink.aclose()
        await super().aclose()

    def _entries(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Entry]:
        limit = self.max_detail_bytes
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
