"""`MemoryRetriever`: a user's memories as a LangChain retriever."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord, Mode


class MemoryRetriever(BaseRetriever):
    """Recalls one user's memories. `k` may also be given with each call: `invoke(query, k=3)`.

    A document's `page_content` is the memory's text, its `id` the memory's; its `metadata` is what was
    stored with the memory, and `id`, `user`, `namespace`, `kind`, `source_thread`, `created_ts`,
    `updated_ts`, `hit_count`, `context`, `distance`, `score` and `matched_words` (a list); with `explain`
    also the parts of its rank, `explanation`.

    A blank query, such as agents may give a tool, finds nothing.

    Attributes:
        memory: Where to recall from.
        user: Whose memories.
        namespace: In which namespace; `None` for all of this user's.
        kind: Of which kind; `None` for all.
        k: How many at most.
        distance_threshold: Up to which cosine distance; `...` for the memory's own threshold, `None` for any.
        filter: What narrows the search further: a redisvl `FilterExpression`; on Upstash, a dict.
        mode: How memories are found and ranked; `None` for the memory's own way.
        recency_weight: What being new adds to a rank, in cosine similarity.
        reranker: A LangChain document compressor that orders the candidates.
        explain: Whether each document says the parts of its rank.
    """

    memory: BaseLongTermMemory
    user: str
    namespace: str | None = "default"
    kind: str | None = None
    k: int = 5
    distance_threshold: float | EllipsisType | None = Field(default_factory=lambda: ...)
    filter: Any = None
    mode: Mode | None = None
    recency_weight: float = 0.0
    reranker: Any = None
    explain: bool = False

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        if not query.strip():
            return []
        return [document(record) for record in self.memory.recall(query, **self._arguments(k))]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        if not query.strip():
            return []
        return [document(record) for record in await self.memory.arecall(query, **self._arguments(k))]

    def _arguments(self, k: int | None) -> dict[str, Any]:
        return {
            "user": self.user,
            "namespace": self.namespace,
            "kind": self.kind,
            "k": self.k if k is None else k,
            "distance_threshold": self.distance_threshold,
            "filter": self.filter,
            "mode": self.mode,
            "recency_weight": self.recency_weight,
            "reranker": self.reranker,
            "explain": self.explain,
        }


def document(record: MemoryRecord) -> Document:
    """Return a recalled memory as a document that says where it comes from, and why it was recalled."""
    return Document(
        id=record.id,
        page_content=record.text,
        metadata={
            **record.metadata,
            "id": record.id,
            "user": record.user,
            "namespace": record.namespace,
            "kind": record.kind,
            "source_thread": record.source_thread,
            "created_ts": record.created_ts,
            "updated_ts": record.updated_ts,
            "hit_count": record.hit_count,
            "context": record.context,
            "distance": record.distance,
            "score": record.score,
            "matched_words": [*record.matched_words],
            **({} if record.explanation is None else {"explanation": dict(record.explanation)}),
        },
    )
