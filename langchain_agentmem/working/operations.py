"""Working memory's operations: what is sent, and how the answer reads. One round trip each but the scans."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from langchain_agentmem.core import json, scripts
from langchain_agentmem.core.messages import decode_entry
from langchain_agentmem.core.operations import Argument, Command, Op, call, ok
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import StoreError
from langchain_agentmem.working.session import SessionState, UnreadableEntry, read_state, read_turns

logger = logging.getLogger("langchain_agentmem")

_write = scripts.load(__package__, "write_session")
_forget = scripts.load(__package__, "forget_session")
_delete = scripts.load(__package__, "delete_typed")
_push = scripts.load(__package__, "push_messages")


def write_session(
    key: str,
    thread_id: str,
    turns: Sequence[bytes] = (),
    *,
    now: float,
    ttl_seconds: int | None,
    window: int | None = None,
    user: str,
    agent: str,
    fields: Sequence[Argument] = (),
) -> Command:
    """The one command of every write to a session; `fields` alternates names and values."""
    head = (now, ttl_seconds or 0, window or 0, len(turns), b",\n".join(turns))
    return _write.call([key], *head, thread_id, user, agent, *fields)


def load(key: str, thread_id: str) -> Op[SessionState | None]:
    """The session, or `None`."""
    fields, ttl = map(ok, (yield _reading(key)))
    state = read_state(key, thread_id, fields, ttl)
    if state is not None:
        _report(state.unreadable)
    return state


def write_and_load(key: str, thread_id: str, write: Command) -> Op[SessionState]:
    """The session after a write, in the write's own round trip."""
    _, fields, ttl = map(ok, (yield [write, *_reading(key)]))
    state = read_state(key, thread_id, fields, ttl)
    if state is None:
        raise StoreError(f"The session {key!r} was deleted as soon as it was written.")
    _report(state.unreadable)
    return state


def _reading(key: str) -> list[Command]:
    return [("HGETALL", key), ("TTL", key)]


def session_messages(key: str) -> Op[list[BaseMessage]]:
    """The window's messages, oldest first."""
    turns, unreadable = read_turns(key, (yield from call(("HGET", key, "recent_turns"))))
    _report(unreadable)
    return [turn.message for turn in turns]


def list_messages(key: str) -> Op[list[BaseMessage]]:
    """The messages of a list whose newest is first; oldest first."""
    entries: list[bytes] = yield from call(("LRANGE", key, 0, -1))
    messages: list[BaseMessage] = []
    unreadable: list[UnreadableEntry] = []
    for position, entry in enumerate(reversed(entries)):
        try:
            messages.append(decode_entry(json.loads(entry)))
        except (TypeError, ValueError, KeyError) as error:
            unreadable.append(UnreadableEntry(key, position, f"{type(error).__name__}: {error}"))
    _report(unreadable)
    return messages


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


def forget_user(prefix: str, user: str) -> Op[list[str]]:
    """Delete every session of a user; the thread ids. Two round trips a page of the database."""
    gone: list[str] = []

    def visit(keys: list[bytes]) -> Op[bool]:
        replies = yield [_forget.call([key], user) for key in keys]
        for key, reply in zip(keys, replies, strict=True):
            if ok(reply):
                gone.append(key.decode("utf-8", "replace")[len(prefix) :])
        return False

    yield from scan(prefix, "hash", visit)
    return gone


def _report(unreadable: list[UnreadableEntry]) -> None:
    for entry in unreadable:
        logger.warning(
            "An entry in %r at position %d cannot be read and is left in place: %s",
            entry.key,
            entry.position,
            entry.reason,
        )
