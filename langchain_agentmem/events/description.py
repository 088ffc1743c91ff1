"""Turns what callbacks are given (messages, documents, dicts, anything) into a short text without secrets."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Set, ValuesView
from typing import Any

import orjson
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from langchain_agentmem.events.event import cut
from langchain_agentmem.events.redaction import REDACTED, is_secret_name, redact

_MAX_DEPTH = 12
_MAX_WHOLE = 2**63
_MARGIN = 512  # what the end of a cut text may hold of a secret that cannot be told any more
_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, pathlib.PurePath)


def describe(value: Any, max_bytes: int) -> str:
    """The value as text or compact JSON, in at most `max_bytes` bytes of UTF-8.

    Secrets are taken out before it is cut. Only as much of the value is looked at as is needed, so a
    value of megabytes costs no more than one of kilobytes. Never raises.
    """
    plain = _Walk(max_bytes).plain(value)
    return cut(plain if isinstance(plain, str) else orjson.dumps(plain).decode(), max_bytes)


def shorten(text: str, characters: int) -> str:
    """The text without secrets, in at most so many characters and a mark."""
    if text.startswith("data:") and (comma := text.find(",", 0, 256)) > 0:
        return f"{text[:comma]},…({len(text):,} characters)"
    window = 4 * characters + 2 * _MARGIN
    redacted = redact(text[:window])
    if len(text) > window:
        redacted = redacted[:-_MARGIN]
        return redacted[:characters] + "…"
    return redacted if len(redacted) <= characters else redacted[:characters] + "…"


class _Walk:
    """Walks through a value until `left` characters are found."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def plain(self, value: Any, depth: int = 0) -> Any:
        """What JSON can say of the value."""
        self.left -= 2
        try:
            return self._plain(value, depth)
        except Exception:  # noqa: BLE001 - a caller's object may raise anything from any method
            return f"<{type(value).__name__}>"

    def _plain(self, value: Any, depth: int) -> Any:
        match value:
            case None | bool() | float():
                return value
            case enum.Enum():
                return self._plain(value.value, depth)
            case int():
                return value if -_MAX_WHOLE <= value < _MAX_WHOLE else "<int>"
            case str():
                return self._text(value)
            case bytes() | bytearray() | memoryview():
                return f"<{len(value):,} bytes>"
            case SecretStr() | SecretBytes() | Secret():
                return REDACTED
            case BaseException():
                return self._text(f"{type(value).__name__}: {value}")
        if isinstance(value, _AS_TEXT):
            return self._text(str(value))
        if depth >= _MAX_DEPTH or isinstance(value, type | Runnable):
            return f"<{getattr(value, '__name__', type(value).__name__)}>"
        members = _members(value)
        if members is not None:
            return self._mapping(members, depth + 1)
        if isinstance(value, list | tuple | Set | deque | ValuesView):
            return self._items(value, depth + 1)
        kind: Any = type(value)
        if (kind.__repr__, kind.__str__) == (object.__repr__, object.__str__):  # no more than an address
            return f"<{type(value).__name__}>"
        return self._text(str(value))

    def _text(self, value: str) -> str:
        short = shorten(str.__str__(value), max(self.left, 0))
        self.left -= len(short)
        return cut(short, 4 * len(short))  # orjson refuses lone surrogates

    def _mapping(self, members: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        named = ""
        for key, value in members:
            if self.left <= 0:
                found["…"] = "…"
                break
            name = key if isinstance(key, str) else str(key)
            secret = is_secret_name(name) or (name.lower() == "value" and is_secret_name(named))
            # Counters go by this name too, but a text or a list of them counts nothing.
            secret = secret or (name.lower().endswith("tokens") and isinstance(value, str | list | tuple))
            if name.lower() in ("name", "key", "header") and isinstance(value, str):
                named = value
            found[self._text(name)] = self._secret(value) if secret else self.plain(value, depth)
        return found

    def _items(self, values: Iterable[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        if isinstance(values, list | tuple) and len(values) == 2 and isinstance(values[0], str):
            name, value = values
            if is_secret_name(name) and isinstance(value, str):  # a header
                return [self._text(name), REDACTED]
        for value in values:
            if self.left <= 0:
                found.append("…")
                break
            found.append(self.plain(value, depth))
        return found

    def _secret(self, value: Any) -> Any:
        self.left -= len(REDACTED)
        return value if value is None or isinstance(value, bool) else REDACTED


def _members(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Names and values, of what has some."""
    if isinstance(value, BaseMessage):
        wanted = ("content", "name", "tool_calls", "tool_call_id")
        extra = [(name, getattr(value, name, None)) for name in wanted]
        return [("type", value.type), *((name, item) for name, item in extra if item)]
    if isinstance(value, Document):
        return [("page_content", value.page_content), ("metadata", value.metadata)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return zip(value._fields, value, strict=True)
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, BaseModel):
        return value.__dict__.items()
    if dataclasses.is_dataclass(value):
        return ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return None
