"""Lists and counts of a user's memories, as commands and the reading of their replies. No I/O.

The server finds the keys of a page: it leaves out what is superseded or has expired, and sorts and pages the
rest, so that pages fit together. Then the page is read.
"""

from __future__ import annotations

from dataclasses import replace

from langchain_agentmem.core.operations import Argument, Command, Op, ok, reads
from langchain_agentmem.longterm.contained import ContainedWords
from langchain_agentmem.longterm.redisearch import inexact
from langchain_agentmem.longterm.redisearch.document import embedding_of, id_of
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError
from langchain_agentmem.longterm.redisearch.queries import MAX_ROWS, Store, read, record_at
from langchain_agentmem.longterm.types import (
    Listing,
    MemoryRecord,
    Scope,
    Sort,
    UnreadableDocument,
    report_unreadable,
)

_MAX_REPEATS = 10
_MAX_NARROWING = 8  # words that the server compares; the rest is compared here anyway
# Memories of the same time by their keys: a server may order them in another way each time.
_ORDER: dict[Sort, tuple[str, ...]] = {
    "newest": ("@created_ts", "DESC", "@__key", "ASC"),
    "oldest": ("@created_ts", "ASC", "@__key", "ASC"),
    "most_seen": ("@seen", "DESC", "@created_ts", "DESC", "@__key", "ASC"),
}


def listed(store: Store, listing: Listing) -> Op[list[MemoryRecord]]:
    """Return a page of memories with the TTL they have left. Two round trips.

    More if documents on it expire meanwhile, or are no memories: others take their places.

    Raises:
        IndexBackfillingError: The index does not hold every document yet.
        InexactIndexError: It may miss documents of the scope.
    """
    asked = listing.limit
    found: list[MemoryRecord] = []
    for _ in range(_MAX_REPEATS):
        keys = yield from _keys(store, listing, asked)
        found = yield from _read(store, listing, keys)
        lost = len(keys) - len(found)
        if not lost or len(found) >= listing.limit or len(keys) < asked:
            break
        asked = listing.limit + 2 * lost
    return found[: listing.limit]


def count(store: Store, listing: Listing) -> Op[int]:
    """Return how many memories there are to list. One round trip.

    Raises:
        IndexBackfillingError: The index does not hold every document yet.
        InexactIndexError: It may miss documents of the scope.
    """
    steps = _left(store, listing)
    if listing.contained is None:
        return inexact.counted((yield from _aggregated(store, listing, *steps, *inexact.COUNTED)))
    reply = yield from _aggregated(store, listing, *steps, "LIMIT", 0, MAX_ROWS)
    return len(_containing(listing.contained, reply))


def links(store: Store, scope: Scope) -> Op[dict[str, str]]:
    """Return which memory superseded each superseded one of a scope, by ids. One round trip.

    Raises:
        IndexBackfillingError: The index does not hold every document yet.
        InexactIndexError: It may miss documents of the scope.
    """
    steps = (*_load(store, "__key", "superseded_by"), "FILTER", "exists(@superseded_by)")
    reply = yield from _aggregated(store, Listing(scope), *steps, "LIMIT", 0, MAX_ROWS)
    rows = inexact.aggregated(reply)
    prefix = store.keys.memory_prefix
    return {id_of(row[b"__key"], prefix): row[b"superseded_by"].decode() for row in rows}


def _keys(store: Store, listing: Listing, limit: int) -> Op[list[bytes]]:
    """Return the keys of a page, in their order. One round trip."""
    if listing.offset >= MAX_ROWS:
        return []
    order = _ORDER[listing.sort]
    steps = [*_left(store, listing), *_seen(store, listing.sort), "SORTBY", len(order), *order]
    if listing.contained is None:
        page = ("LIMIT", listing.offset, min(limit, MAX_ROWS - listing.offset))
        reply = yield from _aggregated(store, listing, *steps, *page)
        return [row[b"__key"] for row in inexact.aggregated(reply)]
    reply = yield from _aggregated(store, listing, *steps, "LIMIT", 0, MAX_ROWS)
    return _containing(listing.contained, reply)[listing.offset :][:limit]


