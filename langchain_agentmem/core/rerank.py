"""Ordering recalled texts anew by a LangChain document compressor, as an effect of an operation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_agentmem.core.operations import Effect
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_core.documents import BaseDocumentCompressor, Document

Ranking: TypeAlias = list[tuple[int, float | None]]

_PLACE = "agentmem_place"


class Rerank(Effect):
    """The effect of ordering texts by how well they answer a query.

    The result is the place and the score of each text that the reranker returns, each once, best first; the
    score is `None` if it gives none (`relevance_score` in a document's metadata). What it raises is raised,
    and `InvalidInputError` if it does not keep a document's metadata, or a score is NaN.

    Args:
        reranker: What orders them.
        query: What they should answer.
        texts: The texts.
    """

    __slots__ = ("query", "reranker", "texts")

    def __init__(self, reranker: BaseDocumentCompressor, query: str, texts: Sequence[str]) -> None:
        self.reranker = reranker
        self.query = query
        self.texts = texts

    @property
    def group(self) -> Hashable:
        """Return this: each query has texts of its own."""
        return id(self)

    def merge(self, others: Sequence[Rerank]) -> tuple[Rerank, Callable[[Ranking], list[Any]]]:
        """Return this: no two are of the same group."""
        return self, lambda ranking: [ranking]

    def run(self) -> Ranking:
        """Order the texts."""
        return _ranking(self.reranker.compress_documents(self._documents(), self.query), len(self.texts))

    async def arun(self) -> Ranking:
        """Async version of `run`."""
        ranked = await self.reranker.acompress_documents(self._documents(), self.query)
        return _ranking(ranked, len(self.texts))

    def _documents(self) -> list[Document]:
        from langchain_core.documents import Document

        return [Document(text, metadata={_PLACE: at}) for at, text in enumerate(self.texts)]


def _ranking(documents: Sequence[Document], count: int) -> Ranking:
    scores: dict[int, float | None] = {}
    for document in documents:
        place = document.metadata.get(_PLACE)
        if type(place) is not int or not 0 <= place < count:
            raise InvalidInputError(
                "The reranker returned a document without the metadata it was given; use one that keeps it."
            )
        given = document.metadata.get("relevance_score")
        score = None if given is None else float(given)
        if score is not None and isnan(score):
            raise InvalidInputError("The reranker returned a relevance_score that is not a number.")
        scores.setdefault(place, score)
    return [*scores.items()]
