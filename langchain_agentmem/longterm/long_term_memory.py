"""`BaseLongTermMemory`: memories of users, however they are searched. Every public method stands here.

A backend implements the operations (`…_op`), which are checked when they are made and do no I/O; this class
runs them.
"""

from __future__ import annotations

import logging
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, get_args

from typing_extensions import Unpack

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.changes import Change, ChangeResult, CheckedChanges
from langchain_agentmem.longterm.config import BaseLongTermMemoryConfig
from langchain_agentmem.longterm.consolidate import Consolidation, MergeStore
from langchain_agentmem.longterm.consolidation import Consolidated, Consolidator
from langchain_agentmem.longterm.contained import ContainedWords
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.drafts import About, Drafting
from langchain_agentmem.longterm.history import history
from langchain_agentmem.longterm.types import (
    Draft,
    Filter,
    Listing,
    MemoryRecord,
    Mode,
    RebuiltIndex,
    RecallOptions,
    Refusal,
    RememberResult,
    Scope,
    Search,
    Sort,
    UpdateDraft,
    WriteBatch,
)
from langchain_agentmem.tasks.queue import take_off
from langchain_agentmem.tasks.task import Taking
from langchain_agentmem.transport.connected import Connected

if TYPE_CHECKING:
    from langchain_core.documents import BaseDocumentCompressor
    from langchain_core.embeddings import Embeddings

logger = logging.getLogger("langchain_agentmem.longterm")

Progress: TypeAlias = Callable[[int, int], None]

WITHIN = 0.5  # cosine distance: what is judged together; see test_default_embeddings.py for what is within it

_MARKING_TOKENS = 4  # at most: of a beginning, an end and a first blank


