"""Long-term memory's reads, as commands and the reading of their replies. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from langchain_agentmem.core.keys import Keys, backfilling, never_written
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Argument, Command, Op, gather, ok, reads
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.hits import Candidate
from langchain_agentmem.longterm.redisearch import inexact
from langchain_agentmem.longterm.redisearch.document import (
    FIELDS,
    SEARCH_FIELDS,
    decode,
    fields_of,
    id_of,
)
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.found import RECALL_DIALECT, RECALL_FIELDS, record
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError
from langchain_agentmem.longterm.redisearch.languages import language_arguments
from langchain_agentmem.longterm.search_index import GONE, IndexKnowledge, ttl_left
from langchain_agentmem.longterm.types import (
    MemoryRecord,
    Ranked,
    Scope,
    Search,
    Storage,
    UnreadableDocument,
    VectorType,
    report_unreadable,
)

Rows: TypeAlias = dict[bytes, dict[bytes, bytes] | None]

_SEARCHES = load(__package__, "searches", read_only=True)
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
        vector_type: The number format of vectors.
        knowledge: What is known about the index.
        partitioned: Whether it is a partition: all its keys are in one slot of a cluster, and a script makes
            its searches, which waits while the slot moves to another node.
        by_replicas: Whether replicas may answer searches.
    """

    keys: Keys
    index_name: str
    storage: Storage
    search_timeout_ms: int
    tolerance: float
    language: str = "english"
    vector_type: VectorType = "float32"
    knowledge: IndexKnowledge = field(default_factory=IndexKnowledge, compare=False)
    partitioned: bool = False
    by_replicas: bool = False

    def search(self, query: str, *arguments: Argument) -> Command:
        """Return a search for whole documents, except their embeddings."""
        return reads("FT.SEARCH", self.index_name, query, *arguments, *self._returning())

    def nearest(self, condition: str, vector: bytes, k: int) -> Command:
        """Return a search for the k candidates nearest to a vector, nearest first, with their `distance`.

        Args:
            condition: The search condition they have to meet.
            vector: The vector, in the index's number format.
            k: How many at most.
        """
        return reads(
            "FT.SEARCH",
            *(self.index_name, f"{condition}=>[KNN $k @embedding $vector AS distance]"),
            *("PARAMS", 4, "k", k, "vector", vector, "SORTBY", "distance", "LIMIT", 0, min(k, MAX_ROWS)),
            *self._returning_members("distance"),
        )

    def worded(self, query: str, parameters: Sequence[Argument], k: int) -> Command:
        """Return the search for candidates by words, best first.

        Args:
            query: The search condition.
            parameters: Its parameters: a name, a value; a name, a value; …
            k: How many at most.
        """
        return reads(
            *("FT.SEARCH", self.index_name, query),
            *language_arguments(self.language),
            *("SCORER", "BM25STD", "LIMIT", 0, min(k, MAX_ROWS), "PARAMS", len(parameters), *parameters),
            *self._returning_members(),
        )

    def count(self, condition: str) -> Command:
        """Return the search that only counts."""
        tail = ("LIMIT", 0, 0, "TIMEOUT", self.search_timeout_ms, "DIALECT", 2)
        return reads("FT.SEARCH", self.index_name, condition, *tail)

    def aggregate(self, condition: str, *steps: Argument) -> Command:
        """Return a search whose rows the server works on, step by step."""
        tail = ("TIMEOUT", self.search_timeout_ms, "DIALECT", 2)
        return reads("FT.AGGREGATE", self.index_name, condition, *steps, *tail)

    def _returning_members(self, *more: str) -> tuple[Argument, ...]:
        fields = (*RECALL_FIELDS[self.storage], *more)
        dialect = RECALL_DIALECT[self.storage]
        return ("RETURN", len(fields), *fields, "TIMEOUT", self.search_timeout_ms, "DIALECT", dialect)

    @cached_property
    def is_backfilling(self) -> Command:
        """Return the command that asks whether the index does not hold every document yet."""
        return reads("EXISTS", backfilling(self.index_name))

    def ask(
        self, searches: Sequence[Command], first: Sequence[Command] = ()
    ) -> Op[tuple[bool, list[Any], list[Any]]]:
        """Send searches behind some other commands, in one round trip.

        While a slot of a cluster moves, its documents are on two nodes, and a search finds those of one. A
        script with two keys is not run then: it is sent again until all documents are on one node.

        Args:
            searches: What asks the index.
            first: What is sent in front.

        Returns:
            Whether the index does not hold every document yet; the replies to the searches, an error for each
            that failed; and those to the other commands.
        """
        if not self.partitioned:
            replies = yield [*first, self.is_backfilling, *searches]
            at = len(first)
            return bool(ok(replies[at])), replies[at + 1 :], replies[:at]
        in_one = in_script(self.index_name, searches)._replace(by_replica=self.by_replicas)
        *others, reply = yield [*first, in_one]
        return *found_in_script(reply), others

    def _returning(self) -> tuple[Argument, ...]:
        fields = SEARCH_FIELDS[self.storage]
        return ("RETURN", len(fields), *fields, "TIMEOUT", self.search_timeout_ms, "DIALECT", 2)


