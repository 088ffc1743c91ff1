"""`MemoryVectorStore`: one scope of long-term memory as a LangChain vector store."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from typing_extensions import Self

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm.drafts import About
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord, Scope

if TYPE_CHECKING:
    from langchain_agentmem.longterm.redisearch.filters import FilterExpression

_BATCH_SIZE = 64


class MemoryVectorStore(VectorStore):
    """The memories of one user, in one namespace and of one kind, as documents.

    Documents are stored as they are given, duplicates too; one with an id that is there replaces it. Ids
    belong to the scope: the same id in another one is another document. Searches have no threshold, and
    also find what was remembered in this scope.

    Args:
        memory: Where the documents are.
        user: Whose they are.
        namespace: The part of the user's memories they belong to.
        kind: Their kind.
        source_thread: The thread they come from.
        ttl_seconds: Their TTL in seconds; `...` for the kind's default, `None` for no expiry.

    Raises:
        ConfigurationError: The memory has no vectors.
        InvalidInputError: A name is not usable.
    """

    def __init__(
        self,
        memory: LongTermMemory,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "semantic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
    ) -> None:
        if not isinstance(memory, LongTermMemory):
            raise ConfigurationError(
                f"A vector store needs a LongTermMemory, not {type(memory).__name__}; on Upstash there are "
                "no vectors."
            )
        self.memory = memory
        self.scope = Scope.of_user(
            user, checks.validate_id("namespace", namespace), checks.validate_id("kind", kind)
        )
        self._about = About(
            user=user, namespace=namespace, kind=kind, source_thread=source_thread, ttl_seconds=ttl_seconds
        )

    @property
    def embeddings(self) -> Embeddings:
        """Return what turns texts into vectors."""
        return self.memory.embeddings

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return a new store with these texts in it.

        Args:
            texts: The documents' texts.
            embedding: What turns them into vectors.
            metadatas: One dict per text.
            ids: One id per text; random ones if none are given.
            **kwargs: What `from_embeddings` takes besides.

        Raises:
            ConfigurationError: The connection is not usable.
            InvalidInputError: Something cannot be stored, or the lists differ in length.
        """
        store = cls.from_embeddings(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Async version of `from_texts`."""
        store = cls.from_embeddings(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    def from_embeddings(
        cls,
        embedding: Embeddings,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "semantic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        **connection: Any,
    ) -> Self:
        """Return a store on a `LongTermMemory` of its own. Close it with `store.memory.close()`.

        Args:
            embedding: What turns texts into vectors.
            user: Whose the documents are.
            namespace: The part of the user's memories they belong to.
            kind: Their kind.
            source_thread: The thread they come from.
            ttl_seconds: Their TTL in seconds; `...` for the kind's default, `None` for no expiry.
            **connection: What `LongTermMemory` takes besides (`url`, `client`, …).

        Raises:
            ConfigurationError: The connection is not usable.
            InvalidInputError: A name is not usable.
        """
        return cls(
            LongTermMemory(embeddings=embedding, **connection),
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
        )

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts, in place of those with the same ids.

        One round trip per batch of 64, and one more if ids are given.

        Args:
            texts: The documents' texts.
            metadatas: One dict per text.
            ids: One id, or `None`, per text.
            **kwargs: Ignored.

        Returns:
            The ids; random ones where none were given.

        Raises:
            InvalidInputError: Something cannot be stored, or the lists differ in length.
        """
        return self.memory.transport.run(self._add(list(texts), metadatas, ids))

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Async version of `add_texts`."""
        return await self.memory.transport.arun(self._add(list(texts), metadatas, ids))

    def similarity_search(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents nearest to a query, nearest first. One round trip.

        Args:
            query: What to look for; it is embedded, never parsed.
            k: How many at most.
            filter: A redisvl `FilterExpression` that narrows the search further.
            **kwargs: Ignored.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
        """
        return [found for found, _ in self.similarity_search_with_score(query, k, filter=filter)]

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async version of `similarity_search`."""
        return [found for found, _ in await self.asimilarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a query with their cosine distances (0 to 2). One round trip.

        Args:
            query: What to look for; it is embedded, never parsed.
            k: How many at most.
            filter: A redisvl `FilterExpression` that narrows the search further.
            **kwargs: Ignored.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
        """
        return _scored(self.memory.recall(query, k=k, filter=filter, **self._anywhere))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Async version of `similarity_search_with_score`."""
        return _scored(await self.memory.arecall(query, k=k, filter=filter, **self._anywhere))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents nearest to a vector, nearest first. One round trip.

        Args:
            embedding: The vector, in the index's dimensions.
            k: How many at most.
            filter: A redisvl `FilterExpression` that narrows the search further.
            **kwargs: Ignored.

        Raises:
            InvalidInputError: Something is not usable; nothing was sent.
        """
        found = self.memory.recall("", embedding=embedding, k=k, filter=filter, **self._anywhere)
        return [document for document, _ in _scored(found)]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async version of `similarity_search_by_vector`."""
        found = await self.memory.arecall("", embedding=embedding, k=k, filter=filter, **self._anywhere)
        return [document for document, _ in _scored(found)]

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents that are there, in the order of the ids. One round trip."""
        return self.memory.transport.run(self._get(ids))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Async version of `get_by_ids`."""
        return await self.memory.transport.arun(self._get(ids))

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents of this scope; without ids, all of them. One round trip for ids."""
        return self.memory.transport.run(self._delete(ids))

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Async version of `delete`."""
        return await self.memory.transport.arun(self._delete(ids))

    @property
    def _anywhere(self) -> dict[str, Any]:
        user, namespace, kind = astuple(self.scope)
        return {
            "user": user,
            "namespace": namespace,
            "kind": kind,
            "mode": "vector",
            "distance_threshold": None,
        }

    def _add(
        self,
        texts: list[str],
        metadatas: list[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> Op[list[str]]:
        names = [None] * len(texts) if ids is None else ids
        document_ids = [
            uuid.uuid4().hex if name is None else checks.validate_id("id", name) for name in names
        ]
        batches = self.memory.write_batches(
            texts,
            metadatas=metadatas,
            ids=[self._memory_id(one) for one in document_ids],
            document_ids=document_ids,
            batch_size=_BATCH_SIZE,
            **self._about,
        )
        yield from self.memory.store_all_op(batches)
        if ids is not None:  # one that was remembered under the id itself is replaced too
            yield from self.memory.delete_many_op(document_ids, self.scope)
        return document_ids

    def _get(self, ids: Sequence[str]) -> Op[list[Document]]:
        records = yield from self.memory.get_many_op(self._memory_ids(ids), self.scope)
        found = [_document(record) for record in records if record is not None]
        return list({document.id: document for document in reversed(found)}.values())[::-1]

    def _delete(self, ids: list[str] | None) -> Op[bool]:
        if ids is None:
            (yield from self.memory.clear_op(*astuple(self.scope))).all()
        else:
            yield from self.memory.delete_many_op(self._memory_ids(ids), self.scope)
        return True

    def _memory_id(self, document_id: str) -> str:
        scoped = " ".join([*self.scope.tags(), checks.validate_id("id", document_id)])
        return hashlib.sha256(scoped.encode()).hexdigest()

    def _memory_ids(self, ids: Sequence[str]) -> list[str]:
        """Return where documents may be: those stored here, and those remembered in this scope."""
        return [memory_id for one in ids for memory_id in (self._memory_id(one), one)]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda distance: 1 - distance / 2


def _document(record: MemoryRecord) -> Document:
    identity = record.id if record.document_id is None else record.document_id
    return Document(id=identity, page_content=record.text, metadata=record.metadata)


def _scored(records: list[MemoryRecord]) -> list[tuple[Document, float]]:
    return [(_document(record), record.distance or 0.0) for record in records]
