"""What the tools return: the models that their schemas are made of. Times are texts in ISO 8601, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

from pydantic import BaseModel, Field
from typing_extensions import Self

from langchain_agentmem.longterm.types import MemoryRecord
from langchain_agentmem.working.listing import SessionSummary
from langchain_agentmem.working.session import SessionState, Turn


class Memory(BaseModel):
    """A memory."""

    id: str = Field(description="What update_memory, forget and the replaces of remember know it by.")
    text: str
    kind: str
    learnt: str | None = Field(description="When it was stored, or last changed.")
    seen: int = Field(description="How often it was remembered again.")
    expires_in_seconds: int | None = Field(None, description="None if it does not expire, or is not known.")
    score: float | None = Field(None, description="How well it matches the query, from 0 to 1.")

    @classmethod
    def of(cls, record: MemoryRecord) -> Self:
        """Return a memory as clients see it."""
        return cls(
            id=record.id,
            text=record.text,
            kind=record.kind,
            learnt=_moment(record.updated_ts or record.created_ts),
            seen=record.hit_count,
            expires_in_seconds=record.ttl_seconds,
            score=None if record.score is None else round(record.score, 3),
        )


class Recalled(BaseModel):
    """What was recalled."""

    memories: list[Memory] = Field(description="Best first; empty if nothing is known.")


class MemoryPage(BaseModel):
    """A page of memories."""

    memories: list[Memory]
    next_cursor: str | None = Field(description="What brings the next page; None if this is the last.")


class Stored(BaseModel):
    """What became of a text."""

    id: str = Field(description="The memory that holds it now.")
    already_known: bool = Field(description="Whether a memory said the same before.")
    replaced: str | None = Field(None, description="The memory that is out of date now.")


class Remembered(BaseModel):
    """What became of what was to be remembered."""

    results: list[Stored] = Field(description="One per text, in their order.")


class Changed(BaseModel):
    """A memory that was changed or deleted."""

    id: str


class SessionLine(BaseModel):
    """A conversation without its messages."""

    id: str
    title: str
    message_count: int = Field(description="How many messages it ever got.")
    last_active: str | None
    expires_in_seconds: int | None

    @classmethod
    def of(cls, one: SessionSummary) -> Self:
        """Return a conversation of a list as clients see it."""
        return cls(
            id=one.thread_id,
            title=one.title,
            message_count=one.turn_count,
            last_active=_moment(one.last_active_ts),
            expires_in_seconds=one.ttl_seconds,
        )


class SessionPage(BaseModel):
    """A page of conversations."""

    sessions: list[SessionLine] = Field(description="Those active last first.")
    next_cursor: str | None = Field(description="What brings the next page; None if this is the last.")


class Message(BaseModel):
    """A message of a conversation."""

    role: str
    text: str
    said: str | None
    tool_calls: list[str] = Field(description="The names of the tools that it calls.")

    @classmethod
    def of(cls, turn: Turn) -> Self:
        """Return a message as clients see it."""
        calls = [str(one["name"]) for one in getattr(turn.message, "tool_calls", ())]
        return cls(role=turn.role, text=str(turn.message.text), said=_moment(turn.ts), tool_calls=calls)


class Session(BaseModel):
    """A conversation."""

    id: str
    goal: str
    notes: str
    summary: str
    message_count: int = Field(description="How many messages it ever got.")
    messages: list[Message] = Field(description="The last of them, oldest first.")

    @classmethod
    def of(cls, state: SessionState, limit: int | None = None) -> Self:
        """Return a conversation with at most `limit` of its messages; `None` for all that are kept."""
        return cls(
            id=state.thread_id,
            goal=state.goal,
            notes=state.scratchpad,
            summary=state.summary,
            message_count=state.turn_count,
            messages=[Message.of(one) for one in state.recent_turns[-(limit or 0) :]],
        )


class Noted(BaseModel):
    """A conversation that a note was added to."""

    session_id: str


def _moment(seconds: float) -> str | None:
    """Return a time as text; `None` if it is not known, or none that a calendar has."""
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.isoformat(timespec="seconds") if seconds > 0 else None
