"""Turns what callbacks are given (messages, documents, dicts, anything) into a short text without secrets.

What fits is kept whole. If a value does not fit, its parts share the room, the newest and the most specific
first, and each of them in turn is kept whole or divides its own share.

A value may be anything, and its methods may raise, never return, or do work of their own. So only `look`
runs foreign code. It iterates only over what already holds its items, and no further than it has to.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set, ValuesView
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import orjson
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from langchain_agentmem.core.redaction import (
    REDACTED,
    Clean,
    is_secret_name,
    redact_secrets,
    shorten,
    shorten_to_end,
)
from langchain_agentmem.events.event import cut, well_formed

_ELLIPSIS = '"…"'.encode()  # in place of what has no room; no value takes less
_LEAST_MEMBER = 24  # bytes; in less, a member of a mapping would show little more than its name
_LEAST_ITEM = 100  # bytes; in less, a message, or another long item of a list, is left out rather than cut
_ROOM_TO_COUNT = 100  # bytes; in less, what is left out is not counted
_SMALLEST_MEMBER = len('"":0,')
_MAX_DEPTH = 12
_MAX_WHOLE = 2**63
_SHORT_NAME = 64
_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, pathlib.PurePath)
# Of a mapping that does not fit, members of these names come first.
_SPECIFIC = ("error", "text", "content", "messages", "tool_calls", "usage")
_SAID_BY = {"user", "human", "assistant", "ai", "system", "developer", "tool"}
_MESSAGE_FIELDS = ("content", "name", "tool_calls", "tool_call_id")


def describe(value: Any, max_bytes: int) -> str:
    """Return the value as text or compact JSON, without secrets. Never raises.

    What fits is kept whole. Of a list that does not fit, the newest items are kept, which are the last ones;
    of chat messages, whole. Other items, and the members of a mapping, get fair shares of the room; if there
    are too many members for that, those named as in `_SPECIFIC` come first. A long text ends with `…`, and a
    member `…` says how many others were left out. The result is still valid JSON, from 5 bytes on. A string
    or an exception is not JSON but that text, as far as it fits.

    Secrets are removed before anything is cut. No more of the value is looked at than is needed, so a
    value of megabytes costs no more than one of kilobytes.

    Args:
        value: Anything.
        max_bytes: How long the result may be, in bytes of UTF-8.
    """
    shown = look(value, 0, max_bytes)
    if isinstance(shown, str):
        return cut(shorten(shown, max_bytes), max_bytes)
    fitting = _Fitting()
    data = fitting.whole(shown, max_bytes, 0)
    if data is None and max_bytes < len(_ELLIPSIS):
        return cut("…", max_bytes)
    return (data or fitting.part(shown, max_bytes, 0)).decode()


def describe_end(text: str, max_bytes: int) -> str:
    """Return the end of a text, as `describe` returns its beginning: a prompt ends with the question."""
    data = well_formed(shorten_to_end(str.__str__(text), max_bytes)).encode()
    if len(data) <= max_bytes:
        return data.decode()
    mark = "…" if max_bytes >= 3 else ""
    return mark + data[len(data) - max_bytes + len(mark.encode()) :].decode("utf-8", "ignore")


class Children(NamedTuple):
    """Holds the members of a mapping or the items of a list: all, or as many as were taken.

    Attributes:
        names: The names of a mapping's members, without secrets; `None` for a list.
        values: The values; those under secret names are replaced.
        total: How many there are altogether. If not all were taken, these are the first members, or the last
            items.
        messages: Whether they are messages of a chat.
    """

    names: Sequence[str] | None
    values: Sequence[Any]
    total: int
    messages: bool = False


class _TooLongError(Exception):
    """Signals that a value takes more room than there is."""


class _Fitting:
    """Fits a value into a number of bytes of JSON.

    In its methods, `shown` is what `look` returned for a value, `room` is in bytes, and `depth` is how many
    mappings and lists the value is inside of.
    """

    def __init__(self) -> None:
        self._left = 0
        # Texts and messages are looked at again if what contains them did not fit.
        self._redacted: dict[str, str] = {}
        self._messages: dict[tuple[int, int], tuple[BaseMessage, Any]] = {}

    def whole(self, shown: Any, room: int, depth: int) -> bytes | None:
        """Return the whole value as JSON, or `None` if it does not fit."""
        self._left = room
        try:
            data = orjson.dumps(self._tree(shown, depth))
        except _TooLongError:
            return None
        return data if len(data) <= room else None

    def _tree(self, shown: Any, depth: int) -> Any:
        if type(shown) is not Children:
            return self._leaf(shown)
        names, values, total, messages = shown
        self._left -= max(total, len(values))  # a byte each at least
        if self._left < 0:
            raise _TooLongError
        depth += 1
        if names is None:
            if messages:  # the newest first: if they do not all fit, these are looked at again
                found = [self._tree(self._message(one, depth, self._left), depth) for one in values[::-1]]
                return found[::-1]
            return [self._tree(look(value, depth, self._left), depth) for value in values]
        tree = {}
        for name, value in zip(names, values, strict=True):
            self._left -= len(name)
            if self._left < 0:
                raise _TooLongError
            if type(value) is str and (text := self._redacted.get(value)) is not None:  # most texts recur
                self._left -= len(value) + 2
                tree[name] = text
                continue
            found = look(value, depth, self._left)
            tree[name] = self._tree(found, depth) if type(found) is Children else self._leaf(found)
        return tree

    def _leaf(self, shown: Any) -> Any:
        is_text = isinstance(shown, str)
        self._left -= len(shown) + 2 if is_text else 1
        if self._left < 0:
            raise _TooLongError
        if not is_text:
            return shown
        if (text := self._redacted.get(shown)) is None:
            text = self._redacted[shown] = well_formed(redact_secrets(shown))
        return text

    def _message(self, message: Any, depth: int, most: int) -> Any:
        if not isinstance(message, BaseMessage):
            return look(message, depth, most)
        key = id(message), depth
        if key not in self._messages:
            self._messages[key] = message, look(message, depth, most)
        return self._messages[key][1]

    def part(self, shown: Any, room: int, depth: int) -> bytes:
        """Return what matters most of a value that does not fit, as JSON; `room` is 5 bytes at least."""
        if isinstance(shown, str):
            return _cut(shorten(shown, room), room)
        if not isinstance(shown, Children):
            return _ELLIPSIS  # half a number would be another one
        within = room - len("[]") + len(",")  # there is one less than there are parts
        if shown.total > 1 and (shown.messages or shown.total * _least(shown) > within):
            within -= len(_left_out(shown, shown.total, room)) + len(",")
        parts = (self._newest if shown.messages else self._shared)(_ordered(shown, within), within, depth + 1)
        if not parts:
            return _ELLIPSIS
        if shown.names is None:
            parts.reverse()
        if (count := shown.total - len(parts)) > 0:
            parts.insert(0 if shown.names is None else len(parts), _left_out(shown, count, room))
        return (b"[%b]" if shown.names is None else b"{%b}") % b",".join(parts)

    def _newest(self, children: Children, room: int, depth: int) -> list[bytes]:
        """Return the first messages, which are the newest: as many as fit whole, and at most one cut."""
        parts: list[bytes] = []
        for value in children.values:
            shown = self._message(value, depth, room)
            data = self.whole(shown, room - len(","), depth)
            if data is None:
                if room <= (_LEAST_ITEM if parts else len(_ELLIPSIS)):
                    break
                data = self.part(shown, room - len(","), depth)
            parts.append(data)
            room -= len(data) + len(",")
        return parts

    def _shared(self, children: Children, room: int, depth: int) -> list[bytes]:
        """Return the first parts, as many as get a fair share each, then further ones while there is room."""
        parts: list[bytes] = []
        at, end = 0, len(children.values)
        specific = sum(name in _RANKS for name in children.names or ())
        while at < end and room > (_LEAST_MEMBER if parts else len(_ELLIPSIS)):
            count = max(room // _least(children), 1)
            if at == 0 and specific and count < end:  # what these leave, the others share
                count = min(count, specific)
            next_ones = slice(at, at + count)
            names = None if children.names is None else children.names[next_ones]
            found = self._fair(names, children.values[next_ones], room, depth)
            parts += found
            room -= sum(len(data) + len(",") for data in found)
            at = next_ones.stop
        return parts

    def _fair(self, names: Sequence[str] | None, values: Sequence[Any], room: int, depth: int) -> list[bytes]:
        """Return each value in an equal share of the room; what short ones leave, the others share."""
        share = room // len(values)
        heads = [b""] * len(values) if names is None else [_head(name, share // 2) for name in names]
        shown = [look(value, depth, room) for value in values]
        found: dict[int, bytes] = {}
        waiting = list(range(len(values)))
        settled = -1
        while settled < len(found) < len(values):
            settled = len(found)
            share = room // len(waiting) - len(",")
            for at in waiting:
                data = self.whole(shown[at], share - len(heads[at]), depth)
                if data is not None:
                    found[at] = heads[at] + data
                    room -= len(found[at]) + len(",")
            waiting = [at for at in waiting if at not in found]
        for done, at in enumerate(waiting):
            share = room // (len(waiting) - done) - len(",") - len(heads[at])
            if share >= len(_ELLIPSIS):
                found[at] = heads[at] + self.part(shown[at], share, depth)
                room -= len(found[at]) + len(",")
        return [found[at] for at in sorted(found)]


def _ordered(children: Children, room: int) -> Children:
    """Return the newest items first, and of members, if not all have room, the most specific ones."""
    names, values, total, messages = children
    if names is None:
        return Children(None, values[::-1], total, messages)
    if room // _LEAST_MEMBER >= total:
        return children
    order = sorted(range(len(names)), key=lambda at: _RANKS.get(names[at], len(_RANKS)))
    return Children([names[at] for at in order], [values[at] for at in order], total)


_RANKS = {name: rank for rank, name in enumerate(_SPECIFIC)}


def _head(name: str, room: int) -> bytes:
    return _cut(name, max(room - len(":"), len(_ELLIPSIS))) + b":"


def _cut(text: str, room: int) -> bytes:
    """Return a text as JSON, cut inside its quotes."""
    text = well_formed(text[:room])
    data = orjson.dumps(text)
    if len(data) <= room:
        return data
    most = room - len("…".encode())
    ends = bisect_right(range(len(text)), most, key=lambda end: len(orjson.dumps(text[:end])))
    return orjson.dumps(text[: ends - 1] + "…")


def _least(children: Children) -> int:
    return _LEAST_ITEM if children.names is None else _LEAST_MEMBER


def _left_out(children: Children, count: int, room: int) -> bytes:
    """Return the member, or the item, that says how many others were left out."""
    if children.names is not None:
        what = "more"
    else:
        what = ("earlier message" if children.messages else "earlier item") + ("" if count == 1 else "s")
    text = f"{count:,} {what}" if room >= _ROOM_TO_COUNT else "…"
    if children.names is not None:
        return f'"…":"{text}"'.encode()
    return f'{{"…":"{text}"}}'.encode() if room >= _ROOM_TO_COUNT else _ELLIPSIS


def look(value: Any, depth: int, most: int) -> Any:
    """Return what JSON can hold of a value: a number, a text, `None`, or its `Children`. Never raises.

    It looks one level deep. Texts still have their secrets.

    Args:
        value: Anything.
        depth: How many mappings and lists it is inside of; from a limit on, it is told by its type.
        most: The room for it, in bytes: no more children are taken than could fit.
    """
    kind = type(value)
    if kind is str:
        return value if not value.startswith("data:") else _of_data(value)
    if kind is bool or value is None or kind is float or (kind is int and -_MAX_WHOLE <= value < _MAX_WHOLE):
        return value
    try:
        if kind is dict and depth < _MAX_DEPTH:
            return _mapping(value, most)
        if kind is list and depth < _MAX_DEPTH:
            return _list(value, most)
        return _look(value, depth, most)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything from any method
        return f"<{_name(kind)}>"


def _look(value: Any, depth: int, most: int) -> Any:
    match value:
        case BaseMessage() if depth < _MAX_DEPTH:
            return _of_message(value)
        case enum.Enum():
            return look(value.value, depth, most)
        case str():
            return value if type(value) is Clean else _of_data(str.__str__(value))
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
            said = str(value)
            told = f"{_name(type(value))}: {said}"
            return Clean(told) if type(said) is Clean else told
    if isinstance(value, _AS_TEXT):
        return _said(value)
    if isinstance(value, type | Runnable):
        return f"<{getattr(value, '__name__', _name(type(value)))}>"
    return _children(value, depth, most)


def _of_data(text: str) -> str:
    """Return the text; of a `data:` URL, its type and its length."""
    if text.startswith("data:") and (comma := text.find(",", 0, 256)) > 0:
        return f"{text[:comma]},…({len(text):,} characters)"
    return text


def _of_message(message: BaseMessage) -> Children:
    names, values = ["type"], [message.type]
    said = vars(message)  # not attributes: pydantic takes its time to say that a message has no tool calls
    if message.__pydantic_extra__:
        said = message.__pydantic_extra__ | said
    for name in _MESSAGE_FIELDS:
        if value := said.get(name):
            names.append(name)
            values.append(value)
    if said.get("status") == "error":
        names.append("status")
        values.append("error")
    return Children(names, values, len(names))


def _children(value: Any, depth: int, most: int) -> Any:
    kind: Any = type(value)
    if depth >= _MAX_DEPTH:
        return f"<{_name(kind)}>"
    if isinstance(value, Mapping):
        return _mapping(value, most)
    if (fields := _fields(value)) is not None:
        return _members(fields, most, len(fields))
    if isinstance(value, list | tuple):
        return _list(value, most)
    if isinstance(value, deque | range):
        return Children(None, list(islice(reversed(value), most))[::-1], len(value))
    if isinstance(value, Set | ValuesView):  # which are in no order, or cannot be read from the end
        return Children(None, list(islice(value, most)), len(value))
    # Other iterables (a generator, a query, a table) may do a lot of work to produce their items.
    if hasattr(kind, "__iter__") or (kind.__repr__, kind.__str__) == (object.__repr__, object.__str__):
        return f"<{_name(kind)}>"
    return _said(value)


def _mapping(value: Mapping[Any, Any], most: int) -> Children:
    taken = list(islice(value.items(), most // _SMALLEST_MEMBER + 1))  # at once: a thread may change it
    return _members(taken, most, len(value))


def _list(value: list[Any] | tuple[Any, ...], most: int) -> Children:
    total = len(value)
    if total == 2 and isinstance(value[0], str) and isinstance(value[1], str) and is_secret_name(value[0]):
        return Children(None, [value[0], REDACTED], 2)  # a header
    kept = value[-most:] if most > 0 else ()
    return Children(None, kept, total, messages=total > 0 and _is_message(value[-1]))


def _is_message(value: Any) -> bool:
    """Return whether this is a message of a chat: LangChain's, an API's dict, or a pair of role and text."""
    kind = type(value)
    if kind is dict:
        return "role" in value and "content" in value
    if kind is tuple:
        return len(value) == 2 and type(value[0]) is str and value[0] in _SAID_BY
    return issubclass(kind, BaseMessage)


def _fields(value: Any) -> Sequence[tuple[Any, Any]] | None:
    """Return the names and values of an object's fields, or `None` if it has none."""
    if isinstance(value, Document):
        return [("page_content", value.page_content), ("metadata", value.metadata)]
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        return None if fields is None else list(zip(fields, value, strict=True))
    if isinstance(value, BaseModel) or isinstance(getattr(type(value), "__fields__", None), dict):
        return list(dict.items(vars(value)))  # the second are models of pydantic 1
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        try:
            return [(name, getattr(value, name)) for name in names]
        except Exception:  # noqa: BLE001 - a property may raise anything; the other fields can be shown
            return [(name, _attribute(value, name)) for name in names]
    return None


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except Exception as error:  # noqa: BLE001 - shown in place of the field
        return error


