"""What requests and answers look like: each member of a request is checked before anything is done with it.

Answers are plain JSON; long texts are cut, and numbers that JSON does not have are `null`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from langchain_agentmem import Event, MemoryRecord, SessionState, SessionSummary, Trace, Turn
from langchain_agentmem.errors import InvalidInputError

NEAREST = 8  # memories shown for a query, recalled or not
KINDS = ("episodic", "semantic")
SKIP = "skip"
_MAX_STREAM_NUMBER = 2**64 - 1
_SCOPE_BYTES = 4_096
_MEMORY_BYTES = 1_000
_MESSAGE_BYTES = 8_000
_POINT_BYTES = 200
_UTF8_BYTES = 4  # of a character, at most


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is no Unicode text: it holds half of a surrogate pair") from error
    return value


def _scope(value: str) -> str:
    if len(_text(value).encode()) > _SCOPE_BYTES:
        raise ValueError(f"has more than {_SCOPE_BYTES:,} bytes")
    return value


def _mode(value: object, info: ValidationInfo) -> object:
    modes = cast(Collection[str], info.context)
    if value not in modes:
        raise ValueError(f"must be one of {', '.join(modes)}")
    return value


def _words(value: str) -> str:
    if not _text(value).strip():
        raise ValueError("is empty")
    return value


Scope = Annotated[str, Field(min_length=1, max_length=_SCOPE_BYTES), AfterValidator(_scope)]
Words = Annotated[str, Field(min_length=1), AfterValidator(_words)]
Text = Annotated[str, AfterValidator(_text)]
Threshold = Annotated[float, Field(ge=0, le=2)]
EventId = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$")]
RankedBy = Annotated[Literal["hybrid", "vector", "text"], BeforeValidator(_mode)]


class ApiRequest(BaseModel):
    """Any request; one without parameters is this itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UserRequest(ApiRequest):
    """A request of a user; for a user's threads, that is all."""

    user: Scope


class ScopeRequest(UserRequest):
    """A request about a user's memories; for the map of them, that is all."""

    namespace: Scope = "default"


class ThreadRequest(UserRequest):
    """A request about a thread of a user; to show it, or to follow its events, that is all."""

    thread: Scope


class LogRequest(ThreadRequest):
    """Read the events of a thread that came before one."""

    before: EventId


class MemoriesRequest(ScopeRequest):
    """List a page of the memories."""

    contains: Text = ""
    superseded: bool = False
    sort: Literal["newest", "oldest", "most_seen"] = "newest"
    offset: int = Field(default=0, ge=0, le=1_000_000)
    limit: int = Field(default=50, ge=1, le=200)
    count: bool = True


class ExchangeRequest(ThreadRequest):
    """Say something; without a mode, what the memory does by itself, without a threshold, its own."""

    text: Words
    namespace: Scope = "default"
    kind: Scope = "episodic"
    threshold: Threshold | None = None
    mode: RankedBy | None = None


class RecallRequest(ScopeRequest):
    """Recall for a query, without saying anything; as it was before the memory whose id is given."""

    query: Words
    threshold: Threshold | None = None
    mode: RankedBy | None = None
    before: Scope | None = None


class AnswersRequest(RecallRequest):
    """Answer a question with what is recalled for it, and without any memory; nothing is stored."""


class MemoryRequest(UserRequest):
    """Read a memory, or tell its life."""

    id: Scope


class DropRequest(ThreadRequest):
    """Delete a memory, or keep it from expiring, as an event of a thread."""

    id: Scope


class ReplaceRequest(DropRequest):
    """Let a memory be replaced by another one."""

    by: Scope


class UndoRequest(UserRequest):
    """Undo what was removed."""

    undo: Scope


class ResetRequest(UserRequest):
    """Remove everything of a user, and fill in the samples if they are the user's; or only say how much.

    The thread, if one is given, gets an event of it.
    """

    dry_run: bool = False
    thread: Scope | None = None


class ImportRequest(ScopeRequest):
    """Import a file, the body, into a user's scope; by `plain`, each of its lines is the text of a memory."""

    plain: bool = False


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


def memory_answer(record: MemoryRecord, truncated: bool = False, *, whole: bool = False) -> dict[str, Any]:
    """Return a memory, as in the table of all.

    Args:
        record: The memory.
        truncated: Whether only the beginning of its text is found by meaning.
        whole: Whether a long text is not cut.
    """
    names = ["id", "kind", "hit_count", "ttl_seconds", "created_ts", "updated_ts"]
    names += ["superseded_by", "superseded_ts", "source_thread", "context"]
    text = cut(record.text, len(record.text) * _UTF8_BYTES if whole else _MEMORY_BYTES)
    shown = {**_only(record.to_dict(), *names), "text": text, "truncated": truncated}
    return {**shown, "cut": text != record.text}


def map_answer(record: MemoryRecord, x: float, y: float, *, told: bool) -> dict[str, Any]:
    """Return a memory, as a point of the map.

    Args:
        record: The memory.
        x: Where it is, from 0 to 1.
        y: The same.
        told: Whether with its text and date.
    """
    point = {"id": record.id, "kind": record.kind, "x": round(x, 4), "y": round(y, 4)}
    if record.superseded_by is not None:
        point["superseded_by"] = record.superseded_by
    if told:
        point |= {
            "text": cut(record.text, _POINT_BYTES),
            "ts": _finite(record.updated_ts or record.created_ts),
        }
    return point


def trace_answer(trace: Trace, *, model_seconds: float | None = None) -> dict[str, Any]:
    """Return what was sent to Redis, command by command, and how long each part took."""
    return {
        "round_trips": [
            {
                "ms": trip.seconds * 1000,
                "failed": trip.failed,
                "commands": [
                    {
                        "name": command.name,
                        "script": command.script,
                        "tier": command.tier,
                        "short": command.short,
                        "text": command.text,
                        "reply": command.reply,
                    }
                    for command in trip.commands
                ],
            }
            for trip in trace.round_trips
        ],
        "redis_ms": trace.redis_seconds * 1000,
        "embedding_ms": trace.embedding_seconds * 1000,
        "model_ms": None if model_seconds is None else model_seconds * 1000,
    }


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


def event_answer(found: Event | Mapping[str, Any]) -> dict[str, Any]:
    """Return an event, or the line of an export that is one."""
    names = ["id", "action", "name", "detail", "ts", "duration_seconds", "user", "run_id", "parent_run_id"]
    return _only(found.to_dict() if isinstance(found, Event) else found, *names, "memory_ids")


def _only(form: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return some members of a JSON form."""
    return {name: _finite(form[name]) for name in names}


def _finite(value: Any) -> Any:
    """Return a value, or `None` for a number that JSON does not have, whoever stored it."""
    return value if not isinstance(value, float) or isfinite(value) else None


def cut(text: str, limit: int) -> str:
    """Return a text in at most so many bytes of UTF-8; what is cut ends with `…`."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - len("…".encode())].decode("utf-8", "ignore") + "…"
