"""What requests and answers look like: each member of a request is checked before anything is done with it.

Answers are plain JSON; long texts are cut, and numbers that JSON does not have are `null`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from langchain_agentmem.core.checks import utf8, validate_id
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Event, cut
from langchain_agentmem.longterm.types import MemoryRecord, Mode
from langchain_agentmem.working.listing import SessionSummary
from langchain_agentmem.working.session import SessionState, Turn

NEAREST = 8  # memories shown for a query, recalled or not
KINDS = ("episodic", "semantic")
SKIP = "skip"
_MAX_STREAM_NUMBER = 2**64 - 1
_MEMORY_BYTES = 1_000
_MESSAGE_BYTES = 8_000


def _scope(value: str, info: ValidationInfo) -> str:
    return validate_id(info.field_name or "value", value)


def _mode(value: object, info: ValidationInfo) -> object:
    modes = cast(Collection[str], info.context)
    if value not in modes:
        raise ValueError(f"must be one of {', '.join(modes)}")
    return value


def _text(value: str, info: ValidationInfo) -> str:
    utf8(info.field_name or "text", value)
    return value


def _words(value: str, info: ValidationInfo) -> str:
    if not _text(value, info).strip():
        raise ValueError("is empty")
    return value


Scope = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_scope)]
Words = Annotated[str, Field(min_length=1), AfterValidator(_words)]
Text = Annotated[str, AfterValidator(_text)]
Threshold = Annotated[float, Field(ge=0, le=2)]
RankedBy = Annotated[Mode, BeforeValidator(_mode)]


class ApiRequest(BaseModel):
    """Any request; one without parameters is this itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UserRequest(ApiRequest):
    """A request of a user; for a new thread and for a user's threads, that is all."""

    user: Scope


class ThreadRequest(UserRequest):
    """A request about a thread of a user; to follow its events, that is all."""

    thread: Scope


class StateRequest(ThreadRequest):
    """Show a thread, its user's memories and, for a query, what it recalls."""

    namespace: Scope = "default"
    threshold: Threshold | None = None
    query: Text = ""
    mode: RankedBy | None = None


class ExchangeRequest(ThreadRequest):
    """Say something; without a mode, what the memory does by itself, without a threshold, its own."""

    text: Words
    namespace: Scope = "default"
    kind: Scope = "episodic"
    threshold: Threshold | None = None
    mode: RankedBy | None = None


class RecallRequest(UserRequest):
    """Recall for a query, without saying anything; as it was before the memory whose id is given."""

    query: Words
    namespace: Scope = "default"
    threshold: Threshold | None = None
    mode: RankedBy | None = None
    before: Scope | None = None


class DropRequest(UserRequest):
    """Delete a memory."""

    id: Scope


class WorkingRequest(ThreadRequest):
    """Set a goal, or a scratchpad."""

    goal: Text | None = None
    scratchpad: Text | None = None


def read_request(model: type[ApiRequest], given: bytes | dict[str, str], modes: Collection[str]) -> Any:
    """Return a request, checked.

    Args:
        model: What it should be.
        given: A JSON body, or the parameters of a URL.
        modes: How the memory in use can rank.

    Raises:
        InvalidInputError: Names every member that is not usable.
    """
    try:
        if isinstance(given, bytes):
            return model.model_validate_json(given or b"{}", context=modes)
        return model.model_validate(given, context=modes)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the body'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise InvalidInputError(said[:1000]) from error


def event_id(value: str) -> str:
    """Check the id after which events are wanted, and return it; it may be empty.

    Raises:
        InvalidInputError: No stream has such an id.
    """
    numbers = value.split("-")
    usable = len(numbers) <= 2 and all(
        number.isascii() and number.isdigit() and len(number) <= 20 and int(number) <= _MAX_STREAM_NUMBER
        for number in numbers
    )
    if value and not usable:
        raise InvalidInputError("Last-Event-ID must be an event's id, such as 1715990400123-0.")
    return value


def session_answer(state: SessionState | None) -> dict[str, Any] | None:
    """Return a session with its window, oldest message first."""
    if state is None:
        return None
    return {
        **state.to_dict(),
        "turns": [_message(turn) for turn in state.recent_turns],
        "unreadable": len(state.unreadable),
    }


def _message(turn: Turn) -> dict[str, Any]:
    return {
        "role": turn.role,
        "content": cut(str(turn.message.text), _MESSAGE_BYTES),
        "ts": _finite(turn.ts),
        "unanswered": turn.unanswered,
    }


def thread_answer(summary: SessionSummary) -> dict[str, Any]:
    """Return a thread, as in a list of them."""
    return {
        "thread": summary.thread_id,
        "title": summary.title,
        "turn_count": summary.turn_count,
        "last_active_ts": summary.last_active_ts,
    }


def memory_answer(record: MemoryRecord) -> dict[str, Any]:
    """Return a memory, as in the table of all."""
    shown = _only(record.to_dict(), "id", "kind", "hit_count", "ttl_seconds")
    return {**shown, "text": cut(record.text, _MEMORY_BYTES)}


def nearest_answer(near: Sequence[MemoryRecord], recalled: Collection[str]) -> list[dict[str, Any]]:
    """Return what is nearest to a query, why, and whether each was recalled or just missed.

    Args:
        near: The memories, best first.
        recalled: The ids of those that were recalled.
    """
    return [
        {
            **_only(record.to_dict(), "id", "kind", "distance", "score"),
            "ts": _finite(record.updated_ts or record.created_ts),
            "text": cut(record.text, _MEMORY_BYTES),
            "context": cut(record.context, _MEMORY_BYTES),
            "matched_words": [*record.matched_words],
            "explanation": _only(record.explanation, *record.explanation) if record.explanation else None,
            "recalled": record.id in recalled,
        }
        for record in near
    ]


def event_answer(found: Event) -> dict[str, Any]:
    """Return an event."""
    return _only(found.to_dict(), "id", "action", "name", "detail", "ts", "duration_seconds", "user")


def _only(form: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return some members of a JSON form."""
    return {name: _finite(form[name]) for name in names}


def _finite(value: Any) -> Any:
    """Return a value, or `None` for a number that JSON does not have, whoever stored it."""
    return value if not isinstance(value, float) or isfinite(value) else None
