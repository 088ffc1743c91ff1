"""Long-term memory's reads and deletions on Upstash, as commands and the reading of replies. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Argument, Command, Op, asks, ok, reads
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.search_index import GONE, ttl_left, with_ttl
from langchain_agentmem.longterm.types import Dedup, Listing, MemoryRecord, Scope, UnreadableDocument
from langchain_agentmem.longterm.upstash.document import decode, document_of, records
from langchain_agentmem.longterm.upstash.index import UpstashIndex

PAGE = 1000  # what a query returns at most
MAX_LISTED = 11_000  # a page, behind the largest offset


@dataclass(frozen=True, slots=True)
class UpstashStore:
    """The place of memories on Upstash, and their ranking.

    Attributes:
        index: Their search index.
        rule: What makes the digest of a memory; with `dedup="near"` that of what says the same.
        dedup_score: With `dedup="near"`, above this score a memory may be nearly the same; `None` for none.
        recency_per_day: What a day of age costs a memory's score.
    """

    index: UpstashIndex
    rule: Dedup
    dedup_score: float | None
    recency_per_day: float

    @property
    def keys(self) -> Keys:
        """Return the key names."""
        return Keys(memory_prefix=self.index.prefix)

    @property
    def prefix(self) -> str:
        """Return what stands before the id in a key."""
        return self.index.prefix

    def query(self, condition: str, *arguments: Argument) -> Command:
        """Return a search."""
        return asks("SEARCH.QUERY", self.index.name, condition, *arguments)


def condition(
    scope: Scope,
    query: str | None = None,
    narrowed: dict[str, Any] | None = None,
    any_of: list[dict[str, Any]] | None = None,
) -> str:
    """Return the filter of a search inside a user's memories. Every value is a JSON string, never parsed.

    Args:
        scope: Whose memories, of which kind; Upstash has no namespaces.
        query: The text they have to match; `None` for any.
        narrowed: What narrows the search further, in Upstash's filter language.
        any_of: Filters of which they have to match one.

    Raises:
        TypeError, ValueError: The narrowing filter is no JSON.
    """
    members: dict[str, Any] = {} if query is None else {"text": {"$smart": query}}
    members["userId"] = {"$eq": scope.user}
    if scope.kind is not None:
        members["kind"] = {"$eq": scope.kind}
    # Beside filters that must match, those in $should would only raise the score.
    further = [*([{"$should": any_of}] if any_of else []), *([narrowed] if narrowed else [])]
    whole = {"$must": [members, *further]} if further else members
    written = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    written.encode()  # lone surrogates are a ValueError too
    return written


def listed(store: UpstashStore, listing: Listing) -> Op[list[MemoryRecord]]:
    """Return a page of memories, with the TTL they have left.

    Two round trips, and one more per 1,000 memories until the end of the page.
    """
    newest = listing.sort == "newest"
    most = listing.offset + listing.limit
    try:
        found = yield from _first(store, listing, most, "ORDERBY", "createdAt", "DESC" if newest else "ASC")
    except StoreError as error:
        if type(error) is not StoreError or store.index.sorts:
            raise
        found = yield from _first(store, listing, MAX_LISTED)  # an index that cannot sort
        found.sort(key=attrgetter("id"))
    # Those of the same time stay as they came: a page is a part of the same order as the next one.
    found.sort(key=attrgetter("created_ts"), reverse=newest)
    page = found[listing.offset : most]
    return (yield from with_ttl(page, [store.keys.upstash_memory(record.id) for record in page]))


def count(store: UpstashStore, listing: Listing) -> Op[int]:
    """Return how many memories there are to list, 11,000 at most. One round trip per 1,000 memories."""
    return len((yield from _first(store, listing, MAX_LISTED)))


def links(store: UpstashStore, scope: Scope) -> Op[dict[str, str]]:
    """Return which memory superseded each superseded one of a user, by ids.

    One round trip per 1,000 memories; of the first 11,000.
    """
    everything = Listing(replace(scope, namespace=None), include_superseded=True)
    found = yield from _first(store, everything, MAX_LISTED)
    return {one.id: one.superseded_by for one in found if one.superseded_by is not None}


def _first(store: UpstashStore, listing: Listing, most: int, *order: Argument) -> Op[list[MemoryRecord]]:
    """Return the first memories that are to be listed, so many at most."""
    found: list[MemoryRecord] = []
    offset = 0
    while len(found) < most and offset < MAX_LISTED:
        size = PAGE if listing.contained else min(most - len(found), PAGE)
        paged = store.query(condition(listing.scope), "LIMIT", size, "OFFSET", offset, *order)
        page = yield from rows_of(store, paged)
        found += [replace(one, score=None) for one in records(page, store.prefix) if one in listing]
        offset += len(page)
        if len(page) < size:
            break
    return found


def rows_of(store: UpstashStore, query: Command, *, without_contexts: Command | None = None) -> Op[list[Any]]:
    """Return what a query finds; nothing if there is no index, which is then created for the next time.

    Args:
        store: Where to search.
        query: The search.
        without_contexts: The same for an index that holds no contexts, if the search names them.
    """
    (reply,) = yield [query]
    if isinstance(reply, Exception):
        yield from store.index.explain(reply, named_contexts=without_contexts is not None)
        if without_contexts is not None:
            (reply,) = yield [without_contexts]
    if reply is None:
        yield from store.index.ensure()
        return []
    return list(ok(reply))


def get(store: UpstashStore, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
    """Return a memory by its id, if it is there and the user's. One round trip.

    Args:
        store: Where it is.
        memory_id: Its id.
        user: Whose it has to be; `None` for anybody's.

    Raises:
        StoreError: The document is no memory.
        WrongKeyTypeError: The key holds something else.
    """
    key = store.keys.upstash_memory(memory_id)
    document, ttl = yield [reads("JSON.GET", key, "$"), reads("TTL", key)]
    if ok(document) is None or ok(ttl) == GONE:
        return None
    record, _ = readable(key, memory_id, document)
    return replace(record, ttl_seconds=ttl_left(ttl)) if user in (None, record.user) else None


def readable(key: str, memory_id: str, reply: Any) -> tuple[MemoryRecord, dict[str, Any]]:
    """Return a memory, and its document, in the reply to `JSON.GET key $`.

    Raises:
        StoreError: It is no memory.
    """
    try:
        document = document_of(reply)
        return decode(memory_id, document), document
    except UnreadableDocument as error:
        raise StoreError(f"The document at {key!r} is no memory: {error}.") from error
