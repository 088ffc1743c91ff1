"""Texts ordered by a document compressor: what it is given, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document

from langchain_agentmem.core.operations import Op, gather
from langchain_agentmem.core.rerank import _PLACE, Ranking, Rerank
from langchain_agentmem.errors import InvalidInputError
from tests.fake_transport import FakeTransport
from tests.twins import Both

TEXTS = ["a", "bb", "ccc"]


class Longest(BaseDocumentCompressor):
    """Orders texts by their length, the longest first; its async method is that of LangChain."""

    scored: bool = True
    forgets: bool = False

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> list[Document]:
        ranked = sorted(documents, key=lambda one: -len(one.page_content))
        for one in ranked:
            if self.scored:
                one.metadata["relevance_score"] = len(one.page_content) / len(query)
            if self.forgets:
                one.metadata = {}
        return ranked[:2]


def ranked(reranker: Any, *queries: str) -> Op[Any]:
    def one(query: str) -> Op[Ranking]:
        return (yield Rerank(reranker, query, TEXTS))

    return gather([one(query) for query in queries])


async def test_places_and_scores_are_those_of_the_compressor(both: Both) -> None:
    transport = FakeTransport()
    assert await both(transport).arun(ranked(Longest(), "four")) == [[(2, 0.75), (1, 0.5)]]
    assert transport.sent == []


async def test_without_scores_the_order_counts(both: Both) -> None:
    assert await both(FakeTransport()).arun(ranked(Longest(scored=False), "q")) == [[(2, None), (1, None)]]


async def test_each_query_is_answered_by_itself(both: Both) -> None:
    short, long = await both(FakeTransport()).arun(ranked(Longest(), "q", "quer"))
    assert (short[0], long[0]) == ((2, 3.0), (2, 0.75))


async def test_one_that_loses_metadata_is_refused_by_name(both: Both) -> None:
    (error,) = await both(FakeTransport()).arun(ranked(Longest(forgets=True), "q"))
    assert isinstance(error, InvalidInputError)
    assert "without the metadata it was given" in str(error)


class Returns(BaseDocumentCompressor):
    """Returns the first text as many times as there is metadata, each with what is added to its own."""

    metadata: list[dict[str, Any]]

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> list[Document]:
        first = documents[0]
        return [Document(first.page_content, metadata=first.metadata | more) for more in self.metadata]


async def test_a_text_that_is_returned_twice_counts_once(both: Both) -> None:
    twice = Returns(metadata=[{"relevance_score": 0.9}, {"relevance_score": 0.1}])
    assert await both(FakeTransport()).arun(ranked(twice, "q")) == [[(0, 0.9)]]


@pytest.mark.parametrize("place", [-1, 3, "0", True, None])
async def test_a_place_that_no_text_has_is_refused(both: Both, place: Any) -> None:
    (error,) = await both(FakeTransport()).arun(ranked(Returns(metadata=[{_PLACE: place}]), "q"))
    assert isinstance(error, InvalidInputError)


async def test_a_score_that_is_no_number_is_refused(both: Both) -> None:
    (error,) = await both(FakeTransport()).arun(
        ranked(Returns(metadata=[{"relevance_score": float("nan")}]), "q")
    )
    assert isinstance(error, InvalidInputError)


async def test_nothing_stays_in_the_callers_texts(both: Both) -> None:
    before = [*TEXTS]
    await both(FakeTransport()).arun(ranked(Longest(), "q"))
    assert before == TEXTS
