"""A reranker orders the candidates, whatever its scores are, and what it raises is not hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.retriever import MemoryRetriever

SAID = ["tea is green", "green tea and a zebra", "a zebra", "tea for two zebras and more"]


class Scoring(BaseDocumentCompressor):
    """Orders texts by what it is told of each, the first `top_n` of them; notes what it was asked."""

    scores: dict[str, float | None] = {}  # noqa: RUF012 - a field
    top_n: int = 100
    error: Any = None
    asked: list[tuple[str, str, int]] = []  # noqa: RUF012 - a field

    def _ranked(self, way: str, documents: Sequence[Document], query: str) -> list[Document]:
        self.asked.append((way, query, len(documents)))
        if self.error is not None:
            raise self.error
        scored = [(self.scores.get(one.page_content, -9.0), one) for one in documents]
        scored.sort(key=lambda pair: -(pair[0] or 0))
        return [
            Document(one.page_content, metadata={**one.metadata, "relevance_score": score})
            for score, one in scored[: self.top_n]
        ]

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> list[Document]:
        return self._ranked("sync", documents, query)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks = None
    ) -> list[Document]:
        return self._ranked("async", documents, query)


class Alike(WordEmbeddings):
    """Embeds every text alike, so that none falls behind before it is reranked."""

    def embed_query(self, text: str) -> list[float]:
        return [1.0] * self.dimensions


@pytest.fixture
def memory(make: Make) -> LongTermMemory:
    memory = make(embeddings=Alike(256))
    memory.remember_many(SAID, user="alice")
    return memory


def scoring(*scores: float | None, **options: Any) -> Scoring:
    return Scoring(scores=dict(zip(SAID, scores, strict=True)), asked=[], **options)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
async def test_its_order_counts(memory: LongTermMemory, both: Both, counting: Counting, mode: Any) -> None:
    reranker = scoring(0.25, 0.5, 0.125, 1.0)
    about: dict[str, Any] = {"user": "alice", "mode": mode, "distance_threshold": None}
    before = counting.round_trips
    found = await both(memory).arecall("tea or zebras", reranker=reranker, explain=True, k=2, **about)
    assert counting.round_trips - before == 1
    assert [one.text for one in found] == [SAID[3], SAID[1]]
    assert [one.score for one in found] == [one.explanation["reranked"] for one in found] == [1.0, 0.5]
    assert all(one.id and one.created_ts for one in found)
    assert [(query, count) for _, query, count in reranker.asked] == [("tea or zebras", 4)], "more than k"
    (plain, *_) = await both(memory).arecall("tea or zebras", explain=True, **about)
    assert plain.explanation["reranked"] is None


async def test_either_twin_asks_its_own(memory: LongTermMemory) -> None:
    reranker = scoring(4, 3, 2, 1)
    memory.recall("tea", user="alice", reranker=reranker)
    await memory.arecall("tea", user="alice", reranker=reranker)
    assert [way for way, *_ in reranker.asked] == ["sync", "async"]


@pytest.mark.parametrize("scores", [(7.5, 0.9, 0.2, -11.0), (1e9, 800.0, -800.0, -1e9), (2.0, 1.0, 0.5, 0.0)])
async def test_scores_of_any_range_become_scores_in_the_same_order(
    memory: LongTermMemory, both: Both, scores: Sequence[float]
) -> None:
    found = await both(memory).arecall(
        "tea or zebras", user="alice", reranker=scoring(*scores), distance_threshold=None, explain=True
    )
    assert [one.text for one in found] == SAID
    assert [one.explanation["reranked"] for one in found] == [*scores]
    scored = [one.score for one in found]
    assert scored == sorted(scored, reverse=True)
    assert 0 <= scored[-1] < scored[0] <= 1


async def test_what_it_gives_no_score_keeps_its_own(memory: LongTermMemory, both: Both) -> None:
    about: dict[str, Any] = {"user": "alice", "distance_threshold": None}
    plain = {one.id: one.score for one in await both(memory).arecall("tea or zebras", **about)}
    found = await both(memory).arecall(
        "tea or zebras", reranker=scoring(None, None, None, None, top_n=3), **about
    )
    assert len(found) == 3
    assert {one.id: one.score for one in found}.items() <= plain.items()


async def test_it_may_return_fewer_and_none(memory: LongTermMemory, both: Both) -> None:
    for top_n in (2, 0):
        found = await both(memory).arecall(
            "tea or zebras",
            user="alice",
            reranker=scoring(1, 2, 3, 4, top_n=top_n),
            distance_threshold=None,
        )
        assert [one.text for one in found] == [*reversed(SAID)][:top_n]


async def test_it_is_not_asked_if_nothing_is_known(make: Make, both: Both) -> None:
    memory, reranker = make(), scoring(1, 2, 3, 4)
    await both(memory).aremember_many(SAID, user="alice")
    assert await both(memory).arecall("Who drove the car?", user="alice", reranker=reranker) == []
    assert await both(memory).arecall("tea", user="bob", reranker=reranker) == []
    assert reranker.asked == []


async def test_what_it_raises_is_raised(memory: LongTermMemory, both: Both) -> None:
    error = RuntimeError("no GPU")
    with pytest.raises(RuntimeError) as raised:
        await both(memory).arecall("tea", user="alice", reranker=scoring(1, 2, 3, 4, error=error))
    assert raised.value is error


async def test_a_retriever_passes_it_on(memory: LongTermMemory, both: Both) -> None:
    reranker = scoring(1, 2, 3, 4)
    retriever = MemoryRetriever(memory=memory, user="alice", k=2, reranker=reranker, distance_threshold=None)
    found = await both(retriever).ainvoke("tea or zebras")
    assert [one.page_content for one in found] == [SAID[3], SAID[2]]
    assert found[0].metadata["score"] > found[1].metadata["score"]
    assert not any(name.startswith("agentmem") for name in found[0].metadata)


async def test_a_wrapped_chain_goes_on_without_it(url: str, both: Both) -> None:
    config: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}
    reports: list[Any] = []
    chain = RunnableLambda(lambda value: f"{len(value['memories'])} memories")  # type: ignore[index]
    options: dict[str, Any] = {"distance_threshold": None, "on_exchange": reports.append}
    async with AgentMemory(url, embeddings=Alike(64)) as memory:
        memory.long_term.remember_many(SAID, user="alice")
        good = memory.wrap(chain, reranker=scoring(1, 2, 3, 4), **options)
        assert await both(good).ainvoke({"input": "tea or zebras?"}, config) == "4 memories"
        assert [one.text for one in reports[0].recalled] == [*reversed(SAID)]
        bad = scoring(1, 2, 3, 4, error=RuntimeError("no GPU"))
        with pytest.raises(RuntimeError, match="no GPU"):
            await both(memory.wrap(chain, reranker=bad, **options)).ainvoke({"input": "tea?"}, config)
    async with AgentMemory(url, embeddings=Alike(64), on_error="continue") as memory:
        tolerant = memory.wrap(chain, reranker=bad, **options)
        assert await both(tolerant).ainvoke({"input": "tea or zebras?"}, config) == "0 memories"
        assert "no GPU" in str(reports[-1].failures)
        said = [message.content for message in memory.working.messages("t1")]
        assert said == ["tea or zebras?", "4 memories", "tea?", "tea or zebras?", "0 memories"]
