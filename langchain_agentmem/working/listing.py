"""A user's sessions as a list to choose from: titles and times, without the messages."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from langchain_agentmem.core import threads
from langchain_agentmem.core.checks import utf8
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.core.threads import NotedThread
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError
from langchain_agentmem.working.session import SessionState

logger = logging.getLogger("langchain_agentmem")

_LEAST, _MOST = 20, 500  # threads that are looked at in one round trip: more each time
_PAGE = 200  # whole sessions that are read in one round trip
_CURSOR = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,20})?(?:e\+[0-9]{1,3})?|inf):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session without its messages.

    Attributes:
        thread_id: The thread.
        user: Whose it is.
        title: The goal, else the first thing the user says in the window, on a line of at most 80 characters;
            empty if there is neither.
        goal: What the session is for.
        turn_count: How many messages were ever appended.
        created_ts: Epoch seconds.
        last_active_ts: Epoch seconds of the last write.
        ttl_seconds: Seconds left until the session expires; `None` if it does not.
    """

    thread_id: str
    user: str
    title: str
    goal: str
    turn_count: int
    created_ts: float
    last_active_ts: float
    ttl_seconds: int | None


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, those active last first, and where the next page begins.

    Attributes:
        sessions: At most as many as were asked for.
        cursor: What brings the next page; `None` if this is the last.
    """

    sessions: list[SessionSummary]
    cursor: str | None


def sessions_of(
    keys: Keys,
    user: str,
    limit: int,
    cursor: str | None,
    load: Callable[[str], Op[SessionState | None]],
) -> Op[SessionPage]:
    """Return a page of a user's sessions. Two round trips, more if threads on it have no session any more.

    Args:
        keys: The key names.
        user: Whose.
        limit: How many at most.
        cursor: The `cursor` of the page before; `None` for the first page.
        load: The operation that reads a thread's session.

    Raises:
        InvalidInputError: The cursor is not one.
    """
    after = None if cursor is None else _position(cursor)
    found: list[SessionSummary] = []
    least = _LEAST
    while True:
        size, least = max(limit - len(found) + 1, least), min(2 * least, _MOST)
        noted = yield from threads.newest(keys, user, size, after)
        states = yield from gather([late(partial(load, one.thread_id)) for one in noted])
        for at, (after, state) in enumerate(zip(noted, states, strict=True)):
            if isinstance(state, WrongKeyTypeError | InvalidInputError):  # it does not hide the others
                logger.warning("The session of thread %r cannot be read: %s", after.thread_id, state)
            elif ok(state) is not None and state.user == user:
                found.append(_summary(state))
            if len(found) == limit:
                last = at + 1 == len(noted) < size
                return SessionPage(found, None if last else f"{after.last_ts}:{after.thread_id}")
        if len(noted) < size:
            return SessionPage(found, None)


def latest(
    thread_ids: Sequence[str], user: str | None, limit: int, load: Callable[[str], Op[SessionState | None]]
) -> Op[list[SessionState]]:
    """Return the sessions of these threads, of a user or of all, active last first.

    One round trip per 200 threads.

    Args:
        thread_ids: The threads to look at.
        user: Whose sessions; `None` for everybody's.
        limit: How many sessions to return at most.
        load: The operation that reads a session; `None` if there is none.

    Raises:
        WrongKeyTypeError: The key of a session holds something else.
    """
    found: list[SessionState] = []
    for at in range(0, len(thread_ids), _PAGE):
        states = yield from gather([late(partial(load, one)) for one in thread_ids[at : at + _PAGE]])
        found += [one for one in map(ok, states) if one is not None and user in (None, one.user)]
        found = sorted(found, key=lambda state: -state.last_active_ts)[:limit]
    return found


def _position(cursor: str) -> NotedThread:
    found = _CURSOR.fullmatch(utf8("cursor", cursor).decode())
    if found is None:
        raise InvalidInputError("cursor must be what the page before has as its cursor.")
    return NotedThread(thread_id=found[2], last_ts=found[1])


def _summary(state: SessionState) -> SessionSummary:
    return SessionSummary(
        thread_id=state.thread_id,
        user=state.user,
        title=state.title,
        goal=state.goal,
        turn_count=state.turn_count,
        created_ts=state.created_ts,
        last_active_ts=state.last_active_ts,
        ttl_seconds=state.ttl_seconds,
    )