def newest(store: Store, search: Search) -> Op[list[MemoryRecord]]:
    """Return the newest memories that a search is about, newest first. One round trip.

    More if some of the newest have expired, cannot be read, or are superseded.
    """
    from langchain_agentmem.longterm.results import how_many  # loads numpy

    where = search.condition or condition(search.scope)

    def searching(count: int) -> Command:
        return store.search(where, "SORTBY", "created_ts", "DESC", "LIMIT", 0, min(count, MAX_ROWS))

    return (yield from _readable(store, searching, how_many(search), search.scope))


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
    found = []
    for key, document, ttl in zip(keys, replies[::2], replies[1::2], strict=True):
        try:
            record = record_at(store, key, ok(document), ok(ttl))
        except UnreadableDocument as error:
            raise StoreError(f"The document at {key!r} is no memory: {error}.") from error
        found.append(record if record is not None and record in scope else None)
    return found


def read(store: Store, key: str | bytes) -> Command:
    """Return the command that reads a memory without its embedding."""
    if store.storage == "hash":
        return reads("HMGET", key, *FIELDS)
    return reads("JSON.GET", key, *(f"$.{name}" for name in FIELDS))


def record_at(store: Store, key: str | bytes, document: object, ttl: int) -> MemoryRecord | None:
    """Return the memory in the reply to `read`; `None` if there is no document.

    Args:
        store: Where it is.
        key: Its key.
        document: The reply to `read`.
        ttl: The reply to `TTL`.

    Raises:
        UnreadableDocument: The document is no memory.
    """
    fields = fields_of(document)
    if ttl == GONE or (not fields and document is None):
        return None
    key = key.encode() if isinstance(key, str) else key
    return decode(id_of(key, store.keys.memory_prefix), fields, ttl_seconds=ttl_left(ttl))


def _readable(
    store: Store,
    search: Callable[[int], Command],
    count: int,
    scope: Scope,
) -> Op[list[MemoryRecord]]:
    """Return the first so many memories of a scope that a search finds; undecodable rows do not count.

    Nor do rows of another scope: the index splits at commas, and trims, what other programs wrote, and so
    may find them. Nor do those that are superseded.
    """
    asked = count
    for _ in range(_MAX_REPEATS):
        ((_, found),) = yield from searched(store, [search(asked)], scope)
        readable = [record for record in _decoded(store, found, scope) if record.superseded_by is None]
        lost = len(found) - len(readable)
        if not lost or len(readable) >= count or len(found) < asked:
            break
        asked = count + 2 * lost
    return readable[:count]


