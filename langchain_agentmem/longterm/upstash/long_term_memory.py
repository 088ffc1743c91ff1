"""`UpstashLongTermMemory`: what is known about users, on Upstash Redis, found by its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any, ClassVar, Literal

from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.longterm.long_term_operations import TTL_BY_KIND
from langchain_agentmem.longterm.memories import Progress
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.longterm.upstash.connected_memory import UpstashConnectedMemory
from langchain_agentmem.longterm.upstash.memory_operations import none_given
from langchain_agentmem.transport.connections import Transport


class UpstashLongTermMemory(UpstashConnectedMemory):
    """Memories of users, of kinds, on Upstash Redis with its full-text search.

    The data model is the one of Upstash's own "Agent Memory with Redis Search", so that memories of an
    app that was built on it are found. A user or kind matches itself alone, byte for byte. There are no
    vectors, and no namespaces but `default`. The constructor does no I/O; the index is made by the
    first operation that finds it missing.

    Upstash indexes a moment after a write: until then a memory is not recalled, and only the same text
    is known. What counts as the same text: upper and lower case, white space, accents written apart and
    full stops at the end make no difference.

    Args:
        url: The database's REST URL; without it, `UPSTASH_REDIS_REST_URL`.
        token: Its REST token; without it, `UPSTASH_REDIS_REST_TOKEN`.
        client: A sync `upstash_redis` client of yours; it is neither changed nor closed.
        async_client: An async client of yours.
        transport: What another object of this package already connects with.
        index_name: The search index.
        key_prefix: What stands before the user and the id in a key.
        dedup_score: Above this relevance a memory of the same user and kind is known already. 8 is the
            tutorial's choice, for small stores. Scores have no upper end and grow with what is stored:
            among thousands of memories, one rare word in common scores more. So set it by your own
            scores, or to `None`: then only the same text is known.
        recency_per_day: What a day of age takes off a score; 0 ranks by relevance alone.
        ttl_by_kind: How many seconds memories of a kind live; `None`, or no entry, is for ever.
        max_text_bytes: Longer texts are refused.
        socket_timeout_seconds: After this, a silent server is an error.

    Raises:
        ConfigurationError: The URL or a client is not usable, or is not Upstash's.
        InvalidInputError: A number or a name is not usable.
    """

    supports_vectors: ClassVar[bool] = False
    supports_namespaces: ClassVar[bool] = False
    supports_chosen_ids: ClassVar[bool] = False
    _on_redis = "LongTermMemory"

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        client: Any = None,
        async_client: Any = None,
        transport: Transport | None = None,
        index_name: str = "memories",
        key_prefix: str = "memory:",
        dedup_score: float | None = 8.0,
        recency_per_day: float = 0.01,
        ttl_by_kind: Mapping[str, int | None] = TTL_BY_KIND,
        max_text_bytes: int = 32768,
        socket_timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(
            index_name=index_name,
            key_prefix=key_prefix,
            dedup_score=dedup_score,
            recency_per_day=recency_per_day,
            ttl_by_kind=ttl_by_kind,
            max_text_bytes=max_text_bytes,
        )
        self._connect_rest(transport, url, client, async_client, socket_timeout_seconds, token)
        self.store.index.share(self.transport.known)

    def remember(
        self,
        text: str,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embedding: None = None,
        metadata: dict[str, Any] | None = None,
    ) -> RememberResult:
        """Store a memory, unless the user knows the same one, or nearly, of this kind already.

        One round trip and one atomic step: the look for a known memory, the write and its expiry.
        A known memory gets one more hit, and lives as long again; its life is never shortened.

        Args:
            text: The memory.
            user: Whose it is.
            namespace: Must be `default`.
            kind: Its kind; `ttl_by_kind` says how long a kind lives.
            source_thread: The thread it was learnt in.
            ttl_seconds: How long it lives instead; `None` is for ever.
            embedding: Must be `None`.
            metadata: Whatever JSON can bring back equal.

        Raises:
            InvalidInputError: Something cannot be stored; nothing was.
            StoreFullError: The server is full; nothing was stored.
            IndexMismatchError: The index has another shape; nothing was stored.
        """
        none_given(embedding=embedding)
        return self.transport.run(
            self.remember_op(
                text,
                user=user,
                namespace=namespace,
                kind=kind,
                source_thread=source_thread,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            )
        )

    async def aremember(
        self,
        text: str,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embedding: None = None,
        metadata: dict[str, Any] | None = None,
    ) -> RememberResult:
        """Async version of `remember`."""
        none_given(embedding=embedding)
        return await self.transport.arun(
            self.remember_op(
                text,
                user=user,
                namespace=namespace,
                kind=kind,
                source_thread=source_thread,
                ttl_seconds=ttl_seconds,
                metadata=metadata,
            )
        )

    def remember_many(
        self,
        texts: Sequence[str],
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embeddings: None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: None = None,
        batch_size: int = 64,
        on_progress: Progress | None = None,
    ) -> list[RememberResult]:
        """Store many memories, as `remember` does each. One round trip a batch.

        Everything is checked before anything is stored. The same text twice is stored once; nearly the
        same text may be stored twice, because the first is not indexed yet.

        Args:
            texts: The memories.
            user: Whose they are.
            namespace: Must be `default`.
            kind: Their kind.
            source_thread: The thread they were learnt in.
            ttl_seconds: How long they live instead of their kind's default.
            embeddings: Must be `None`.
            metadatas: Metadata, or `None`, a text.
            ids: Must be `None`: an id comes of the text.
            batch_size: How many are stored at once.
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
        return self._store_batches(batches, on_progress)

    async def aremember_many(
        self,
        texts: Sequence[str],
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        embeddings: None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: None = None,
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
        return await self._astore_batches(batches, on_progress)

    def recall(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Literal["text"] = "text",
        distance_threshold: EllipsisType | None = ...,
        filter: dict[str, Any] | None = None,
        embedding: None = None,
    ) -> list[MemoryRecord]:
        """The user's memories that match a query best, best first. One round trip.

        A record's `score` is its relevance, which has no upper end, less what its age costs; its
        `distance` is `None`. It may be fewer than `k` though there are more, if other programs have
        stored documents under the prefix that are no memories.

        Args:
            query: What to look for: words, near misses count less. In double quotes it is one phrase.
            user: Whose memories.
            namespace: `default` or `None`.
            kind: Of which kind; `None` is every one.
            k: How many at most, up to 1,000.
            mode: How memories are ranked.
            distance_threshold: Must be left out, or `None`.
            filter: A filter in Upstash's own language that narrows the search further.
            embedding: Must be `None`.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
            IndexMismatchError: The index has another shape, for instance cannot rank by recency.
            StoreError: The server refused, for instance a filter it cannot parse.
        """
        none_given(embedding=embedding)
        return self.transport.run(
            self.recall_op(
                query=query,
                user=user,
                namespace=namespace,
                kind=kind,
                k=k,
                mode=mode,
                distance_threshold=distance_threshold,
                filter=filter,
            )
        )

    async def arecall(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Literal["text"] = "text",
        distance_threshold: EllipsisType | None = ...,
        filter: dict[str, Any] | None = None,
        embedding: None = None,
    ) -> list[MemoryRecord]:
        """Async version of `recall`."""
        none_given(embedding=embedding)
        return await self.transport.arun(
            self.recall_op(
                query=query,
                user=user,
                namespace=namespace,
                kind=kind,
                k=k,
                mode=mode,
                distance_threshold=distance_threshold,
                filter=filter,
            )
        )