def _members(members: Iterable[tuple[Any, Any]], most: int, total: int) -> Children:
    """Return members with their secrets replaced."""
    names, values, named = [], [], ""
    for key, value in members:
        name = key if type(key) is str else _key(key)
        label, secret, kind = _label(name) if len(name) <= _SHORT_NAME else _of_name(name, most)
        if kind == "name":
            named = value if type(value) is str else ""
        elif kind == "value":
            secret = is_secret_name(named)
        elif kind == "tokens":  # a counter has this name too, but it is neither a text nor a list
            secret = secret or issubclass(type(value), str | list | tuple)
        names.append(label)
        values.append(REDACTED if secret and value is not None and type(value) is not bool else value)
    return Children(names, values, total)


def _key(key: Any) -> str:
    try:
        return str.__str__(key) if isinstance(key, str) else _said(key)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything; the other members can be shown
        return f"<{_name(type(key))}>"


def _of_name(name: str, most: int) -> tuple[str, bool, str]:
    """Return a member's name as it is shown, whether its value is a secret, and what kind of name it is."""
    lower = name.lower()
    kind = "name" if lower in ("name", "key", "header") else "value" if lower == "value" else ""
    return (
        well_formed(shorten(name, most)),
        is_secret_name(name),
        "tokens" if lower.endswith("tokens") else kind,
    )


@lru_cache(maxsize=1024)  # the same few names recur
def _label(name: str) -> tuple[str, bool, str]:
    return _of_name(name, 4 * _SHORT_NAME)  # whole, and whatever redaction makes of it


def _said(value: Any) -> str:
    return str.__str__(str(value))  # not a kind of `str` with methods of its own


def _name(kind: type) -> str:
    return str(type.__dict__["__name__"].__get__(kind))  # whatever its metaclass makes of `__name__`
