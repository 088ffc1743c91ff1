"""Working memory's operations: what is sent, and how the answer reads. One round trip each but the scans."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_agentmem.core import scripts
from langchain_agentmem.core.operations import Argument, Command, Op, call, ok, text
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import StoreError
from langchain_agentmem.working.session import (
    FIELDS,
    SessionState,
    UnreadableEntry,
    read_list,
    read_state,
    read_turns,
)

logger = logging.getLogger("langchain_agentmem")

_write = scripts.load(__package__, "write_session")
_forget = scripts.load(__package__, "forget_session")
_delete = scripts.load(__package__, "delete_typed")
_push = scripts.load(__package__, "push_messages")


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that holds a session's turns in place of its Hash.

    Attributes:
        window: How many of the newest are read; all are kept.
    """

    key: str
    window: int | None

    @property
    def read(self) -> Command:
        """The command that reads the window, newest first."""
        return ("LRANGE", self.key, 0, -1 if self.window is None else self.window - 1)


def write_session(
    key: str,
    thread_id: str,
    turns: Sequence[bytes] = (),
    *,
    listed: Listed | None = None,
    now: float,
    ttl_seconds: int | None,
    window: int | None = None,
    user: str,
    agent: str,
    fields: Sequence[Argument] = (),
) -> Command:
    """The one command of every write to a session; `fields` alternates names and values."""
    head = (now, ttl_seconds or 0, window or 0, len(turns), b",\n".join(turns))
    keys = [key] if listed is None else [key, listed.key]
    return _write.call(keys, *head, thread_id, user, agent, *fields)


def load(key: str, thread_id: str, listed: Listed | None = None) -> Op[SessionState | None]:
    """The session, or `None`."""
    replies = yield _reading(key, listed)
    return _state(key, thread_id, listed, replies)


def write(note: Command, command: Command) -> Op[int]:
    """Note the thread, then write; return the write's result. One round trip."""
    noted, written = yield [note, command]
    ok(noted)
    return int(ok(written))


def write_and_load(
    key: str, thread_id: str, note: Command, command: Command, listed: Listed | None = None
) -> Op[SessionState]:
    """Note the thread, write, and return the session after it. One round trip."""
    noted, written, *replies = yield [note, command, *_reading(key, listed)]
    ok(noted)
    ok(written)
    state = _state(key, thread_id, listed, replies)
    if state is None:
        raise StoreError(f"The session {key!r} was deleted as soon as it was written.")
    return state


def _reading(key: str, listed: Listed | None) -> list[Command]:
    of_list: list[Command] = [] if listed is None else [listed.read, ("TTL", listed.key)]
    return [("HMGET", key, *FIELDS), ("TTL", key), *of_list]


def _state(key: str, thread_id: str, listed: Listed | None, replies: Sequence[Any]) -> SessionState | None:
    fields, ttl, *of_list = map(ok, replies)
    if listed is None:
        state = read_state(key, thread_id, fields, ttl)
    else:
        entries, ttl_of_list = of_list
        turns = read_list(listed.key, entries, listed.window) if entries else None
        lives = [life for life in (ttl, ttl_of_list) if life >= 0]
        state = read_state(key, thread_id, fields, min(lives, default=-1), turns)
    if state is not None:
        _report(state.unreadable)
    return state


def session_messages(key: str) -> Op[list[BaseMessage]]:
    """The window's messages, oldest first."""
    turns, unreadable = read_turns(key, (yield from call(("HGET", key, "recent_turns"))))
    _report(unreadable)
    return [turn.message for turn in turns]


def list_messages(listed: Listed) -> Op[list[BaseMessage]]:
    """The messages of a list whose newest is first; oldest first."""
    turns, unreadable = read_list(listed.key, (yield from call(listed.read)), listed.window)
    _report(unreadable)
    return [turn.message for turn in turns]


def push_messages(
    key: str, entries: Sequence[bytes], ttl_seconds: int | None, max_messages: int | None
) -> Op[int]:
    """Put entries, oldest first, in front of a list; its length afterwards."""
    length: int = yield from call(_push.call([key], ttl_seconds or 0, max_messages or 0, *entries))
    return length


def delete(key: str, kind: str) -> Op[bool]:
    """Delete a key of this Redis type; whether it was there."""
    return bool((yield from call(_delete.call([key], kind))))


def list_threads(prefix: str, limit: int | None) -> Op[list[str]]:
    """Thread ids, in no order. A round trip a page of about 1,000 keys of the database."""
    threads: list[str] = []

    def visit(keys: list[bytes]) -> Op[bool]:
        yield from ()
        threads.extend(key.decode("utf-8", "replace")[len(prefix) :] for key in keys)
        return limit is not None and len(threads) >= limit

    yield from scan(prefix, "hash", visit)
    return threads[:limit]


def owners(keys: Sequence[str], removed: Removed) -> Op[list[str | None]]:
    """Return whose the sessions behind these keys are. One round trip.

    `None` for one that is not there; nobody (`""`) for one that cannot be read, which is noted as unreached.
    """
    replies = (yield [("HMGET", key, "user", "turn_count") for key in keys]) if keys else []
    found: dict[str, str | None] = {
        key: None if fields == [None, None] else text(fields[0] or "")
        for key, fields in removed.answered(keys, replies)
    }
    return [found.get(key, "") for key in keys]


def forget_sessions(keys: Sequence[Sequence[str]], user: str, removed: Removed) -> Op[list[bool]]:
    """Delete the user's sessions among these; whether each was. One round trip.

    Args:
        keys: The key of each session, with the key of its list if it has one.
        user: The user.
        removed: Where to count.
    """
    replies = (yield [_forget.call(list(of_session), user) for of_session in keys]) if keys else []
    gone = {key for key, reply in removed.answered([one[0] for one in keys], replies) if reply}
    removed.count += len(gone)
    return [one[0] in gone for one in keys]


def _report(unreadable: list[UnreadableEntry]) -> None:
    for entry in unreadable:
        logger.warning(
            "An entry in %r at position %d cannot be read and is left in place: %s",
            entry.key,
            entry.position,
            entry.reason,
        )
