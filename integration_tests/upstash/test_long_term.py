"""Long-term memory on Upstash, over its REST API: what it promises, sync and async."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both
from integration_tests.upstash.conftest import Make, stored_by_others
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.core.operations import Command
from langchain_agentmem.errors import IndexMismatchError, IndexMissingError, StoreError, WrongKeyTypeError
from langchain_agentmem.longterm.retriever import MemoryRetriever
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.transport.connections import SharedConnection

WEEK = 604800
DAY_MS = 86_400_000
TUTORIAL_INDEX = (
    *("SEARCH.CREATE", "memories", "ON", "JSON", "PREFIX", 1, "memory:", "SCHEMA"),
    *("text", "TEXT", "userId", "KEYWORD", "kind", "KEYWORD", "createdAt", "F64"),
)


@pytest.fixture
def memory(make: Make) -> UpstashLongTermMemory:
    memory = make()
    memory.create_index()
    return memory


class TestEveryServer:
    async def test_a_memory_is_stored_recalled_read_and_deleted(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        before = time.time()
        metadata = {"importance": 0.1, "tags": [], "big": 2**80}
        result = await both(memory).aremember(
            "Alice likes green tea", user="alice", source_thread="t 1", metadata=metadata
        )
        assert (result.deduped, result.existing_distance) == (False, None)
        await both(memory).aremember("Alice drives a red car", user="alice", kind="semantic")
        assert await both(memory).await_indexing() is True
        (found,) = await both(memory).arecall("who likes tea", user="alice")
        assert (found.id, found.text, found.user, found.namespace, found.kind, found.source_thread) == (
            *(result.id, "Alice likes green tea", "alice", "default", "episodic", "t 1"),
        )
        assert (found.metadata, found.hit_count, found.ttl_seconds) == (metadata, 0, None)
        assert found.distance is None
        assert 0 < found.score < 1
        assert before - 1 < found.created_ts < time.time() + 1
        read = await both(memory).aget(result.id)
        assert (read.text, read.metadata, read.created_ts) == (found.text, metadata, found.created_ts)
        assert WEEK - 10 < read.ttl_seconds <= WEEK
        assert bare.exists(f"memory:{result.id}")
        assert await both(memory).adelete_memory(result.id) is True
        assert await both(memory).adelete_memory(result.id) is False
        assert await both(memory).aget(result.id) is None
        assert await both(memory).arecall("who likes tea", user="alice") == []

    async def test_a_plain_memory_has_the_tutorials_members_alone(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        result = await both(memory).aremember("Likes tea", user="alice", kind="fact")
        document = bare.json().get(f"memory:{result.id}")
        assert isinstance(document.pop("createdAt"), int)
        assert document == {"text": "Likes tea", "userId": "alice", "kind": "fact"}
        await both(memory).aremember("likes  tea.", user="alice", kind="fact")
        await both(memory).aremember("likes tea", user="alice", kind="fact")
        assert bare.json().get(f"memory:{result.id}")["hitCount"] == 2

    async def test_the_same_text_is_known_at_once_in_its_own_scope_only(
        self, memory: UpstashLongTermMemory, emulator: Emulator, both: Both
    ) -> None:
        emulator.indexing_delay_seconds = 60
        first = await both(memory).aremember("Likes tea", user="alice")
        again = await both(memory).aremember("likes tea.", user="alice")
        assert (again.id, again.deduped) == (first.id, True)
        for scope in ({"user": "Alice"}, {"user": "alice", "kind": "fact"}, {"user": "bob"}):
            assert not (await both(memory).aremember("Likes tea", **scope)).deduped

    async def test_a_known_memory_lives_as_long_again_and_never_shorter(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        result = await both(memory).aremember("tea", user="alice", ttl_seconds=100)
        key = f"memory:{result.id}"
        assert 90 < bare.ttl(key) <= 100
        await both(memory).aremember("tea", user="alice", ttl_seconds=50)
        assert 90 < bare.ttl(key) <= 100
        await both(memory).aremember("tea", user="alice")
        assert WEEK - 10 < bare.ttl(key) <= WEEK
        await both(memory).aremember("tea", user="alice", ttl_seconds=None)
        assert bare.ttl(key) == -1
        await both(memory).aremember("tea", user="alice")
        assert bare.ttl(key) == -1

    async def test_kinds_live_by_their_rules(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        async def life(**about: Any) -> int:
            result = await both(memory).aremember("tea", user="alice", **about)
            return int(bare.ttl(f"memory:{result.id}"))

        assert await life(kind="semantic") == -1
        assert await life(kind="a kind without a rule") == -1
        assert WEEK - 10 < await life(kind="episodic") <= WEEK
        assert 90 < await life(kind="procedural", ttl_seconds=100) <= 100

    async def test_many_memories_are_each_stored_once(
        self, memory: UpstashLongTermMemory, emulator: Emulator, both: Both
    ) -> None:
        texts = ["green tea", "red car", "Green tea.", "blue sky"]
        results = await both(memory).aremember_many(
            texts, user="alice", batch_size=3, metadatas=[{"n": n} for n in range(4)]
        )
        assert [result.deduped for result in results] == [False, False, True, False]
        assert results[2].id == results[0].id
        memory.wait_indexing()
        listed = await both(memory).alist_memories(user="alice")
        assert {(one.text, one.metadata["n"], one.hit_count) for one in listed} == {
            *(("blue sky", 3, 0), ("red car", 1, 0), ("green tea", 0, 1)),
        }

    def test_threads_that_learn_the_same_facts_store_each_once(
        self, memory: UpstashLongTermMemory, emulator: Emulator
    ) -> None:
        emulator.indexing_delay_seconds = 60  # the search finds none of them
        writers, facts = 6, [f"fact number {n}" for n in range(5)]
        ready = Barrier(writers)

        def learn(_: int) -> list[bool]:
            ready.wait()
            return [memory.remember(fact, user="alice").deduped for fact in facts]

        with ThreadPoolExecutor(writers) as pool:
            deduped = [known for results in pool.map(learn, range(writers)) for known in results]
        assert deduped.count(False) == len(facts)
        memory.wait_indexing()
        assert [one.hit_count for one in memory.list_memories(user="alice")] == [writers - 1] * len(facts)

    async def test_a_memory_is_read_and_deleted_by_its_owner_alone(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        result = await both(memory).aremember("tea", user='al"ice:é')
        for user in ("al", 'al"ice', 'AL"ICE:é', "bob"):
            assert await both(memory).aget(result.id, user=user) is None
            assert await both(memory).adelete_memory(result.id, user=user) is False
        assert (await both(memory).aget(result.id, user='al"ice:é')).text == "tea"
        assert await both(memory).adelete_memory(result.id, user='al"ice:é') is True


class TestIndex:
    async def test_a_missing_index_is_no_memories_and_is_made(
        self, make: Make, bare: redis.Redis, both: Both
    ) -> None:
        memory = make()
        stored_by_others(bare, "alice:1")
        with pytest.raises(IndexMissingError, match="create_index"):
            await both(memory).aindex_info()
        assert await both(memory).await_indexing() is False
        assert await both(memory).arecall("tea", user="alice") == []
        await both(memory).await_indexing()
        assert [one.id for one in await both(memory).arecall("tea", user="alice")] == ["alice:1"]
        assert (await both(memory).aindex_info())["documents"] == 1

    async def test_storing_makes_the_index_so_that_the_first_recall_finds(
        self, make: Make, both: Both
    ) -> None:
        memory = make()
        await both(memory).aremember("Likes tea", user="alice")
        assert await both(memory).await_indexing() is True
        assert len(await both(memory).arecall("tea", user="alice")) == 1

    async def test_it_is_made_twice_without_harm_and_dropped_with_or_without_its_documents(
        self, make: Make, bare: redis.Redis, both: Both
    ) -> None:
        memory = make()
        await both(memory).acreate_index()
        await both(memory).acreate_index()
        await both(memory).aremember("tea", user="alice")
        bare.set("memory:alice:text", "not a document")
        await both(memory).adrop_index()
        assert len(bare.keys("memory:*")) == 2
        await both(memory).adrop_index(delete_documents=True)
        assert bare.keys("memory:*") == [b"memory:alice:text"]

    async def test_the_tutorials_index_without_fast_is_said_to_be_so(
        self, make: Make, bare: redis.Redis, transport: SharedConnection, both: Both
    ) -> None:
        def create() -> Any:
            (reply,) = yield [Command(TUTORIAL_INDEX)]
            return reply

        assert transport.run(create()) == 1
        stored_by_others(bare, "alice:1", createdAt=1)
        stored_by_others(bare, "alice:2", createdAt=2)
        memory, plain = make(), make(recency_per_day=0)
        memory.wait_indexing()
        for call in (
            both(memory).arecall("tea", user="alice"),
            both(memory).alist_memories(user="alice"),
            both(memory).acreate_index(),
        ):
            with pytest.raises(IndexMismatchError, match=r"createdAt: is F64, wanted F64 FAST"):
                await call
        await both(plain).acreate_index()
        assert len(await both(plain).arecall("tea", user="alice")) == 2
        assert [one.id for one in await both(plain).alist_memories(user="alice", limit=1)] == ["alice:2"]
        await both(memory).adrop_index()
        await both(memory).acreate_index()
        await both(memory).await_indexing()
        assert [one.id for one in await both(memory).alist_memories(user="alice")] == ["alice:2", "alice:1"]
        assert len(await both(memory).arecall("tea", user="alice")) == 2

    async def test_a_memory_is_found_once_it_is_indexed(
        self, make: Make, emulator: Emulator, both: Both
    ) -> None:
        memory = make()
        memory.create_index()
        emulator.indexing_delay_seconds = 60
        await both(memory).aremember("tea", user="alice")
        assert await both(memory).arecall("tea", user="alice") == []
        await both(memory).await_indexing()
        assert len(await both(memory).arecall("tea", user="alice")) == 1


class TestOthersDocuments:
    async def test_the_tutorials_memories_are_memories(
        self, make: Make, bare: redis.Redis, both: Both
    ) -> None:
        memory = make()
        memory.create_index()
        stored_by_others(bare, "alice:0b5f", text="I like spicy food", createdAt=1763700000123)
        memory.wait_indexing()
        (found,) = await both(memory).arecall("spicy", user="alice", kind="fact")
        assert (found.id, found.created_ts, found.hit_count) == ("alice:0b5f", 1763700000.123, 0)
        assert (await both(memory).aget("alice:0b5f", user="alice")).text == "I like spicy food"
        assert len(await both(memory).alist_memories(user="alice")) == 1
        assert await both(memory).adelete_memory("alice:0b5f", user="alice") is True

    async def test_documents_that_are_no_memories_do_no_harm(
        self, make: Make, bare: redis.Redis, caplog: pytest.LogCaptureFixture, both: Both
    ) -> None:
        memory = make()
        memory.create_index()
        bare.set("memory:alice:text", "tea")
        stored_by_others(bare, "alice:list", userId=["alice", "bob"])
        stored_by_others(bare, "alice:undated", createdAt="yesterday")
        stored_by_others(bare, "alice:odd", hitCount="many", createdAt=DAY_MS)
        memory.wait_indexing()
        assert await both(memory).arecall("tea", user="alice") == []
        assert await both(memory).alist_memories(user="alice") == []
        assert "no memory" in caplog.text
        assert not (await both(memory).aremember("Likes tea", user="alice", kind="fact")).deduped
        with pytest.raises(StoreError, match="no memory"):
            await both(memory).aget("alice:odd")
        with pytest.raises(WrongKeyTypeError):
            await both(memory).aget("alice:text")
        assert await both(memory).adelete_memory("alice:text") is False
        assert await both(memory).aforget_user("alice") == 3
        assert sorted(bare.keys("memory:*")) == [b"memory:alice:list", b"memory:alice:text"]

    async def test_a_memory_from_before_1970_is_known_too(
        self, make: Make, bare: redis.Redis, both: Both
    ) -> None:
        memory = make()
        key = memory.remember("Likes tea", user="alice", kind="fact").id
        stored_by_others(bare, key, createdAt=-5)
        assert (await both(memory).aremember("Likes tea", user="alice", kind="fact")).deduped


async def test_memories_of_others_and_other_kinds_take_no_place(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    memory = make()
    memory.create_index()
    for n in range(3):
        stored_by_others(bare, f"bob:{n}", userId="bob", text="green tea", createdAt=3)
        stored_by_others(bare, f"alice:{n}", kind="event", text="green tea", createdAt=2)
    stored_by_others(bare, "alice:mine", text="she told that she once had a tea", createdAt=1)
    memory.wait_indexing()
    (found,) = await both(memory).arecall("green tea", user="alice", kind="fact", k=1)
    assert found.id == "alice:mine"
    (newest,) = await both(memory).alist_memories(user="alice", kind="fact", limit=1)
    assert newest.id == "alice:mine"
    assert len(await both(memory).arecall("green tea", user="alice", k=4)) == 4


async def test_the_newest_are_listed_first_with_their_life(make: Make, bare: redis.Redis, both: Both) -> None:
    memory = make()
    memory.create_index()
    for n in range(5):
        stored_by_others(bare, f"alice:{n}", createdAt=1000 + n, kind="fact" if n % 2 else "event")
    bare.expire("memory:alice:4", 50)
    memory.wait_indexing()
    listed = await both(memory).alist_memories(user="alice", limit=3)
    assert [one.id for one in listed] == ["alice:4", "alice:3", "alice:2"]
    assert listed[0].ttl_seconds in range(45, 51)
    assert [one.ttl_seconds for one in listed[1:]] == [None, None]
    facts = await both(memory).alist_memories(user="alice", kind="fact", namespace=None)
    assert [one.id for one in facts] == ["alice:3", "alice:1"]


async def test_a_filter_in_upstashs_language_narrows(make: Make, bare: redis.Redis, both: Both) -> None:
    memory = make()
    memory.create_index()
    for n in range(4):
        stored_by_others(bare, f"alice:{n}", createdAt=n)
    stored_by_others(bare, "bob:1", userId="bob", createdAt=3)
    memory.wait_indexing()
    for filter, expected in [
        ({"createdAt": {"$gte": 2}}, {"alice:2", "alice:3"}),
        ({"userId": {"$eq": "bob"}}, set()),
        ({"kind": {"$in": ["fact", "event"]}}, {f"alice:{n}" for n in range(4)}),
    ]:
        found = await both(memory).arecall("tea", user="alice", filter=filter)
        assert {one.id for one in found} == expected
    with pytest.raises(StoreError):
        await both(memory).arecall("tea", user="alice", filter={"text": {"$sounds_like": "tee"}})


async def test_every_operation_is_one_request(make: Make, emulator: Emulator, both: Both) -> None:
    memory = make()
    memory.create_index()
    memory.delete_memory(memory.remember("warm", user="alice").id)  # the scripts are loaded
    memory.remember_many([f"fact {n}" for n in range(3)], user="alice")
    memory.wait_indexing()

    async def requests(call: Awaitable[Any]) -> int:
        emulator.requests.clear()
        await call
        return len(emulator.requests)

    assert await requests(both(memory).aremember("Likes tea", user="alice")) == 1
    assert await requests(both(memory).aremember("Likes tea", user="alice")) == 1
    assert await requests(both(memory).aremember_many(["a", "b", "c"], user="alice")) == 1
    assert await requests(both(memory).arecall("tea", user="alice")) == 1
    assert await requests(both(memory).aget("alice:x")) == 1
    assert await requests(both(memory).adelete_memory("alice:x", user="alice")) == 1
    assert await requests(both(memory).aindex_info()) == 1
    assert await requests(both(memory).alist_memories(user="alice")) == 2
    assert await requests(both(memory).aforget_user("alice")) == 2


async def test_a_retriever_serves_it_too(make: Make, both: Both) -> None:
    memory = make()
    memory.create_index()
    result = memory.remember("Likes tea", user="alice", kind="fact", metadata={"importance": 3})
    memory.remember("Likes tea", user="bob", kind="fact")
    memory.remember("Likes tea", user="alice", kind="event")
    memory.wait_indexing()
    retriever = MemoryRetriever(memory=memory, user="alice", kind="fact", filter={"createdAt": {"$gt": 0}})
    for (found,) in (retriever.invoke("tea"), await retriever.ainvoke("tea")):
        assert (found.id, found.page_content) == (result.id, "Likes tea")
        assert found.metadata["importance"] == 3
        assert found.metadata["distance"] is None
        assert found.metadata["score"] > 0
