"""`LongTermMemory`: what is known about users, stored once and found by meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm import clearing
from langchain_agentmem.longterm.connected_memory import ConnectedMemory
from langchain_agentmem.longterm.drafts import Batch
from langchain_agentmem.longterm.long_term_operations import TTL_BY_KIND
from langchain_agentmem.longterm.memories import Progress
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.transport.connections import Transport

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    from langchain_core.embeddings import Embeddings

    from langchain_agentmem.longterm.filters import FilterExpression


class LongTermMemory(ConnectedMemory):
    """Memories of users, in namespaces and of kinds, on Redis with Search.

    A user, namespace or kind matches itself alone, byte for byte. The constructor does no I/O. The
    index is made by the first operation that needs it, once, and again if it has gone missing; the
    first of a connection costs a round trip more. The default embeddings are loaded when first used.

    Args:
        url: A Redis URL, or `embedded://`; or hand in clients.
        client: A sync client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        embeddings: Any LangChain embeddings; all-MiniLM-L6-v2 on this machine if none are given.
        index_name: The search index.
        key_prefix: What stands before the id in a key.
        storage: `json` can be read with any JSON tool; `hash` takes a third of the memory.
        algorithm: `hnsw` finds approximately among many; `flat` looks at each, and is written faster.
        vector_type: `float16` takes half of the memory of `float32`.
        dedup_threshold: Up to this cosine distance a memory is known already. Thresholds have 1e-6 to
            spare (`float16`: 1e-3), because distances are rounded: 0 is the same vector.
        recall_threshold: Up to this cosine distance a memory is recalled.
        ttl_by_kind: How many seconds memories of a kind live; `None`, or no entry, is for ever.
        max_text_bytes: Longer texts are refused.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL, a client or a choice is not usable.
        InvalidInputError: A number or a name is not usable.
    """

    supports_vectors: ClassVar[bool] = True
    supports_namespaces: ClassVar[bool] = True
    supports_chosen_ids: ClassVar[bool] = True

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        transport: Transport | None = None,
        embeddings: Embeddings | None = None,
        index_name: str = "agentmem:idx",
        key_prefix: str = "agent:mem:",
        storage: Literal["json", "hash"] = "json",
        algorithm: Literal["hnsw", "flat"] = "hnsw",
        vector_type: Literal["float32", "float16"] = "float32",
        dedup_threshold: float = 0.20,
        recall_threshold: float = 0.55,
        ttl_by_kind: Mapping[str, int | None] = TTL_BY_KIND,
        max_text_bytes: int = 32768,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(
            embeddings=embeddings,
            index_name=index_name,
            key_prefix=key_prefix,
            storage=storage,
            algorithm=algorithm,
            vector_type=vector_type,
            dedup_threshold=dedup_threshold,
            recall_threshold=recall_threshold,
            ttl_by_kind=ttl_by_kind,
            max_text_bytes=max_text_bytes,
            patience_seconds=socket_timeout_seconds,
        )
        self._connect(transport, url, client, async_client, socket_timeout_seconds)
        self.index.share(self.transport.known)
        if self.transport.rest:
            self.close()
            raise ConfigurationError(
                "LongTermMemory needs Redis with vector search, which Upstash's REST API has not: "
                "use UpstashLongTermMemory, which finds memories by their words."
            )

    def remember(
        self,
        text: str,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embedding: Sequence[float] | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> RememberResult:
        """Store a memory, unless the user knows nearly the same one in this namespace and kind already.

        One round trip and one atomic step: the look for a known memory, the write and its expiry.
        A known memory gets one more hit, and lives as long again; its life is never shortened.

        Args:
            text: The memory.
            user: Whose it is.
            namespace: The part of the user's memories it belongs to.
            kind: Its kind; `ttl_by_kind` says how long a kind lives.
            source_thread: The thread it was learnt in.
            ttl_seconds: How long it lives instead; `None` is for ever.
            embedding: The text's vector, if you have it; the model is not asked then.
            metadata: Whatever JSON can bring back equal.
            id: An id of your choice. The memory is stored under it in any case, in place of what the same
                user, namespace and kind has there; no known memory is looked for.

        Raises:
            InvalidInputError: Something cannot be stored (`EmbeddingError`: the vector), or the id belongs
                to a memory of another user, namespace or kind; nothing was stored.
            StoreFullError: The server is full; nothing was stored.
            IndexMismatchError: The index has another shape; nothing was stored.
        """
        draft = self.drafting.draft(
            text,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
            id=id,
        )
        given = None if embedding is None else [embedding]
        return self.store_batches([Batch([draft], given)], self.dedup_threshold)[0]

    async def aremember(
        self,
        text: str,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embedding: Sequence[float] | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> RememberResult:
        """Async version of `remember`."""
        draft = self.drafting.draft(
            text,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
            id=id,
        )
        given = None if embedding is None else [embedding]
        return (await self.astore_batches([Batch([draft], given)], self.dedup_threshold))[0]

    def remember_many(
        self,
        texts: Sequence[str],
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embeddings: Sequence[Sequence[float]] | None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        batch_size: int = 64,
        on_progress: Progress | None = None,
    ) -> list[RememberResult]:
        """Store many memories, as `remember` does each. One round trip a batch.

        Everything is checked before anything is stored (embeddings of the model: a batch at a time).
        A memory sees those before it, so that the same text twice, without ids, is stored once.

        Args:
            texts: The memories.
            user: Whose they are.
            namespace: The part of the user's memories they belong to.
            kind: Their kind.
            source_thread: The thread they were learnt in.
            ttl_seconds: How long they live instead of their kind's default.
            embeddings: A vector a text, if you have them.
            metadatas: Metadata, or `None`, a text.
            ids: An id, or `None`, for each text. What has an id is stored under it in any case, in place of
                what the same scope has there; the last one counts if an id stands there twice. Only for
                those without an id a known memory is looked for.
            batch_size: How many are embedded and stored at once.
            on_progress: Called after every batch with how many are done, and how many there are. What it
                raises is logged, and storing goes on.
        """
        batches = self.batches(
            texts,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            embeddings=embeddings,
            metadatas=metadatas,
            ids=ids,
            batch_size=batch_size,
        )
        return self.store_batches(batches, self.dedup_threshold, on_progress)

    async def aremember_many(
        self,
        texts: Sequence[str],
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embeddings: Sequence[Sequence[float]] | None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        batch_size: int = 64,
        on_progress: Progress | None = None,
    ) -> list[RememberResult]:
        """Async version of `remember_many`."""
        batches = self.batches(
            texts,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            embeddings=embeddings,
            metadatas=metadatas,
            ids=ids,
            batch_size=batch_size,
        )
        return await self.astore_batches(batches, self.dedup_threshold, on_progress)

    def recall(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Literal["vector"] = "vector",
        distance_threshold: float | EllipsisType | None = ...,
        filter: FilterExpression | None = None,
        embedding: Sequence[float] | None = None,
    ) -> list[MemoryRecord]:
        """The user's memories nearest to a query, nearest first. One round trip.

        Args:
            query: What to look for. It is only ever embedded, never parsed.
            user: Whose memories.
            namespace: In which namespace; `None` is every one of this user's.
            kind: Of which kind; `None` is every one.
            k: How many at most.
            mode: How memories are ranked.
            distance_threshold: Up to which cosine distance, instead of `recall_threshold`; `None` for
                any.
            filter: A redisvl `FilterExpression` that narrows the search further.
            embedding: The query's vector, if you have it; `query` is not looked at then.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
            StoreError: The server refused, for instance a filter it cannot parse.
        """
        search = self.search(user, namespace, kind, k, mode, distance_threshold, filter)
        if embedding is None:
            embedding = self.embeddings.embed_query(self.query(query))
        return self.transport.run(self.search_op(search, embedding))

    async def arecall(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Literal["vector"] = "vector",
        distance_threshold: float | EllipsisType | None = ...,
        filter: FilterExpression | None = None,
        embedding: Sequence[float] | None = None,
    ) -> list[MemoryRecord]:
        """Async version of `recall`."""
        search = self.search(user, namespace, kind, k, mode, distance_threshold, filter)
        if embedding is None:
            embedding = await self.embeddings.aembed_query(self.query(query))
        return await self.transport.arun(self.search_op(search, embedding))

    def list_memories(
        self, *, user: str, namespace: str | None = "default", kind: str | None = None, limit: int = 100
    ) -> list[MemoryRecord]:
        """A user's newest memories, newest first, with what they have left to live. Two round trips.

        `None` as namespace or kind is every one. A server returns a million rows at most.
        """
        return self._indexed(self.list_op(user, namespace, kind, limit))

    async def alist_memories(
        self, *, user: str, namespace: str | None = "default", kind: str | None = None, limit: int = 100
    ) -> list[MemoryRecord]:
        """Async version of `list_memories`."""
        return await self._aindexed(self.list_op(user, namespace, kind, limit))

    def clear(self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None) -> int:
        """Delete the memories of a user, a namespace, a kind, or of what is given of them together.

        With nothing given, every document under the prefix is deleted. In batches of 1,000, however
        many there are. Where the index may not name every memory (it is missing, is being filled, has
        refused documents), the keys of the database are looked at besides.

        Returns:
            How many were deleted.

        Raises:
            StoreError: Some could not be deleted; the others were.
        """
        if user is namespace is kind is None:
            return self.transport.run(clearing.clear_prefix(self.store))
        return self.transport.run(self.clear_op(user, namespace, kind)).all()

    async def aclear(
        self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None
    ) -> int:
        """Async version of `clear`."""
        if user is namespace is kind is None:
            return await self.transport.arun(clearing.clear_prefix(self.store))
        return (await self.transport.arun(self.clear_op(user, namespace, kind))).all()
