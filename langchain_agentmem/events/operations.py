"""The event log's operations: what is sent, and how the answer reads. One round trip each but `forget`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_agentmem.core import scripts, threads
from langchain_agentmem.core.checks import positive
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Argument, Command, Op, call, gather, ok, reads, text
from langchain_agentmem.core.removal import K, Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Entry, Event, Fields, read_event

_record = scripts.load(__package__, "record_events")
_clear = scripts.load(__package__, "clear_events")
_forget = scripts.load(__package__, "forget_events")

EVENTS_A_CALL = 500  # some milliseconds of the server's time
_PAGE = 1000
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
    by_thread: dict[str, list[int]] = {}
    noted: dict[tuple[str, str], float] = {}
    for place, (thread_id, fields) in enumerate(entries):
        by_thread.setdefault(thread_id, []).append(place)
        if "user" in fields:
            one = (thread_id, fields["user"])
            noted[one] = max(noted.get(one, 0.0), float(fields["ts"]))
    commands: list[Command] = [
        threads.note(keys, user, thread_id, now=ts, ttl_seconds=ttl_seconds)
        for (thread_id, user), ts in noted.items()
    ]
    asked: list[list[int]] = []
    for thread_id, places in by_thread.items():
        for start in range(0, len(places), EVENTS_A_CALL):
            asked.append(places[start : start + EVENTS_A_CALL])
            arguments = _arguments(entries[place][1] for place in asked[-1])
            command = _record.call([keys.events(thread_id)], max_len, ttl_seconds or 0, *arguments)
            # Of two calls on one stream, neither may be sent again later for want of its source.
            commands.append(command if len(places) <= EVENTS_A_CALL else scripts.with_source(command))
    replies = (yield commands) if commands else []
    for places, reply in zip(asked, replies[len(noted) :], strict=True):
        refused = isinstance(reply, Exception)
        for index, place in enumerate(places):
            results[place] = reply if refused else text(reply[index])
    for (thread_id, _), reply in zip(noted, replies, strict=False):
        threads.noted(reply, thread_id)
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
    reply = yield from call(reads("XREVRANGE", key, "+", "-", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def after(keys: Keys, thread_id: str, last_id: str, count: int) -> Op[list[Event]]:
    """The first events of a thread behind an id (or from the beginning: `""`), oldest first."""
    key = keys.events(thread_id)
    if last_id and not (isinstance(last_id, str) and _ENTRY_ID.fullmatch(last_id)):
        raise InvalidInputError(f"last_id must be an event's id, such as 1715990400123-0, not {last_id!r}.")
    start = f"({last_id}" if last_id else "-"
    reply = yield from call(reads("XRANGE", key, start, "+", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def list_threads(keys: Keys) -> Op[list[str]]:
    """The threads that have a stream, in no order. A round trip per page of about 1,000 keys."""
    found = yield from keys_under(keys.events_prefix, "stream")
    return [text(key)[len(keys.events_prefix) :] for key in found]


def length(keys: Keys, thread_id: str) -> Op[int]:
    """How many events the thread's stream holds."""
    return int((yield from call(reads("XLEN", keys.events(thread_id)))))


def clear(keys: Keys, thread_id: str) -> Op[int]:
    """Delete the thread's stream; how many events it had."""
    return int((yield from call(_clear.call([keys.events(thread_id)]))))


def forget(
    keys: Keys,
    user: str,
    removed: Removed,
    *,
    own: Iterable[str] = (),
    unowned: Iterable[str] = (),
    others: Iterable[str] = (),
    thorough: bool = False,
) -> Op[None]:
    """Delete a user's events. One round trip, and further ones for streams of more than 1,000 entries.

    Args:
        keys: The key names.
        user: The user.
        removed: Where to count.
        own: The user's threads: their streams go as a whole.
        unowned: Threads of which nobody knows any more whose they were: the user's events go, and if no
            event names anybody else, those that name nobody.
        others: Other threads: the user's events go.
        thorough: Also look at every other stream under the prefix. Two round trips per page of about
            1,000 keys of the database.
    """
    unowned = list(unowned)
    _, named = yield from gather(
        [
            _clear_streams([keys.events(one) for one in own], removed),
            _forget_entries([keys.events(one) for one in (*unowned, *others)], user, removed),
        ]
    )
    nobody_else = [key for key in map(keys.events, unowned) if ok(named).get(key) == 0]
    yield from _forget_entries(nobody_else, "", removed)
    if thorough:

        def visit(page: list[bytes]) -> Op[bool]:
            yield from _forget_entries(page, user, removed)
            return False

        yield from scan(keys.events_prefix, "stream", visit)


def _clear_streams(streams: list[str], removed: Removed) -> Op[None]:
    replies = (yield [_clear.call([key]) for key in streams]) if streams else []
    removed.count += sum(int(length) for _, length in removed.answered(streams, replies))


def _forget_entries(streams: list[K], user: str, removed: Removed) -> Op[dict[K, int]]:
    """Delete a user's entries (`""`: nobody's); how many other entries of a stream name somebody."""
    others = dict.fromkeys(streams, 0)
    waiting: dict[K, Any] = dict.fromkeys(streams, "-")
    while waiting:
        replies = yield [_forget.call([key], user, start, _PAGE) for key, start in waiting.items()]
        answers = dict(removed.answered(waiting, replies))
        for key in waiting.keys() - answers.keys():
            del others[key]
        waiting = {}
        for key, (deleted, behind, named) in answers.items():
            removed.count += int(deleted)
            others[key] += int(named)
            if behind:
                waiting[key] = behind
    return others
