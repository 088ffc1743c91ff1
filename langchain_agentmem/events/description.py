"""Turns what callbacks are given (messages, documents, dicts, anything) into a short text without secrets.

What fits is kept whole. Where a value does not fit, its parts share the room, and each of them in turn
is kept whole or shares what it was given.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import orjson

from langchain_agentmem.events.event import cut, well_formed
from langchain_agentmem.events.introspection import Children, look
from langchain_agentmem.events.redaction import redact, shorten, shorten_to_end

_ELLIPSIS = '"…"'.encode()  # stands for what has no room; the least room that any value needs
_LEAST_MEMBER = 24  # bytes; with less, a member of a mapping would hardly say more than its name
_LEAST_ITEM = 100  # bytes; with less, a message is left out rather than cut, and so is another long item
_ROOM_TO_COUNT = 100  # bytes; with less, what is left out is not counted


def describe(value: Any, max_bytes: int) -> str:
    """Return the value as text or compact JSON, in at most `max_bytes` bytes of UTF-8.

    What fits is whole. Of a list of chat messages that does not, the newest are kept; of a mapping and of
    other lists, all have a fair share; a long text ends with `…`, and a member `…` says how many were left
    out. The result is JSON nevertheless (from 5 bytes on). Only what is told as a text, such as a string
    or an exception, is that text, as far as it fits.

    Secrets are taken out before anything is cut. Only as much of the value is looked at as is needed, so a
    value of megabytes costs no more than one of kilobytes. Never raises.
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
    """Return the end of a text like `describe`: of a prompt, where what is asked stands last."""
    data = well_formed(shorten_to_end(str.__str__(text), max_bytes)).encode()
    if len(data) <= max_bytes:
        return data.decode()
    mark = "…" if max_bytes >= 3 else ""
    return mark + data[len(data) - max_bytes + len(mark.encode()) :].decode("utf-8", "ignore")


class _TooLongError(Exception):
    """A value takes more room than there is."""


class _Fitting:
    """Fits a value into bytes of JSON. `shown` is what a look at a value gave, `depth` where it stands."""

    def __init__(self) -> None:
        self._left = 0
        self._redacted: dict[str, str] = {}  # a text comes again when what holds it did not fit

    def whole(self, shown: Any, room: int, depth: int) -> bytes | None:
        """Return everything of a value, or `None` if there is not enough room."""
        self._left = room
        try:
            data = orjson.dumps(self._tree(shown, depth))
        except _TooLongError:
            return None
        return data if len(data) <= room else None

    def _tree(self, shown: Any, depth: int) -> Any:
        if isinstance(shown, str):
            self._take(len(shown) + 2)
            if (text := self._redacted.get(shown)) is None:
                text = self._redacted[shown] = well_formed(redact(shown))
            return text
        if not isinstance(shown, Children):
            self._take(1)
            return shown
        self._take(max(shown.total, len(shown.values)))  # a byte each at least
        if shown.names is not None:
            tree = {}
            for name, value in zip(shown.names, shown.values, strict=True):
                self._take(len(name))
                tree[name] = self._tree(look(value, depth + 1, self._left), depth + 1)
            return tree
        # The newest of messages first, as they are looked at again if they do not fit.
        order = reversed(shown.values) if shown.messages else shown.values
        found = [self._tree(look(value, depth + 1, self._left), depth + 1) for value in order]
        return found[::-1] if shown.messages else found

    def _take(self, room: int) -> None:
        self._left -= room
        if self._left < 0:
            raise _TooLongError

    def part(self, shown: Any, room: int, depth: int) -> bytes:
        """Return what matters most of a value that does not fit; 5 bytes are the least."""
        if isinstance(shown, str):
            return _cut(shorten(shown, room), room)
        if not isinstance(shown, Children):
            return _ELLIPSIS  # half a number would be another one
        within = room - len("[]") + len(",")  # there is one less than there are parts
        if shown.total > 1 and (shown.messages or shown.total * _least(shown) > within):
            within -= len(_left_out(shown, shown.total, room)) + len(",")
        parts = (self._newest if shown.messages else self._shared)(shown, within, depth + 1)
        if not parts:
            return _ELLIPSIS
        if (count := shown.total - len(parts)) > 0:
            parts.insert(0 if shown.messages else len(parts), _left_out(shown, count, room))
        return (b"[%b]" if shown.names is None else b"{%b}") % b",".join(parts)

    def _newest(self, children: Children, room: int, depth: int) -> list[bytes]:
        """Return the newest messages, in their order: whole as far as they fit, and one cut."""
        parts: list[bytes] = []
        for value in reversed(children.values):
            shown = look(value, depth, room)
            data = self.whole(shown, room - len(","), depth)
            if data is None:
                if room <= (_LEAST_ITEM if parts else len(_ELLIPSIS)):
                    break
                data = self.part(shown, room - len(","), depth)
            parts.append(data)
            room -= len(data) + len(",")
        return parts[::-1]

    def _shared(self, children: Children, room: int, depth: int) -> list[bytes]:
        """Return as many of the first as can have a share each, then further ones while room is left."""
        parts: list[bytes] = []
        at, end = 0, len(children.values)
        while at < end and room > (_LEAST_MEMBER if parts else len(_ELLIPSIS)):
            next_ones = slice(at, at + max(room // _least(children), 1))
            names = None if children.names is None else children.names[next_ones]
            found = self._fair(names, children.values[next_ones], room, depth)
            parts += found
            room -= sum(len(data) + len(",") for data in found)
            at = next_ones.stop
        return parts

    def _fair(self, names: Sequence[str] | None, values: Sequence[Any], room: int, depth: int) -> list[bytes]:
        """Return each with an equal share of the room; what some leave of theirs, the others share."""
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
    """Return the member, or the item, that says how many are missing."""
    what = "more" if not children.messages else "earlier message" if count == 1 else "earlier messages"
    text = f"{count:,} {what}" if room >= _ROOM_TO_COUNT else "…"
    if children.names is not None:
        return f'"…":"{text}"'.encode()
    return f'{{"…":"{text}"}}'.encode() if room >= _ROOM_TO_COUNT else _ELLIPSIS