def searched(store: Store, searches: Sequence[Command], scope: Scope) -> Op[list[tuple[int, Rows]]]:
    """Return how many documents each search matches, and its rows by their keys; all in one round trip.

    More until no row is of an expired document: the index names those until they are touched, and they take
    their places. Two more if the index does not tell all scopes apart, and has found documents of others.

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
    own = store.ask([inexact.count_own(store.index_name, where, scope, store.search_timeout_ms)])
    found, reply = yield from gather([_searched(store, [store.count(where), *searches]), own])
    results: list[tuple[int, Rows]]
    (matched, _), *results = ok(found)
    if matched == inexact.counted(ok(ok(reply)[1][0])):
        return results
    listing = inexact.list_owners(store.index_name, where, MAX_ROWS, store.search_timeout_ms)
    ((_, rows),) = yield from _searched(store, [listing])
    keys = [key for key, fields in rows.items() if inexact.is_own(fields, scope)]
    if not keys:
        return [(0, {}) for _ in searches]
    return (yield from _searched(store, [inexact.among(search, keys) for search in searches]))


def _searched(store: Store, searches: Sequence[Command]) -> Op[list[tuple[int, Rows]]]:
    incomplete, replies, _ = yield from store.ask(searches)
    if incomplete:
        raise IndexBackfillingError("The search index does not hold every memory yet.")
    found = [_counted(ok(reply)) for reply in replies]
    for _ in range(_MAX_REPEATS):
        expired = {key for _, rows in found for key, fields in rows.items() if fields is None}
        if not expired:
            break
        _, replies, _ = yield from store.ask(searches, [reads("EXISTS", key) for key in expired])
        found = [_counted(ok(reply)) for reply in replies]
    return found


def in_script(index_name: str, searches: Sequence[Command]) -> Command:
    """Return the command that makes searches of one index in a script, which waits while its slot moves."""
    parts = [part for one in searches for part in (len(one.args), *one.args)]
    return _SEARCHES.call([backfilling(index_name), never_written(index_name)], *parts)


def found_in_script(reply: Any) -> tuple[bool, list[Any]]:
    """Return whether the index does not hold every document yet, and the reply to each of these searches."""
    incomplete, *found = ok(reply)
    return bool(incomplete), [_answered(one) for one in found]


def _answered(reply: Any) -> Any:
    """Return a reply from inside a script: an error there is as redis-py reads it."""
    if not isinstance(reply, Exception):
        return reply
    from langchain_agentmem.transport.redis_errors import answered

    return answered(reply)


def _counted(reply: Any) -> tuple[int, Rows]:
    return (reply[b"total_results"] if isinstance(reply, dict) else reply[0]), rows_of(reply)


def rows_of(reply: Any) -> Rows:
    """Return the rows of an `FT.SEARCH`, by key, of either protocol; one that has expired has no fields."""
    if isinstance(reply, dict):
        return {row[b"id"]: _fields(row.get(b"extra_attributes")) for row in reply[b"results"]}
    return {reply[at]: _fields(reply[at + 1]) for at in range(1, len(reply), 2)}


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


def recorded(
    store: Store, scope: Scope, found: Sequence[tuple[Candidate, Ranked]]
) -> Op[dict[Hashable, MemoryRecord | None]]:
    """Return the records of what searches have found, by key, with their ranks.

    `None` stands for what is no memory, of another scope, or gone or superseded meanwhile. Nothing is sent,
    unless a document has not all the members that this version writes: it is read again, member by member.
    """
    records: dict[Hashable, MemoryRecord | None] = {}
    rest = []
    for one, ranked in found:
        records[one.key] = None
        try:
            made = record(id_of(one.key, store.keys.memory_prefix), one, **ranked)
        except UnreadableDocument as error:
            report_unreadable(one.key, error)
            continue
        if made is None:
            rest.append((one.key, ranked))
        elif _is_recalled(made, scope):
            records[one.key] = made
    replies = (yield [read(store, key) for key, _ in rest]) if rest else []
    for (key, ranked), reply in zip(rest, replies, strict=True):
        try:
            if fields := fields_of(ok(reply)):  # else it is gone meanwhile
                made = decode(id_of(key, store.keys.memory_prefix), fields, **ranked)
                records[key] = made if _is_recalled(made, scope) else None
        except UnreadableDocument as error:
            report_unreadable(key, error)
    return records


def _is_recalled(made: MemoryRecord, scope: Scope) -> bool:
    return made in scope and made.superseded_by is None


def _decoded(store: Store, found: Rows, scope: Scope) -> list[MemoryRecord]:
    """Return the memories of a scope in rows of a search; rows that hold no memory are reported."""
    memories: list[MemoryRecord] = []
    prefix = store.keys.memory_prefix
    for key, fields in found.items():
        if fields is None:
            continue
        try:
            made = decode(id_of(key, prefix), fields)
        except UnreadableDocument as error:
            report_unreadable(key, error)
        else:
            if made in scope:
                memories.append(made)
    return memories
