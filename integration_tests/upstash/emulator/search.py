"""The SEARCH.* commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from integration_tests.upstash.emulator.filters import parse_filter
from integration_tests.upstash.emulator.index import Index
from integration_tests.upstash.emulator.resp import Connection, ReplyError
from integration_tests.upstash.emulator.schema import Arguments, Definition, Field, parse_create
from integration_tests.upstash.emulator.scoring import ScoreFunction, parse_score_function

_DEFAULT_LIMIT, _MAX_LIMIT = 10, 1000
_FETCHED_AT_ONCE = 100

Hit = tuple[bytes, float]


class Changes:
    """Which keys of a Redis have changed, whoever changed them: by keyspace notifications."""

    def __init__(self, redis_url: str) -> None:
        self._connection = Connection(redis_url)
        self._connection.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        self._channel = f"__keyspace@{self._connection.database}__:"
        self._connection.call("PSUBSCRIBE", self._channel + "*")

    def close(self) -> None:
        self._connection.close()

    def take(self) -> set[bytes]:
        """The keys changed since the last call, all of them: what came before the PING comes before its answer."""
        self._connection.send([["PING"]])
        keys: set[bytes] = set()
        while (message := self._connection.read())[0] != b"pong":
            keys.add(message[2][len(self._channel) :])
        return keys


@dataclass
class _Options:
    """What follows the filter of a SEARCH.QUERY."""

    limit: int = _DEFAULT_LIMIT
    offset: int = 0
    order_by: Field | None = None
    descending: bool = False
    select: list[Field] | None = None
    no_content: bool = False
    score_function: ScoreFunction | None = None


def _parse_options(arguments: Arguments, definition: Definition) -> _Options:
    options = _Options()
    while arguments:
        word = arguments.take("LIMIT", "OFFSET", "ORDERBY", "SELECT", "NOCONTENT", "SCOREFUNC", "HIGHLIGHT")
        if word == "LIMIT":
            options.limit = arguments.number()
            if not 1 <= options.limit <= _MAX_LIMIT:
                raise ReplyError("ERR limit should be a positive number less than 1000")
        elif word == "OFFSET":
            options.offset = arguments.number()
            if options.offset < 0:
                raise ReplyError("ERR offset should not be negative")
        elif word == "ORDERBY":
            options.order_by = definition.field(arguments.next())
            if not options.order_by.fast:
                raise ReplyError(f"ERR Field '{options.order_by.name}' must be FAST to be used in ORDERBY")
            options.descending = arguments.take("ASC", "DESC") == "DESC"
        elif word == "SELECT":
            options.select = [definition.field(name) for name in arguments.several()]
        elif word == "NOCONTENT":
            options.no_content = True
        elif word == "SCOREFUNC":
            options.score_function = parse_score_function(arguments, definition)
        else:
            raise ReplyError(
                f"ERR not emulated: {word}" if word else f"ERR syntax error near '{arguments.next()}'"
            )
    if options.score_function and options.order_by:
        raise ReplyError("ERR SCOREFUNC cannot be combined with ORDERBY")
    if options.no_content and options.select is not None:
        raise ReplyError("ERR NOCONTENT cannot be combined with SELECT")
    return options


class Search:
    """All indexes of a Redis."""

    def __init__(self, connection: Connection, redis_url: str) -> None:
        self.delay_seconds = 0.05
        self._connection = connection
        self._redis_url = redis_url
        self._changes: Changes | None = None  # only while there are indexes: they cost every writer something
        self._indexes: dict[str, Index] = {}

    def close(self) -> None:
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def clear(self) -> None:
        self._indexes.clear()
        if self._changes is not None:
            self.close()
            self._connection.call("CONFIG", "SET", "notify-keyspace-events", "")

    def note_changes(self) -> None:
        """Give each index what has changed; from now on its delay runs."""
        if self._changes is None:
            return
        due = time.monotonic() + self.delay_seconds
        keys = self._changes.take()
        for index in self._indexes.values():
            index.note(keys, due)

    def execute(self, name: str, arguments: Iterable[bytes], atomically: bool) -> Any:
        """The reply of a SEARCH.* command; `atomically` says that it is part of a script or a transaction."""
        commands: dict[str, Callable[[Arguments, bool], Any]] = {
            "SEARCH.CREATE": self._create,
            "SEARCH.DROP": self._drop,
            "SEARCH.DESCRIBE": self._describe,
            "SEARCH.LISTINDEXES": self._list,
            "SEARCH.WAITINDEXING": self._wait,
            "SEARCH.QUERY": self._query,
            "SEARCH.COUNT": self._count,
        }
        if name not in commands:
            raise ReplyError(f"ERR not emulated: '{name}'")
        self.note_changes()
        words = Arguments([argument.decode("utf-8", "replace") for argument in arguments])
        reply = commands[name](words, atomically)
        if words:
            raise ReplyError(f"ERR wrong number of arguments for '{name.lower()}' command")
        return reply

    def _create(self, arguments: Arguments, atomically: bool) -> int:
        definition, flags = parse_create(arguments)
        existing = self._indexes.get(definition.name)
        if existing is not None:
            if "EXISTSOK" not in flags:
                raise ReplyError(f"ERR Index {definition.name} already exists")
            if existing.definition != definition:
                raise ReplyError(f"ERR Index {definition.name} already exists with a different configuration")
            return 0
        self._changes = self._changes or Changes(self._redis_url)
        index = self._indexes[definition.name] = Index(definition)
        if "SKIPINITIALSCAN" not in flags:
            index.note(self._connection.call("KEYS", "*"), time.monotonic() + self.delay_seconds)
        return 1

    def _drop(self, arguments: Arguments, atomically: bool) -> int:
        return 0 if self._indexes.pop(arguments.next(), None) is None else 1

    def _describe(self, arguments: Arguments, atomically: bool) -> list[Any] | None:
        index = self._indexes.get(arguments.next())
        return None if index is None else index.definition.describe()

    def _list(self, arguments: Arguments, atomically: bool) -> list[str]:
        return sorted(self._indexes)

    def _wait(self, arguments: Arguments, atomically: bool) -> int:
        """Take in at once what would be taken in later: nobody can tell it from waiting."""
        index = self._indexes.get(arguments.next())
        if index is None:
            return 0
        index.take_in(self._connection, float("inf"))
        return 1

    def _count(self, arguments: Arguments, atomically: bool) -> int | None:
        index, text = self._indexes.get(arguments.next()), arguments.next()
        if index is None:
            return None
        index.take_in(self._connection, time.monotonic())
        return sum(1 for _ in self._living(index.search(parse_filter(index, text)), no_content=True))

    def _query(self, arguments: Arguments, atomically: bool) -> list[Any] | None:
        index, text = self._indexes.get(arguments.next()), arguments.next()
        if index is None:
            while arguments:
                arguments.next()
            return None
        options = _parse_options(arguments, index.definition)
        if atomically and not options.no_content:
            raise ReplyError("ERR Inside MULTI or EVAL, the command requires NOCONTENT")
        index.take_in(self._connection, time.monotonic())
        hits = _ordered(index, index.search(parse_filter(index, text)), options)
        page, end = [], options.offset + options.limit
        for number, (key, score, content) in enumerate(self._living(hits, options.no_content)):
            if number >= end:
                break
            if number >= options.offset:
                row = [key, str(np.float32(score))]
                page.append(row if options.no_content else [*row, _selected(content, options.select)])
        return page

    def _living(self, hits: list[Hit], no_content: bool) -> Iterator[tuple[bytes, float, Any]]:
        """The hits whose document is there now, with its content: the index may know it no longer, or not yet."""
        command = ["EXISTS"] if no_content else ["JSON.GET"]
        for start in range(0, len(hits), _FETCHED_AT_ONCE):
            some = hits[start : start + _FETCHED_AT_ONCE]
            replies = self._connection.pipeline([[*command, key] for key, _ in some])
            for (key, score), reply in zip(some, replies, strict=True):
                if reply and not isinstance(reply, ReplyError):
                    yield key, score, reply


def _ordered(index: Index, hits: list[Hit], options: _Options) -> list[Hit]:
    if options.score_function is not None:
        function = options.score_function
        scored = [(key, float(function.score(score, index.values[key]))) for key, score in hits]
        return sorted(scored, key=lambda hit: -hit[1])
    if options.order_by is None:
        return hits
    name = options.order_by.name
    having = [hit for hit in hits if name in index.values[hit[0]]]
    having.sort(key=lambda hit: index.values[hit[0]][name], reverse=options.descending)
    return having + [hit for hit in hits if name not in index.values[hit[0]]]


def _selected(content: bytes, select: list[Field] | None) -> list[list[Any]]:
    """Pairs of path and value: the whole document, or some fields (strings bare, all else as JSON)."""
    if select is None:
        return [["$", content]]
    document, pairs = json.loads(content), []
    for field in select:
        value = field.written_in(document)
        if value is not None:
            pairs.append([field.name, value if isinstance(value, str) else json.dumps(value)])
    return pairs
