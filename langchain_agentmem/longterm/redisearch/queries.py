"""Long-term memory's reads and deletions, as commands and the reading of their answers. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, TypeAlias

from langchain_agentmem.core.keys import Keys, filling
from langchain_agentmem.core.operations import Argument, Command, Op, asks, ok, pairs, reads, text
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch.document import FIELDS, SEARCH_FIELDS, decode, fields_of_json
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexFillingError
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
FORGET = load(__package__, "forget")


@dataclass(frozen=True, slots=True)
class Store:
    """Where the memories are: their keys, their index and their storage.

    Attributes:
        search_timeout_ms: How long a search may take. As long as the client waits for an answer: the server's
            own default of half a second would silently answer with what it has found until then.
        tolerance: How much beyond a threshold is still within it, because distances are rounded.
    """

    keys: Keys
    index_name: str
    storage: Storage
    search_timeout_ms: int
    tolerance: float

    def search(self, query: str, *arguments: Argument, also: tuple[str, ...] = ()) -> Command:
        """A search that brings everything but the embedding, and what `also` names."""
        fields = (*SEARCH_FIELDS[self.storage], *also)
        return asks(
            *("FT.SEARCH", self.index_name, query, *arguments, "RETURN", len(fields), *fields),
            *("TIMEOUT", self.search_timeout_ms, "DIALECT", 2),
        )

    def nearest(self, condition: str, vector: bytes, k: int) -> Command:
        """A search for the k nearest, nearest first."""
        return self.search(
            f"{condition}=>[KNN $k @embedding $vector AS distance]",
            *("PARAMS", 4, "k", k, "vector", vector, "SORTBY", "distance", "LIMIT", 0, min(k, MAX_ROWS)),
            also=("distance",),
        )


def recall(store: Store, search: Search, vector: bytes) -> Op[list[MemoryRecord]]:
    """The k nearest memories of a scope, nearest first; those beyond the threshold are left out.

    One round trip; more if some of the nearest had expired or cannot be read.
    """

    def nearest(k: int) -> Command:
        return store.nearest(search.condition, vector, k)

    found = yield from _readable(store, nearest, search.k, search.scope)
    most = (2.0 if search.distance_threshold is None else search.distance_threshold) + store.tolerance
    near = [
        (distance, record)
        for record in found
        if (distance := record.distance) is not None and distance <= most
    ]
    return [record for _, record in sorted(near, key=itemgetter(0))]


def recent(store: Store, scope: Scope, limit: int) -> Op[list[MemoryRecord]]:
    """The newest memories of a scope, newest first, with what they have left to live. Two round trips."""

    def newest(count: int) -> Command:
        return store.search(
            condition(scope), "SORTBY", "created_ts", "DESC", "LIMIT", 0, min(count, MAX_ROWS)
        )

    listed = yield from _readable(store, newest, limit, scope)
    if not listed:
        return []
    lives = yield [reads("TTL", store.keys.memory(record.id)) for record in listed]
    return [
        replace(record, ttl_seconds=_life(life))
        for record, life in zip(listed, map(ok, lives), strict=True)
        if life != -2  # gone meanwhile
    ]


def get(store: Store, ids: list[str], scope: Scope) -> Op[list[MemoryRecord | None]]:
    """Memories by id, `None` for each that is not there or in another scope. One round trip.

    Raises:
        StoreError: A document is no memory.
        WrongKeyTypeError: A key holds something else.
    """
    keys = [store.keys.memory(one) for one in ids]
    replies = yield [command for key in keys for command in (read(store, key), reads("TTL", key))]
    return [
        _record(store, key, ok(document), ok(life), scope)
        for key, document, life in zip(keys, replies[::2], replies[1::2], strict=True)
    ]


def read(store: Store, key: str | bytes) -> Command:
    """The command that reads a memory without its embedding."""
    if store.storage == "hash":
        return reads("HMGET", key, *FIELDS)
    return reads("JSON.GET", key, *(f"$.{name}" for name in FIELDS))


def _record(store: Store, key: str, document: object, life: int, scope: Scope) -> MemoryRecord | None:
    try:
        fields = fields_of(document)
        if life == -2 or (not fields and document is None):
            return None
        record = decode(memory_id(key.encode(), store.keys.memory_prefix), fields, ttl_seconds=_life(life))
    except UnreadableDocument as error:
        raise StoreError(f"The document at {key!r} is no memory: {error}.") from error
    return record if record in scope else None


def fields_of(document: object) -> dict[bytes, bytes]:
    """The fields in the answer to `read`; none if there is no document.

    Raises:
        UnreadableDocument: A member is of a type that no memory has.
    """
    if isinstance(document, list):
        found = zip(FIELDS, document, strict=True)
        return {name.encode(): value for name, value in found if value is not None}
    return fields_of_json(document) if isinstance(document, bytes) else {}


def _life(ttl: int) -> int | None:
    return ttl if ttl >= 0 else None


def delete(store: Store, ids: list[str], scope: Scope) -> Op[int]:
    """Delete memories by id, those in the scope only. One round trip; the number of deleted ones."""
    tags = scope.tags()
    replies = yield [FORGET.call([store.keys.memory(one)], store.storage, *tags) for one in ids]
    return sum(int(ok(reply)) for reply in replies)


def _readable(
    store: Store, search: Callable[[int], Command], count: int, scope: Scope
) -> Op[list[MemoryRecord]]:
    """The first so many rows of a search that are memories of the scope: others take no place of theirs.

    The index splits at commas, and trims, what other programs wrote, and so may find them in another scope.
    """
    asked = count
    for _ in range(_MAX_REPEATS):
        found = yield from alive(search(asked))
        readable = [record for record in records(found, store.keys.memory_prefix) if record in scope]
        lost = len(found) - len(readable)
        if not lost or len(readable) >= count or len(found) < asked:
            break
        asked = count + 2 * lost
    return readable[:count]


def alive(search: Command) -> Op[list[Row]]:
    """Search until every row is a document that still lives.

    The index names an expired document until it is touched, and it takes the place of one that lives.

    Raises:
        IndexFillingError: The index does not hold every document yet.
    """
    being_filled, reply = yield [reads("EXISTS", filling(str(search.args[1]))), search]
    if ok(being_filled):
        raise IndexFillingError("The search index does not hold every memory yet.")
    found = rows(ok(reply))
    for _ in range(_MAX_REPEATS):
        expired = [key for key, fields in found if fields is None]
        if not expired:
            break
        *_, reply = yield [*(reads("EXISTS", key) for key in expired), search]
        found = rows(ok(reply))
    return found


def rows(reply: Any) -> list[Row]:
    """The rows of an `FT.SEARCH`, from either protocol; the fields of an expired document are `None`."""
    if isinstance(reply, dict):
        return [(row[b"id"], _fields(row.get(b"extra_attributes"))) for row in reply[b"results"]]
    return [(reply[at], _fields(reply[at + 1])) for at in range(1, len(reply), 2)]


def row_keys(reply: Any) -> list[bytes]:
    """The keys in the answer of an `FT.SEARCH … NOCONTENT`."""
    if isinstance(reply, dict):
        return [row[b"id"] for row in reply[b"results"]]
    return list(reply[1:])


def _fields(reply: Any) -> dict[bytes, bytes] | None:
    return None if reply is None else dict(pairs(reply))


def memory_id(key: bytes, prefix: str) -> str:
    """The id in a memory's key."""
    return text(key)[len(prefix) :]


def records(found: list[Row], prefix: str) -> Iterator[MemoryRecord]:
    """The memories in rows of a search; rows that hold none are reported, and left out."""
    for key, fields in found:
        if fields is None:
            continue
        distance = fields.get(b"distance")
        try:
            yield decode(
                memory_id(key, prefix),
                fields,
                # Rounding takes the distance of equal vectors a little below zero at times.
                distance=None if distance is None else max(float(distance), 0.0),
            )
        except UnreadableDocument as error:
            report_unreadable(key, error)
