"""Looks into a value, one level deep: the only place where foreign code runs to describe one.

A value may be anything, and its methods may raise, never end, or do work of their own. So nothing is
iterated but what is known to hold its items already, and never more of it than was asked for.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from langchain_agentmem.events.event import well_formed
from langchain_agentmem.events.redaction import REDACTED, is_secret_name, redact, shorten

_MAX_DEPTH = 12
_MAX_WHOLE = 2**63
_SHORT_NAME = 64
_LEAST_MEMBER = len('"":0,')
_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, pathlib.PurePath)


class Children(NamedTuple):
    """What a mapping or a list holds, of which there may be more than was taken out.

    Attributes:
        names: Of a mapping's members, without secrets; `None` for a list.
        values: The values; what goes by a secret name is replaced.
        total: How many there are altogether.
        messages: Whether they are of a chat; if not all were taken out, these are the last.
    """

    names: Sequence[str] | None
    values: Sequence[Any]
    total: int
    messages: bool = False


def look(value: Any, depth: int, most: int) -> Any:
    """Return what JSON can say of a value: a number, a text, `None`, or its `Children`, at most so many.

    Texts still have their secrets. Never raises.
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is bool or value is None:
        return value
    try:
        return (_children if kind is dict or kind is list else _look)(value, depth, most)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything from any method
        return f"<{_name(kind)}>"


def _look(value: Any, depth: int, most: int) -> Any:
    match value:
        case enum.Enum():
            return look(value.value, depth, most)
        case str():
            return _text(str.__str__(value))
        case int():
            number = int.__int__(value)
            return number if -_MAX_WHOLE <= number < _MAX_WHOLE else "<int>"
        case float():
            return float.__float__(value)
        case bytes() | bytearray() | memoryview():
            return f"<{len(value):,} bytes>"
        case SecretStr() | SecretBytes() | Secret():
            return REDACTED
        case BaseException():
            return f"{_name(type(value))}: {value}"
    if isinstance(value, _AS_TEXT):
        return _said(value)
    if isinstance(value, type | Runnable):
        return f"<{getattr(value, '__name__', _name(type(value)))}>"
    return _children(value, depth, most)


def _text(value: str) -> str:
    """The text; of a `data:` URL, what it is of."""
    if value.startswith("data:") and (comma := value.find(",", 0, 256)) > 0:
        return f"{value[:comma]},…({len(value):,} characters)"
    return value


def _children(value: Any, depth: int, most: int) -> Any:
    kind: Any = type(value)
    if depth >= _MAX_DEPTH:
        return f"<{_name(kind)}>"
    members = _members(value)
    if members is not None:
        mapping = isinstance(value, Mapping)
        # At once: another thread may change it.
        taken = list(islice(members, most // _LEAST_MEMBER + 1) if mapping else members)
        pairs = list(_without_secrets(taken, most))
        total = len(value) if mapping else len(taken)
        return Children([name for name, _ in pairs], [member for _, member in pairs], total)
    if isinstance(value, list | tuple):
        return _list(value, most)
    if isinstance(value, Set | deque | ValuesView | range):
        return Children(None, list(islice(value, most)), len(value))
    # Others that can be iterated (a generator, a query, a table) may do a lot of work to tell what they hold.
    if hasattr(kind, "__iter__") or (kind.__repr__, kind.__str__) == (object.__repr__, object.__str__):
        return f"<{_name(kind)}>"
    return _said(value)


def _list(value: list[Any] | tuple[Any, ...], most: int) -> Children:
    total = len(value)
    if total == 2 and isinstance(value[0], str) and isinstance(value[1], str) and is_secret_name(value[0]):
        return Children(None, [value[0], REDACTED], 2)  # a header
    last = value[-1] if total else None
    if issubclass(type(last), BaseMessage) or (type(last) is dict and "role" in last and "content" in last):
        return Children(None, value[-most:] if most > 0 else (), total, messages=True)
    return Children(None, list(islice(value, most)), total)


def _members(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Names and values, of what has some."""
    if isinstance(value, BaseMessage):
        return _of_message(value)
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, Document):
        return [("page_content", value.page_content), ("metadata", value.metadata)]
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        return None if fields is None else zip(fields, value, strict=True)
    if isinstance(value, BaseModel) or isinstance(getattr(type(value), "__fields__", None), dict):
        return dict.items(vars(value))  # the second are models of pydantic 1
    if dataclasses.is_dataclass(value):
        return _of_dataclass(value)
    return None


def _of_message(message: BaseMessage) -> Iterator[tuple[str, Any]]:
    yield "type", message.type
    for name in ("content", "name", "tool_calls", "tool_call_id"):
        if value := getattr(message, name, None):
            yield name, value


def _of_dataclass(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        try:
            found = getattr(value, field.name)
        except Exception as error:  # noqa: BLE001 - a property may raise anything; the other fields can be told
            found = error
        yield field.name, found


def _without_secrets(members: Iterable[tuple[Any, Any]], most: int) -> Iterator[tuple[str, Any]]:
    """How the names are shown, and the values that are no secrets."""
    named = ""
    for key, value in members:
        name = key if type(key) is str else _key(key)
        label, secret = _label(name) if len(name) <= _SHORT_NAME else _long_label(name, most)
        lower = name.lower()
        if lower in ("name", "key", "header"):
            named = value if type(value) is str else ""
        elif lower == "value":
            secret = is_secret_name(named)
        elif lower.endswith("tokens"):  # counters go by this name; a text or a list of them counts nothing
            secret = secret or issubclass(type(value), str | list | tuple)
        yield label, REDACTED if secret and value is not None and type(value) is not bool else value


def _key(key: Any) -> str:
    try:
        return str.__str__(key) if isinstance(key, str) else _said(key)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything; the other members can be told
        return f"<{_name(type(key))}>"


@lru_cache(maxsize=1024)
def _label(name: str) -> tuple[str, bool]:
    """How the name of a member is shown, and whether its value is a secret. The same few names recur."""
    return well_formed(redact(name)), is_secret_name(name)


def _long_label(name: str, most: int) -> tuple[str, bool]:
    return well_formed(shorten(name, most)), is_secret_name(name)


def _said(value: Any) -> str:
    return str.__str__(str(value))  # not a kind of `str` with methods of its own


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))  # whatever its metaclass makes of `__name__`
