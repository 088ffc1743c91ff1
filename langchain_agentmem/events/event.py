"""`Event`: one thing that happened in a thread, and the stream fields that it is stored as."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import YEAR_10000, validate_id
from langchain_agentmem.core.operations import text
from langchain_agentmem.errors import InvalidInputError

Fields: TypeAlias = dict[str, str]
"""An event as it goes into a stream."""

Entry: TypeAlias = tuple[str, Fields]
"""A thread id and an event of that thread, on its way to the stream."""

MAX_DETAIL_BYTES = 2000
MAX_NAME_BYTES = 200
MAX_IDS_BYTES = 2000

TOKENS = (
    *("input_tokens", "output_tokens", "total_tokens"),
    *("cache_read_tokens", "cache_creation_tokens", "reasoning_tokens"),
)
COUNTERS = (*TOKENS, "model_calls", "tool_calls")
_MAX_DIGITS = 15  # a script's numbers are exact up to there


@dataclass(frozen=True, slots=True)
class Event:
    """Says what happened in a thread, and when.

    Attributes:
        id: The stream's id, `<milliseconds>-<sequence>`; events are ordered by it.
        action: What kind of thing happened, such as `tool_start`.
        detail: What matters about it, as a text of limited length.
        ts: When it happened, in epoch seconds by the recorder's clock.
        run_id: The LangChain run it belongs to; empty for none.
        parent_run_id: The run that started that run; empty for a root run.
        name: The name of the runnable, tool, model or custom event.
        duration_seconds: How long the run took; only on ends and errors.
        user: The user it belongs to; empty for none.
        memory_ids: The memories it is about, such as those recalled, in that order.
        tool_call_id: The tool call that a tool's run answers.
        status: `error` if a tool ended with an answer that says it failed.
        node: The node of a LangGraph graph that it happened in.
        step: The step of that graph.
        model: The model that answered: the provider's name for it, or its class.
        provider: Whose model it is.
        finish_reason: Why the model stopped, in the provider's words.
        first_token_seconds: How long a streaming model took to its first token.
        usage: The numbers of `input_tokens`, `output_tokens`, `total_tokens`, `cache_read_tokens` and
            `cache_creation_tokens` (of the input), and `reasoning_tokens` (of the output), those that are not
            0. An event `usage`, which sums up deleted ones, also has `model_calls` and `tool_calls`.
        since_ts: Since when an event `usage` counts, in epoch seconds.
        frames: Where an error was raised, innermost first, each as `<file>:<line> <function>`.
        fields: Further fields of the entry, written by another program.
    """

    id: str
    action: str
    detail: str
    ts: float
    run_id: str = ""
    parent_run_id: str = ""
    name: str = ""
    duration_seconds: float | None = None
    user: str = ""
    memory_ids: tuple[str, ...] = ()
    tool_call_id: str = ""
    status: str = ""
    node: str = ""
    step: int | None = None
    model: str = ""
    provider: str = ""
    finish_reason: str = ""
    first_token_seconds: float | None = None
    usage: Mapping[str, int] = field(default_factory=dict, hash=False)
    since_ts: float | None = None
    frames: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the event's JSON form: every attribute under its name."""
        return {
            "id": self.id,
            "action": self.action,
            "detail": self.detail,
            "ts": self.ts,
            "run_id": self.run_id,
            "parent_run_id": self.parent_run_id,
            "name": self.name,
            "duration_seconds": self.duration_seconds,
            "user": self.user,
            "memory_ids": [*self.memory_ids],
            "tool_call_id": self.tool_call_id,
            "status": self.status,
            "node": self.node,
            "step": self.step,
            "model": self.model,
            "provider": self.provider,
            "finish_reason": self.finish_reason,
            "first_token_seconds": self.first_token_seconds,
            "usage": dict(self.usage),
            "since_ts": self.since_ts,
            "frames": [*self.frames],
            "fields": dict(self.fields),
        }


def event_fields(
    action: str,
    detail: str = "",
    *,
    ts: float | None = None,
    name: str = "",
    run_id: object = "",
    parent_run_id: object = "",
    duration_seconds: float | None = None,
    user: str = "",
    memory_ids: Sequence[str] = (),
    max_detail_bytes: int = MAX_DETAIL_BYTES,
) -> Fields:
    """Return the stream fields of an event: `action detail ts`, and the others that are not empty.

    Args:
        action: What kind of thing happened, such as `tool_start`.
        detail: What matters about it; cut to `max_detail_bytes` bytes of UTF-8.
        ts: When it happened, in epoch seconds; `None` for now.
        name: The name of the runnable, tool, model or custom event; cut, like the run ids, to 200 bytes.
        run_id: The LangChain run it belongs to; anything with a `str()`.
        parent_run_id: The run that started that run.
        duration_seconds: How long the run took; `None` if that is not known.
        user: The user it belongs to; empty for none.
        memory_ids: The memories it is about; those after the first 2,000 bytes are left out.
        max_detail_bytes: How long the detail may be.

    Raises:
        InvalidInputError: The action is empty, or an argument is not of its type.
    """
    fields = stream_fields(
        validate_id("action", action),
        cut(_string("detail", detail), max_detail_bytes),
        time.time() if ts is None else _number("ts", ts),
        run_id=cut(str(run_id or ""), MAX_NAME_BYTES),
        parent_run_id=cut(str(parent_run_id or ""), MAX_NAME_BYTES),
        name=cut(_string("name", name), MAX_NAME_BYTES),
        user=validate_id("user", user) if user else "",
        duration_seconds=None if duration_seconds is None else _number("duration_seconds", duration_seconds),
    )
    if memory_ids:
        fields["memory_ids"] = _listed(memory_ids)
    return fields