def _aggregated(store: Store, listing: Listing, *steps: Argument) -> Op[object]:
    own: tuple[Argument, ...] = ()
    if not store.knowledge.exact:
        inexact.check_scope(store.index_name, listing.scope)
        own = inexact.only_own(listing.scope)
    command: Command = store.aggregate(condition(listing.scope), *own, *steps)
    incomplete, (reply,), _ = yield from store.ask([command])
    if incomplete:
        raise IndexBackfillingError("The search index does not hold every memory yet.")
    return ok(reply)


def _left(store: Store, listing: Listing) -> tuple[Argument, ...]:
    """Return the steps that leave the memories to list, with their keys, and their texts if they have words.

    What has expired has no user, and what is superseded has its text in another member.
    """
    left = "exists(@user)" if listing.include_superseded else "exists(@user) && !exists(@superseded_by)"
    steps = (*_load(store, "__key", "user", "superseded_by"), "FILTER", left)
    if listing.contained is None:
        return steps
    names = ("text", "past") if listing.include_superseded else ("text",)
    words = sorted(listing.contained.ascii, key=len)[-_MAX_NARROWING:]
    have = [
        " && ".join([f"exists(@{name})", *(f"contains(lower(@{name}), '{word}')" for word in words)])
        for name in names
    ]
    return (*steps, *_load(store, *names), "FILTER", " || ".join(f"({each})" for each in have))


def _seen(store: Store, sort: Sort) -> tuple[Argument, ...]:
    """Return the steps that give the number to sort by, if it is not a time, and leave what has none."""
    if sort != "most_seen":
        return ()
    # Indexes of other programs may not have it, and values that are not indexed are texts.
    numbered = ("FILTER", "exists(@hit_count)", "APPLY", "to_number(@hit_count)", "AS", "seen")
    return (*_load(store, "hit_count"), *numbered)


def _load(store: Store, *names: str) -> tuple[Argument, ...]:
    plain = store.storage == "hash"
    fields = [
        part
        for name in names
        for part in ((f"@{name}",) if plain or name == "__key" else (f"$.{name}", "AS", name))
    ]
    return ("LOAD", len(fields), *fields)


def _containing(words: ContainedWords, reply: object) -> list[bytes]:
    """Return the keys of the memories in an aggregation's rows that contain words."""
    return [
        row[b"__key"]
        for row in inexact.aggregated(reply)
        if words.are_in((row.get(b"text") or row.get(b"past") or b"").decode("utf-8", "replace"))
    ]


def _read(store: Store, listing: Listing, keys: list[bytes]) -> Op[list[MemoryRecord]]:
    """Return the memories at some keys that are to be listed; documents that are none are reported.

    One round trip; none for no keys.
    """
    if not keys:
        return []
    commands = [
        command
        for key in keys
        for command in (
            read(store, key),
            reads("TTL", key),
            *([read_embedding(store, key)] if listing.include_embeddings else []),
        )
    ]
    replies = iter((yield commands))
    found: list[MemoryRecord] = []
    for key in keys:
        document, ttl = ok(next(replies)), ok(next(replies))
        embedding = ok(next(replies)) if listing.include_embeddings else None
        try:
            record = record_at(store, key, document, ttl)
        except UnreadableDocument as error:
            report_unreadable(key, error)
            continue
        if record is None or record not in listing:
            continue
        if listing.include_embeddings:
            record = replace(record, embedding=embedding_of(embedding, store.storage, store.vector_type))
        found.append(record)
    return found


def read_embedding(store: Store, key: bytes | str) -> Command:
    """Return the command that reads a memory's embedding."""
    if store.storage == "hash":
        return reads("HGET", key, "embedding")
    return reads("JSON.GET", key, "$.embedding")
