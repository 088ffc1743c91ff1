"""Working memory's operations: what is sent, and how the answer reads. One round trip each but the scans."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from langchain_agentmem.core import scripts, threads
from langchain_agentmem.core.operations import Argument, Command, Op, call, ok, reads, text
from langchain_agentmem.core.removal import K, Removed
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import StoreError
from langchain_agentmem.working.session import (
    FIELDS,
    SessionState,
    UnreadableEntry,
    Window,
    check_owner,
    not_the_owner,
    read_list,
    read_state,
    window_of_hash,
    window_of_list,
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
        return reads("LRANGE", self.key, 0, -1 if self.window is None else self.window - 1)


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
    replaces: Sequence[bytes] = (),
    only_replacing: bool = False,
    owner: str = "",
) -> Command:
    """The one command of every write to a session; `fields` alternates names and values.

    `replaces` are the stored bytes of the last turns, in whose place these come if the session still ends
    with them. `owner` is the user whose session it must be, if it is anybody's; empty for anyone.
    """
    head = (now, ttl_seconds or 0, window or 0, len(turns), b",\n".join(turns))
    place = (owner, len(replaces), b",\n".join(replaces), int(only_replacing))
    keys = [key] if listed is None else [key, listed.key]
    return _write.call(keys, *head, thread_id, user, agent, *place, *fields)


def written(reply: Any) -> int | None:
    """The session's `turn_count`, or `None` if nothing was replaced and so nothing written.

    Raises:
        WrongOwnerError: The session belongs to another user; nothing was written.
    """
    if isinstance(reply, StoreError) and "OWNED" in str(reply):
        raise not_the_owner() from reply
    return None if ok(reply) is None else int(reply)


def load(
    key: str, thread_id: str, listed: Listed | None = None, user: str | None = None
) -> Op[SessionState | None]:
    """The session, or `None`; with `user`, only if it is not another's."""
    replies = yield _reading(key, listed)
    return _state(key, thread_id, listed, replies, user)


def write(thread_id: str, note: Command, command: Command) -> Op[int | None]:
    """Note the thread, then write; return what `written` makes of it. One round trip."""
    noted, reply = yield [note, command]
    turn_count = written(reply)
    threads.noted(noted, thread_id)
    return turn_count


def append(thread_id: str, note: Command, command: Command) -> Op[int]:
    """Note the thread, then append; return the session's `turn_count`. One round trip."""
    return (yield from write(thread_id, note, command)) or 0


def write_and_load(
    key: str, thread_id: str, note: Command, command: Command, listed: Listed | None = None
) -> Op[SessionState]:
    """Note the thread, write, and return the session after it. One round trip."""
    noted, reply, *replies = yield [note, command, *_reading(key, listed)]
    written(reply)
    threads.noted(noted, thread_id)
    state = _state(key, thread_id, listed, replies)
    if state is None:
        raise StoreError(f"The session {key!r} was deleted as soon as it was written.")
    return state


def _reading(key: str, listed: Listed | None) -> list[Command]:
    of_list: list[Command] = [] if listed is None else [listed.read, reads("TTL", listed.key)]
    return [reads("HMGET", key, *FIELDS), reads("TTL", key), *of_list]


def _state(
    key: str, thread_id: str, listed: Listed | None, replies: Sequence[Any], user: str | None = None
) -> SessionState | None:
    fields, ttl, *of_list = map(ok, replies)
    if listed is None:
        state = read_state(key, thread_id, fields, ttl)
    else:
        entries, ttl_of_list = of_list
        turns = read_list(listed.key, entries, listed.window) if entries else None
        lives = [life for life in (ttl, ttl_of_list) if life >= 0]
        state = read_state(key, thread_id, fields, min(lives, default=-1), turns)
    if state is not None:
        check_owner(state.user, user)
        _report(state.unreadable)
    return state


def window(key: str, listed: Listed | None = None, user: str | None = None) -> Op[Window]:
    """The session's turns; with `user`, only if it is not another's."""
    turns = reads("HGET", key, "recent_turns") if listed is None else listed.read
    owner: list[Command] = [] if user is None else [reads("HGET", key, "user")]
    stored, *owners = map(ok, (yield [turns, *owner]))
    check_owner(owners[0] if owners else None, user)
    found = (
        window_of_hash(key, stored) if listed is None else window_of_list(listed.key, stored, listed.window)
    )
    _report(found.unreadable)
    return found


def messages(key: str, listed: Listed | None = None, user: str | None = None) -> Op[list[BaseMessage]]:
    """The window's messages, oldest first; with `user`, only if the session is not another's."""
    return (yield from window(key, listed, user)).messages


def list_messages(listed: Listed) -> Op[list[BaseMessage]]:
    """The messages of a list whose newest is first; oldest first."""
    return messages("", listed)


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


class Owner(NamedTuple):
    """Whose a session is.

    Attributes:
        user: `None` if there is no session, empty if it cannot be told.
        list_key: The key of the list that holds its turns; `None` if none does.
    """

    user: str | None
    list_key: str | None = None


def owners(keys: Sequence[str], lists: Sequence[str | None], removed: Removed) -> Op[list[Owner]]:
    """Return whose the sessions behind these keys are. One round trip.

    Args:
        keys: The key of each session.
        lists: The key of the list that each may have; `None` where none may.
        removed: Where to note what cannot be told: a key of another type, a list without its Hash.
    """
    reading: list[Command] = [reads("HMGET", key, "user", "turn_count", "list") for key in keys]
    replies = (yield [*reading, *(reads("TYPE", key) for key in lists if key is not None)]) if keys else []
    answered = dict(removed.answered(keys, replies[: len(keys)]))
    types = iter(replies[len(keys) :])
    found: list[Owner] = []
    for key, list_key in zip(keys, lists, strict=True):
        there = list_key is not None and ok(next(types)) == b"list"
        user, count, named = answered.get(key, (b"", b"", None))
        if user is count is None and there:
            removed.unreached.append(f"{list_key!r}: a list of messages that does not say whose it is")
            user = b""
        held = text(named) if named else list_key
        found.append(Owner(None if user is count is None else text(user or ""), held))
    return found


def forget_sessions(sessions: Mapping[K, Owner], user: str, removed: Removed) -> Op[list[bool]]:
    """Delete the user's sessions among these; whether each was. One round trip.

    Args:
        sessions: The key of each session, and what `owners` says of it.
        user: The user.
        removed: Where to count.
    """
    commands = [
        _forget.call([key] if owner.list_key is None else [key, owner.list_key], user)
        for key, owner in sessions.items()
    ]
    replies = (yield commands) if commands else []
    gone = {key for key, reply in removed.answered(sessions, replies) if reply}
    removed.count += len(gone)
    return [key in gone for key in sessions]


def _report(unreadable: list[UnreadableEntry]) -> None:
    for entry in unreadable:
        logger.warning(
            "An entry in %r at position %d cannot be read and is left in place: %s",
            entry.key,
            entry.position,
            entry.reason,
        )
