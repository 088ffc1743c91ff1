"""`UpstashLongTermMemory`: memories of users on Upstash Redis, found by their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_agentmem.core import checks
from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.apply_in_steps import apply_in_steps
from langchain_agentmem.longterm.changes import ChangeResult, CheckedChanges
from langchain_agentmem.longterm.config import TTL_BY_KIND, UpstashLongTermMemoryConfig
from langchain_agentmem.longterm.consolidate import MergeStore
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.types import (
    Dedup,
    Draft,
    Listing,
    MemoryRecord,
    RebuiltIndex,
    RecallOptions,
    Refusal,
    RememberResult,
    Scope,
    Search,
    UpdateDraft,
    WriteBatch,
)
from langchain_agentmem.longterm.upstash import clearing, dedup, queries
from langchain_agentmem.longterm.upstash.apply import Applying
from langchain_agentmem.longterm.upstash.document import NAMESPACE
from langchain_agentmem.longterm.upstash.document import memory_id as id_of_user
from langchain_agentmem.longterm.upstash.index import UpstashIndex
from langchain_agentmem.longterm.upstash.merge import UpstashMerging
from langchain_agentmem.longterm.upstash.recall import recall
from langchain_agentmem.longterm.upstash.update import change
from langchain_agentmem.tasks.task import Taking
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS, Transport


class UpstashLongTermMemory(BaseLongTermMemory):
    """Memories of users, of kinds, on Upstash Redis with its full-text search.

    The data model is the one of Upstash's own "Agent Memory with Redis Search", so that memories of an
    app that was built on it are found. A user or kind matches itself alone, byte for byte. There are no
    vectors, and no namespaces except `default`. The constructor does no I/O; the index is created by the
    first operation that finds it missing.

    Upstash indexes a moment after a write: until then a memory is not recalled, and only the same text
    counts as a duplicate. What is the same text: upper and lower case, white space, accents written apart and
    full stops at the end make no difference.

    Args:
        url: The database's REST URL; without it, `UPSTASH_REDIS_REST_URL`.
        token: Its REST token; without it, `UPSTASH_REDIS_REST_TOKEN`.
        client: A sync `upstash_redis` client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        index_name: The search index.
        key_prefix: What stands before the user and the id in a key.
        dedup: What makes a text a duplicate: `same`, it says the same; `exact`, it is the same; `near`, it
            says the same or scores near; a function, it has the same key; `None`, nothing does.
        dedup_score: By `dedup="near"`, above this score a memory that shares half of the words is a
            duplicate. 8 is the tutorial's choice, for small stores. Scores have no upper limit and grow
            with what is stored: among thousands of memories, one rare word in common scores more. `None` for
            none.
        recency_per_day: What a day of age takes off a memory's rank, in points of the server's score; 0 for
            nothing.
        language: The language of stemming and stop words, as Snowball names it.
        ttl_by_kind: The TTL in seconds of memories of a kind; `None`, or no entry, for no expiry.
        max_text_bytes: Longer texts are refused.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable, or is not Upstash's.
        InvalidInputError: A number or a name is not usable.
    """

    supports_vectors = False
    supports_namespaces = False
    supports_chosen_ids = False
    modes = ("text",)
    embeddings = None
    index: UpstashIndex

    _on_redis = "LongTermMemory"

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        client: Any = None,
        async_client: Any = None,
        transport: Transport | None = None,
        index_name: str = UpstashLongTermMemoryConfig.index_name,
        key_prefix: str = UpstashLongTermMemoryConfig.key_prefix,
        dedup: Dedup = UpstashLongTermMemoryConfig.dedup,
        dedup_score: float | None = UpstashLongTermMemoryConfig.dedup_score,
        recency_per_day: float = UpstashLongTermMemoryConfig.recency_per_day,
        language: str = UpstashLongTermMemoryConfig.language,
        ttl_by_kind: Mapping[str, int | None] = TTL_BY_KIND,
        max_text_bytes: int = UpstashLongTermMemoryConfig.max_text_bytes,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        self.config = UpstashLongTermMemoryConfig(
            index_name=index_name,
            key_prefix=key_prefix,
            dedup=dedup,
            language=language,
            dedup_score=dedup_score,
            recency_per_day=recency_per_day,
            ttl_by_kind=ttl_by_kind,
            max_text_bytes=max_text_bytes,
        )
        super().__init__(self.config)
        self.store = queries.UpstashStore(
            index=UpstashIndex(
                index_name, key_prefix, sorts=self.config.recency_per_day > 0, language=self.config.language
            ),
            rule="same" if self.config.dedup == "near" else self.config.dedup,
            dedup_score=self.config.dedup_score,
            recency_per_day=self.config.recency_per_day,
        )
        self.index = self.store.index
        self._connect_rest(transport, url, client, async_client, socket_timeout_seconds, token)
        self.index.share(self.transport.known)

    def wait_indexing(self) -> bool:
        """Wait until everything written so far is found; for tests, not after each write. One round trip.

        Returns:
            Whether there is an index.
        """
        return self.transport.run(self.index.wait())

    async def await_indexing(self) -> bool:
        """Async version of `wait_indexing`."""
        return await self.transport.arun(self.index.wait())

    def check_supported(self, *, namespace: str | None = None, **arguments: object) -> None:
        """Refuse a namespace other than `default`, vectors, and ids.

        Raises:
            InvalidInputError: One of them is given.
        """
        if namespace is not None and checks.validate_id("namespace", namespace) != NAMESPACE:
            raise InvalidInputError(
                f"namespace must be {NAMESPACE!r}: memories on Upstash have none. Use a user of your own "
                "making in its place, such as 'work/alice'.",
                plain="On Upstash, memories have no namespaces. Use another user in its place, such as "
                "work/alice.",
            )
        for name, value in arguments.items():
            if value is not None:
                raise InvalidInputError(
                    f"{name} must be None: on Upstash the text itself is searched, and a memory's id comes "
                    "of it."
                )

    def check_embedding(self, embedding: Sequence[float]) -> Sequence[float]:
        """Refuse every vector.

        Raises:
            InvalidInputError: In any case.
        """
        self.check_supported(embedding=embedding)
        return embedding

    def store_op(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        """Store a batch in one round trip, each memory unless it is a duplicate."""
        if batch.near:
            raise InvalidInputError(
                "near must be False: Upstash's search has no vectors to tell what is near.",
                plain="On Upstash, memories are found by their words, so none is near in meaning.",
            )
        return dedup.remember(self.store, batch.drafts, batch.known)

    def id_of(self, draft: Draft) -> str:
        """Return the id that a memory has once it is stored, and no duplicate."""
        return id_of_user(draft.user, draft.id)

    def add_op(self, drafts: Sequence[Draft]) -> Op[list[RememberResult]]:
        """Store memories, except duplicates of what is there, which is left as it is. One round trip."""
        return dedup.remember(self.store, drafts, counts=False)

    def search(self, user: str, namespace: str | None, options: RecallOptions) -> Search:
        """Return a recall, checked.

        Raises:
            InvalidInputError: Something about it is not usable.
        """
        mode, filter = options.get("mode"), options.get("filter")
        distance_threshold = options.get("distance_threshold", ...)
        if mode not in (None, "text"):
            raise InvalidInputError(
                f"mode must be 'text', not {mode!r}: Upstash's search has no vectors. "
                "LongTermMemory on Redis has.",
                plain="On Upstash, memories are found by their words alone: the only mode is text.",
            )
        if distance_threshold is not None and distance_threshold is not ...:
            raise InvalidInputError(
                "distance_threshold must be left out: Upstash's search has no vectors.",
                plain="On Upstash, memories are found by their words, so there is no distance to ask for.",
            )
        if filter is not None and not isinstance(filter, dict):
            raise InvalidInputError(
                f"filter must be a dict in Upstash's filter language, not {type(filter).__name__}."
            )
        scope = self._scope(user, namespace, options.get("kind"))
        try:
            queries.condition(scope, "", filter)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"filter is no JSON: {error}") from error
        return Search(
            scope=scope,
            k=_at_most("k", options.get("k", 5), queries.PAGE),
            mode="text",
            narrowed=filter,
            gated=distance_threshold is not None,
            recency_weight=checks.points("recency_weight", options.get("recency_weight", 0.0)),
            reranker=checks.reranker(options.get("reranker")),
            explain=bool(options.get("explain", False)),
        )

    def search_op(
        self, search: Search, query: str, embedding: Sequence[float] | None
    ) -> Op[list[MemoryRecord]]:
        """Return the memories that match a text best, best first. One round trip."""
        self.check_supported(embedding=embedding)
        return recall(self.store, search, query)

    def revise_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[Refusal | None]:
        """Change a memory in place. Two round trips: it is read, then changed in one atomic step."""
        self.check_supported(embedding=embedding)
        return change(self.store, update)

    def changes_op(
        self, checked: CheckedChanges, known: Sequence[MemoryRecord], taking: Taking | None
    ) -> Op[list[ChangeResult] | None]:
        """Make changes in one atomic step; by nearness, which needs a search, each in its own."""
        if self.config.dedup == "near" and self.store.dedup_score is not None:
            return (yield from apply_in_steps(self, checked, None, taking))
        kinds = {record.id: record.kind for record in known}
        applying = Applying(self.store, self.drafting, checked, kinds, taking=taking)
        ready, results = yield from gather([self.store.index.ready(), applying.run()])
        made: list[ChangeResult] | None = ok(results)
        ok(ready)
        return made

    def _merging(self, user: str) -> MergeStore:
        return UpstashMerging(self.store)

    def links_op(self, scope: Scope) -> Op[dict[str, str]]:
        """Return which memory superseded each superseded one of a user. One round trip per 1,000 memories."""
        return queries.links(self.store, scope)

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the operation of `get`."""
        return queries.get(self.store, _id(memory_id), _user(user))

    def list_op(self, listing: Listing) -> Op[list[MemoryRecord]]:
        """Return the operation of `list_memories`."""
        if listing.sort == "most_seen":
            raise InvalidInputError(
                "sort must be newest or oldest: Upstash's index does not hold how often a memory was seen."
            )
        if listing.include_embeddings:
            raise InvalidInputError("include_embeddings must be False: memories on Upstash have no vectors.")
        _at_most(
            "limit" if not listing.offset else "offset + limit",
            listing.offset + listing.limit,
            queries.MAX_LISTED,
        )
        return queries.listed(self.store, listing)

    def count_op(self, listing: Listing) -> Op[int]:
        """Return the operation of `count_memories`."""
        return queries.count(self.store, listing)

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """Return the operation of `delete_memory`."""
        return clearing.delete(self.store, _id(memory_id), _user(user))

    def clear_op(self, user: str | None, namespace: str | None, kind: str | None) -> Op[Removed]:
        """Return the operation of `clear`."""
        self.check_supported(namespace=namespace)
        scope = Scope.of_any(user, None, kind)
        return clearing.clear(self.store, scope.user, scope.kind)

    def forget_op(self, user: str, thorough: bool, dry_run: bool = False) -> Op[Removed]:
        """Return the operation of `forget_user`, which reaches every memory in any case."""
        scope = Scope.of_user(user, None, None)
        return clearing.clear(self.store, scope.user, None, dry_run=dry_run)

    def ids_op(self, user: str | None) -> Op[list[str]]:
        """Return the ids of a user's memories, or of everybody's; others' may be among a user's."""
        return clearing.ids(self.store, _user(user))

    def create_index_op(self) -> Op[None]:
        """Return the operation of `create_index`.

        Memories that are there already are found as soon as the server has indexed them: see `wait_indexing`.
        """
        return self.index.ensure()

    def info_op(self) -> Op[dict[str, Any]]:
        """Return the operation of `index_info`."""
        return self.index.describe()

    def drop_op(self, delete_documents: bool) -> Op[None]:
        """Return the operation of `drop_index`."""
        yield from self.index.drop()
        if delete_documents:
            yield from self.clear_op(None, None, None)

    def rebuild_op(self) -> Op[RebuiltIndex]:
        """Refuse it.

        Raises:
            InvalidInputError: In any case.
        """
        raise InvalidInputError(
            "An index is rebuilt on Redis only; on Upstash, drop_index() and create_index() do it.",
            plain="An index is rebuilt on Redis only, and not on Upstash.",
        )

    def _scope(self, user: str, namespace: str | None, kind: str | None) -> Scope:
        self.check_supported(namespace=namespace)
        return Scope.of_user(user, None, kind)


def _at_most(name: str, value: Any, most: int) -> int:
    if checks.positive(name, value) > most:
        raise InvalidInputError(f"{name} is {value}; Upstash's search returns {most} at most.")
    return int(value)


def _id(memory_id: Any) -> str:
    """Return an id: a user, which may be as long as a name may be, and what follows."""
    if not checks.utf8("id", memory_id):
        raise InvalidInputError("id is empty; ids are what remember() returns.")
    return str(memory_id)


def _user(user: str | None) -> str | None:
    return None if user is None else checks.validate_id("user", user)
