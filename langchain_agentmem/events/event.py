"""`Event`: one thing that happened in a thread, and the stream fields that it is stored as."""

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
MAX_NAME_BYTES = 200


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
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the event's JSON form: every attribute under its name, `fields` as an object."""
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
        max_detail_bytes: How long the detail may be.

    Raises:
        InvalidInputError: The action is empty, or an argument is not of its type.
    """
    return stream_fields(
        validate_id("action", action),
        cut(_string("detail", detail), max_detail_bytes),
        time.time() if ts is None else _number("ts", ts),
        run_id=cut(str(run_id or ""), MAX_NAME_BYTES),
        parent_run_id=cut(str(parent_run_id or ""), MAX_NAME_BYTES),
        name=cut(_string("name", name), MAX_NAME_BYTES),
        user=validate_id("user", user) if user else "",
        duration_seconds=None if duration_seconds is None else _number("duration_seconds", duration_seconds),
    )


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
        fields=fields,
    )


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
