"""`MemoryVectorStore`: one scope of long-term memory as a LangChain vector store."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from typing_extensions import Self

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord, Scope, WriteBatch

if TYPE_CHECKING:
    from langchain_agentmem.longterm.redisearch.filters import FilterExpression

_BATCH_SIZE = 64


class MemoryVectorStore(VectorStore):
    """The memories of one user, in one namespace and of one kind, as documents.

    Documents are stored as they are given, without looking for known ones; one with an id that is there
    replaces it. Ids belong to the scope: the same id in another one is another document. Searches know
    no threshold, and also find what was remembered in this scope.

    Args:
        memory: Where the documents are.
        user: Whose they are.
        namespace: The part of the user's memories they belong to.
        kind: Their kind.
        source_thread: The thread they come from.
        ttl_seconds: How long they live; `...` is the kind's default, `None` for ever.

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
        self._about: dict[str, Any] = {
            "user": user,
            "namespace": namespace,
            "kind": kind,
            "source_thread": source_thread,
            "ttl_seconds": ttl_seconds,
        }

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
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
        """A store with these texts in it. Further arguments as `from_embeddings` takes them."""
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
        """A store on a `LongTermMemory` of its own, made from the further arguments (`url`, `client`, …).

        Close it with `store.memory.close()`.
        """
        memory = LongTermMemory(embeddings=embedding, **connection)
        return cls(
            memory,
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

        A round trip a batch of 64, and one more if ids are given.

        Returns:
            The ids; random ones where none were given.
        """
        named, batches = self._batches(list(texts), metadatas, ids)
        self.memory.transport.run(self.memory.store_all_op(batches, deduplicate=False))
        if ids is not None:
            self.memory.transport.run(self._delete_remembered(named))
        return named

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Async version of `add_texts`."""
        named, batches = self._batches(list(texts), metadatas, ids)
        await self.memory.transport.arun(self.memory.store_all_op(batches, deduplicate=False))
        if ids is not None:
            await self.memory.transport.arun(self._delete_remembered(named))
        return named

    def similarity_search(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a query, nearest first. One round trip."""
        return [found for found, _ in self.similarity_search_with_score(query, k, filter=filter)]

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async version of `similarity_search`."""
        return [found for found, _ in await self.asimilarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The k nearest documents with their cosine distances (0 is the same). One round trip."""
        return _scored(self.memory.recall(query, k=k, filter=filter, **self._anywhere))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Async version of `similarity_search_with_score`."""
        return _scored(await self.memory.arecall(query, k=k, filter=filter, **self._anywhere))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a vector, nearest first. One round trip."""
        found = self.memory.recall("", embedding=embedding, k=k, filter=filter, **self._anywhere)
        return [document for document, _ in _scored(found)]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: FilterExpression | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async version of `similarity_search_by_vector`."""
        found = await self.memory.arecall("", embedding=embedding, k=k, filter=filter, **self._anywhere)
        return [document for document, _ in _scored(found)]

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents that are there, in the order of the ids. One round trip."""
        return _unique(self.memory.transport.run(self.memory.get_many_op(self._keys(ids), self.scope)))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Async version of `get_by_ids`."""
        op = self.memory.get_many_op(self._keys(ids), self.scope)
        return _unique(await self.memory.transport.arun(op))

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents of this scope; without ids, all of them. One round trip for ids."""
        if ids is None:
            self.memory.clear(**self._whole)
        else:
            self.memory.transport.run(self.memory.delete_many_op(self._keys(ids), self.scope))
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Async version of `delete`."""
        if ids is None:
            await self.memory.aclear(**self._whole)
        else:
            op = self.memory.delete_many_op(self._keys(ids), self.scope)
            await self.memory.transport.arun(op)
        return True

    @property
    def _whole(self) -> dict[str, Any]:
        return {name: self._about[name] for name in ("user", "namespace", "kind")}

    @property
    def _anywhere(self) -> dict[str, Any]:
        return {**self._whole, "distance_threshold": None}

    def _batches(
        self,
        texts: list[str],
        metadatas: list[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> tuple[list[str], list[WriteBatch]]:
        names = [None] * len(texts) if ids is None else ids
        document_ids = [
            uuid.uuid4().hex if name is None else checks.validate_id("id", name) for name in names
        ]
        return document_ids, self.memory.write_batches(
            texts,
            metadatas=metadatas,
            ids=[self._memory_id(one) for one in document_ids],
            document_ids=document_ids,
            embeddings=None,
            batch_size=_BATCH_SIZE,
            **self._about,
        )

    def _memory_id(self, document_id: str) -> str:
        scoped = " ".join([*self.scope.tags(), checks.validate_id("id", document_id)])
        return hashlib.sha256(scoped.encode()).hexdigest()

    def _keys(self, ids: Sequence[str]) -> list[str]:
        """Where documents may be: those stored here, and those remembered in this scope."""
        return [memory_id for one in ids for memory_id in (self._memory_id(one), one)]

    def _delete_remembered(self, ids: list[str]) -> Op[int]:
        return self.memory.delete_many_op(ids, self.scope)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda distance: 1 - distance / 2


def _document(record: MemoryRecord) -> Document:
    identity = record.id if record.document_id is None else record.document_id
    return Document(id=identity, page_content=record.text, metadata=record.metadata)


def _scored(records: list[MemoryRecord]) -> list[tuple[Document, float]]:
    return [(_document(record), record.distance or 0.0) for record in records]


def _unique(records: list[MemoryRecord | None]) -> list[Document]:
    found = [_document(record) for record in records if record is not None]
    return list({document.id: document for document in reversed(found)}.values())[::-1]
