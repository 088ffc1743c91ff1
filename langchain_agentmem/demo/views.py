"""What is stored, as the page is told it: plain JSON, long texts cut."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isfinite
from typing import Any

from langchain_agentmem.events.event import Event, cut
from langchain_agentmem.longterm.types import MemoryRecord
from langchain_agentmem.working.session import SessionState, Turn

_MEMORY_BYTES = 1_000
_TURN_BYTES = 8_000
_TITLE_BYTES = 120


def finite(number: float | None) -> float | None:
    """A number that JSON has; `None` for what it has not, whoever stored it."""
    return number if number is not None and isfinite(number) else None


def session(state: SessionState | None) -> dict[str, Any] | None:
    """A session: goal, scratchpad, window, life."""
    if state is None:
        return None
    return {
        "user": state.user,
        "goal": state.goal,
        "scratchpad": state.scratchpad,
        "summary": state.summary,
        "turn_count": state.turn_count,
        "ttl_seconds": state.ttl_seconds,
        "turns": [_turn(turn) for turn in state.recent_turns],
        "unreadable": len(state.unreadable),
    }


def thread(state: SessionState) -> dict[str, Any]:
    """A thread, as in a list of them."""
    first = next((str(turn.message.text) for turn in state.recent_turns if turn.role == "user"), "")
    return {
        "thread": state.thread_id,
        "title": cut(state.goal or first, _TITLE_BYTES),
        "turn_count": state.turn_count,
        "last_active_ts": finite(state.last_active_ts),
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "role": turn.role,
        "content": cut(str(turn.message.text), _TURN_BYTES),
        "ts": finite(turn.ts),
        "unanswered": turn.unanswered,
    }


def memory(record: MemoryRecord) -> dict[str, Any]:
    """A memory, as in the table of all."""
    return {
        "id": record.id,
        "text": cut(record.text, _MEMORY_BYTES),
        "kind": record.kind,
        "hits": record.hit_count,
        "ttl_seconds": record.ttl_seconds,
    }


def nearest(near: Sequence[MemoryRecord], recalled: Collection[str]) -> list[dict[str, Any]]:
    """The memories nearest to a query, and whether each was recalled or just missed."""
    return [
        {
            "id": record.id,
            "text": cut(record.text, _MEMORY_BYTES),
            "kind": record.kind,
            "distance": finite(record.distance),
            "recalled": record.id in recalled,
        }
        for record in near
    ]


def event(found: Event) -> dict[str, Any]:
    """An event."""
    return {
        "id": found.id,
        "action": found.action,
        "name": found.name,
        "detail": found.detail,
        "ts": finite(found.ts),
        "duration_seconds": finite(found.duration_seconds),
        "user": found.user,
    }
