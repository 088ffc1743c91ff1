"""`LongTermMemory`: memories of users on Redis with Search, found by their meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_agentmem.core import checks
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.core.partition_count import of_memories
from langchain_agentmem.core.partitions import check_names, partitions_on
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm.changes import ChangeResult, CheckedChanges
from langchain_agentmem.longterm.config import TTL_BY_KIND, LongTermMemoryConfig
from langchain_agentmem.longterm.consolidate import MergeStore
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.redisearch.coordinator import without_coordinator
from langchain_agentmem.longterm.redisearch.document import TOLERANCE, UnitVector
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.part import Part
from langchain_agentmem.longterm.redisearch.partitions import Parts, index_of
from langchain_agentmem.longterm.redisearch.queries import Store
from langchain_agentmem.longterm.redisearch.schema import IndexSettings
from langchain_agentmem.longterm.redisearch.search import checked_search
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
from langchain_agentmem.tasks.task import Taking
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS, Transport

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    from langchain_core.embeddings import Embeddings


class LongTermMemory(BaseLongTermMemory):
    """Memories of users, in namespaces and of kinds, on Redis with Search.

    A user, namespace or kind matches itself alone, byte for byte. The constructor does no I/O. The
    index is created by the first operation that needs it, once, and again if it has gone missing; the
    first of a connection costs a round trip more. The default embeddings are loaded when first used.

    Args:
        url: A Redis URL, or `embedded://`; or supply clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        embeddings: Any LangChain embeddings; all-MiniLM-L6-v2 on this machine if none are given.
        index_name: The search index.
        key_prefix: What stands before the id in a key.
        storage: `json` can be read with any JSON tool; `hash` takes a third of the memory.
        algorithm: The algorithm with which the vector index is created; one that is there serves with its
            own. `flat` finds exactly, and writes do not slow down as it grows; `hnsw` finds approximately,
            and by `mode="vector"` faster where a user has more than about 20,000 memories.
        vector_type: `float16` takes half of the memory of `float32`.
        dedup: What makes a text a duplicate of a memory: `same`, it says the same; `exact`, it is the same
            text; `near`, it is within `dedup_threshold`, which takes most changed facts for duplicates; a
            function, it has the same key; `None`, nothing does.
        dedup_threshold: By `dedup="near"`, up to this cosine distance a memory is a duplicate. Thresholds
            have 1e-6 to spare (`float16`: 1e-3), as distances are rounded: 0 is the same vector.
        recall_threshold: By `mode="vector"`, up to this cosine distance a memory is recalled.
        language: The language of stemming and stop words, as Snowball names it (`german`). In one it does not
            know, words are found as they are written.
        ttl_by_kind: The TTL in seconds of memories of a kind; `None`, or no entry, for no expiry.
        max_text_bytes: Longer texts are refused.
        partitions: In how many partitions memories are, each with an index of its own: those of a user are in
            one. Fixed for the life of the data; memories that were stored without partitions are not seen.
            `None` for 256 on a cluster, and for none elsewhere.
        recall_from_replicas: Whether replicas of a cluster may answer `recall`. They may be behind: what was
            just stored may be missing, and while a slot moves, so may others of its memories.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL, a client or a choice is not usable.
        InvalidInputError: A number or a name is not usable.
    """

    supports_vectors = True
    supports_namespaces = True
    supports_chosen_ids = True
    modes = ("hybrid", "vector", "text")
    config: LongTermMemoryConfig

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | redis.RedisCluster | None = None,
        async_client: redis.asyncio.Redis | redis.asyncio.RedisCluster | None = None,
        transport: Transport | None = None,
        embeddings: Embeddings | None = None,
        index_name: str = LongTermMemoryConfig.index_name,
        key_prefix: str = LongTermMemoryConfig.key_prefix,
        storage: Literal["json", "hash"] = LongTermMemoryConfig.storage,
        algorithm: Literal["flat", "hnsw"] = LongTermMemoryConfig.algorithm,
        vector_type: Literal["float32", "float16"] = LongTermMemoryConfig.vector_type,
        dedup: Dedup = LongTermMemoryConfig.dedup,
        dedup_threshold: float = LongTermMemoryConfig.dedup_threshold,
        recall_threshold: float = LongTermMemoryConfig.recall_threshold,
        language: str = LongTermMemoryConfig.language,
        ttl_by_kind: Mapping[str, int | None] = TTL_BY_KIND,
        max_text_bytes: int = LongTermMemoryConfig.max_text_bytes,
        partitions: int | None = LongTermMemoryConfig.partitions,
        recall_from_replicas: bool = LongTermMemoryConfig.recall_from_replicas,
        socket_timeout_seconds: float = SOCKET_TIMEOUT_SECONDS,
    ) -> None:
        checks.embeddings(embeddings)
        self._embeddings = embeddings
        self.config = LongTermMemoryConfig(
            index_name=index_name,
            key_prefix=key_prefix,
            storage=storage,
            algorithm=algorithm,
            vector_type=vector_type,
            dedup=dedup,
            dedup_threshold=dedup_threshold,
            recall_threshold=recall_threshold,
            language=language,
            ttl_by_kind=ttl_by_kind,
            max_text_bytes=max_text_bytes,
            partitions=partitions,
            recall_from_replicas=recall_from_replicas,
        )
        super().__init__(self.config)
        self._connect(transport, url, client, async_client, socket_timeout_seconds)
        self._search_timeout_ms = max(1, int(socket_timeout_seconds * 1000))
        try:
            if self.transport.rest:
                raise ConfigurationError(
                    "LongTermMemory needs Redis with vector search, which Upstash's REST API has not: "
                    "use UpstashLongTermMemory, which finds memories by their words."
                )
            wanted = partitions_on(partitions, cluster=self.transport.cluster)
            if wanted:
                check_names(key_prefix=key_prefix, index_name=index_name)
            elif self.transport.cluster:
                raise ConfigurationError("partitions must be at least 1 on a Redis Cluster.")
        except ConfigurationError:
            self.close()
            raise
        if wanted:
            self.transport.partition_counts.add(of_memories(index_name, wanted))
        self.parts = Parts(index_name, wanted, self._part)

    def _part(self, number: int | None) -> Part:
        config = self.config
        keys = Keys(memory_prefix=config.key_prefix, partitions=self.parts.partitions)
        keys = keys if number is None else keys.in_partition(number)
        name = index_of(config.index_name, self.parts.partitions, number)
        settings = IndexSettings(
            name, keys.memory_prefix, config.storage, config.algorithm, config.vector_type, config.language
        )
        index = MemoryIndex(settings, self.transport.partition_counts.ask_again)
        index.share(self.transport.known)
        store = Store(
            keys=keys,
            index_name=name,
            storage=config.storage,
            search_timeout_ms=self._search_timeout_ms,
            tolerance=TOLERANCE[config.vector_type],
            language=config.language,
            vector_type=config.vector_type,
            knowledge=index.knowledge,
            partitioned=number is not None,
        )
        return Part(config, self.drafting, lambda: self.embeddings, store, index)

    @property
    def store(self) -> Store:
        """Return where the memories are, if they are not in partitions."""
        return self.parts.any.store

    @property
    def index(self) -> MemoryIndex:
        """Return their index, if they are not in partitions; else that of one."""
        return self.parts.any.index

    @property
    def dedup_threshold(self) -> float:
        """Return the cosine distance up to which a memory is a duplicate."""
        return self.config.dedup_threshold

    @property
    def embeddings(self) -> Embeddings:
        """Return what turns texts into vectors; all-MiniLM-L6-v2 on this machine if none were given."""
        if self._embeddings is None:
            from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings

            self._embeddings = MiniLMEmbeddings()
        return self._embeddings

    def check_embedding(self, embedding: Sequence[float]) -> Sequence[float]:
        """Return a vector as the operations take it without converting it again.

        Raises:
            EmbeddingError: It is no list of finite numbers, all zeros, or of another length than the index's.
        """
        return UnitVector(self.parts.any.as_vector(embedding))

    def search(self, user: str, namespace: str | None, options: RecallOptions) -> Search:
        """Return a recall, checked.

        Raises:
            InvalidInputError: Something about it is not usable.
        """
        return checked_search(self.config, self._scope(user, namespace, options.get("kind")), options)

    def search_op(
        self, search: Search, query: str, embedding: Sequence[float] | None
    ) -> Op[list[MemoryRecord]]:
        """Return the memories that answer a query best, best first.

        One round trip, and the embedding of the query.

        Raises:
            EmbeddingError: The embedding is not usable.
        """
        return self._checked(self.parts.of(search.scope.user).search_op(search, query, embedding))

    def store_op(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        """Store a batch in one round trip, each memory unless it is a duplicate by the rule of `dedup`.

        Raises:
            EmbeddingError: An embedding is not usable; nothing is stored.
        """
        return self._checked(self.parts.split(batch, Part.store_op))

    def add_op(self, drafts: Sequence[Draft]) -> Op[list[RememberResult]]:
        """Store memories, except duplicates of what is there, or of one before; what is there stays as it is.

        One embedding, and one round trip; by nearness two, because duplicates are looked for rather than left
        to the storing, which would count them as learnt again.
        """
        add = self.parts.split(WriteBatch(drafts), lambda part, batch: part.add_op(batch.drafts))
        return self._checked(add)

    def revise_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[Refusal | None]:
        """Change a memory in place; return why that cannot be, `None` if it is done.

        Raises:
            EmbeddingError: The embedding is not usable, or nothing is embedded; nothing is changed.
        """
        missing: Refusal | None = "missing"
        revise = self.parts.at(update.id, update.user, lambda one: one.revise_op(update, embedding), missing)
        return self._checked(revise)

    def changes_op(
        self, checked: CheckedChanges, known: Sequence[MemoryRecord], taking: Taking | None
    ) -> Op[list[ChangeResult] | None]:
        """Make changes in one atomic step; where no script can, or under a lock, each in its own."""
        part = self.parts.of(checked.scope.user)
        return self._checked(part.changes_op(checked, known, taking))

    def _merging(self, user: str) -> MergeStore:
        return self.parts.of(user).merging()

    @property
    def _dedup_distance(self) -> float | None:
        return self.config.near_distance

    @property
    def _finds_by_digest(self) -> bool:
        return self.config.dedup not in (None, "near")

    def links_op(self, scope: Scope) -> Op[dict[str, str]]:
        """Return which memory superseded each superseded one of a user and namespace. One round trip."""
        return self._checked(self.parts.of(scope.user).links_op(scope))

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the operation of `get`."""
        return self._checked(self.parts.at(memory_id, user, lambda one: one.get_op(memory_id, user), None))

    def partition_of(self, user: str | None) -> int:
        """Return the number of the partition that a user's memories are in; 0 without partitions."""
        return self.parts.number_of(user)

    def get_beside_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the memory that has an id where the memories of a user are, whoever's it is."""
        return self._checked(self.parts.of(user).get_op(memory_id, None))

    def get_many_op(self, ids: list[str], scope: Scope) -> Op[list[MemoryRecord | None]]:
        """Return memories by id, `None` for each that is missing or in another scope. One round trip."""
        return self._checked(self.parts.of(scope.user).get_many_op(ids, scope))

    def list_op(self, listing: Listing) -> Op[list[MemoryRecord]]:
        """Return the operation of `list_memories`."""
        return self._checked(self.parts.of(listing.scope.user).list_op(listing))

    def count_op(self, listing: Listing) -> Op[int]:
        """Return the operation of `count_memories`."""
        return self._checked(self.parts.of(listing.scope.user).count_op(listing))

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """Return the operation of `delete_memory`."""
        delete = self.parts.at(memory_id, user, lambda part: part.delete_op(memory_id, user), False)
        return self._checked(delete)

    def delete_many_op(self, ids: list[str], scope: Scope) -> Op[int]:
        """Delete memories by their ids, those in the scope only; return how many. One round trip."""
        return self._checked(self.parts.of(scope.user).delete_many_op(ids, scope))

    def clear_op(self, user: str | None, namespace: str | None, kind: str | None) -> Op[Removed]:
        """Return the operation of `clear`."""
        return self._checked(self.parts.clear(Scope.of_any(user, namespace, kind)))

    def forget_op(self, user: str, thorough: bool, dry_run: bool = False) -> Op[Removed]:
        """Return the operation of `forget_user`; in a dry run, memories are only counted."""
        scope = Scope.of_user(user, None, None)
        forget = self.parts.of(user).clear_op(scope, thorough=thorough, dry_run=dry_run)
        return self._checked(forget)

    def ids_op(self, user: str | None) -> Op[list[str]]:
        """Return the ids of a user's memories, or of everybody's; others' may be among a user's."""
        return self._checked(self.parts.ids(user))

    def readers_op(self, user: str | None) -> Op[list[Callable[[], Op[MemoryRecord | None]]]]:
        """Return an operation that reads it for each memory of a user, or of everybody."""
        return self._checked(self.parts.readers(user))

    def create_index_op(self) -> Op[None]:
        """Return the operation of `create_index`."""
        return self._checked(self.parts.create_index())

    def info_op(self) -> Op[dict[str, Any]]:
        """Return the operation of `index_info`."""
        return self._checked(self.parts.info())

    def rebuild_op(self) -> Op[RebuiltIndex]:
        """Return the operation of `rebuild_index`."""
        return self._checked(self.parts.rebuild())

    def drop_op(self, delete_documents: bool) -> Op[None]:
        """Return the operation of `drop_index`."""
        return self._checked(self.parts.drop(delete_documents))

    def _checked(self, op: Op[T]) -> Op[T]:
        """Return an operation that runs only if searches of partitions are answered by the node asked."""
        return without_coordinator(op, self.transport.known) if self.transport.cluster else op
