"""What long-term memory does, as operations: arguments checked, the index looked after, no I/O."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.longterm import clearing, operations, remembering
from langchain_agentmem.longterm.documents import Draft, Storage
from langchain_agentmem.longterm.drafts import Batch, Drafting
from langchain_agentmem.longterm.filters import condition
from langchain_agentmem.longterm.memory_index import MemoryIndex
from langchain_agentmem.longterm.operations import Search
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.longterm.schema import Algorithm, IndexSettings
from langchain_agentmem.longterm.scopes import Scope
from langchain_agentmem.longterm.vectors import TOLERANCE, VectorType, each_of, vector

if TYPE_CHECKING:
    from types import EllipsisType

    from langchain_agentmem.longterm.filters import FilterExpression

TTL_BY_KIND: Mapping[str, int | None] = {"episodic": 604800, "semantic": None}


class LongTermOperations:
    """Operations on one index. `LongTermMemory` runs them; a chain puts them beside others'.

    Attributes:
        store: Where the memories are.
        index: The search index, and what is known about it.
        drafting: The rules for what is stored.
    """

    def __init__(
        self,
        *,
        index_name: str,
        key_prefix: str,
        storage: Storage,
        algorithm: Algorithm,
        vector_type: VectorType,
        dedup_threshold: float,
        recall_threshold: float,
        ttl_by_kind: Mapping[str, int | None],
        max_text_bytes: int,
        patience_seconds: float,
    ) -> None:
        self.storage: Storage = _one_of("storage", storage, Storage)
        self.dedup_threshold = distance("dedup_threshold", dedup_threshold)
        self.recall_threshold = distance("recall_threshold", recall_threshold)
        self.drafting = Drafting(max_text_bytes, ttl_by_kind)
        self.index = MemoryIndex(
            IndexSettings(
                name=checks.scope("index_name", index_name),
                prefix=checks.scope("key_prefix", key_prefix),
                storage=self.storage,
                algorithm=_one_of("algorithm", algorithm, Algorithm),
                vector_type=_one_of("vector_type", vector_type, VectorType),
            )
        )
        self.store = operations.Store(
            keys=Keys(memory_prefix=key_prefix),
            index_name=index_name,
            storage=self.storage,
            patience_ms=max(1, int(patience_seconds * 1000)),
            tolerance=TOLERANCE[self.index.settings.vector_type],
        )

    def remember_op(
        self,
        text: str,
        *,
        embedding: Sequence[float],
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> Op[RememberResult]:
        """The operation of `remember`, for a text that is embedded already. Arguments are checked now."""
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
        return _only(self.store_op([draft], [embedding], self.dedup_threshold))

    def recall_op(
        self,
        *,
        embedding: Sequence[float],
        user: str,
        namespace: str | None = "default",
        kind: str | None = None,
        k: int = 5,
        mode: Literal["vector"] = "vector",
        distance_threshold: float | EllipsisType | None = ...,
        filter: FilterExpression | None = None,
    ) -> Op[list[MemoryRecord]]:
        """The operation of `recall`, for a query that is embedded already. Arguments are checked now."""
        return self.search_op(
            self.search(user, namespace, kind, k, mode, distance_threshold, filter), embedding
        )

    def batches(
        self, texts: Sequence[str], *, embeddings: Sequence[Sequence[float]] | None, **about: Any
    ) -> list[Batch]:
        """Many memories to be stored, checked with their embeddings; see `Drafting.batches`."""
        for embedding in embeddings if embeddings is not None else ():
            self.vector(embedding)
        return self.drafting.batches(texts, embeddings=embeddings, **about)

    def store_op(
        self, drafts: Sequence[Draft], embeddings: Sequence[Sequence[float]], threshold: float | None
    ) -> Op[list[RememberResult]]:
        """Store drafts in one round trip, each unless it is known; a threshold of `None` replaces by id.

        Raises:
            EmbeddingError: An embedding is not usable; nothing is stored.
        """
        entries = [
            remembering.Entry(draft, self.vector(embedding))
            for draft, embedding in zip(drafts, each_of(embeddings, len(drafts)), strict=True)
        ]
        return self._stored(entries, threshold)

    def _stored(self, entries: list[remembering.Entry], threshold: float | None) -> Op[list[RememberResult]]:
        results: list[RememberResult | None] = [None] * len(entries)
        sizes = {len(entry.embedding) for entry in entries}
        for size in sizes:
            self.index.fits(size)
        if len(sizes) > 1:
            raise InvalidInputError(f"Embeddings of different lengths: {sorted(sizes)}.")

        def the_rest() -> Op[None]:
            return remembering.remember(self.store, self.index, entries, threshold, results)

        yield from self.index.using(sizes.pop() if sizes else None, the_rest)
        return [result for result in results if result is not None]

    def search(
        self,
        user: str,
        namespace: str | None,
        kind: str | None,
        k: int,
        mode: str,
        distance_threshold: float | EllipsisType | None,
        filter: FilterExpression | None,
    ) -> Search:
        """A recall, checked.

        Raises:
            InvalidInputError: Something about it is not usable.
        """
        if mode != "vector":
            raise InvalidInputError(f"mode must be 'vector', not {mode!r}.")
        threshold = checks.given(distance_threshold, self.recall_threshold)
        scope = Scope.of_user(user, namespace, kind)
        return Search(
            scope=scope,
            condition=condition(scope, filter),
            k=checks.positive("k", k),
            distance_threshold=None if threshold is None else distance("distance_threshold", threshold),
        )

    def search_op(self, search: Search, embedding: Sequence[float]) -> Op[list[MemoryRecord]]:
        """Run a search with this vector. One round trip.

        Raises:
            EmbeddingError: The embedding is not usable.
        """
        numbers = self.vector(embedding)

        def recall() -> Op[list[MemoryRecord]]:
            return operations.recall(self.store, search, numbers.tobytes())

        return self.index.using(len(numbers), recall)

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """The operation of `get`."""
        return _only(operations.get(self.store, [memory_id], Scope.of_any(user, None, None)))

    def list_op(
        self, user: str, namespace: str | None, kind: str | None, limit: int
    ) -> Callable[[], Op[list[MemoryRecord]]]:
        """The operation of `list_memories`, which needs the index."""
        scope = Scope.of_user(user, namespace, kind)
        checks.positive("limit", limit)
        return lambda: operations.recent(self.store, scope, limit)

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """The operation of `delete_memory`."""
        return _deleted(operations.delete(self.store, [memory_id], Scope.of_any(user, None, None)))

    def clear_op(self, user: str | None, namespace: str | None, kind: str | None) -> Op[Removed]:
        """The operation of `clear` for a scope."""
        return clearing.clear_scope(self.store, self.index.settings, Scope.of_any(user, namespace, kind))

    def forget_op(self, user: str, thorough: bool) -> Op[Removed]:
        """The operation of `forget_user`."""
        scope = Scope.of_user(user, None, None)
        return clearing.clear_scope(self.store, self.index.settings, scope, thorough=thorough)

    def ids_op(self, user: str | None) -> Op[list[str]]:
        """The ids of a user's memories, or of everybody's; others' may be among a user's."""
        return clearing.scope_ids(self.store, self.index.settings, Scope.of_any(user, None, None))

    def drop_op(self, delete_documents: bool) -> Op[None]:
        """The operation of `drop_index`."""
        yield from self.index.drop()
        if delete_documents:
            yield from clearing.clear_prefix(self.store)

    def info_op(self) -> Op[dict[str, Any]]:
        """The operation of `index_info`."""
        state = yield from self.index.info()
        return {
            "name": self.index.settings.name,
            "dimensions": state.dimensions,
            "documents": state.documents,
            "failures": state.failures,
            "indexing": state.indexing,
            "memory_mb": state.memory_mb,
            "shape": state.shape,
        }

    def query(self, query: Any) -> str:
        """A query to be embedded: any text that is not blank.

        Raises:
            InvalidInputError: It is no text, or blank.
        """
        return checks.bounded_text("query", query, sys.maxsize)

    def vector(self, embedding: Sequence[float]) -> Any:
        """The embedding as the index wants it; `EmbeddingError` if it is not usable."""
        numbers = vector(embedding, self.index.settings.vector_type)
        self.index.fits(len(numbers))
        return numbers


def distance(name: str, value: Any) -> float:
    """A cosine distance: a number from 0 to 2."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInputError(f"{name} must be a number from 0 to 2, not {value!r}.")
    if not 0 <= value <= 2:
        raise InvalidInputError(f"{name} must be from 0 to 2, not {value!r}.")
    return float(value)


def _one_of(name: str, value: Any, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, get_args(choices)))}, not {value!r}."
        )
    return value


def _only(op: Op[list[T]]) -> Op[T]:
    (result,) = yield from op
    return result


def _deleted(op: Op[int]) -> Op[bool]:
    return (yield from op) == 1
