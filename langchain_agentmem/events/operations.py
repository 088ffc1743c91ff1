"""The event log's operations: what is sent, and how replies are read. One round trip each, or as they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_agentmem.core import scripts, threads
from langchain_agentmem.core.checks import Ttl, positive
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Argument, Command, Op, call, gather, ok, reads, text
from langchain_agentmem.core.removal import K, Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Entry, Event, Fields, read_event
from langchain_agentmem.events.usage import Usage, usage_of

_record = scripts.load(__package__, "record_events")
_clear = scripts.load(__package__, "clear_events")
_forget = scripts.load(__package__, "forget_events")

EVENTS_PER_CALL = 500  # takes the server some milliseconds
_PAGE = 1000
_ENTRY_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


def record(
    keys: Keys,
    entries: Sequence[Entry],
    *,
    max_len: int,
    ttl_seconds: int | None,
    noted_ttl_seconds: Ttl = ...,
) -> Op[list[str]]:
    """Append events of any number of threads; return their ids, in order.

    Args:
        keys: The key names.
        entries: The events, each with its thread.
        max_len: About how many events a thread keeps.
        ttl_seconds: The TTL of the streams; `None` if they do not expire.
        noted_ttl_seconds: The TTL for which the caller notes the entries' threads in their users' records,
            earlier in the same round trip and in any case; `...` if it does not. If the events have a longer
            TTL, their threads are noted here as well: a record must not expire before them.

    Raises:
        StoreError: A stream could not be written; those of the other threads were.
    """
    results = yield from record_each(
        keys, entries, max_len=max_len, ttl_seconds=ttl_seconds, noted_ttl_seconds=noted_ttl_seconds
    )
    return [ok(result) for result in results]


def record_each(
    keys: Keys,
    entries: Sequence[Entry],
    *,
    max_len: int,
    ttl_seconds: int | None,
    noted_ttl_seconds: Ttl = ...,
) -> Op[list[Any]]:
    """Append events as `record` does, and raise nothing for those that the server refuses.

    Args:
        keys: The key names.
        entries: The events, each with its thread.
        max_len: About how many events a thread keeps.
        ttl_seconds: The TTL of the streams; `None` if they do not expire.
        noted_ttl_seconds: As for `record`.

    Returns:
        One result per event, in order: its id, or the `StoreError` with which it was refused.
    """
    must_note = noted_ttl_seconds is ... or _longer(ttl_seconds, noted_ttl_seconds)
    results: list[Any] = [None] * len(entries)
    by_thread: dict[str, list[int]] = {}
    noted: dict[tuple[str, str], float] = {}
    for place, (thread_id, fields) in enumerate(entries):
        by_thread.setdefault(thread_id, []).append(place)
        if must_note and "user" in fields:
            one = (thread_id, fields["user"])
            noted[one] = max(noted.get(one, 0.0), float(fields["ts"]))
    commands: list[Command] = [
        threads.note(keys, user, thread_id, now=ts, ttl_seconds=ttl_seconds)
        for (thread_id, user), ts in noted.items()
    ]
    asked: list[list[int]] = []
    for thread_id, places in by_thread.items():
        for start in range(0, len(places), EVENTS_PER_CALL):
            asked.append(places[start : start + EVENTS_PER_CALL])
            arguments = _arguments([entries[place][1] for place in asked[-1]])
            command = _record.call([keys.events(thread_id)], max_len, ttl_seconds or 0, *arguments)
            # Two calls on one stream carry the script's source: if one of them were answered NOSCRIPT and
            # sent again, their order would change.
            commands.append(command if len(places) <= EVENTS_PER_CALL else scripts.with_source(command))
    replies = (yield commands) if commands else []
    for places, reply in zip(asked, replies[len(noted) :], strict=True):
        refused = isinstance(reply, Exception)
        for index, place in enumerate(places):
            results[place] = reply if refused else text(reply[index])
    for (thread_id, _), reply in zip(noted, replies, strict=False):
        threads.noted(reply, thread_id)
    return results


def _longer(ttl_seconds: int | None, other: int | None) -> bool:
    return other is not None and (ttl_seconds is None or ttl_seconds > other)


def _arguments(events: Iterable[Fields]) -> list[Argument]:
    arguments: list[Argument] = []
    for fields in events:
        arguments.append(2 * len(fields))
        for member in fields.items():
            arguments += member
    return arguments


def recent(keys: Keys, thread_id: str, count: int) -> Op[list[Event]]:
    """Return the last events of a thread, newest first.

    Args:
        keys: The key names.
        thread_id: The thread.
        count: How many events to return at most.

    Raises:
        InvalidInputError: `count` is not above zero.
    """
    key = keys.events(thread_id)
    reply = yield from call(reads("XREVRANGE", key, "+", "-", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def after(keys: Keys, thread_id: str, last_id: str, count: int) -> Op[list[Event]]:
    """Return the next events of a thread after an id, oldest first.

    Args:
        keys: The key names.
        thread_id: The thread.
        last_id: The id; empty to begin with the oldest event.
        count: How many events to return at most.

    Raises:
        InvalidInputError: `last_id` is not an event's id, or `count` is not above zero.
    """
    key = keys.events(thread_id)
    if last_id and not (isinstance(last_id, str) and _ENTRY_ID.fullmatch(last_id)):
        raise InvalidInputError(f"last_id must be an event's id, such as 1715990400123-0, not {last_id!r}.")
    start = f"({last_id}" if last_id else "-"
    reply = yield from call(reads("XRANGE", key, start, "+", "COUNT", positive("count", count)))
    return [read_event(entry) for entry in reply]


def list_threads(keys: Keys) -> Op[list[str]]:
    """Return the threads that have a stream, in no order. One round trip per page of about 1,000 keys."""
    found = yield from keys_under(keys.events_prefix, "stream")
    return [text(key)[len(keys.events_prefix) :] for key in found]


def length(keys: Keys, thread_id: str) -> Op[int]:
    """Return how many events a thread's stream holds."""
    return int((yield from call(reads("XLEN", keys.events(thread_id)))))


