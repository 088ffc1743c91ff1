"""What one event is, and the stream fields it is stored as."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

from langchain_agentmem.core.checks import YEAR_10000, validate_id
from langchain_agentmem.core.operations import text
from langchain_agentmem.errors import InvalidInputError

Fields: TypeAlias = dict[str, str]
"""An event as it goes into a stream."""

Entry: TypeAlias = tuple[str, Fields]
"""A thread id and an event of that thread, on its way to the stream."""

MAX_DETAIL_BYTES = 2000
_MAX_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a thread.

    Attributes:
        id: The stream's id, which orders events: `<milliseconds>-<sequence>`.
        action: What kind of thing, such as `tool_start`.
        detail: What matters about it, in a bounded text.
        ts: When it happened, epoch seconds by the recorder's clock.
        run_id: The LangChain run it belongs to.
        parent_run_id: The run that started that run; empty for a root.
        name: Of the runnable, tool, model or custom event.
        duration_seconds: How long the run took; on ends and errors.
        user: Whose it is.
        fields: What else the entry holds, from another writer.
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
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


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
    max_detail_bytes: int = MAX_DETAIL_BYTES,
) -> Fields:
    """The stream fields of an event: `action detail ts`, and the others that are not empty.

    Raises:
        InvalidInputError: The action is empty, or something is not of its type.
    """
    fields = {
        "action": validate_id("action", action),
        "detail": cut(_string("detail", detail), max_detail_bytes),
        "ts": f"{time.time() if ts is None else _number('ts', ts):.6f}",
        "run_id": cut(str(run_id or ""), _MAX_NAME_BYTES),
        "parent_run_id": cut(str(parent_run_id or ""), _MAX_NAME_BYTES),
        "name": cut(_string("name", name), _MAX_NAME_BYTES),
        "user": validate_id("user", user) if user else "",
    }
    if duration_seconds is not None:
        fields["duration_seconds"] = f"{_number('duration_seconds', duration_seconds):.6f}"
    return {name: value for name, value in fields.items() if value or name == "detail"}


def read_event(entry: Sequence[Any]) -> Event:
    """The event in an entry of an XRANGE reply; a field that is missing or odd is empty."""
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
        fields=fields,
    )


def cut(value: str, max_bytes: int) -> str:
    """The text in at most `max_bytes` bytes of UTF-8, well-formed; what is cut ends with `…`."""
    value = well_formed(value)
    data = value.encode()
    if len(data) <= max_bytes:
        return value
    mark = "…" if max_bytes >= 3 else ""
    return data[: max_bytes - len(mark.encode())].decode("utf-8", "ignore") + mark


def well_formed(value: str) -> str:
    """The text with U+FFFD for each lone surrogate, which UTF-8 does not have."""
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
