"""The lines of an import: a message, a memory, or a session's notes each. Pure functions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import YEAR_10000, Ttl, epoch_seconds, ttl, validate_id
from langchain_agentmem.core.messages import decode_turn, is_unanswered, message_of
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.types import Restored

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_MEMORY_MEMBERS = {
    *("text", "user", "namespace", "kind", "thread", "metadata", "ttl_seconds", "id", "document_id"),
    *("context", "created_ts", "updated_ts", "superseded_by", "superseded_ts", "hit_count"),
}
_TIMES = frozenset(("created_at", "timestamp", "date"))  # as others call what is created_ts here
_NEW = Restored()
_NOTES_MEMBERS = {
    *("thread", "user", "agent", "goal", "scratchpad", "summary"),
    *("created_ts", "last_active_ts", "ttl_seconds", "cut_off_messages"),
}


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message of a conversation; `digest` is the same for equal lines only."""

    message: BaseMessage
    ts: float | None
    thread: str | None
    user: str | None
    digest: bytes
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """A memory; the import's options, or else defaults, replace what is `None`."""

    text: str
    user: str | None = None
    namespace: str | None = None
    kind: str | None = None
    thread: str | None = None
    metadata: dict[str, Any] | None = None
    ttl_seconds: Ttl = ...
    id: str | None = None
    document_id: str | None = None
    context: str | None = None
    restored: Restored = _NEW


@dataclass(frozen=True, slots=True)
class NotesLine:
    """The goal and notes of a session, with its user and agent, and what else is known of it.

    Attributes:
        created_ts: When it began; `None` for now.
        last_active_ts: When it was last written to; `None` for now.
        ttl_seconds: Its own TTL; `...` if it has none of its own.
        cut_off_messages: How many messages its window had cut off where it was exported.
    """

    thread: str
    user: str | None
    agent: str
    goal: str
    scratchpad: str
    summary: str = ""
    created_ts: float | None = None
    last_active_ts: float | None = None
    ttl_seconds: Ttl = ...
    cut_off_messages: int = 0


Line: TypeAlias = MessageLine | MemoryLine | NotesLine
RawLine: TypeAlias = bytes | str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of an import, which override what a line says.

    `default_user` only fills in; `thread_prefix` goes before the threads that lines name.
    """

    user: str | None
    namespace: str | None
    kind: str | None
    thread_id: str | None
    default_user: str
    keep_all: bool = False
    thread_prefix: str = ""

    def thread(self, line: Line) -> str | None:
        """Return the thread a line is for, or from; `None` if nothing names one.

        Raises:
            InvalidInputError: It is too long with the prefix.
        """
        if self.thread_id is not None or line.thread is None:
            return self.thread_id
        return validate_id("thread", self.thread_prefix + line.thread)

    def owner(self, line: Line) -> str:
        """Return whose a line is."""
        return self.user or line.user or self.default_user


def parse(line: RawLine, *, plain: bool = False) -> Line | None:
    """Return what a line holds; `None` if it is blank.

    Args:
        line: JSON, as UTF-8 or as a string, with or without its end; or the dict it would decode to.
        plain: Whether what is no dict is a memory's text as it stands, rather than JSON.

    Raises:
        InvalidInputError: It cannot be imported; says why.
    """
    found: object = line
    if isinstance(line, bytes | str):
        text = _text(line) if isinstance(line, bytes) else line.strip()
        if not text:
            return None
        found = text if plain else _json(text)
    if isinstance(found, str):
        return MemoryLine(found)
    if isinstance(found, dict):
        if "role" in found:
            return _message(found)
        if "text" in found:
            return _memory(found)
        if "goal" in found:
            return _notes(found)
        if "action" in found:
            raise InvalidInputError("an event: what happened is not imported, only messages and memories")
        if "value" in found and "key" in found:
            raise InvalidInputError("an item of a LangGraph store: put it there, with memory.store().put(…)")
    raise InvalidInputError(
        'neither a message {"role": …, "content": …} nor a text "…" nor a memory {"text": …}'
    )


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"not UTF-8 (at byte {error.start + 1})") from error


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"no JSON: {error}") from error


def _message(found: dict[str, Any]) -> MessageLine:
    thread, user = _scope(found, "thread"), _scope(found, "user")
    turn = {name: value for name, value in found.items() if name not in ("thread", "user")}
    ts = None if turn.get("ts") is None else epoch_seconds("ts", turn["ts"])
    if "content" not in turn:
        raise InvalidInputError('the message has no "content"')
    try:
        if turn.keys() <= {"role", "content", "ts"} and isinstance(turn["content"], str):
            message = message_of(turn["role"], turn["content"])
        else:
            message = decode_turn(turn)
        digest = message_digest(turn)
    except InvalidInputError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidInputError(f"no message: {type(error).__name__}: {error}") from error
    return MessageLine(message, ts, thread, user, digest, is_unanswered(turn))


def message_digest(turn: dict[str, Any]) -> bytes:
    """Return what is the same for equal messages only, given a message's JSON form."""
    return hashlib.sha256(json.dumps([[name, turn[name]] for name in sorted(turn)])).digest()


