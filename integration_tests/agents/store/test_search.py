"""Searches of the store: several vectors per item, filters before limits, any number of results."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from langgraph.store.base import PutOp, SearchOp

from integration_tests.agents.store.conftest import EVERY_SERVER
from integration_tests.conftest import Both, Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import ConfigurationError, InvalidInputError


async def test_an_item_is_found_once_by_the_best_of_its_vectors(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index={"fields": ["title", "parts[*].text"]})
    await both(store).aput(("a",), "many", {"title": "x", "parts": [{"text": "tea"}, {"text": "tea milk"}]})
    await both(store).aput(("a",), "one", {"title": "tea rain"})
    await both(store).aput(("a",), "own", {"title": "tea", "body": "dog"}, index=["body"])
    await both(store).aput(("a",), "none", {"title": "tea"}, index=False)
    found = await both(store).asearch(("a",), query="tea")
    assert [one.key for one in found] == ["many", "one", "own", "none"]
    assert found[0].score == pytest.approx(1)
    assert found[3].score is None
    (dog, *_) = await both(store).asearch(("a",), query="dog")
    assert dog.key == "own"
    pages = [await both(store).asearch(("a",), query="tea", limit=1, offset=at) for at in range(5)]
    assert [one.key for page in pages for one in page] == ["many", "one", "own", "none"]


async def test_an_update_replaces_all_vectors(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index={"fields": ["parts[*]"]})
    await both(store).aput(("a",), "k", {"parts": ["tea", "milk", "rain"]})
    await both(store).aput(("a",), "k", {"parts": ["dog"]})
    (found,) = await both(store).asearch(("a",), query="tea")
    assert found.score is not None
    assert found.score < 0.1
    await both(store).aput(("a",), "k", {"parts": []})
    (found,) = await both(store).asearch(("a",), query="dog")
    assert found.score is None


async def test_whole_values_are_found_by_the_memorys_own_embeddings(memory: AgentMemory, both: Both) -> None:
    store = memory.store()
    await both(store).abatch(
        [PutOp(("a",), word, {"deep": {"text": f"a cup of {word}"}}) for word in ("tea", "milk", "rain")]
    )
    (found,) = await both(store).asearch((), query="milk", limit=1)
    assert found.key == "milk"


async def test_a_batch_embeds_each_text_once(memory: AgentMemory, both: Both) -> None:
    embeddings = WordEmbeddings()
    calls: list[list[str]] = []

    def embed(texts: Any) -> list[list[float]]:
        calls.append(list(texts))
        return embeddings.embed_documents(list(texts))

    store = memory.store(index={"dims": 64, "embed": embed, "fields": ["text"]})
    await both(store).abatch([PutOp(("a",), str(n), {"text": f"tea {n % 2}"}) for n in range(6)])
    assert calls == [["tea 0", "tea 1"]]
    await both(store).abatch([SearchOp(("a",), query="tea 1"), SearchOp(("b",), query="tea 1")])
    assert calls[1:] == [["tea 1"]]


async def test_an_async_function_embeds(memory: AgentMemory) -> None:
    embeddings = WordEmbeddings()

    async def embed(texts: Any) -> list[list[float]]:
        return embeddings.embed_documents(list(texts))

    store = memory.store(index={"dims": 64, "embed": embed})
    await store.aput(("a",), "k", {"text": "tea"})
    (found,) = await store.asearch(("a",), query="tea")
    assert found.score is not None


@EVERY_SERVER
async def test_a_filter_is_applied_before_the_limit(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    puts = [PutOp(("a",), str(n), {"n": n, "even": n % 2 == 0, "deep": {"n": n}}) for n in range(700)]
    await both(store).abatch([PutOp(("b",), "k", {"n": 3}), *puts])

    async def found(**options: Any) -> list[str]:
        return [one.key for one in await both(store).asearch(("a",), **options)]

    assert await found(filter={"n": 3}, limit=1) == ["3"]
    assert await found(filter={"n": {"$lt": 2}}) == ["1", "0"]
    assert await found(filter={"n": {"$gte": 1, "$lte": 3, "$ne": 2}}, limit=5) == ["3", "1"]
    assert await found(filter={"even": True, "n": {"$lt": 6}}, limit=2, offset=1) == ["2", "0"]
    assert await found(filter={"deep": {"n": {"$lt": 1}}}) == ["0"]
    assert await found(filter={"deep": {"n": 5}}) == ["5"]
    assert await found(filter={"missing": None}, limit=2) == ["699", "698"]
    assert await found(filter={"missing": {"$gt": 0}}) == []
    assert await found(limit=3, offset=696) == ["3", "2", "1"]
    assert len(await found(limit=5000)) == 700


async def test_with_an_index_too_and_by_meaning_too(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index={"fields": ["text"]})
    words = ["tea", "milk", "rain", "dog"]
    puts = [PutOp(("a",), f"{n:03}", {"n": n, "text": f"tea {words[n % 4]} {n}"}) for n in range(700)]
    await both(store).abatch(puts)

    async def found(**options: Any) -> list[str]:
        return [one.key for one in await both(store).asearch(("a",), **options)]

    for options in ({}, {"query": "tea"}):
        assert sorted(await found(filter={"n": {"$lt": 2}}, **options)) == ["000", "001"]
        assert await found(filter={"n": 3}, limit=1, **options) == ["003"]
        assert await found(filter={"n": {"$eq": 3.0}}, **options) == ["003"]
        assert len(await found(limit=5000, **options)) == 700
        pages = [key for at in range(0, 700, 90) for key in await found(limit=90, offset=at, **options)]
        assert sorted(pages) == [f"{n:03}" for n in range(700)]
    counting = Counting(memory.transport)
    assert await found(query="tea", filter={"n": 3}) == ["003"]
    assert counting.round_trips == 1  # the server looks for equal values


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": {"$in": [1]}},
        {"n": {"$gt": "x"}},
        {"n": {"$gt": None}},
        {"n": {"$gt": [1]}},
        {"n": {"$gt": 1, "m": 2}},
        {"n": {"deep": [{"$regex": "x"}]}},
        {"$or": [{"n": 1}]},
        {1: 2},
        [("n", 1)],
    ],
    ids=str,
)
async def test_a_filter_that_is_not_understood_is_refused(
    memory: AgentMemory, both: Both, wrong: Any
) -> None:
    store = memory.store(index=False)
    with pytest.raises(InvalidInputError, match="filter"):
        await both(store).asearch(("a",), filter=wrong)


@EVERY_SERVER
async def test_what_cannot_be_compared_is_an_error_rather_than_no_result(
    memory: AgentMemory, both: Both
) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "text", {"n": "many"})
    with pytest.raises(InvalidInputError, match=r"'text'.*'many'"):
        await both(store).asearch(("a",), filter={"n": {"$gt": 1}})


async def test_there_is_no_cap(memory: AgentMemory) -> None:
    store = memory.store(index={"fields": ["text"]})
    count = 10_500
    for start in range(0, count, 1500):
        texts = [{"text": "tea"} if n % 50 == 0 else {"n": n} for n in range(start, start + 1500)]
        store.batch([PutOp(("a", str(n % 3)), str(n), value) for n, value in enumerate(texts, start)])
    assert len(store.search((), limit=20_000)) == count
    assert [one.key for one in store.search((), limit=2, offset=count - 2)] == ["1", "0"]
    assert len(store.search((), query="tea", limit=20_000)) == count
    assert len(store.search((), query="tea", limit=10**7)) == count
    assert store.search((), query="tea", offset=10**7) == []
    assert [one.key for one in store.search((), filter={"n": {"$lt": 2}})] == ["1"]
    store.batch([PutOp(("many", str(n)), "k", {}) for n in range(count)])
    assert len(store.list_namespaces(prefix=("many",), limit=20_000)) == count


async def test_a_lost_index_comes_back(memory: AgentMemory, both: Both, server_client: redis.Redis) -> None:
    store = memory.store()
    await both(store).aput(("a",), "k", {"text": "tea"})
    server_client.execute_command("FT.DROPINDEX", "agentmem:store")
    await both(store).aput(("a",), "k2", {"text": "milk"})
    assert [one.key for one in await both(store).asearch(("a",), query="tea")] == ["k", "k2"]
    server_client.execute_command("FT.DROPINDEX", "agentmem:store")
    assert [one.key for one in await both(store).asearch(("a",))] == ["k2", "k"]


async def test_what_was_put_before_there_was_an_index_is_found(memory: AgentMemory, both: Both) -> None:
    await both(memory.store(index=False)).aput(("a",), "old", {"text": "tea"})
    store = memory.store()
    assert [one.key for one in await both(store).asearch(("a",), query="tea")] == ["old"]


@pytest.mark.parametrize("vector_type", ["float32", "float16"])
@pytest.mark.parametrize("algorithm", ["flat", "hnsw"])
async def test_every_kind_of_index_serves(url: str, both: Both, vector_type: Any, algorithm: Any) -> None:
    memory = AgentMemory(url, vector_type=vector_type, algorithm=algorithm, embeddings=WordEmbeddings())
    async with memory:
        store = memory.store(index={"fields": ["parts[*]"]})
        await both(store).aput(("a",), "k", {"parts": ["tea", "milk"]})
        await both(store).aput(("a",), "k2", {"parts": ["rain"]})
        found = await both(store).asearch(("a",), query="milk")
        assert [one.key for one in found] == ["k", "k2"]
        assert found[0].score == pytest.approx(1, abs=1e-2)
    async with AgentMemory(url, vector_type=vector_type, embeddings=WordEmbeddings()) as other:
        assert len(await both(other.store()).asearch(("a",), query="milk")) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"index": {"dims": 0}},
        {"index": {"distance_type": "l2"}},
        {"index": {"embed": 5}},
        {"index": True},
        {"ttl": 5},
        {"ttl": {"default_ttl": 0}},
        {"ttl": {"default": 5}},
        {"user_of": "alice"},
        {"index": {"fields": "text"}},
    ],
    ids=str,
)
def test_an_option_that_is_not_understood_is_refused(memory: AgentMemory, options: Any) -> None:
    with pytest.raises((ConfigurationError, InvalidInputError)):
        memory.store(**options)


async def test_wrong_queries_limits_and_paths_are_refused(memory: AgentMemory, both: Both) -> None:
    store = memory.store()
    for wrong in ({"limit": -1}, {"offset": -1}, {"limit": 1.5}, {"query": 123}, {"query": ["tea"]}):
        with pytest.raises(InvalidInputError):
            await both(store).asearch(("a",), **wrong)
    with pytest.raises(InvalidInputError, match="paths"):
        await both(store).aput(("a",), "k", {}, index="text")  # type: ignore[arg-type]
    assert await both(store).asearch(("a",), limit=0) == []
