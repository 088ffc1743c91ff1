"""Long-term memory's reads and deletions on Upstash, as commands and the reading of answers. No I/O."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, asks, call, ok, reads, text
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.types import MemoryRecord, Scope, Search, UnreadableDocument
from langchain_agentmem.longterm.upstash.document import (
    decode,
    document_of,
    records,
    user_prefix,
)
from langchain_agentmem.longterm.upstash.index import UpstashIndex

PAGE = 1000  # what a query returns at most
MAX_LISTED = 11_000  # a page, behind the largest offset
_FORGET = load(__package__, "forget")
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class UpstashStore:
    """Where the memories are, and how they are ranked.

    Attributes:
        index: Their search index.
        dedup_score: Above this score a memory is known already; `None` if only by its text.
        recency_per_day: What a day of age costs a memory's score.
    """

    index: UpstashIndex
    dedup_score: float | None
    recency_per_day: float

    @property
    def prefix(self) -> str:
        """What stands before the id in a key."""
        return self.index.prefix

    def query(self, condition: str, *arguments: Argument) -> Command:
        """A search."""
        return asks("SEARCH.QUERY", self.index.name, condition, *arguments)


def condition(scope: Scope, query: str | None = None, narrowed: dict[str, Any] | None = None) -> str:
    """The filter of a search inside a user's memories. Every value is a JSON string, never parsed.

    Raises:
        TypeError, ValueError: The narrowing filter is no JSON.
    """
    members: dict[str, Any] = {} if query is None else {"text": {"$smart": query}}
    members["userId"] = {"$eq": scope.user}
    if scope.kind is not None:
        members["kind"] = {"$eq": scope.kind}
    whole = {"$must": [members, narrowed]} if narrowed else members
    written = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    written.encode()  # lone surrogates are a ValueError too
    return written


def recall(store: UpstashStore, search: Search, query: str) -> Op[list[MemoryRecord]]:
    """The memories of a scope that match best, best first. One round trip.

    The score is the relevance less what the age costs: the server adds what the creation time is worth,
    and what the present is worth is taken off here.
    """
    per_ms = store.recency_per_day / _DAY_MS
    recency: tuple[Argument, ...] = ()
    if per_ms:
        # Upstash's documentation names two different defaults of SCOREMODE, so it is always sent.
        recency = ("SCOREFUNC", "SCOREMODE", "SUM", "FIELDVALUE", "createdAt", "FACTOR", f"{per_ms:.25f}")
    now = time.time() * 1000
    filter = condition(search.scope, query, search.narrowed)
    rows = yield from _rows(store, store.query(filter, "LIMIT", search.k, *recency))
    return [record for record in records(rows, store.prefix, less=now * per_ms) if record in search.scope]


def recent(store: UpstashStore, scope: Scope, limit: int) -> Op[list[MemoryRecord]]:
    """The newest memories of a scope, newest first, with what they have left to live.

    Two round trips, and one more a thousand memories.
    """
    listed = yield from _newest(store, scope, limit)
    if not listed:
        return []
    lives = yield [reads("TTL", store.prefix + record.id) for record in listed]
    return [
        replace(record, ttl_seconds=_life(life))
        for record, life in zip(listed, map(ok, lives), strict=True)
        if life != -2  # gone meanwhile
    ]


def _newest(store: UpstashStore, scope: Scope, limit: int) -> Op[list[MemoryRecord]]:
    try:
        rows = yield from _pages(store, scope, limit, "ORDERBY", "createdAt", "DESC")
    except StoreError as error:
        if type(error) is not StoreError or store.index.sorts:
            raise
        rows = yield from _pages(store, scope, MAX_LISTED)  # an index that cannot sort
    found = [replace(one, score=None) for one in records(rows, store.prefix) if one in scope]
    return sorted(found, key=lambda record: record.created_ts, reverse=True)[:limit]


def _pages(store: UpstashStore, scope: Scope, limit: int, *order: Argument) -> Op[list[Any]]:
    rows: list[Any] = []
    while len(rows) < limit:
        size = min(limit - len(rows), PAGE)
        paged = store.query(condition(scope), "LIMIT", size, "OFFSET", len(rows), *order)
        page = yield from _rows(store, paged)
        rows += page
        if len(page) < size:
            break
    return rows


def _rows(store: UpstashStore, query: Command) -> Op[list[Any]]:
    """What a query finds; nothing if there is no index, which is then made for the next time."""
    (reply,) = yield [query]
    if isinstance(reply, Exception):
        yield from store.index.explain(reply)
    if reply is None:
        yield from store.index.ensure()
        return []
    return list(ok(reply))


def get(store: UpstashStore, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
    """A memory by its id, if it is there and the user's. One round trip.

    Raises:
        StoreError: The document is no memory.
        WrongKeyTypeError: The key holds something else.
    """
    key = store.prefix + memory_id
    document, life = yield [reads("JSON.GET", key, "$"), reads("TTL", key)]
    if ok(document) is None or ok(life) == -2:
        return None
    try:
        record = decode(memory_id, document_of(document), ttl_seconds=_life(life))
    except UnreadableDocument as error:
        raise StoreError(f"The document at {key!r} is no memory: {error}.") from error
    return record if user in (None, record.user) else None


def _life(ttl: int) -> int | None:
    return ttl if ttl >= 0 else None


def delete(store: UpstashStore, memory_id: str, user: str | None) -> Op[bool]:
    """Delete a memory by its id, if it is the user's. One round trip; whether it was there."""
    return int((yield from call(_FORGET.call([store.prefix + memory_id], user or "", "")))) == 1


def clear(store: UpstashStore, user: str | None, kind: str | None) -> Op[Removed]:
    """Delete memories, indexed or not; return how many.

    A round trip a page of about 1,000 keys of the whole database, and one if there is something on it.
    """
    removed = Removed()

    def delete_page(keys: list[bytes]) -> Op[bool]:
        removed.count += int((yield from call(_FORGET.call(keys, user or "", kind or ""))))
        return False

    # Of whatever type: servers name the type of a JSON document differently.
    yield from scan(store.prefix if user is None else user_prefix(store.prefix, user), None, delete_page)
    return removed


def ids(store: UpstashStore, user: str | None) -> Op[list[str]]:
    """Return the ids of a user's memories, or of everybody's, indexed or not.

    Ids of users of longer names may be among a user's.

    One round trip per page of about 1,000 keys of the whole database.
    """
    prefix = store.prefix if user is None else user_prefix(store.prefix, user)
    found = yield from keys_under(prefix, None)
    return [text(key)[len(store.prefix) :] for key in found]