def _memory(found: dict[str, Any]) -> MemoryLine:
    unknown = sorted(found.keys() - _MEMORY_MEMBERS)
    if unknown:
        meant = "; did you mean created_ts (in epoch seconds)?" if _TIMES.intersection(unknown) else ""
        raise InvalidInputError(
            f'unknown: {", ".join(unknown)}; what belongs to a memory goes into "metadata"{meant}'
        )
    return MemoryLine(
        text=found["text"],
        user=_scope(found, "user"),
        namespace=_scope(found, "namespace"),
        kind=_scope(found, "kind"),
        thread=_scope(found, "thread") if found.get("thread") != "" else None,
        metadata=found.get("metadata"),
        ttl_seconds=ttl("ttl_seconds", found["ttl_seconds"]) if "ttl_seconds" in found else ...,
        id=_scope(found, "id"),
        document_id=_scope(found, "document_id"),
        context=found.get("context"),
        restored=Restored(
            created_ts=_time(found, "created_ts"),
            updated_ts=_time(found, "updated_ts"),
            superseded_by=_scope(found, "superseded_by"),
            superseded_ts=_time(found, "superseded_ts"),
            hit_count=_count("hit_count", found.get("hit_count", 0)),
        ),
    )


def _notes(found: dict[str, Any]) -> NotesLine:
    unknown = sorted(found.keys() - _NOTES_MEMBERS)
    if unknown:
        raise InvalidInputError(f"unknown in the notes of a session: {', '.join(unknown)}")
    return NotesLine(
        thread=validate_id("thread", found.get("thread")),
        user=_scope(found, "user"),
        agent=_scope(found, "agent") or "default",
        goal=found["goal"],
        scratchpad=found.get("scratchpad", ""),
        summary=found.get("summary", ""),
        created_ts=_date(found, "created_ts"),
        last_active_ts=_date(found, "last_active_ts"),
        ttl_seconds=ttl("ttl_seconds", found["ttl_seconds"]) if "ttl_seconds" in found else ...,
        cut_off_messages=_count("cut_off_messages", found.get("cut_off_messages", 0)),
    )


def _time(found: dict[str, Any], name: str) -> float | None:
    return None if found.get(name) is None else epoch_seconds(name, found[name])


def _date(found: dict[str, Any], name: str) -> float | None:
    """Return a time; `None` for one that a session's record cannot be sorted by."""
    ts = _time(found, name)
    return ts if ts is not None and 0 < ts < YEAR_10000 else None


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise InvalidInputError(f"{name} must be a whole number, not {value!r}.")
    return value


def _scope(found: dict[str, Any], name: str) -> str | None:
    return None if found.get(name) is None else validate_id(name, found[name])
