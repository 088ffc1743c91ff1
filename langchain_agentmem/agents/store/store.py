"""`MemoryStore`: LangGraph's store on Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    PutOp,
    SearchItem,
    SearchOp,
)

from langchain_agentmem.agents.store.config import Indexing, StoreIndex, checked_ttl, milliseconds
from langchain_agentmem.agents.store.documents import Namespace, StoredItem, check_place, encode, indexed
from langchain_agentmem.agents.store.filters import ItemFilter
from langchain_agentmem.agents.store.items import StoreItems
from langchain_agentmem.agents.store.namespaces import listed, literal_prefix
from langchain_agentmem.agents.store.partitions import ItemPartitions
from langchain_agentmem.agents.store.schema import StoreIndexSettings
from langchain_agentmem.agents.store.search import StoreSearch, Wanted, merged
from langchain_agentmem.core.checks import not_negative, validate_id
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.keys import ITEM, index_in, lies_in_another_store, store_index
from langchain_agentmem.core.operations import Op, T, gather, ok
from langchain_agentmem.core.partitions import tags
from langchain_agentmem.errors import (
    ConfigurationError,
    IndexMismatchError,
    IndexMissingError,
    InvalidInputError,
    SearchUnavailableError,
)
from langchain_agentmem.longterm.redisearch.coordinator import without_coordinator
from langchain_agentmem.longterm.redisearch.document import vector
from langchain_agentmem.longterm.redisearch.index import MemoryIndex

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langgraph.store.base import IndexConfig, Result, TTLConfig
    from langgraph.store.base import Op as StoreOp

    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.transport.connections import Transport

logger = logging.getLogger("langchain_agentmem")

_NO_SEARCH = "the server has no Search"
_BENEATH = "agentmem: any label"  # that nobody has


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition of the store, or all of it."""

    items: StoreItems
    index: MemoryIndex | None
    search: StoreSearch


class StoreMemory(Protocol):
    """The interface of a memory that a store needs; `AgentMemory` has it."""

    settings: AgentMemorySettings

    @property
    def transport(self) -> Transport:
        """Return the connection."""

    @property
    def long_term(self) -> BaseLongTermMemory:
        """Return the long-term memory, for its embeddings."""