def stream_fields(
    action: str,
    detail: str,
    ts: float,
    *,
    run_id: str,
    parent_run_id: str,
    name: str,
    user: str,
    duration_seconds: float | None,
    more: Fields | None = None,
) -> Fields:
    """Return the fields as `event_fields` does, without checking or cutting anything.

    Args:
        action: What kind of thing happened.
        detail: What matters about it; well-formed and short enough.
        ts: When it happened, in epoch seconds.
        run_id: The LangChain run it belongs to, short enough; empty for none.
        parent_run_id: The run that started that run, likewise.
        name: The name of the runnable, tool, model or custom event, likewise.
        user: The user it belongs to, a valid id; empty for none.
        duration_seconds: How long the run took; `None` if that is not known.
        more: Further fields, well-formed and short enough.
    """
    fields = {"action": action, "detail": detail, "ts": f"{ts:.6f}"}
    if run_id:
        fields["run_id"] = run_id
    if parent_run_id:
        fields["parent_run_id"] = parent_run_id
    if name:
        fields["name"] = name
    if user:
        fields["user"] = user
    if duration_seconds is not None:
        fields["duration_seconds"] = f"{duration_seconds:.6f}"
    if more:
        fields.update(more)
    return fields


def read_event(entry: Sequence[Any]) -> Event:
    """Return the event of an entry of an XRANGE reply; fields that are missing or not valid are empty."""
    entry_id, flat = text(entry[0]), [text(item) for item in entry[1] or ()]
    fields = dict(zip(flat[::2], flat[1::2], strict=False))
    ts = _float(fields.pop("ts", ""))
    if ts is None or not 0 <= ts < YEAR_10000:
        ts = min(int(entry_id.partition("-")[0]) / 1000, YEAR_10000 - 1)
    return Event(
        id=entry_id,
        action=fields.pop("action", ""),
        detail=fields.pop("detail", ""),
        ts=ts,
        run_id=fields.pop("run_id", ""),
        parent_run_id=fields.pop("parent_run_id", ""),
        name=fields.pop("name", ""),
        duration_seconds=_float(fields.pop("duration_seconds", "")),
        user=fields.pop("user", ""),
        memory_ids=_texts(fields, "memory_ids"),
        tool_call_id=fields.pop("tool_call_id", ""),
        status=fields.pop("status", ""),
        node=fields.pop("node", ""),
        step=_count(fields.pop("step", "")),
        model=fields.pop("model", ""),
        provider=fields.pop("provider", ""),
        finish_reason=fields.pop("finish_reason", ""),
        first_token_seconds=_float(fields.pop("first_token_seconds", "")),
        usage={name: found for name in COUNTERS if (found := _count(fields.pop(name, "")))},
        since_ts=_float(fields.pop("since_ts", "")),
        frames=_texts(fields, "frames"),
        fields=fields,
    )


def _listed(memory_ids: Sequence[str]) -> str:
    """Return as many ids as have room, as a JSON list."""
    if isinstance(memory_ids, str):
        raise InvalidInputError("memory_ids must be a list of ids, not one of them.")
    kept: list[str] = []
    room = MAX_IDS_BYTES
    for memory_id in memory_ids:
        room -= len(validate_id("memory_ids", memory_id).encode())
        if room < 0:
            break
        kept.append(memory_id)
    return json.dumps(kept).decode()


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    """Take a JSON list of texts out of an entry's fields; what is none stays there."""
    if name not in fields:
        return ()
    try:
        found = json.loads(fields[name])
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return ()
    del fields[name]
    return tuple(found)


def _count(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS else None


def cut(value: str, max_bytes: int) -> str:
    """Return the text in at most `max_bytes` bytes of UTF-8, well-formed; what is cut ends with `…`."""
    if 4 * len(value) <= max_bytes:  # a character takes four bytes at most
        return well_formed(value)
    value = well_formed(value)
    data = value.encode()
    if len(data) <= max_bytes:
        return value
    mark = "…" if max_bytes >= 3 else ""
    return data[: max_bytes - len(mark.encode())].decode("utf-8", "ignore") + mark


def well_formed(value: str) -> str:
    """Return the text with U+FFFD for each lone surrogate, which UTF-8 does not have."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a string, not {type(value).__name__}.")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise InvalidInputError(f"{name} must be a finite number of seconds, not {value!r}.")
    return float(value)


def _float(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) else None
