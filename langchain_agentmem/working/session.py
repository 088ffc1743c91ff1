"""What a session is once read: its state, its turns, and the entries that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import YEAR_10000
from langchain_agentmem.core.messages import decode_entry, decode_turn, role_of
from langchain_agentmem.core.operations import text

FIELDS = (
    *("thread_id", "user", "agent", "goal", "scratchpad", "summary"),
    *("turn_count", "created_ts", "last_active_ts", "recent_turns"),
)
_TITLE_CHARACTERS = 80
_JSON = JSONDecoder()
# What a foreign entry may cause.
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Turn:
    """One entry of a session's window.

    Attributes:
        role: `user`, `assistant`, `system`, `tool`, `function`, or a chat message's own role.
        content: The message's content: a text, or a list of content blocks.
        ts: When it was appended, epoch seconds by the writer's clock, which does not decide the order; 0
            if it was not stored, as in a list.
        message: The whole LangChain message.
    """

    role: str
    content: str | list[Any]
    ts: float
    message: BaseMessage


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
        turn_count: How many turns were ever appended, trimmed ones included.
        created_ts: Epoch seconds.
        last_active_ts: Epoch seconds of the last write.
        recent_turns: The window, oldest first.
        ttl_seconds: Seconds left until the session expires; `None` if it does not.
        unreadable: Entries of the window that are not in `recent_turns`.
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

    @property
    def messages(self) -> list[BaseMessage]:
        """The window as LangChain messages, oldest first."""
        return [turn.message for turn in self.recent_turns]

    @property
    def title(self) -> str:
        """The goal if there is one, else the first thing the user says in the window.

        On one line of at most 80 characters; empty if there is neither.
        """
        said = (message.text for message in self.messages if isinstance(message, HumanMessage))
        title = " ".join((self.goal or next(said, "")).split())
        return title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1] + "…"


def read_state(
    key: str,
    thread_id: str,
    reply: Any,
    ttl: int,
    listed: tuple[list[Turn], list[UnreadableEntry]] | None = None,
) -> SessionState | None:
    """The state in the reply to a HMGET of `FIELDS` and to a TTL; `None` if there is no such session.

    `listed` are the turns if a list holds them; one that other programs wrote has no Hash beside it.
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
        turn_count=int(_number(fields.get("turn_count"))) if fields else len(turns),
        created_ts=_number(fields.get("created_ts")),
        last_active_ts=_number(fields.get("last_active_ts")),
        recent_turns=turns,
        summary=text(fields.get("summary", "")),
        ttl_seconds=ttl if ttl >= 0 else None,
        unreadable=unreadable,
    )


def read_turns(key: str, stored: bytes | None) -> tuple[list[Turn], list[UnreadableEntry]]:
    """The turns in the field `recent_turns`, and what in it could not be read."""
    turns: list[Turn] = []
    unreadable: list[UnreadableEntry] = []
    for position, entry in enumerate(_entries(stored)):
        try:
            if isinstance(entry, Exception):
                raise entry
            message = decode_turn(entry)
            turns.append(Turn(str(entry["role"]), message.content, float(entry.get("ts", 0)), message))
        except _UNREADABLE as error:
            unreadable.append(UnreadableEntry(key, position, f"{type(error).__name__}: {error}"))
    return turns, unreadable


def read_list(
    key: str, entries: list[bytes], window: int | None = None
) -> tuple[list[Turn], list[UnreadableEntry]]:
    """The turns in a list whose newest entry is first, oldest first, and what in it could not be read.

    A full window does not begin with a tool's result, for its call may have been cut off.
    """
    turns: list[Turn] = []
    unreadable: list[UnreadableEntry] = []
    for position, entry in enumerate(reversed(entries)):
        try:
            message = decode_entry(json.loads(entry))
            turns.append(Turn(role_of(message), message.content, 0.0, message))
        except _UNREADABLE as error:
            index = len(entries) - 1 - position
            unreadable.append(UnreadableEntry(key, index, f"{type(error).__name__}: {error}"))
    if len(entries) == window:
        while turns and turns[0].role == "tool":
            del turns[0]
    return turns, unreadable


def _entries(stored: bytes | None) -> Iterable[Any]:
    if not stored:
        return []
    try:
        entries = json.loads(stored)
        if isinstance(entries, list):
            return entries
    except (ValueError, RecursionError):
        pass
    if stored.startswith(b"[ \n"):  # one entry a line: see write_session.lua
        return map(_entry, stored.removeprefix(b"[ \n").removesuffix(b"\n]").split(b"\n"))
    return _salvaged(stored.decode("utf-8", "replace"))


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line.removesuffix(b","))
    except (ValueError, RecursionError) as error:
        return error


def _salvaged(damaged: str) -> Iterator[Any]:
    """The whole elements at the beginning of a JSON list that breaks off, then the error."""
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


def _number(value: bytes | None) -> float:
    """A stored number, 0 if it is none, or one that no clock and no count reaches."""
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < YEAR_10000 else 0.0