class MemoryStore(BaseStore):
    """A LangGraph store on Redis, made by `AgentMemory.store`; for `create_agent(store=…)` and graphs.

    Each operation is one round trip, and so are those of a batch that only read, or only write; one that does
    both takes two. A batch embeds its texts in one call. In detail:

    * A batch's reads see the state before its writes, and of several puts to one place the last is done.
    * A value is a JSON object, and comes back equal; a tuple in it becomes a list.
    * `put` is atomic, and keeps when the item was created. Times are by the server's clock.
    * `search` returns the last put first; with a query the nearest first, by the best of its vectors, then
      items without vectors. A filter is applied before the limit: where the server cannot apply it exactly,
      more round trips look at further items. With neither index nor Search, all items of the namespaces are
      read.
    * The TTL is in minutes. Reading begins it again in the same round trip; a search takes another one if
      items it returns have a TTL.
    * `list_namespaces` returns namespaces that have items now, sorted.

    The index is made by the first put of an item with vectors, or search with a query. If it lacks items,
    as when the embeddings have changed, searches without a query read all items of the namespaces, and
    those with one raise `IndexMismatchError` until these items are put again. Without Search, and on
    Upstash, queries are refused and everything else works. A filter compares a member that is not there, or
    null, as neither greater nor less; one that is no number raises.

    Args:
        memory: The memory whose connection, settings and embeddings it uses.
        index: What is embedded: LangGraph's `IndexConfig`, of `dims`, `embed` and `fields`; `None` for the
            whole value by the memory's own embeddings; `False` for nothing, and queries are then ignored.
        ttl: LangGraph's `TTLConfig`; `None` for no TTL, unless a put has one. Redis deletes what has expired,
            so nothing has to sweep.
        user_of: Returns whose the items of a namespace are, so that `forget_user` and `export_user` find
            them; `None` for nobody's.

    Raises:
        ConfigurationError: An option is not usable.
    """

    supports_ttl = True
    index_config: IndexConfig | None

    def __init__(
        self,
        memory: StoreMemory,
        *,
        index: StoreIndex = None,
        ttl: TTLConfig | None = None,
        user_of: Callable[[Namespace], str | None] | None = None,
    ) -> None:
        if user_of is not None and not callable(user_of):
            raise ConfigurationError("user_of must be a function from a namespace to a user, or None.")
        settings, self._transport = memory.settings, memory.transport
        if lies_in_another_store(settings.store_prefix):
            raise ConfigurationError(
                f"The store_prefix {settings.store_prefix!r} lies among the items of the store whose prefix "
                f"ends before its {ITEM!r}, and either would find the other's. Choose another store_prefix."
            )
        self.ttl_config = checked_ttl(ttl)
        self.index_config = index if isinstance(index, Mapping) else None
        self._user_of = user_of
        self._items = ItemPartitions(settings.keys(cluster=self._transport.cluster))
        self._parts: dict[StoreItems, _Part] = {}
        self._settings = settings
        self._vector_type = settings.vector_type
        self._refusal: str | None = None
        self._indexing: Indexing | None = None
        if self._transport.rest:
            if index:
                raise ConfigurationError("index= is of no use here: Upstash's REST API has no vectors.")
            if index is None:
                self._refusal = (
                    "A store cannot be searched by meaning on Upstash, whose REST API has no vectors. Search "
                    "without query=, or make the store with index=False, which ignores it."
                )
        else:
            self._indexing = Indexing.read(index, lambda: _embeddings(memory))

    def _part(self, items: StoreItems) -> _Part:
        """Return the partition of some items, with its index."""
        found = self._parts.get(items)
        if found is None:
            settings, index = self._settings, None
            if not self._transport.rest:
                name = store_index(settings.index_name)
                if self._items.keys.partitions:
                    name = index_in(name, tags(self._items.keys.partitions)[self._items.every.index(items)])
                index = MemoryIndex(
                    StoreIndexSettings(
                        name, items.keys.items_prefix, "json", settings.algorithm, settings.vector_type
                    ),
                    self._transport.partition_counts.ask_again,
                )
                index.share(self._transport.known)
            timeout_ms = max(1, int(settings.socket_timeout_seconds * 1000))
            partitioned = bool(self._items.keys.partitions)
            search = StoreSearch(items, index, timeout_ms, partitioned=partitioned)
            found = self._parts.setdefault(items, _Part(items, index, search))
        return found

    @property
    def embeddings(self) -> Embeddings | None:
        """Return what embeds values and queries; `None` if nothing does."""
        return None if self._indexing is None else self._indexing.embeddings()

    def batch(self, ops: Iterable[StoreOp]) -> list[Result]:
        """Run operations; their results come in the same order.

        Raises:
            InvalidInputError: One cannot be done; nothing was written.
            IndexMismatchError: The index is for other vectors than these, or lacks items that a query looks
                for. If it was recreated by somebody else only now, what was put is stored, as the error says.
            StoreError: The server refused one; others may be done.
        """
        return self._transport.run(self._supported(self._batch_op(list(ops))))

    async def abatch(self, ops: Iterable[StoreOp]) -> list[Result]:
        """Async version of `batch`."""
        return await self._transport.arun(self._supported(self._batch_op(list(ops))))

    def _supported(self, op: Op[T]) -> Op[T]:
        """Return an operation that runs only where this store's searches can be answered."""
        if self._transport.cluster and self._indexing is not None:
            return without_coordinator(op, self._transport.known)
        return op

    def _batch_op(self, ops: Sequence[StoreOp]) -> Op[list[Result]]:
        puts = {(tuple(op.namespace), op.key): op for op in map(_checked, ops) if isinstance(op, PutOp)}
        writes = [_Write(self, put) for put in puts.values()]
        searches = [self._wanted(op) for op in ops if isinstance(op, SearchOp)]
        vectors = yield from self._embedded(writes)
        queries = yield from self._queries([op.query for op in ops if isinstance(op, SearchOp) and op.query])
        rest = iter(searches)
        reads: dict[int, Op[Any]] = {}
        for at, op in enumerate(ops):
            if isinstance(op, GetOp):
                reads[at] = self._get(op)
            elif isinstance(op, SearchOp):
                reads[at] = self._find(op, next(rest), queries.get(op.query or ""))
            elif isinstance(op, ListNamespacesOp):
                reads[at] = self._list(op)
        results: list[Any] = [None] * len(ops)
        for at, found in zip(reads, (yield from gather(reads.values())), strict=True):
            results[at] = ok(found)
        sizes = {len(one) for one in list(vectors.values())[:1]}
        indices = dict.fromkeys(self._part(write.items).index for write in writes if write.texts)
        checks = [self._verified(index, size) for size in sizes for index in indices if index is not None]
        for done in (yield from gather([*(write.op(vectors) for write in writes), *checks])):
            ok(done)
        return results

    def _get(self, op: GetOp) -> Op[Item | None]:
        user = self._user(op.namespace) if op.refresh_ttl or self._items.keys.partitions else None
        items = self._items.at(op.namespace, user)
        found = yield from items.read_op((op.namespace, op.key), user, refresh=op.refresh_ttl)
        return None if found is None else Item(**_members(found))

    def _wanted(self, op: SearchOp) -> Wanted:
        if op.query is not None and not isinstance(op.query, str):
            raise InvalidInputError(f"query must be a string or None, not {type(op.query).__name__}.")
        if op.query and self._refusal is not None:
            raise SearchUnavailableError(self._refusal)
        return Wanted(
            tuple(op.namespace_prefix),
            ItemFilter(op.filter),
            not_negative("limit", op.limit),
            not_negative("offset", op.offset),
        )

    def _find(self, op: SearchOp, wanted: Wanted, near: Any) -> Op[list[SearchItem]]:
        wanted = Wanted(wanted.prefix, wanted.filter, wanted.limit, wanted.offset, near)
        found = (yield from self._found(wanted)) if wanted.limit else []
        if op.refresh_ttl:
            # A search inside a script is not possible everywhere, so this is a round trip of its own.
            of_parts: dict[StoreItems, list[StoredItem]] = {}
            for items, one, _ in found:
                of_parts.setdefault(items, []).append(one)
            refreshing = [items.refresh_op(self._expiring(items, ones)) for items, ones in of_parts.items()]
            for done in (yield from gather(refreshing)):
                ok(done)
        return [SearchItem(**_members(one), score=score) for _, one, score in found]

    def _found(self, wanted: Wanted) -> Op[list[tuple[StoreItems, StoredItem, float | None]]]:
        """Return what a search finds, in one partition if it can only be there, else in all that may."""
        if not self._items.keys.partitions:
            parts = list(self._items.every)
        elif (user := self._user_beneath(wanted.prefix)) is not None:
            parts = [self._items.at(wanted.prefix, user)]
        else:
            parts = yield from self._items.beneath(wanted.prefix)
        if len(parts) == 1:
            found = yield from self._part(parts[0]).search.found_op(wanted)
            return [(parts[0], item, score) for item, score in found]
        first = wanted.from_the_first
        results = yield from gather([self._part(one).search.found_op(first) for one in parts])
        return merged(zip(parts, map(ok, results), strict=True), wanted)

    def _user_beneath(self, prefix: Namespace) -> str | None:
        """Return whose all namespaces are that begin so, by `user_of`; `None` if that is not known."""
        if self._user_of is None or not prefix:
            return None
        try:
            users = {self._user((*prefix, *more)) for more in ((), (_BENEATH,), (_BENEATH, _BENEATH))}
        except InvalidInputError:
            return None
        return users.pop() if len(users) == 1 else None

    def _expiring(
        self, part: StoreItems, items: Iterable[StoredItem]
    ) -> Iterator[tuple[StoredItem, str | None]]:
        """Yield the items that have a TTL, each with its user, except where `user_of` refuses the namespace.

        A search may find namespaces that the caller did not name, and these do not make it fail.
        """
        for item in items:
            if item.ttl_ms:
                try:
                    user = item.user or self._user(item.namespace)
                    # One that was put without a user is not where that user's record is.
                    yield item, user if self._items.at(item.namespace, user) is part else None
                except InvalidInputError as error:
                    logger.warning("A search leaves the TTL of %r as it is: %s", item.key, error)

    def _list(self, op: ListNamespacesOp) -> Op[list[Namespace]]:
        prefix, items = literal_prefix(op), self._items
        user = self._user_beneath(prefix) if items.keys.partitions else None
        one = items if user is None else items.at(prefix, user)
        return listed(op, (yield from one.namespaces_op()))

    def _queries(self, queries: Iterable[str]) -> Op[dict[str, Any]]:
        """Return the vectors of queries, embedded once each; none if the store has no vectors."""
        texts = list(dict.fromkeys(queries))
        if self._indexing is None or not texts:
            return {}
        made = yield Embed(self._indexing.embeddings(), texts, "query")
        return dict(zip(texts, map(self._vector, made), strict=True))

    def _embedded(self, writes: Sequence[_Write]) -> Op[dict[str, Any]]:
        """Return the vectors of all texts that are written, after making sure that the index takes them."""
        texts = list(dict.fromkeys(text for write in writes for text in write.texts))
        known = self._transport.known
        if self._indexing is None or self._transport.rest or not texts or _NO_SEARCH in known:
            return {}
        made = yield Embed(self._indexing.embeddings(), texts)
        vectors = dict(zip(texts, map(self._vector, made), strict=True))
        sizes = {len(one) for one in vectors.values()}
        indices = dict.fromkeys(self._part(write.items).index for write in writes if write.texts)
        try:
            for size in sizes:
                using = [one.using(size, _nothing, backfilled=False) for one in indices if one is not None]
                for done in (yield from gather(using)):
                    ok(done)
        except SearchUnavailableError:
            known[_NO_SEARCH] = True
            return {}
        return vectors

    def _verified(self, index: MemoryIndex, dimensions: int) -> Op[None]:
        """Verify, beside the puts, that nobody has recreated an index for other vectors since it was known.

        Raises:
            IndexMismatchError: Somebody has.
        """
        try:
            state = yield from index.info()
            if state.mismatch(index.settings, dimensions):
                yield from index.ensure(dimensions)  # looks again, and raises
        except IndexMissingError:
            pass  # the next search makes one
        except IndexMismatchError as error:
            said = "What was put is stored, and get returns it, but no search by meaning finds it."
            raise IndexMismatchError(f"{said}\n{error}", plain=f"{said}\n{error.plain}") from error

    def _vector(self, embedding: Sequence[float]) -> Any:
        assert self._indexing is not None, "nothing is embedded"
        self._indexing.check(embedding)
        return vector(embedding, self._vector_type)

    def _user(self, namespace: Namespace) -> str | None:
        """Return whose the items of a namespace are, by `user_of`; `None` if nobody's.

        Raises:
            InvalidInputError: What `user_of` returns is no user, or it does not expect such a namespace.
        """
        try:
            user = None if self._user_of is None else self._user_of(namespace)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            said = f"user_of cannot tell whose {namespace!r} is: {type(error).__name__}: {error}"
            raise InvalidInputError(said) from error
        return None if user is None else validate_id("user", user)


