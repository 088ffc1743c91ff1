"""A session as it is read: its state, its messages, and the entries that could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from json import JSONDecoder
from math import isfinite
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import MAX_TTL_SECONDS, NOBODY, YEAR_10000, Ttl
from langchain_agentmem.core.messages import (
    decode_entry,
    decode_plain_turns,
    decode_turn,
    encode_turn,
    is_unanswered,
    mark_unanswered,
    role_of,
)
from langchain_agentmem.core.operations import text
from langchain_agentmem.errors import WrongOwnerError

FIELDS = (
    *("thread_id", "user", "agent", "goal", "scratchpad", "summary"),
    *("turn_count", "created_ts", "last_active_ts", "recent_turns", "ttl_seconds"),
    *("waiting_turns", "folded_count", "dropped_count"),
)
_DESCRIBED = (
    *("thread_id", "user", "agent", "title", "goal", "scratchpad", "summary"),
    *("turn_count", "created_ts", "last_active_ts", "ttl_seconds"),
)
_TITLE_CHARACTERS = 80
_JSON = JSONDecoder()
# What a foreign entry may cause when it is decoded.
UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, RecursionError)
# How the layout of write_session.lua begins and ends, and what begins no line of it.
_FIRST, _LAST, _FOREIGN_LINE = b"[ \n", b"\n]", re.compile(rb'^[\s\]\[},:"\d\-]', re.M)
_WHOLE = re.compile(r"[0-9]+\.?0*")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a session's window, as it is stored.

    Attributes:
        role: `user`, `assistant`, `system`, `tool`, `function`, or a chat message's own role.
        content: The message's content: a text, or a list of content blocks.
        ts: When it was said, epoch seconds by the writer's clock, which does not decide the order; 0
            if it was not stored, as in a list.
        message: The whole LangChain message.
        unanswered: Whether the exchange it belongs to ended without an answer. The same words said right
            after take its place.
    """

    role: str
    content: str | list[Any]
    ts: float
    message: BaseMessage
    unanswered: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the message's JSON form, as a session's Hash holds it.

        `role`, `content` and `ts`, and whatever else the message has, such as `tool_calls`.

        Raises:
            MessageNotStorableError: It would not come back equal.
        """
        stored = encode_turn(self.message, self.ts)
        found: dict[str, Any] = json.loads(mark_unanswered(stored) if self.unanswered else stored)
        return found


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """A stored entry that is no message. It was left where it is.

    Attributes:
        key: The Redis key.
        position: Its index, oldest first; in a list its index there, which counts from the newest.
        reason: Why it could not be read.
    """

    key: str
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionState:
    """The working memory of one thread, as it was when it was read.

    Attributes:
        turn_count: How many messages were ever appended, trimmed ones included.
        created_ts: Epoch seconds.
        last_active_ts: Epoch seconds of the last write.
        recent_turns: The window, oldest first.
        ttl_seconds: Seconds left until the session expires; `None` if it does not.
        unreadable: Entries of the window that are not in `recent_turns`.
        own_ttl_seconds: The TTL that the session was started with, which every write gives it again; `None`
            for no expiry, `...` if it has that of the memory it is in.
        waiting: Messages that have left the window and are not in the summary yet, oldest first. Empty if a
            list has the messages: it keeps these itself.
        folded_count: How many messages have been folded into the summary.
        dropped_count: How many left the window and were dropped, because too many waited.
    """

    thread_id: str
    user: str
    agent: str
    goal: str
    scratchpad: str
    turn_count: int
    created_ts: float
    last_active_ts: float
    recent_turns: list[Turn]
    summary: str = ""
    ttl_seconds: int | None = None
    unreadable: list[UnreadableEntry] = field(default_factory=list)
    own_ttl_seconds: Ttl = ...
    waiting: list[Turn] = field(default_factory=list)
    folded_count: int = 0
    dropped_count: int = 0

    @property
    def messages(self) -> list[BaseMessage]:
        """Return the window as LangChain messages, oldest first."""
        return [turn.message for turn in self.recent_turns]

    def to_dict(self) -> dict[str, Any]:
        """Return the session's JSON form, without its messages."""
        return {name: getattr(self, name) for name in _DESCRIBED}

    @property
    def title(self) -> str:
        """Return the goal if there is one, else the first thing the user says in the window.

        On one line of at most 80 characters; empty if there is neither.
        """
        said = (message.text for message in self.messages if isinstance(message, HumanMessage))
        title = " ".join((self.goal or next(said, "")).split())
        return title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1] + "…"


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of a session, as a chain needs them.

    Attributes:
        messages: What could be read, oldest first.
        unreadable: The entries that could not.
        tail: The stored bytes of the last messages, as many of them as are unanswered, oldest first.
        goal: The session's goal.
        scratchpad: Its notes.
        summary: The summary of what has left the window.
    """

    messages: list[BaseMessage]
    unreadable: list[UnreadableEntry]
    tail: list[bytes]
    goal: str = ""
    scratchpad: str = ""
    summary: str = ""

    def before(self, asked: Sequence[BaseMessage]) -> tuple[list[BaseMessage], list[bytes]]:
        """Return what was said before this input, and the stored bytes of what the input says again.

        It is said again if the session ends with it, unanswered, with nothing more of the user behind it;
        or with it several times. A message with an id of the input's is the input's own.
        """
        wanted = [(message.type, message.content) for message in asked]
        ids = {message.id for message in asked} - {None}
        before = len(self.messages)
        unanswered = before - len(self.tail)
        while before > unanswered and self.messages[before - 1].id in ids:
            before -= 1
        while wanted and (start := self._start_of(wanted, unanswered, before)) is not None:
            before = start
        return self.messages[:before], self.tail[before - unanswered :]

    def _start_of(self, wanted: list[tuple[str, Any]], first: int, end: int) -> int | None:
        """Return where the messages from `first` to `end` end with these, and no more of the user."""
        for start in range(end - len(wanted), first - 1, -1):
            again = [(message.type, message.content) for message in self.messages[start:end]]
            if any(kind == "human" for kind, _ in again[len(wanted) :]):
                return None
            if again[: len(wanted)] == wanted:
                return start
        return None


def check_owner(owner: bytes | str | None, user: str | None) -> None:
    """Refuse a session for this user that belongs to another; `None` is not checked.

    Raises:
        WrongOwnerError: It is another's.
    """
    if user is not None and text(owner or b"") not in (*NOBODY, user):
        raise not_the_owner()


def not_the_owner() -> WrongOwnerError:
    """Return the error for a session of another user. It does not say whose the session is."""
    return WrongOwnerError(
        "The session belongs to another user, so it is neither read nor written. Use a thread id of this "
        "user. Where it is meant, wrap and read_turn take check_owner=False, and load and messages need no "
        "user=.",
        plain="The conversation belongs to another user, so it is neither read nor written. Use another id.",
    )


def read_state(
    key: str,
    thread_id: str,
    reply: Any,
    ttl: int,
    listed: tuple[list[Turn], list[UnreadableEntry]] | None = None,
) -> SessionState | None:
    """Return a session's state; `None` if there is no such session.

    Args:
        key: The key of its Hash.
        thread_id: The thread.
        reply: The reply to a HMGET of `FIELDS`.
        ttl: The reply to a TTL.
        listed: What `read_list` returned, if a list holds the messages; one that other programs wrote has no
            Hash beside it.
    """
    fields = {name: value for name, value in zip(FIELDS, reply, strict=True) if value is not None}
    if not fields and listed is None:
        return None
    turns, unreadable = listed or read_turns(key, fields.get("recent_turns"))
    return SessionState(
        thread_id=thread_id,
        user=text(fields.get("user", "")),
        agent=text(fields.get("agent", "")),
        goal=text(fields.get("goal", "")),
        scratchpad=text(fields.get("scratchpad", "")),
        turn_count=counted(fields.get("turn_count")) if fields else len(turns),
        created_ts=stored_time(fields.get("created_ts")),
        last_active_ts=stored_time(fields.get("last_active_ts")),
        recent_turns=turns,
        summary=text(fields.get("summary", "")),
        ttl_seconds=ttl if ttl >= 0 else None,
        unreadable=unreadable,
        own_ttl_seconds=_own_ttl(fields.get("ttl_seconds")),
        waiting=read_turns(key, fields.get("waiting_turns"))[0],
        folded_count=counted(fields.get("folded_count")),
        dropped_count=counted(fields.get("dropped_count")),
    )


def read_turns(key: str, stored: bytes | None) -> tuple[list[Turn], list[UnreadableEntry]]:
    """Return the messages in the field `recent_turns`, and what in it could not be read."""
    turns: list[Turn] = []
    unreadable: list[UnreadableEntry] = []
    for position, entry in enumerate(stored_entries(stored)):
        try:
            if isinstance(entry, Exception):
                raise entry
            message = decode_turn(entry)
            role, ts = str(entry["role"]), stored_time(entry.get("ts"))
            turns.append(Turn(role, message.content, ts, message, is_unanswered(entry)))
        except UNREADABLE as error:
            unreadable.append(UnreadableEntry(key, position, f"{type(error).__name__}: {error}"))
    return turns, unreadable


def read_list(
    key: str, entries: list[bytes], window: int | None = None
) -> tuple[list[Turn], list[UnreadableEntry]]:
    """Return the messages of a list, oldest first, and what in it could not be read.

    Args:
        key: The list.
        entries: Its entries, newest first.
        window: How many were asked for, if not all: as many do not begin with a tool's result, because its
            call may have been cut off.
    """
    turns: list[Turn] = []
    unreadable: list[UnreadableEntry] = []
    for position, entry in enumerate(reversed(entries)):
        try:
            whole = json.loads(entry)
            message = decode_entry(whole)
            turns.append(Turn(role_of(message), message.content, 0.0, message, is_unanswered(whole)))
        except UNREADABLE as error:
            index = len(entries) - 1 - position
            unreadable.append(UnreadableEntry(key, index, f"{type(error).__name__}: {error}"))
    if len(entries) == window:
        while turns and turns[0].role == "tool":
            del turns[0]
    return turns, unreadable


def window_of_hash(key: str, stored: bytes | None) -> Window:
    """Return the window in the field `recent_turns`."""
    plain = decode_plain_turns(stored) if stored else []
    if plain is not None:  # and so none of them is unanswered
        return Window(plain, [], [])
    turns, unreadable = read_turns(key, stored)
    messages = [turn.message for turn in turns]
    lines = [line.removesuffix(b",") for line in lines_of(stored or b"")]
    if len(lines) != len(turns) + len(unreadable):  # another program's layout
        return Window(messages, unreadable, [])
    readable = len(lines) - 1 - max((entry.position for entry in unreadable), default=-1)
    return Window(messages, unreadable, _last(lines, _unanswered_at_the_end(turns), readable))


def window_of_list(key: str, entries: list[bytes], most: int | None) -> Window:
    """Return the window in a list of messages, oldest first.

    Args:
        key: The key of the list, to name an unreadable entry by.
        entries: The stored entries, newest first.
        most: How many were asked for; `None` for all.
    """
    turns, unreadable = read_list(key, entries, most)
    readable = min((entry.position for entry in unreadable), default=len(entries))
    messages = [turn.message for turn in turns]
    return Window(messages, unreadable, _last(entries[::-1], _unanswered_at_the_end(turns), readable))


def _unanswered_at_the_end(turns: list[Turn]) -> int:
    count = 0
    while count < len(turns) and turns[-1 - count].unanswered:
        count += 1
    return count


def _last(stored: list[bytes], *counts: int) -> list[bytes]:
    return stored[len(stored) - max(0, min(len(stored), *counts)) :]


def lines_of(stored: bytes) -> list[bytes]:
    """Return the lines of a list that has one message in each, as write_session.lua writes it; else none."""
    lines = stored[len(_FIRST) : -len(_LAST)]
    if not (stored.startswith(_FIRST) and stored.endswith(_LAST)) or _FOREIGN_LINE.search(lines):
        return []
    return lines.split(b"\n")


def stored_entries(stored: bytes | None) -> Iterable[Any]:
    """Return the entries of the field `recent_turns`, undecoded; an error in place of one that is no JSON."""
    if not stored:
        return []
    try:
        entries = json.loads(stored)
        if isinstance(entries, list):
            return entries
    except (ValueError, RecursionError):
        pass
    if lines := lines_of(stored):
        return map(_entry, lines)
    return _salvaged(stored.decode("utf-8", "replace"))


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line.removesuffix(b","))
    except (ValueError, RecursionError) as error:
        return error


def _salvaged(damaged: str) -> Iterator[Any]:
    """Yield the whole elements at the beginning of a JSON list that breaks off, then the error."""
    at = damaged.find("[") + 1
    if damaged[:at].strip() != "[":
        yield ValueError("not a JSON list")
        return
    try:
        while True:
            while damaged[at : at + 1] in (" ", ",", "\n", "\r", "\t"):
                at += 1
            entry, at = _JSON.raw_decode(damaged, at)
            yield entry
    except (ValueError, RecursionError) as error:
        yield error


def stored_time(value: Any) -> float:
    """Return a stored time, 0 if it is none, or one that no clock reaches."""
    try:
        number = float(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if isfinite(number) and abs(number) < YEAR_10000 else 0.0


def counted(value: bytes | None) -> int:
    """Return a stored count, 0 if it is no whole number, or one that write_session.lua would begin anew."""
    digits = text(value or b"")
    number = int(float(digits)) if _WHOLE.fullmatch(digits) and len(digits) < 20 else 0
    return number if number < 2**53 else 0


def _own_ttl(value: bytes | None) -> Ttl:
    """Return a session's own TTL, as write_session.lua reads it: 0 for none; `...` if it has none."""
    digits = text(value or b"")
    if not _WHOLE.fullmatch(digits) or float(digits) > MAX_TTL_SECONDS:
        return ...
    return int(float(digits)) or None
