"""The event log's operations: what is sent, and how the answer reads. One round trip each but `forget`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_agentmem.core import scripts
from langchain_agentmem.core.checks import positive
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Argument, Command, Op, call, ok, text
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Entry, Event, Fields, read_event

_record = scripts.load(__package__, "record_events")
_clear = scripts.load(__package__, "clear_events")
_forget = scripts.load(__package__, "forget_events")

EVENTS_A_CALL = 500  # some milliseconds of the server's time
_ENTRY_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


def record(keys: Keys, entries: Sequence[Entry], *, max_len: int, ttl_seconds: int | None) -> Op[list[str]]:
    """Append events of any number of threads; their ids, in order.

    Raises:
        StoreError: A stream could not be written; those of the other threads were.
    """
    results = yield from record_each(keys, entries, max_len=max_len, ttl_seconds=ttl_seconds)
    return [ok(result) for result in results]


def record_each(
    keys: Keys, entries: Sequence[Entry], *, max_len: int, ttl_seconds: int | None
) -> Op[list[Any]]:
    """As `record`, but an event that was refused has its `StoreError` in place of its id."""
    results: list[Any] = [None] * len(entries)
    threads: dict[str, list[int]] = {}
    for place, (thread_id, _) in enumerate(entries):
        threads.setdefault(thread_id, []).append(place)
    commands: list[Command] = []
    asked: list[list[int]] = []
    for thread_id, places in threads.items():
        for start in range(0, len(places), EVENTS_A_CALL):
            asked.append(places[start : start + EVENTS_A_CALL])
            arguments = _arguments(entries[place][1] for place in asked[-1])
            command = _record.call([keys.events(thread_id)], max_len, ttl_seconds or 0, *arguments)
            # Of two calls on one stream, neither may be sent again later for want of its source.
            commands.append(command if len(places) <= EVENTS_A_CALL else scripts.with_source(command))
    replies = (yield commands) if commands else []
    for places, reply in zip(asked, replies, strict=True):
        refused = isinstance(reply, Exception)
        for index, place in enumerate(places):
            results[place] = reply if refused else text(reply[index])
    return results


def _arguments(events: Iterable[Fields]) -> Iterable[Argument]:
    for fields in events:
        yield 2 * len(fields)
        for name, value in fields.items():
            yield name
            yield value


def recent(keys: Keys, thread_id: str, count: int) -> Op[list[Event]]:
    """The last events of a thread, newest first."""
    key = keys.events(thread_id)
    reply = yield from call(("XREVRANGE", key, "+", "-", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def after(keys: Keys, thread_id: str, last_id: str, count: int) -> Op[list[Event]]:
    """The first events of a thread behind an id (or from the beginning: `""`), oldest first."""
    key = keys.events(thread_id)
    if last_id and not (isinstance(last_id, str) and _ENTRY_ID.fullmatch(last_id)):
        raise InvalidInputError(f"last_id must be an event's id, such as 1715990400123-0, not {last_id!r}.")
    start = f"({last_id}" if last_id else "-"
    reply = yield from call(("XRANGE", key, start, "+", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def length(keys: Keys, thread_id: str) -> Op[int]:
    """How many events the thread's stream holds."""
    return int((yield from call(("XLEN", keys.events(thread_id)))))


def clear(keys: Keys, thread_id: str) -> Op[int]:
    """Delete the thread's stream; how many events it had."""
    return int((yield from call(_clear.call([keys.events(thread_id)]))))


def forget(keys: Keys, user: str, thread_ids: Iterable[str] = ()) -> Op[int]:
    """Delete a user's events from every stream, and whole streams; how many events were deleted.

    One round trip for the whole streams; then two a page of about 1,000 keys of the database, and
    further ones for streams of more than 1,000 entries.
    """
    removed = 0
    whole = [_clear.call([keys.events(thread_id)]) for thread_id in dict.fromkeys(thread_ids)]
    if whole:
        removed += sum(int(ok(reply)) for reply in (yield whole))

    def visit(page: list[bytes]) -> Op[bool]:
        nonlocal removed
        waiting: list[tuple[Any, Any]] = [(key, "-") for key in page]
        while waiting:
            replies = yield [_forget.call([key], user, start, 1000) for key, start in waiting]
            answers = [ok(reply) for reply in replies]
            removed += sum(int(deleted) for deleted, _ in answers)
            waiting = [(key, nxt) for (key, _), (_, nxt) in zip(waiting, answers, strict=True) if nxt]
        return False

    yield from scan(keys.events_prefix, "stream", visit)
    return removed
