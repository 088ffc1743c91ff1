"""The record of each user's threads, by which they are listed, exported and forgotten without a scan.

Working memory and the event log note a thread before they write to it for a user, in the same round trip. A
thread stays in the record when its session has expired, because its events may not have.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core import scripts
from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, call, ok, reads, text
from langchain_agentmem.errors import ClusterNodeError

logger = logging.getLogger("langchain_agentmem")

_note = scripts.load(__package__, "note_thread")
_drop = scripts.load(__package__, "drop_threads")
_PAGE = 1000


class NotedThread(NamedTuple):
    """Holds a thread of a user, and when it was last written to.

    Attributes:
        thread_id: The thread.
        last_ts: Epoch seconds, as the server's text, so that no digit is lost.
    """

    thread_id: str
    last_ts: str


def note(keys: Keys, user: str, thread_id: str, *, now: float, ttl_seconds: int | None) -> Command:
    """Return the command that notes a thread; send it before what is written to the thread.

    Args:
        keys: The key names.
        user: The user.
        thread_id: The thread.
        now: Epoch seconds, by the writer's clock.
        ttl_seconds: The TTL of what is written next, which the record must outlive; `None` if it does not
            expire.
    """
    return _note.call(
        [keys.of(user).threads(user)], repr(now), thread_id, "" if ttl_seconds is None else ttl_seconds
    )


def noted(reply: Any, thread_id: str) -> None:
    """Log a warning if the reply to a note is an error: what was written next may be stored all the same.

    Raises:
        ClusterNodeError: This is one node of a cluster, which has only some of the keys.
    """
    if isinstance(reply, ClusterNodeError):
        raise reply
    if isinstance(reply, Exception):
        logger.warning(
            "Thread %r could not be noted in its user's record: only thorough=True finds it when the user is "
            "forgotten or exported. %s",
            thread_id,
            reply,
        )


def newest(keys: Keys, user: str, count: int, after: NotedThread | None = None) -> Op[list[NotedThread]]:
    """Return a user's threads, the last written first.

    One round trip, and one more per `count` threads that share the time of `after`.

    Args:
        keys: The key names.
        user: The user.
        count: How many threads to return at most.
        after: The last thread of the previous page; `None` to begin with the newest thread.
    """
    found: list[NotedThread] = []
    offset, most = 0, "+inf" if after is None else after.last_ts
    size = count + 1  # `after` itself comes again
    while True:
        reply = yield from call(
            reads(
                "ZREVRANGEBYSCORE", keys.of(user).threads(user), most, 0, "WITHSCORES", "LIMIT", offset, size
            )
        )
        page = list(_members(reply))
        # Threads of the same time come in descending order of their bytes.
        found += [one for one in page if one and (after is None or _order(one) < _order(after))]
        if len(found) >= count or len(page) < size:
            return found[:count]
        offset += size


def every(keys: Keys, user: str) -> Op[list[NotedThread]]:
    """Return all threads of a user, the last written first. One round trip per 1,000 threads."""
    found: list[NotedThread] = []
    while page := (yield from newest(keys, user, _PAGE, found[-1] if found else None)):
        found += page
    return found


def as_noted(keys: Keys, user: str, thread_ids: Sequence[str]) -> Op[list[NotedThread]]:
    """Return those of the given threads that are in a user's record, in the given order. One round trip.

    Args:
        keys: The key names.
        user: The user.
        thread_ids: The threads to look up; with none, nothing is sent.

    Raises:
        WrongKeyTypeError: The key of the record holds something else.
    """
    if not thread_ids:
        return []
    scores = yield from call(reads("ZMSCORE", keys.of(user).threads(user), *thread_ids))
    found = zip(thread_ids, scores, strict=True)
    return [NotedThread(one, _score(score)) for one, score in found if score is not None]


def drop(keys: Keys, user: str, noted: Iterable[NotedThread]) -> Op[None]:
    """Remove threads from a user's record, except those written to since they were read. One round trip.

    Args:
        keys: The key names.
        user: The user.
        noted: The threads, as they were read; with none, nothing is sent.

    Raises:
        WrongKeyTypeError: The key of the record holds something else.
    """
    rest = list(noted)
    commands = [
        _drop.call(
            [keys.of(user).threads(user)], *(part for one in rest[at : at + _PAGE] for part in one[::-1])
        )
        for at in range(0, len(rest), _PAGE)
    ]
    for reply in (yield commands) if commands else ():
        ok(reply)


def _members(reply: Any) -> Iterator[NotedThread | None]:
    """Yield the members with their scores; `None` for one that cannot be a thread's id."""
    pairs = (
        reply if reply and isinstance(reply[0], list | tuple) else zip(reply[::2], reply[1::2], strict=True)
    )
    for member, score in pairs:
        try:
            yield NotedThread(validate_id("thread_id", member.decode()), _score(score))
        except ValueError:  # it is no UTF-8, or too long
            yield None


def _score(reply: Any) -> str:
    return repr(reply) if isinstance(reply, float) else text(reply)


def _order(noted: NotedThread) -> tuple[float, bytes]:
    return float(noted.last_ts), noted.thread_id.encode()
