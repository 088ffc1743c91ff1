from __future__ import annotations

from typing import Any

import pytest
import redis
from langchain_core.documents import Document
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from redisvl.query.filter import Tag

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import LAYOUTS, Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.redisearch.vector_store import MemoryVectorStore


class TestJson(VectorStoreIntegrationTests):
    layout = "json"

    @pytest.fixture
    def vectorstore(self, make: Make) -> MemoryVectorStore:
        memory = make(embeddings=self.get_embeddings(), **LAYOUTS[self.layout])
        return MemoryVectorStore(memory, user="alice")


class TestHash(TestJson):
    layout = "hash16"


class TestPartitions(TestJson):
    @pytest.fixture
    def vectorstore(self, make: Make) -> MemoryVectorStore:
        return MemoryVectorStore(make(embeddings=self.get_embeddings(), partitions=16), user="alice")


@pytest.fixture
def store(memory: LongTermMemory) -> MemoryVectorStore:
    return MemoryVectorStore(memory, user="alice")


async def test_an_id_belongs_to_its_scope(memory: LongTermMemory, both: Both) -> None:
    scopes: list[dict[str, Any]] = [
        {"user": "alice"},
        {"user": "bob"},
        {"user": "alice", "namespace": "work"},
        {"user": "alice", "kind": "episodic"},
        {"user": "a b", "namespace": "c"},
        {"user": "a", "namespace": "b c"},
    ]
    stores = [MemoryVectorStore(memory, **scope) for scope in scopes]
    for number, store in enumerate(stores):
        assert await both(store).aadd_texts([f"green tea {number}"], ids=["1"]) == ["1"]
    for number, store in enumerate(stores):
        (found,) = await both(store).aget_by_ids(["1"])
        assert (found.id, found.page_content) == ("1", f"green tea {number}")
        assert [one.page_content for one in await both(store).asimilarity_search("tea")] == [
            f"green tea {number}"
        ]
    assert await both(stores[0]).adelete(["1"])
    assert await both(stores[0]).aget_by_ids(["1"]) == []
    assert all([await both(store).aget_by_ids(["1"]) for store in stores[1:]])


async def test_what_was_remembered_in_the_scope_is_found_and_can_be_replaced(
    memory: LongTermMemory, store: MemoryVectorStore, both: Both
) -> None:
    mine = await both(memory).aremember("green tea", user="alice", kind="semantic")
    other = await both(memory).aremember("green tea", user="bob", kind="semantic")
    (found,) = await both(store).asimilarity_search("tea")
    assert (found.id, found.page_content) == (mine.id, "green tea")
    assert await both(store).aget_by_ids([mine.id, other.id]) == [found]
    await both(store).aadd_documents([Document(id=mine.id, page_content="black tea")])
    assert [(one.id, one.page_content) for one in await both(store).asimilarity_search("tea")] == [
        (mine.id, "black tea")
    ]
    await both(store).adelete([mine.id, other.id])
    assert await both(store).asimilarity_search("tea") == []
    assert await both(memory).aget(other.id) is not None


async def test_scores_are_distances_and_relevance_is_the_other_way_round(
    store: MemoryVectorStore, both: Both
) -> None:
    await both(store).aadd_texts(["green tea", "red car"], [{"n": 1}, {"n": 2}])
    near, far = await both(store).asimilarity_search_with_score("green tea")
    assert near[1] == pytest.approx(0, abs=1e-3)
    assert far[1] == pytest.approx(1, abs=0.1)
    assert [one.metadata["n"] for one, _ in (near, far)] == [1, 2]
    relevance = await both(store).asimilarity_search_with_relevance_scores("green tea")
    assert relevance[0][1] == pytest.approx(1, abs=1e-3)
    vector = WordEmbeddings(256).embed_query("red car")
    assert (await both(store).asimilarity_search_by_vector(vector, k=1))[0].page_content == "red car"


async def test_documents_live_as_their_kind_does_and_are_not_deduplicated(
    memory: LongTermMemory, both: Both
) -> None:
    store = MemoryVectorStore(memory, user="alice", kind="episodic", source_thread="t1")
    forever = MemoryVectorStore(memory, user="alice", kind="episodic", ttl_seconds=None)
    await both(store).aadd_texts(["tea", "tea"])
    await both(forever).aadd_texts(["tea"])
    lives = [one.ttl_seconds for one in await both(memory).alist_memories(user="alice")]
    assert lives[0] is None
    assert all(life > 600_000 for life in lives[1:])
    filtered = await both(store).asimilarity_search("tea", filter=Tag("source_thread") == "t1")
    assert len(filtered) == 2
    assert await both(store).adelete()
    assert await both(memory).alist_memories(user="alice") == []


async def test_from_texts_opens_a_memory_of_its_own(url: str) -> None:
    store = MemoryVectorStore.from_texts(["tea"], WordEmbeddings(), ids=["1"], url=url, user="alice")
    assert [one.id for one in store.similarity_search("tea")] == ["1"]
    store.memory.close()
    store = await MemoryVectorStore.afrom_texts(["car"], WordEmbeddings(), url=url, user="alice")
    assert len(await store.asimilarity_search("tea")) == 2
    await store.memory.aclose()
    store = MemoryVectorStore.from_documents(
        [Document(id="9", page_content="sky")], WordEmbeddings(), url=url, user="alice"
    )
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("sky")[0].id == "9"
    store.memory.close()


def test_an_index_that_vanished_before_a_write_is_made_again(
    make: Make, counting: Counting, bare: redis.Redis
) -> None:
    store = MemoryVectorStore(make(), user="alice")
    store.add_texts(["one"])
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    store.add_texts(["two", "three"])
    assert store.memory.index_info()["documents"] == 3
    assert len(store.similarity_search("two", k=9)) == 3
    before = counting.round_trips
    store.add_texts([f"n{n}" for n in range(100)])
    assert counting.round_trips - before == 2


def test_ids_and_lists_that_cannot_be_are_refused(store: MemoryVectorStore) -> None:
    with pytest.raises(InvalidInputError):
        store.add_texts(["a"], ids=[""])
    with pytest.raises(InvalidInputError, match="2 ids"):
        store.add_texts(["a"], ids=["1", "2"])
    with pytest.raises(InvalidInputError):
        store.add_texts(["a"], [{}, {}])
    with pytest.raises(InvalidInputError):
        MemoryVectorStore(store.memory, user="")
    with pytest.raises(InvalidInputError):
        MemoryVectorStore(store.memory, user="alice", namespace=None)  # type: ignore[arg-type]
