"""Long-term memory's reads, as commands and the reading of their replies. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

from langchain_agentmem.core.keys import Keys, backfilling
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Argument, Command, Op, asks, call, gather, ok, reads
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch import inexact
from langchain_agentmem.longterm.redisearch.document import (
    FIELDS,
    RECALL_DIALECT,
    RECALL_FIELDS,
    SEARCH_FIELDS,
    decode,
    distance_in,
    fields_of,
    id_of,
)
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError
from langchain_agentmem.longterm.redisearch.languages import language_arguments
from langchain_agentmem.longterm.search_index import GONE, IndexKnowledge, ttl_left, with_ttl
from langchain_agentmem.longterm.types import (
    MemoryRecord,
    Scope,
    Search,
    Storage,
    UnreadableDocument,
    report_unreadable,
)

Row: TypeAlias = tuple[bytes, dict[bytes, bytes] | None]

MAX_ROWS = 1_000_000  # what a server returns at most (MAXSEARCHRESULTS); asking for more is an error
_MAX_REPEATS = 10


@dataclass(frozen=True)
class Store:
    """The place of memories on Redis: their keys, their index and their storage.

    Attributes:
        search_timeout_ms: How long a search may take. As long as the client waits for a reply: the server's
            own default of half a second would silently return what it has found until then.
        language: The language of stemming and stop words.
        tolerance: How much beyond a threshold is still within it, because distances are rounded.
        knowledge: What is known about the index.
    """

    keys: Keys
    index_name: str
    storage: Storage
    search_timeout_ms: int
    tolerance: float
    language: str = "english"
    knowledge: IndexKnowledge = field(default_factory=IndexKnowledge, compare=False)

    def search(self, query: str, *arguments: Argument) -> Command:
        """Return a search for whole documents, except their embeddings."""
        return asks("FT.SEARCH", self.index_name, query, *arguments, *self._returning())

    def nearest(self, condition: str, vector: bytes, k: int) -> Command:
        """Return a search for the k documents nearest to a vector, nearest first, with their `distance`.

        Args:
            condition: The search condition they have to meet.
            vector: The vector, in the index's number format.
            k: How many at most.
        """
        return asks(
            *("FT.SEARCH", self.index_name, f"{condition}=>[KNN $k @embedding $vector AS distance]"),
            *("PARAMS", 4, "k", k, "vector", vector, "SORTBY", "distance", "LIMIT", 0, min(k, MAX_ROWS)),
            *self._returning_distance,
        )

    def recalling(self, condition: str, vector: bytes, k: int) -> Command:
        """Return the search for candidates near to a vector, as `nearest`."""
        return asks(
            *("FT.SEARCH", self.index_name, f"{condition}=>[KNN $k @embedding $vector AS distance]"),
            *("PARAMS", 4, "k", k, "vector", vector, "SORTBY", "distance", "LIMIT", 0, min(k, MAX_ROWS)),
            *self._recalling("distance"),
        )

    def recalling_words(self, query: str, parameters: Sequence[Argument], k: int) -> Command:
        """Return the search for candidates by words, best first.

        Args:
            query: The search condition.
            parameters: Its parameters: a name, a value; a name, a value; …
            k: How many at most.
        """
        return asks(
            *("FT.SEARCH", self.index_name, query, *language_arguments(self.language)),
            *("SCORER", "BM25STD", "LIMIT", 0, min(k, MAX_ROWS), "PARAMS", len(parameters), *parameters),
            *self._recalling(),
        )

    def count(self, condition: str) -> Command:
        """Return the search that only counts."""
        tail = ("LIMIT", 0, 0, "TIMEOUT", self.search_timeout_ms, "DIALECT", 2)
        return asks("FT.SEARCH", self.index_name, condition, *tail)

    def _recalling(self, *more: str) -> tuple[Argument, ...]:
        fields = (*RECALL_FIELDS[self.storage], *more)
        dialect = RECALL_DIALECT[self.storage]
        return ("RETURN", len(fields), *fields, "TIMEOUT", self.search_timeout_ms, "DIALECT", dialect)

    @cached_property
    def is_backfilling(self) -> Command:
        """Return the command that asks whether the index does not hold every document yet."""
        return reads("EXISTS", backfilling(self.index_name))

    @cached_property
    def _returning_distance(self) -> tuple[Argument, ...]:
        return self._returning("distance")

    def _returning(self, *more: str) -> tuple[Argument, ...]:
        fields = (*SEARCH_FIELDS[self.storage], *more)
        return ("RETURN", len(fields), *fields, "TIMEOUT", self.search_timeout_ms, "DIALECT", 2)


def nearest(store: Store, search: Search, vector: bytes) -> Op[list[MemoryRecord]]:
    """Return the k nearest memories of a scope, nearest first, except those beyond the threshold.

    One round trip; more if some of the nearest have expired or cannot be read.

    Args:
        store: Where they are.
        search: What to recall.
        vector: The vector they are near to, of length one, in the index's number format.
    """
    from langchain_agentmem.longterm.results import by_distance, how_many, how_many_near  # loads numpy

    where = search.condition or condition(search.scope)

    def nearest_to(k: int) -> Command:
        return store.nearest(where, vector, k)

    found = yield from _readable(store, nearest_to, how_many_near(search), search.scope)
    most = (2.0 if search.distance_threshold is None else search.distance_threshold) + store.tolerance
    now = time.time()
    near = [
        by_distance(record, search, now)
        for record in sorted(found, key=attrgetter("distance"))
        if record.distance is not None and record.distance <= most
    ]
    return sorted(near, key=attrgetter("score"), reverse=True)[: how_many(search)]


def recent(
    store: Store, scope: Scope, limit: int, *, include_superseded: bool = False
) -> Op[list[MemoryRecord]]:
    """Return the newest memories of a scope, newest first, with the TTL they have left. Two round trips.

    More if some of the newest have expired, cannot be read, or are superseded.

    Args:
        store: Where they are.
        scope: Whose, in which namespace, of which kind.
        limit: How many at most.
        include_superseded: Whether those that another one has replaced are among them.
    """
    listed = yield from _newest(store, condition(scope), limit, scope, include_superseded)
    return (yield from with_ttl(listed, [store.keys.memory(record.id) for record in listed]))


def newest(store: Store, search: Search) -> Op[list[MemoryRecord]]:
    """Return the newest memories that a search is about, newest first. One round trip, as `recent`."""
    from langchain_agentmem.longterm.results import how_many  # loads numpy

    where = search.condition or condition(search.scope)
    return (yield from _newest(store, where, how_many(search), search.scope))


def _newest(
    store: Store, where: str, limit: int, scope: Scope, include_superseded: bool = False
) -> Op[list[MemoryRecord]]:
    def search(count: int) -> Command:
        return store.search(where, "SORTBY", "created_ts", "DESC", "LIMIT", 0, min(count, MAX_ROWS))

    return (yield from _readable(store, search, limit, scope, include_superseded))


def get(store: Store, ids: list[str], scope: Scope) -> Op[list[MemoryRecord | None]]:
    """Return memories by id, `None` for each that is missing or in another scope. One round trip.

    Args:
        store: Where they are.
        ids: Their ids.
        scope: Whose, in which namespace, of which kind they have to be.

    Raises:
        StoreError: A document is no memory.
        WrongKeyTypeError: A key holds something else.
    """
    keys = [store.keys.memory(one) for one in ids]
    replies = yield [command for key in keys for command in (read(store, key), reads("TTL", key))]
    return [
        _record(store, key, ok(document), ok(ttl), scope)
        for key, document, ttl in zip(keys, replies[::2], replies[1::2], strict=True)
    ]


def read(store: Store, key: str | bytes) -> Command:
    """Return the command that reads a memory without its embedding."""
    if store.storage == "hash":
        return reads("HMGET", key, *FIELDS)
    return reads("JSON.GET", key, *(f"$.{name}" for name in FIELDS))


def _record(store: Store, key: str, document: object, ttl: int, scope: Scope) -> MemoryRecord | None:
    try:
        fields = fields_of(document)
        if ttl == GONE or (not fields and document is None):
            return None
        record = decode(id_of(key.encode(), store.keys.memory_prefix), fields, ttl_seconds=ttl_left(ttl))
    except UnreadableDocument as error:
        raise StoreError(f"The document at {key!r} is no memory: {error}.") from error
    return record if record in scope else None


def _readable(
    store: Store,
    search: Callable[[int], Command],
    count: int,
    scope: Scope,
    include_superseded: bool = False,
) -> Op[list[MemoryRecord]]:
    """Return the first so many memories of a scope that a search finds; undecodable rows do not count.

    Nor do rows of another scope: the index splits at commas, and trims, what other programs wrote, and so
    may find them. Nor, unless they are asked for, do those that are superseded.
    """
    asked = count
    for _ in range(_MAX_REPEATS):
        found = yield from alive(store, search(asked), scope)
        readable = [
            record
            for record in _decoded(store, found, scope)
            if include_superseded or record.superseded_by is None
        ]
        lost = len(found) - len(readable)
        if not lost or len(readable) >= count or len(found) < asked:
            break
        asked = count + 2 * lost
    return readable[:count]


def alive(store: Store, search: Command, scope: Scope) -> Op[list[Row]]:
    """Search until no row is of an expired document: expired documents still fill top-k slots.

    The index names them until they are touched.

    Args:
        store: Where they are.
        search: The search, by the condition of the scope.
        scope: Whose documents, in which namespace, of which kind.

    Raises:
        IndexBackfillingError: The index does not hold every document yet.
        InexactIndexError: It may miss documents of the scope.
    """
    ((_, found),) = yield from searched(store, [search], scope)
    return found


def searched(store: Store, searches: Sequence[Command], scope: Scope) -> Op[list[tuple[int, list[Row]]]]:
    """Return how many documents each search matches, and its rows, as `alive` does; all in one round trip.

    Two more if the index does not tell all scopes apart, and has found documents of others.

    Args:
        store: Where they are.
        searches: The searches, by the condition of the scope.
        scope: Whose documents, in which namespace, of which kind.

    Raises:
        IndexBackfillingError: The index does not hold every document yet.
        InexactIndexError: It may miss documents of the scope.
    """
    if store.knowledge.exact:
        return (yield from _searched(store, searches))
    inexact.check_scope(store.index_name, scope)
    where = condition(scope)
    own = call(inexact.count_own(store.index_name, where, scope, store.search_timeout_ms))
    found, reply = yield from gather([_searched(store, [store.count(where), *searches]), own])
    results: list[tuple[int, list[Row]]]
    (matched, _), *results = ok(found)
    if matched == inexact.counted(ok(reply)):
        return results
    listing = inexact.list_owners(store.index_name, where, MAX_ROWS, store.search_timeout_ms)
    ((_, rows),) = yield from _searched(store, [listing])
    keys = [key for key, fields in rows if inexact.is_own(fields, scope)]
    if not keys:
        return [(0, [])] * len(searches)
    return (yield from _searched(store, [inexact.among(search, keys) for search in searches]))


def _searched(store: Store, searches: Sequence[Command]) -> Op[list[tuple[int, list[Row]]]]:
    incomplete, *replies = yield [store.is_backfilling, *searches]
    if ok(incomplete):
        raise IndexBackfillingError("The search index does not hold every memory yet.")
    found = [_counted(ok(reply)) for reply in replies]
    for _ in range(_MAX_REPEATS):
        expired = {key for _, rows in found for key, fields in rows if fields is None}
        if not expired:
            break
        replies = (yield [*(reads("EXISTS", key) for key in expired), *searches])[len(expired) :]
        found = [_counted(ok(reply)) for reply in replies]
    return found


def _counted(reply: Any) -> tuple[int, list[Row]]:
    return (reply[b"total_results"] if isinstance(reply, dict) else reply[0]), _rows(reply)


def found_by(store: Store, reply: Any, scope: Scope) -> list[MemoryRecord]:
    """Return the memories of a scope in the reply to a search."""
    return _decoded(store, _rows(reply), scope)


def _rows(reply: Any) -> list[Row]:
    """Return the rows of an `FT.SEARCH`, of either protocol; the fields of an expired document are `None`."""
    if isinstance(reply, dict):
        return [(row[b"id"], _fields(row.get(b"extra_attributes"))) for row in reply[b"results"]]
    return [(reply[at], _fields(reply[at + 1])) for at in range(1, len(reply), 2)]


def row_keys(reply: Any) -> list[bytes]:
    """Return the keys in the reply to an `FT.SEARCH … NOCONTENT`."""
    if isinstance(reply, dict):
        return [row[b"id"] for row in reply[b"results"]]
    return list(reply[1:])


def _fields(reply: Any) -> dict[bytes, bytes] | None:
    if reply is None:
        return None
    members = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    if None in members.values():  # null, in JSON
        return {name: value for name, value in members.items() if value is not None}
    return members


def _decoded(store: Store, found: list[Row], scope: Scope) -> list[MemoryRecord]:
    """Return the memories of a scope in rows of a search; rows that hold no memory are reported."""
    memories: list[MemoryRecord] = []
    prefix = store.keys.memory_prefix
    for key, fields in found:
        if fields is None:
            continue
        try:
            record = decode(id_of(key, prefix), fields, distance=distance_in(fields))
        except UnreadableDocument as error:
            report_unreadable(key, error)
        else:
            if record in scope:
                memories.append(record)
    return memories