class BaseLongTermMemory(Connected):
    """Memories of users, in namespaces and of kinds.

    A user, namespace or kind matches itself alone, byte for byte.

    Attributes:
        supports_vectors: Whether memories are found by vectors, and `embedding=` and distances are of use.
        supports_namespaces: Whether there are other namespaces than `default`.
        supports_chosen_ids: Whether `id=` may name a memory.
        modes: How `recall` can rank; the first is its own way.
        config: The options it was made with.
        drafting: The rules for what is stored.
    """

    supports_vectors: ClassVar[bool]
    supports_namespaces: ClassVar[bool]
    supports_chosen_ids: ClassVar[bool]
    modes: ClassVar[tuple[Mode, ...]]
    config: BaseLongTermMemoryConfig

    def __init__(self, config: BaseLongTermMemoryConfig) -> None:
        self.drafting = Drafting(config)

    @property
    @abstractmethod
    def embeddings(self) -> Embeddings | None:
        """Return what turns texts into vectors; `None` if there are no vectors."""

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
        context: str = "",
        replaces: str | None = None,
        near: bool = False,
        deduplicate: bool = True,
    ) -> RememberResult:
        """Store a memory, unless it duplicates one of the user's in this namespace and kind.

        One round trip and one atomic step: the look for a duplicate, the write and its expiry. By default
        only what says the same is a duplicate (`dedup="same"`): a changed fact is stored beside the one
        it contradicts. A duplicate adds 1 to the `hit_count` of the memory that is there and extends its TTL,
        which is never shortened. What has been updated, or superseded before, costs a round trip more.

        Args:
            text: The memory.
            user: Whose it is.
            namespace: The part of the user's memories it belongs to. `default` where a backend has none
                (`supports_namespaces`).
            kind: Its kind; `ttl_by_kind` has the TTL of each.
            source_thread: The thread it was learnt in.
            ttl_seconds: Its TTL in seconds instead; `None` for no expiry.
            embedding: The text's vector, if you have it, in the index's dimensions; the model is not asked
                then. `None` where a backend has no vectors (`supports_vectors`).
            metadata: Whatever JSON can bring back equal.
            id: An id of your choice (`supports_chosen_ids`). The memory is stored under it in any case, in
                place of what the same user, namespace and kind has there; no duplicate is looked for.
            context: What was said before it, one message per line: its words help to find the memory.
            replaces: The id of a memory of the same user and namespace that is out of date now: it is kept,
                linked and dated, and no longer recalled, in the same atomic step. If it is gone, nothing is
                superseded.
            near: Whether to look for the nearest memory that says something else, in the same round trip.
            deduplicate: Whether to look for a duplicate; otherwise the text becomes a memory of its own.

        Returns:
            The id of the memory that holds the text now, whether it is a duplicate, what is near it (if
            asked), and what it superseded.

        Raises:
            InvalidInputError: Something cannot be stored (`EmbeddingError`: the vector), or the id, or the
                one in `replaces`, belongs to a memory of another scope; nothing was stored.
            StoreFullError: The server is full; nothing was stored.
            IndexMismatchError: The index has another schema; nothing was stored.
        """
        return self.transport.run(
            self.remember_op(
                text,
                user=user,
                namespace=namespace,
                kind=kind,
                source_thread=source_thread,
                ttl_seconds=ttl_seconds,
                embedding=embedding,
                metadata=metadata,
                id=id,
                context=context,
                replaces=replaces,
                near=near,
                deduplicate=deduplicate,
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
        embedding: Sequence[float] | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
        context: str = "",
        replaces: str | None = None,
        near: bool = False,
        deduplicate: bool = True,
    ) -> RememberResult:
        """Async version of `remember`."""
        return await self.transport.arun(
            self.remember_op(
                text,
                user=user,
                namespace=namespace,
                kind=kind,
                source_thread=source_thread,
                ttl_seconds=ttl_seconds,
                embedding=embedding,
                metadata=metadata,
                id=id,
                context=context,
                replaces=replaces,
                near=near,
                deduplicate=deduplicate,
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
        embeddings: Sequence[Sequence[float]] | None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        contexts: Sequence[str] | None = None,
        deduplicate: bool = True,
        batch_size: int = 64,
        on_progress: Progress | None = None,
    ) -> list[RememberResult]:
        """Store many memories, as `remember` does each. One round trip per batch.

        Everything is checked before anything is stored (embeddings of the model: a batch at a time).
        A memory sees those before it, so that the same text twice, without ids, is stored once.

        Args:
            texts: The memories.
            user: Whose they are.
            namespace: The part of the user's memories they belong to.
            kind: Their kind.
            source_thread: The thread they were learnt in.
            ttl_seconds: Their TTL in seconds instead of their kind's default; `None` for no expiry.
            embeddings: One vector per text, if you have them.
            metadatas: One dict, or `None`, per text.
            ids: One id, or `None`, per text. What has an id is stored under it in any case, in place of
                what the same scope has there; the last one counts if an id stands there twice. Only for
                those without an id a duplicate is looked for.
            contexts: What was said before each text, one message per line. If not given, and the texts have a
                `source_thread`, they are taken for what was said in it, in their order.
            deduplicate: Whether to look for duplicates; otherwise each text becomes a memory of its own.
            batch_size: How many are embedded and stored at once.
            on_progress: Called after every batch with how many are done, and how many there are. What it
                raises is logged, and storing goes on.

        Returns:
            One result per text, in their order.

        Raises:
            InvalidInputError: Something cannot be stored, or the lists differ in length.
        """
        batches = self.write_batches(
            texts,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            embeddings=embeddings,
            metadatas=metadatas,
            ids=ids,
            contexts=contexts,
            deduplicate=deduplicate,
            batch_size=batch_size,
        )
        return self.transport.run(self.store_all_op(batches, on_progress=on_progress))

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
        contexts: Sequence[str] | None = None,
        deduplicate: bool = True,
        batch_size: int = 64,
        on_progress: Progress | None = None,
    ) -> list[RememberResult]:
        """Async version of `remember_many`."""
        batches = self.write_batches(
            texts,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            embeddings=embeddings,
            metadatas=metadatas,
            ids=ids,
            contexts=contexts,
            deduplicate=deduplicate,
            batch_size=batch_size,
        )
        return await self.transport.arun(self.store_all_op(batches, on_progress=on_progress))

    def recall(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        embedding: Sequence[float] | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        explain: bool = False,
    ) -> list[MemoryRecord]:
        """Return the user's memories that match a query best, best first. One round trip.

        Args:
            query: What to look for. It is embedded, and searched for by its words, never parsed.
            user: Whose memories.
            namespace: In which namespace; `None` for all of this user's.
            kind: Of which kind; `None` for all.
            k: How many at most.
            mode: How memories are found and ranked. `hybrid`, the default: by meaning and by words, nothing
                if nothing of what is asked seems to be known, and newest first among those that contradict
                each other. `vector`: by meaning alone, up to a distance. `text`: by words alone, without an
                embedding: on Redis, whatever shares a word; on Upstash the default, and the only one, nothing
                if nothing of what is asked seems to be known.
            distance_threshold: Up to which cosine distance (0 to 2). By `vector`, instead of
                `recall_threshold`, `None` for any. By `hybrid`, besides what decides whether anything is
                known; `None` returns the best in any case.
            filter: What narrows the search further: a redisvl `FilterExpression`; on Upstash, a dict in the
                language of its search.
            embedding: The query's vector, if you have it. With an empty query, it alone finds memories.
            recency_weight: What being new adds to a rank, in cosine similarity; half of it after 30 days.
            reranker: A LangChain document compressor, such as a cross-encoder, that orders the candidates.
            explain: Whether each result says the parts of its rank.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
            StoreError: The server refused, for instance a filter it cannot parse.
        """
        return self.transport.run(
            self.recall_op(
                query,
                user=user,
                namespace=namespace,
                kind=kind,
                k=k,
                mode=mode,
                distance_threshold=distance_threshold,
                filter=filter,
                embedding=embedding,
                recency_weight=recency_weight,
                reranker=reranker,
                explain=explain,
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
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        embedding: Sequence[float] | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        explain: bool = False,
    ) -> list[MemoryRecord]:
        """Async version of `recall`."""
        return await self.transport.arun(
            self.recall_op(
                query,
                user=user,
                namespace=namespace,
                kind=kind,
                k=k,
                mode=mode,
                distance_threshold=distance_threshold,
                filter=filter,
                embedding=embedding,
                recency_weight=recency_weight,
                reranker=reranker,
                explain=explain,
            )
        )

    def get(self, id: str, *, user: str | None = None) -> MemoryRecord | None:
        """Return a memory by its id, or `None`; with `user`, only if it is that user's. One round trip.

        Raises:
            InvalidInputError: The id or the user is not usable.
            StoreError: What is stored there is no memory.
        """
        return self.transport.run(self.get_op(id, user))

    async def aget(self, id: str, *, user: str | None = None) -> MemoryRecord | None:
        """Async version of `get`."""
        return await self.transport.arun(self.get_op(id, user))

    def update(
        self,
        id: str,
        text: str | None = None,
        *,
        user: str | None = None,
        metadata: dict[str, Any] | None = None,
        ttl_seconds: Ttl = ...,
        embedding: Sequence[float] | None = None,
    ) -> bool:
        """Change a memory in place. One atomic step, one round trip and, for a text, an embedding.

        Its id, scope, `created_ts` and `hit_count` stay; `updated_ts` says when. To keep the old text, use
        `remember(…, replaces=id)`.

        Args:
            id: The memory.
            text: Its new text; `None` to leave it.
            user: Whose it has to be; `None` for anybody's.
            metadata: Its new metadata, in place of all it had; `None` to leave it.
            ttl_seconds: Its TTL from now on; `None` for no expiry. If not given, it stays.
            embedding: The text's vector, if you have it.

        Returns:
            Whether it was there, and was not superseded.

        Raises:
            InvalidInputError: Something is not usable, or nothing would change.
            StoreError: What is stored there is no memory.
        """
        change = self.drafting.update(id, text=text, user=user, metadata=metadata, ttl_seconds=ttl_seconds)
        return self.transport.run(self.update_op(change, embedding))

    async def aupdate(
        self,
        id: str,
        text: str | None = None,
        *,
        user: str | None = None,
        metadata: dict[str, Any] | None = None,
        ttl_seconds: Ttl = ...,
        embedding: Sequence[float] | None = None,
    ) -> bool:
        """Async version of `update`."""
        change = self.drafting.update(id, text=text, user=user, metadata=metadata, ttl_seconds=ttl_seconds)
        return await self.transport.arun(self.update_op(change, embedding))

    def apply(
        self,
        changes: Sequence[Change],
        *,
        user: str,
        namespace: str = "default",
        source_thread: str = "",
        said_at: float | None = None,
    ) -> list[ChangeResult]:
        """Make changes of a user's memories, all of them in one atomic step: all that can be, or none.

        One round trip, and one embedding of all texts. One more if a memory that is named is not `semantic`,
        or if one that was updated, or whose id was chosen, is said again or deleted (on Upstash, or named).
        Each change sees those before it, and does what one call does: `remember`, `update`,
        `remember(…, replaces=id)`, `delete_memory`. A change that cannot be made is refused with its reason,
        and keeps no other from being made. If the server fails, or the caller is killed, either none of them
        is made, or all are; they can be repeated.

        On a Redis Cluster (unless the prefix of memories has a hash tag), and with `dedup="near"` on Upstash
        and where a server allows no search in scripts, each change is an atomic step of its own, in their
        order.

        Args:
            changes: `Add`, `Update`, `Supersede` and `Delete`, 100 at most.
            user: Whose memories they are about.
            namespace: In which namespace.
            said_at: When it was said, in epoch seconds, which is the `created_ts` of new memories; `None` for
                now.
            source_thread: The thread that new memories were learnt in.

        Returns:
            What became of each, in their order.

        Raises:
            InvalidInputError: A change is not usable (`changes[2]: …`); nothing was written.
            StoreFullError: The server is full; nothing was written.
            WrongKeyTypeError: A key holds something else; nothing was written.
            IndexMismatchError: The index has another schema; nothing was written.
        """
        whose: dict[str, Any] = {"user": user, "namespace": namespace, "source_thread": source_thread}
        op = self.apply_op(changes, said_at=said_at, **whose)
        return self.transport.run(op) or []

    async def aapply(
        self,
        changes: Sequence[Change],
        *,
        user: str,
        namespace: str = "default",
        source_thread: str = "",
        said_at: float | None = None,
    ) -> list[ChangeResult]:
        """Async version of `apply`."""
        whose: dict[str, Any] = {"user": user, "namespace": namespace, "source_thread": source_thread}
        op = self.apply_op(changes, said_at=said_at, **whose)
        return await self.transport.arun(op) or []

    def history(self, id: str, *, user: str | None = None) -> list[MemoryRecord]:
        """Return the versions of a memory, oldest first: what it superseded, and what superseded it.

        Each has its times: `created_ts`, `superseded_ts`, and `updated_ts` if its text was changed in place;
        the text before that is not kept. The history is the same for each version. Three round trips, on
        Upstash one more per thousand memories of the user. The links are looked for among the indexed
        memories of the user and namespace.

        Args:
            id: Any of the versions.
            user: Whose it has to be; `None` for anybody's.

        Returns:
            The versions, the one that is recalled last; none if the memory is not there.

        Raises:
            InvalidInputError: The id or the user is not usable.
            StoreError: What is stored there is no memory.
        """
        return self.transport.run(self.history_op(id, user))

    async def ahistory(self, id: str, *, user: str | None = None) -> list[MemoryRecord]:
        """Async version of `history`."""
        return await self.transport.arun(self.history_op(id, user))

    def consolidate(
        self,
        *,
        user: str,
        namespace: str | None = None,
        dry_run: bool = True,
        consolidator: Consolidator | None = None,
        within: float = WITHIN,
        on_progress: Progress | None = None,
    ) -> Consolidated:
        """Make one of a user's memories that say the same, in each namespace and kind; by default, only look.

        Such are left by imports with `keep_all`, by other programs and by earlier versions. What says the
        same is what `dedup` takes for a duplicate (with `near`, what says the same, or is within
        `dedup_threshold`; with `None`, nothing). The oldest memory stays, as if the others had been
        remembered again: each counts as seen once more, besides what it has counted itself; the longest TTL
        holds; metadata that only they have is added; what they supersede is superseded by it. Documents of a
        vector store are left as they are.

        A consolidator is asked about groups of up to eight memories near each other: which say the same in
        other words, of which the oldest stays, and which contradict each other, of which the one said last
        does. The others are superseded: kept, linked, and no longer recalled; those in other words are
        counted as above. What was judged is asked about again only together with what is new, or has changed.

        Each pair is one atomic step; if somebody has changed one of the two meanwhile, both stay. The call
        can be repeated at any time, and finds nothing if nothing is new. It takes a few round trips per 500
        memories; with `near` and a consolidator, per 20 memories, and per pair or group. What is held of a
        memory is a digest; texts are held of a page.

        Args:
            user: Whose memories.
            namespace: In which namespace; `None` for all.
            dry_run: Only say what would be done. The consolidator is asked nevertheless.
            consolidator: Who judges memories that are near each other, one group after the other, such as
                `model_consolidator(model)`. Not on Upstash, which has no vectors.
            within: Up to which cosine distance of a memory others are judged with it.
            on_progress: Called with how many steps are done, and how many there are. What it raises is
                logged.

        Raises:
            InvalidInputError: An argument is not usable, or the backend does not support it.
            StoreError: The server lets no script touch two memories, as a Redis Cluster, unless
                `memory_prefix` has a hash tag. A dry run works.
            IndexMismatchError: The index has another schema, or cannot be searched by this user.
        """
        return self.transport.run(
            self.consolidate_op(
                user=user,
                namespace=namespace,
                dry_run=dry_run,
                consolidator=consolidator,
                within=within,
                on_progress=on_progress,
            )
        )

    async def aconsolidate(
        self,
        *,
        user: str,
        namespace: str | None = None,
        dry_run: bool = True,
        consolidator: Consolidator | None = None,
        within: float = WITHIN,
        on_progress: Progress | None = None,
    ) -> Consolidated:
        """Async version of `consolidate`."""
        return await self.transport.arun(
            self.consolidate_op(
                user=user,
                namespace=namespace,
                dry_run=dry_run,
                consolidator=consolidator,
                within=within,
                on_progress=on_progress,
            )
        )

    def list_memories(
        self,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        limit: int = 100,
        include_superseded: bool = False,
        offset: int = 0,
        sort: Sort = "newest",
        contains: str | None = None,
        include_embeddings: bool = False,
    ) -> list[MemoryRecord]:
        """Return a page of a user's memories, with the TTL they have left. Two round trips.

        Pages do not overlap, and miss nothing, as long as nothing is written: memories of the same time
        follow each other by their ids (on Upstash, as its index has them). A document that is no memory is
        logged, and takes no place: a page that lacks one begins the next page, too.

        On Upstash, one more round trip per thousand memories, of those that are indexed already.

        Args:
            user: Whose memories.
            namespace: In which namespace; `None` for all.
            kind: Of which kind; `None` for all.
            limit: How many at most; with `offset`, a server returns a million at most, Upstash 11,000.
            include_superseded: Whether memories that another one has replaced are among them.
            offset: How many to skip.
            sort: Their order by `created_ts`, `newest` or `oldest` first; or `most_seen`, by `hit_count`,
                then newest first (not on Upstash).
            contains: Words that the text has to have, all of them, in any order and case; the last one may
                be the beginning of a word, so that typing finds memories. Every word counts as it is written,
                also a stop word or a single letter; anything else than letters and digits only separates
                words, and a text without words (blank, punctuation) leaves out nothing. In scripts without
                spaces, such as Chinese, words are found anywhere.
            include_embeddings: Whether each has its `embedding` (not on Upstash).

        Raises:
            InvalidInputError: An argument is not usable, or the backend does not support it.
        """
        listing = self._listing(
            user,
            namespace,
            kind,
            limit,
            include_superseded,
            offset=offset,
            sort=sort,
            contains=contains,
            include_embeddings=include_embeddings,
        )
        return self.transport.run(self.list_op(listing))

    async def alist_memories(
        self,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        limit: int = 100,
        include_superseded: bool = False,
        offset: int = 0,
        sort: Sort = "newest",
        contains: str | None = None,
        include_embeddings: bool = False,
    ) -> list[MemoryRecord]:
        """Async version of `list_memories`."""
        listing = self._listing(
            user,
            namespace,
            kind,
            limit,
            include_superseded,
            offset=offset,
            sort=sort,
            contains=contains,
            include_embeddings=include_embeddings,
        )
        return await self.transport.arun(self.list_op(listing))

    def count_memories(
        self,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        contains: str | None = None,
        include_superseded: bool = False,
    ) -> int:
        """Return how many memories `list_memories` would list without a limit. One round trip.

        Documents that are no memories may be counted. On Upstash, one round trip per thousand, and at most
        11,000 memories are counted.

        Args:
            user: Whose memories.
            namespace: In which namespace; `None` for all.
            kind: Of which kind; `None` for all.
            contains: Words that the text has to have, as for `list_memories`.
            include_superseded: Whether memories that another one has replaced are counted.

        Raises:
            InvalidInputError: An argument is not usable.
        """
        listing = self._listing(user, namespace, kind, 1, include_superseded, contains=contains)
        return self.transport.run(self.count_op(listing))

    async def acount_memories(
        self,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        contains: str | None = None,
        include_superseded: bool = False,
    ) -> int:
        """Async version of `count_memories`."""
        listing = self._listing(user, namespace, kind, 1, include_superseded, contains=contains)
        return await self.transport.arun(self.count_op(listing))

    def is_truncated(self, text: str) -> bool:
        """Return whether the embeddings read only the beginning of a text, which alone is found by meaning.

        Words are found in all of it. Sends nothing; the model is loaded by the first text that is long enough
        to be cut. `False` if the embeddings do not say: those of this package do, by their `max_tokens` and
        `count_tokens(text)`, and any others may.

        Raises:
            InvalidInputError: It is no text.
        """
        size = len(checks.utf8("text", text))
        most = getattr(self.embeddings, "max_tokens", None)
        count = getattr(self.embeddings, "count_tokens", None)
        if not isinstance(most, int) or not callable(count):
            return False
        # A token is a byte or more, besides those that mark the beginning and the end.
        return size > most - _MARKING_TOKENS and int(count(text)) > most

    def delete_memory(self, id: str, *, user: str | None = None) -> bool:
        """Delete a memory; with `user`, only if it is that user's. One atomic step, one round trip.

        Returns:
            Whether it was there.

        Raises:
            InvalidInputError: The id or the user is not usable.
        """
        return self.transport.run(self.delete_op(id, user))

    async def adelete_memory(self, id: str, *, user: str | None = None) -> bool:
        """Async version of `delete_memory`."""
        return await self.transport.arun(self.delete_op(id, user))

    def clear(self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None) -> int:
        """Delete the memories of a user, a namespace, a kind, or of what is given of them together.

        With nothing given, every document under the prefix is deleted. In batches of 1,000, however
        many there are. Where the index may not name every memory (it is missing, is being backfilled, has
        refused documents), and on Upstash, the keys of the database are looked at besides.

        Args:
            user: Whose; `None` for everybody's.
            namespace: In which namespace; `None` for all.
            kind: Of which kind; `None` for all.

        Returns:
            How many were deleted.

        Raises:
            StoreError: Some could not be deleted; the others were.
        """
        return self.transport.run(self.clear_op(user, namespace, kind)).all()

    async def aclear(
        self, *, user: str | None = None, namespace: str | None = None, kind: str | None = None
    ) -> int:
        """Async version of `clear`."""
        return (await self.transport.arun(self.clear_op(user, namespace, kind))).all()

    def forget_user(self, user: str, *, thorough: bool = False) -> int:
        """Delete every memory of a user, in all namespaces, indexed or not, and of nobody else.

        Args:
            user: The user.
            thorough: Look at every key under the prefix even if the index names every memory. SCANs the
                database.

        Returns:
            How many were deleted.

        Raises:
            StoreError: Some could not be deleted; the others were. Call it again.
        """
        return self.transport.run(self.forget_op(user, thorough)).all()

    async def aforget_user(self, user: str, *, thorough: bool = False) -> int:
        """Async version of `forget_user`."""
        return (await self.transport.arun(self.forget_op(user, thorough))).all()

    def create_index(self) -> None:
        """Create the search index if it is missing. Only needed to have it early. One or two round trips.

        With vectors, a text is embedded to learn their length, unless the embeddings declare `dimensions`.

        Raises:
            IndexMismatchError: There is one with another schema.
            SearchUnavailableError: The server has no Search or JSON module.
        """
        self.transport.run(self.create_index_op())

    async def acreate_index(self) -> None:
        """Async version of `create_index`."""
        await self.transport.arun(self.create_index_op())

    def index_info(self) -> dict[str, Any]:
        """Return what the server says about the index: its name, documents and schema. One round trip.

        `mismatch` says how the schema differs from what is wanted; `None` if it serves. On Redis, `limits`
        says what the index of another program does not serve; `None` if it serves everything.

        Raises:
            IndexMissingError: There is none.
        """
        return self.transport.run(self.info_op())

    async def aindex_info(self) -> dict[str, Any]:
        """Async version of `index_info`."""
        return await self.transport.arun(self.info_op())

    def drop_index(self, delete_documents: bool = False) -> None:
        """Remove the search index, if it is there, and with `delete_documents` every memory under the prefix.

        One round trip for the index; for the documents, two per page of about 1,000 keys of the database.
        """
        self.transport.run(self.drop_op(delete_documents))

    async def adrop_index(self, delete_documents: bool = False) -> None:
        """Async version of `drop_index`."""
        await self.transport.arun(self.drop_op(delete_documents))

    def rebuild_index(self) -> RebuiltIndex:
        """Make the search index anew, over the memories that are there; none is deleted.

        For an index that another program made (such as the one of the Redis documentation's guide to agent
        memory), or to switch to the `algorithm` of the settings. Searches wait until the index holds every
        memory. Where another program wrote users, namespaces, kinds or threads that the index cannot hold as
        they are, they are written as this package does, so that their memories are found: each memory in one
        atomic step.

        Raises:
            InvalidInputError: The backend has nothing to rebuild: `drop_index` and `create_index` do it.
            IndexMismatchError: The index is over another prefix, or another storage; nothing was changed.
            StoreTimeoutError: The server takes more than ten minutes; it goes on.
        """
        return self.transport.run(self.rebuild_op())

    async def arebuild_index(self) -> RebuiltIndex:
        """Async version of `rebuild_index`."""
        return await self.transport.arun(self.rebuild_op())

    # The operations, for a chain to run beside others'. Arguments are checked when they are made.

    def remember_op(
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
        context: str = "",
        replaces: str | None = None,
        near: bool = False,
        deduplicate: bool = True,
        known: Sequence[MemoryRecord] = (),
    ) -> Op[RememberResult]:
        """Return the operation of `remember`; `known` are memories that were just recalled."""
        self.check_supported(namespace=namespace, embedding=embedding, id=id)
        draft = self.drafting.draft(
            text,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
            id=id,
            context=context,
            replaces=replaces,
            deduplicate=deduplicate,
        )
        return only(
            self.store_op(WriteBatch([draft], None if embedding is None else [embedding], known, near))
        )

    def recall_op(
        self,
        query: str,
        *,
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Mode | None = None,
        distance_threshold: float | EllipsisType | None = ...,
        filter: Filter | None = None,
        embedding: Sequence[float] | None = None,
        recency_weight: float = 0.0,
        reranker: BaseDocumentCompressor | None = None,
        explain: bool = False,
    ) -> Op[list[MemoryRecord]]:
        """Return the operation of `recall`."""
        search = self.search(
            user,
            namespace,
            {
                "kind": kind,
                "k": k,
                "mode": mode,
                "distance_threshold": distance_threshold,
                "filter": filter,
                "recency_weight": recency_weight,
                "reranker": reranker,
                "explain": explain,
            },
        )
        if embedding is None or query:
            checks.bounded_text("query", query, sys.maxsize)
        return self.search_op(search, query, embedding)

    def write_batches(
        self,
        texts: Sequence[str],
        *,
        embeddings: Sequence[Sequence[float]] | None = None,
        metadatas: Sequence[dict[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        document_ids: Sequence[str | None] | None = None,
        contexts: Sequence[str] | None = None,
        batch_size: int = 64,
        **about: Unpack[About],
    ) -> list[WriteBatch]:
        """Return many memories to be stored, all checked, in batches of one round trip each.

        Args:
            texts: The memories.
            embeddings: One vector per text, if they are there.
            metadatas: One dict, or `None`, per text.
            ids: One id, or `None`, per text.
            document_ids: One id of a vector store, or `None`, per text.
            contexts: What was said before each.
            batch_size: How many memories a batch has.
            **about: What the memories have in common.

        Raises:
            InvalidInputError: Something about one cannot be stored, or the lists differ in length.
        """
        self.check_supported(namespace=about.get("namespace"), embeddings=embeddings, ids=ids)
        for embedding in embeddings if embeddings is not None else ():
            self.check_embedding(embedding)
        return self.drafting.batches(
            texts,
            embeddings=embeddings,
            metadatas=metadatas,
            ids=ids,
            document_ids=document_ids,
            contexts=contexts,
            batch_size=batch_size,
            **about,
        )

    def store_all_op(
        self,
        batches: Sequence[WriteBatch],
        *,
        on_progress: Progress | None = None,
    ) -> Op[list[RememberResult]]:
        """Store batches one after the other. One round trip per batch.

        Args:
            batches: The memories.
            on_progress: Called after every batch with how many are done, and how many there are.

        Returns:
            One result per memory, in their order.
        """
        total = sum(len(batch.drafts) for batch in batches)
        results: list[RememberResult] = []
        for batch in batches:
            results += yield from self.store_op(batch)
            _tell(on_progress, len(results), total)
        return results

    def check_supported(self, *, namespace: str | None = None, **arguments: object) -> None:
        """Refuse a namespace, and arguments that are given, where the backend has no use for them.

        Raises:
            InvalidInputError: It has no use for one.
        """

    @abstractmethod
    def check_embedding(self, embedding: Sequence[float]) -> Sequence[float]:
        """Return a vector as the operations take it without converting it again.

        Raises:
            EmbeddingError: It is not usable.
        """

    @abstractmethod
    def search(self, user: str, namespace: str | None, options: RecallOptions) -> Search:
        """Return a recall, checked.

        Args:
            user: Whose memories.
            namespace: In which namespace; `None` for all.
            options: The options of `recall`.

        Raises:
            InvalidInputError: Something about it is not usable.
        """

    @abstractmethod
    def search_op(
        self, search: Search, query: str, embedding: Sequence[float] | None
    ) -> Op[list[MemoryRecord]]:
        """Return the memories that match best, best first. One round trip, and an embedding.

        Args:
            search: What to recall.
            query: The text to look for.
            embedding: The vector to look for instead; checked when the operation is made.
        """

    @abstractmethod
    def store_op(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        """Store a batch in one round trip, each memory unless it is a duplicate.

        Args:
            batch: The memories; without vectors they are embedded, and given ones are checked at once.
        """

    def update_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[bool]:
        """Return the operation of `update`."""
        return _is_none(self.revise_op(update, embedding))

    @abstractmethod
    def revise_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[Refusal | None]:
        """Change a memory in place; return why that cannot be, `None` if it is done."""

    def apply_op(
        self,
        changes: Sequence[Change],
        *,
        user: str,
        namespace: str = "default",
        source_thread: str = "",
        said_at: float | None = None,
        known: Sequence[MemoryRecord] = (),
        taking: Taking | None = None,
    ) -> Op[list[ChangeResult] | None]:
        """Return the operation of `apply`, which may take tasks off their queue in the same step.

        So what a task gives rise to happens exactly once, however often it is done and by how many workers.
        Where the changes cannot be one step (as `apply` says), it is at least once: whether the tasks are
        there is looked at first, and they are taken off last.

        Args:
            changes: The changes, 100 at most.
            user: Whose memories they are about.
            namespace: In which namespace.
            source_thread: The thread that new memories were learnt in.
            said_at: When it was said, in epoch seconds; `None` for now.
            known: Memories that were recalled: of those, the kind need not be asked for.
            taking: The tasks that gave rise to the changes, which are taken off with them; also with no
                changes.

        Returns:
            What became of each change; `None` if a task was not there any more, and nothing was written.

        Raises:
            WrongKeyTypeError: A key holds something else; nothing was written.
        """
        self.check_supported(namespace=namespace)
        checked = self.drafting.changes(
            changes, user=user, namespace=namespace, source_thread=source_thread, said_at=said_at
        )
        if checked.changes:
            return self.changes_op(checked, known, taking)
        return _nothing_but(taking)

    @abstractmethod
    def changes_op(
        self, checked: CheckedChanges, known: Sequence[MemoryRecord], taking: Taking | None
    ) -> Op[list[ChangeResult] | None]:
        """Make changes, at least one, as `apply` says, and take tasks off their queue."""

    def consolidate_op(
        self,
        *,
        user: str,
        namespace: str | None = None,
        dry_run: bool = True,
        consolidator: Consolidator | None = None,
        within: float = WITHIN,
        on_progress: Progress | None = None,
    ) -> Op[Consolidated]:
        """Return the operation of `consolidate`."""
        if consolidator is not None and (not callable(consolidator) or hasattr(consolidator, "ainvoke")):
            raise InvalidInputError(
                "consolidator must be a function that judges memories, such as model_consolidator(model), "
                f"not {type(consolidator).__name__}."
            )
        if consolidator is not None and not self.supports_vectors:
            raise InvalidInputError(
                "consolidator must be None: Upstash's search has no vectors to tell which memories are near "
                "each other. What says the same is found without it.",
                plain="On Upstash, memories are found by their words, so there are no near ones that a model "
                "could judge. Leave the model out.",
            )
        rule = "same" if self.config.dedup == "near" else self.config.dedup
        consolidation = Consolidation(
            self._merging(user),
            self._scope(user, namespace, None),
            digest=lambda scope, text: digest(rule, scope, text),
            digests=self._finds_by_digest,
            dry_run=bool(dry_run),
            threshold=self._dedup_distance,
            consolidator=consolidator,
            within=checks.distance("within", within),
            tell=lambda done, total: _tell(on_progress, done, total),
        )
        return consolidation.run()

    @abstractmethod
    def _merging(self, user: str) -> MergeStore:
        """Return the operations that a consolidation of a user's memories is made of."""

    @property
    def _finds_by_digest(self) -> bool:
        """Return whether duplicates are found by a digest that memories are stored with."""
        return self.config.dedup is not None

    @property
    def _dedup_distance(self) -> float | None:
        """Return the cosine distance up to which a memory is a duplicate; `None` if nearness makes none."""
        return None

    def history_op(self, memory_id: str, user: str | None) -> Op[list[MemoryRecord]]:
        """Return the operation of `history`."""
        return history(self.get_op(memory_id, user), self.links_op, self.get_op)

    @abstractmethod
    def links_op(self, scope: Scope) -> Op[dict[str, str]]:
        """Return which memory superseded each superseded one of a user and namespace."""

    def id_of(self, draft: Draft) -> str:
        """Return the id that a memory has once it is stored, and no duplicate."""
        return draft.id

    @abstractmethod
    def add_op(self, drafts: Sequence[Draft]) -> Op[list[RememberResult]]:
        """Store memories, except duplicates of what is there, which is left as it is: no hit, no new TTL.

        One whose id was chosen is stored in any case, in place of what has its id.

        Returns:
            One result per memory, in their order.
        """

    @abstractmethod
    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the operation of `get`."""

    def partition_of(self, user: str | None) -> int:
        """Return the number of the partition that a user's memories are in; 0 without partitions."""
        return 0

    def get_beside_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the memory that has an id where the memories of a user are, whoever's it is."""
        return self.get_op(memory_id, None)

    def _listing(
        self,
        user: str,
        namespace: str | None,
        kind: str | None,
        limit: int,
        include_superseded: bool,
        *,
        offset: int = 0,
        sort: Sort = "newest",
        contains: str | None = None,
        include_embeddings: bool = False,
    ) -> Listing:
        """Return what `list_memories` is asked for, checked."""
        if sort not in get_args(Sort):
            raise InvalidInputError(f"sort must be one of {', '.join(get_args(Sort))}, not {sort!r}.")
        return Listing(
            scope=self._scope(user, namespace, kind),
            limit=checks.positive("limit", limit),
            offset=checks.not_negative("offset", offset),
            sort=sort,
            contained=None if contains is None else ContainedWords.of(contains),
            include_superseded=bool(include_superseded),
            include_embeddings=bool(include_embeddings),
        )

    def _scope(self, user: str, namespace: str | None, kind: str | None) -> Scope:
        """Return a scope inside one user's memories, checked."""
        return Scope.of_user(user, namespace, kind)

    @abstractmethod
    def list_op(self, listing: Listing) -> Op[list[MemoryRecord]]:
        """Return the operation of `list_memories`."""

    @abstractmethod
    def count_op(self, listing: Listing) -> Op[int]:
        """Return the operation of `count_memories`."""

    @abstractmethod
    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """Return the operation of `delete_memory`."""

    @abstractmethod
    def clear_op(self, user: str | None, namespace: str | None, kind: str | None) -> Op[Removed]:
        """Return the operation of `clear`."""

    @abstractmethod
    def forget_op(self, user: str, thorough: bool, dry_run: bool = False) -> Op[Removed]:
        """Return the operation of `forget_user`; in a dry run, memories are only counted."""

    @abstractmethod
    def ids_op(self, user: str | None) -> Op[list[str]]:
        """Return the ids of a user's memories, or of everybody's; others' may be among a user's."""

    def readers_op(self, user: str | None) -> Op[list[Callable[[], Op[MemoryRecord | None]]]]:
        """Return an operation that reads it for each memory of a user, or of everybody."""
        ids = yield from self.ids_op(user)
        return [partial(self.get_op, one, user) for one in ids]

    @abstractmethod
    def create_index_op(self) -> Op[None]:
        """Return the operation of `create_index`."""

    @abstractmethod
    def info_op(self) -> Op[dict[str, Any]]:
        """Return the operation of `index_info`."""

    @abstractmethod
    def rebuild_op(self) -> Op[RebuiltIndex]:
        """Return the operation of `rebuild_index`."""

    @abstractmethod
    def drop_op(self, delete_documents: bool) -> Op[None]:
        """Return the operation of `drop_index`."""


def _is_none(op: Op[Any]) -> Op[bool]:
    return (yield from op) is None


def _nothing_but(taking: Taking | None) -> Op[list[ChangeResult] | None]:
    """Make no change, and take tasks off their queue, if any are to be."""
    return [] if taking is None or (yield from take_off(taking)) else None


def only(op: Op[list[T]]) -> Op[T]:
    """Return the one result of an operation."""
    (result,) = yield from op
    return result


def _tell(on_progress: Progress | None, done: int, total: int) -> None:
    """Report how far something has come. What that raises is logged: it must not cost what is done."""
    if on_progress is None:
        return
    try:
        on_progress(done, total)
    except Exception as error:  # noqa: BLE001 - a caller's function may raise anything
        logger.warning("on_progress failed, and the work goes on: %s: %s", type(error).__name__, error)