def usage(keys: Keys, thread_id: str, user: str | None) -> Op[Usage]:
    """Return what the events of a thread count. One round trip per 1,000 events.

    Args:
        keys: The key names.
        thread_id: The thread.
        user: Whose events are counted; `None` for all.
    """
    key = keys.events(thread_id)
    oldest = reads("XRANGE", key, "-", "+", "COUNT", 1)
    while True:
        page = yield from call(reads("XRANGE", key, "-", "+", "COUNT", _PAGE))
        found, first = list(page), page[:1]
        while len(page) == _PAGE:
            page, now_first = map(ok, (yield [_behind(key, page[-1]), oldest]))
            if not now_first or now_first[0][0] != first[0][0]:
                break  # the oldest were deleted meanwhile, and summed up behind: begin anew
            found += page
        else:
            return usage_of(map(read_event, found), user)


def _behind(key: str, entry: Any) -> Command:
    return reads("XRANGE", key, f"({text(entry[0])}", "+", "COUNT", _PAGE)


def clear(keys: Keys, thread_id: str) -> Op[int]:
    """Delete a thread's stream; return how many events it had."""
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
    counted: Iterable[str] = (),
) -> Op[None]:
    """Delete a user's events, or count them in a dry run.

    One round trip, and one more for each further 1,000 entries of the longest stream; if there are events
    that name nobody to be deleted, the same again for these.

    Args:
        keys: The key names.
        user: The user.
        removed: Where events, and what could not be reached, are counted; in its dry run, nothing is deleted.
        own: The user's own threads: their streams are deleted.
        unowned: Threads whose owner is not known any more: the user's events are deleted, and, if no other
            user has events there, those that name nobody.
        others: Other threads: the user's events are deleted.
        thorough: Also look through every other stream under the prefix. Two round trips per page of about
            1,000 keys of the database.
        counted: Threads to pass over in that search: a dry run has counted what is to be counted there.
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
        passed_over = {keys.events(one).encode() for one in counted}

        def visit(page: list[bytes]) -> Op[bool]:
            yield from _forget_entries([key for key in page if key not in passed_over], user, removed)
            return False

        yield from scan(keys.events_prefix, "stream", visit)


def _clear_streams(streams: list[str], removed: Removed) -> Op[None]:
    replies = (yield [removed.call(_clear, [key]) for key in streams]) if streams else []
    removed.count += sum(int(length) for _, length in removed.answered(streams, replies))


def _forget_entries(streams: list[K], user: str, removed: Removed) -> Op[dict[K, int]]:
    """Delete or count the entries of a user (`""`: of nobody); return how many others of each name a user."""
    others = dict.fromkeys(streams, 0)
    waiting: dict[K, Any] = dict.fromkeys(streams, "-")
    while waiting:
        replies = yield [removed.call(_forget, [key], user, start, _PAGE) for key, start in waiting.items()]
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