class _Write:
    """A put or a deletion, checked, before its vectors are known."""

    def __init__(self, store: MemoryStore, put: PutOp) -> None:
        self._place = (tuple(put.namespace), put.key)
        self._value = put.value
        self._user = store._user(self._place[0])
        self.items = store._items.at(self._place[0], self._user)
        self.texts: list[str] = []
        if put.value is not None:
            self._item = encode(*self._place, put.value)
            self._ttl_ms = milliseconds(put.ttl)
            if store._indexing is not None:
                self.texts = store._indexing.texts(put.value, put.index)

    def op(self, vectors: Mapping[str, Any]) -> Op[None]:
        """Return the operation, given the vectors of all texts, if there are any."""
        if self._value is None:
            return self.items.delete_op(self._place, self._user)
        own = [vectors[text] for text in self.texts if text in vectors]
        members = indexed(self._place[0], self._value, own)
        return self.items.put_op(self._place, self._item, members, ttl_ms=self._ttl_ms, user=self._user)


class _NoNamespaceError(InvalidInputError, InvalidNamespaceError):
    """A namespace is not valid, by LangGraph's rules."""


def _checked(op: Any) -> Any:
    """Return an operation whose namespace and key can be used; LangGraph's methods check most of it, too."""
    if isinstance(op, GetOp | PutOp):
        _check_labels(op.namespace)
        if not op.namespace and isinstance(op, PutOp):
            raise _NoNamespaceError("The namespace is empty.")
        check_place(op.namespace, op.key)
    elif isinstance(op, SearchOp):
        _check_labels(op.namespace_prefix)
    elif isinstance(op, ListNamespacesOp):
        for condition in op.match_conditions or ():
            _check_labels(condition.path)
    else:
        raise InvalidInputError(f"A store does not know operations of {type(op).__name__}.")
    return op


def _check_labels(namespace: Sequence[str]) -> None:
    if isinstance(namespace, str):
        raise _NoNamespaceError(f"A namespace is a tuple of strings, such as ({namespace!r},).")
    for label in namespace:
        if not isinstance(label, str) or not label:
            raise _NoNamespaceError(f"A label of a namespace is a string that is not empty, not {label!r}.")


def _members(item: StoredItem) -> dict[str, Any]:
    return {
        "value": item.value,
        "key": item.key,
        "namespace": item.namespace,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def _embeddings(memory: StoreMemory) -> Embeddings:
    found = memory.long_term.embeddings
    assert found is not None, "on Redis, there are some"
    return found


def _nothing() -> Op[None]:
    yield from ()
