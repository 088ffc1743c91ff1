"""What every layout promises, sync and async, in a script and under a lock."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
import redis
from redisvl.query.filter import FilterExpression, Num, Tag, Text

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

WEEK = 604800


class TestEveryLayout:
    @pytest.fixture
    def memory(self, make_so: Make, layout: dict[str, Any]) -> LongTermMemory:
        return make_so(**layout)

    async def test_a_memory_is_stored_recalled_read_and_deleted(
        self, memory: LongTermMemory, both: Both
    ) -> None:
        before = time.time()
        metadata = {"importance": 0.1, "tags": [], "big": 2**80}
        result = await both(memory).aremember(
            "Alice likes green tea", user="alice", source_thread="t 1", metadata=metadata
        )
        assert (result.deduped, result.existing_distance) == (False, None)
        await both(memory).aremember("Bob drives a red car", user="alice")
        (found,) = await both(memory).arecall("who likes tea", user="alice")
        assert (found.id, found.text, found.user, found.namespace, found.kind, found.source_thread) == (
            *(result.id, "Alice likes green tea", "alice", "default", "episodic", "t 1"),
        )
        assert (found.metadata, found.hit_count, found.ttl_seconds) == (metadata, 0, None)
        assert 0 < found.distance < 0.55
        assert 0 < found.score < 1
        assert set(found.matched_words) == {"likes", "tea"}
        (nearest,) = await both(memory).arecall("who likes tea", user="alice", mode="vector")
        assert (nearest.id, nearest.score) == (found.id, 1 - nearest.distance / 2)
        assert before - 1 < found.created_ts < time.time() + 1
        stored = await both(memory).aget(result.id)
        assert (stored.text, stored.metadata, stored.created_ts) == (found.text, metadata, found.created_ts)
        assert WEEK - 10 < stored.ttl_seconds <= WEEK
        assert (stored.distance, stored.score) == (None, None)
        assert await both(memory).adelete_memory(result.id) is True
        assert await both(memory).adelete_memory(result.id) is False
        assert await both(memory).aget(result.id) is None
        assert await both(memory).arecall("who likes tea", user="alice") == []

    async def test_what_is_known_is_not_stored_again(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both, way: str
    ) -> None:
        first = await both(memory).aremember("Alice likes green tea", user="alice")
        again = await both(memory).aremember("Alice likes green tea.", user="alice")
        other = await both(memory).aremember("Bob drives a red car", user="alice")
        assert (again.id, again.deduped) == (first.id, True)
        assert not other.deduped
        if way in ("near", "lock"):
            assert again.existing_distance == pytest.approx(0, abs=1e-3)
            assert other.existing_distance > 0.2
        assert (await both(memory).aget(first.id)).hit_count == 1
        assert len(list(bare.scan_iter("agent:mem:*"))) == 2

    async def test_only_its_own_scope_knows_a_memory(self, memory: LongTermMemory, both: Both) -> None:
        text, scopes = "Alice likes green tea", [
            {"user": "alice"},
            {"user": "Alice"},
            {"user": "alice", "namespace": "work"},
            {"user": "alice", "kind": "semantic"},
        ]  # fmt: skip
        results = [await both(memory).aremember(text, **scope) for scope in scopes]
        assert len({result.id for result in results}) == 4
        assert not any(result.deduped or result.existing_distance for result in results)

    async def test_a_known_memory_lives_as_long_again(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        result = await both(memory).aremember("tea", user="alice", ttl_seconds=100)
        assert 90 < bare.ttl(f"agent:mem:{result.id}") <= 100
        await both(memory).aremember("tea", user="alice")
        assert WEEK - 10 < bare.ttl(f"agent:mem:{result.id}") <= WEEK
        await both(memory).aremember("tea", user="alice", ttl_seconds=None)
        assert bare.ttl(f"agent:mem:{result.id}") == -1

    async def test_kinds_live_by_their_rules(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        async def life(**about: Any) -> int:
            result = await both(memory).aremember("tea", user="alice", **about)
            return int(bare.ttl(f"agent:mem:{result.id}"))

        assert await life(kind="semantic") == -1
        assert await life(kind="a kind without a rule") == -1
        assert WEEK - 10 < await life(kind="episodic") <= WEEK
        assert 90 < await life(kind="procedural", ttl_seconds=100) <= 100

    async def test_many_memories_are_each_stored_once(self, memory: LongTermMemory, both: Both) -> None:
        texts = ["green tea", "red car", "green tea", "blue sky"]
        seen: list[tuple[int, int]] = []
        results = await both(memory).aremember_many(texts, user="alice", batch_size=3, metadatas=[{"n": n} for n in range(4)],
            on_progress=lambda done, total: seen.append((done, total)),
        )  # fmt: skip
        assert [result.deduped for result in results] == [False, False, True, False]
        assert results[2].id == results[0].id
        assert seen == [(3, 4), (4, 4)]
        listed = await both(memory).alist_memories(user="alice")
        assert [(one.text, one.metadata["n"], one.hit_count) for one in listed] == [
            ("blue sky", 3, 0),
            ("red car", 1, 0),
            ("green tea", 0, 1),
        ]

    async def test_newest_are_listed_first_with_their_life(self, memory: LongTermMemory, both: Both) -> None:
        words = ["one", "two", "three", "four", "five"]
        for word in words:
            await both(memory).aremember(word, user="alice", namespace=word[0], kind="semantic")
        await both(memory).aremember("six", user="alice", ttl_seconds=50)
        listed = await both(memory).alist_memories(user="alice", namespace=None)
        assert [one.text for one in listed] == ["six", *reversed(words)]
        assert [one.ttl_seconds is None for one in listed] == [False, *[True] * 5]
        limited = await both(memory).alist_memories(user="alice", namespace=None, limit=2)
        assert [one.text for one in limited] == ["six", "five"]
        semantic = await both(memory).alist_memories(user="alice", namespace="f", kind="semantic")
        assert [one.text for one in semantic] == ["five", "four"]
        assert [one.text for one in await both(memory).alist_memories(user="alice")] == ["six"]

    async def test_clear_and_forget_delete_what_they_name(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        for user in ("alice", "Alice", "a,b"):
            for namespace in ("default", "work"):
                for kind in ("episodic", "semantic"):
                    await both(memory).aremember("tea", user=user, namespace=namespace, kind=kind)
        assert await both(memory).aclear(user="a,b", namespace="work", kind="semantic") == 1
        assert await both(memory).aclear(kind="semantic") == 5
        assert await both(memory).aforget_user("alice") == 2
        assert await both(memory).aforget_user("alice") == 0
        assert len(await both(memory).alist_memories(user="Alice", namespace=None)) == 2
        bare.set("agent:mem:not-a-memory", "x")
        assert await both(memory).aclear() == 4
        assert [key.decode() for key in bare.scan_iter("agent:mem:*")] == ["agent:mem:not-a-memory"]

    async def test_an_id_belongs_to_its_scope(self, memory: LongTermMemory, both: Both) -> None:
        await both(memory).aremember_many(["green tea"], user="alice", ids=["m1"])
        with pytest.raises(InvalidInputError, match="another user"):
            await both(memory).aremember_many(["red car"], user="bob", ids=["m1"])
        await both(memory).aremember_many(["blue sky"], user="alice", ids=["m1"], ttl_seconds=None)
        found = await both(memory).aget("m1")
        assert (found.text, found.ttl_seconds) == ("blue sky", None)
        assert await both(memory).aget("m1", user="bob") is None
        assert await both(memory).adelete_memory("m1", user="bob") is False
        assert await both(memory).adelete_memory("m1", user="alice") is True


async def test_recall_keeps_to_k_and_to_the_threshold(memory: LongTermMemory, both: Both) -> None:
    texts = [f"tea {'abcdefghij'[n // 10]}{n % 10}x" for n in range(30)]
    results = await both(memory).aremember_many(texts, user="alice")
    known = {result.id for result in results}
    assert len(known) > 25
    found = await both(memory).arecall("tea", user="alice", k=7)
    assert len(found) == 7
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert await both(memory).arecall("tea", user="alice", distance_threshold=0) == []
    assert await both(memory).arecall("car", user="alice") == []
    everything = await both(memory).arecall("car", user="alice", distance_threshold=None, k=10**7)
    assert sorted(one.id for one in everything) == sorted(known), "each once"


async def test_recall_of_a_thousand_is_complete(memory: LongTermMemory, both: Both) -> None:
    texts = [f"tea w{n} w{n * 7} w{n * 31}" for n in range(1500)]
    memory.config = replace(memory.config, dedup_threshold=0.0)
    results = await both(memory).aremember_many(texts, user="alice", batch_size=500)
    known = {result.id for result in results}
    found = await both(memory).arecall("tea", user="alice", k=1000, distance_threshold=None)
    assert len({one.id for one in found} & known) == min(1000, len(known))


async def test_every_namespace_is_every_namespace_of_this_user(memory: LongTermMemory, both: Both) -> None:
    for user in ("alice", "bob"):
        for namespace in ("home", "work"):
            await both(memory).aremember(f"tea {user} {namespace}", user=user, namespace=namespace)
    found = await both(memory).arecall("tea", user="alice", namespace=None)
    assert {one.text for one in found} == {"tea alice home", "tea alice work"}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Tag("source_thread") == "t1", {"tea one"}),
        (Tag("source_thread") != "t1", {"tea two"}),
        (Text("text") % "two", {"tea two"}),
        (Num("hit_count") > 0, {"tea two"}),
        (Num("hit_count").between(0, 5), {"tea one", "tea two"}),
        ((Tag("source_thread") == "t1") | (Num("hit_count") > 0), {"tea one", "tea two"}),
        (FilterExpression("@user:{bob}"), set()),
        (FilterExpression("-@user:{alice}"), set()),
        (FilterExpression("@user:{bob} | @user:{alice}"), {"tea one", "tea two"}),
        (FilterExpression("*"), {"tea one", "tea two"}),
    ],
)
async def test_a_filter_narrows_and_never_widens(
    memory: LongTermMemory, both: Both, filter: FilterExpression, expected: set[str]
) -> None:
    await both(memory).aremember("tea one", user="alice", source_thread="t1")
    for _ in range(2):
        await both(memory).aremember("tea two", user="alice", source_thread="t2")
    await both(memory).aremember("tea three", user="bob", source_thread="t1")
    found = await both(memory).arecall("tea", user="alice", filter=filter)
    assert {one.text for one in found} == expected


async def test_rows_of_another_scope_are_dropped_whatever_the_search_says(
    memory: LongTermMemory, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("alice", "bob"):
        for kind in ("episodic", "semantic"):
            await both(memory).aremember(f"tea {user} {kind}", user=user, kind=kind)
    everything = "(@user:{alice|bob})"
    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.queries.condition", lambda *_: everything)
    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.clearing.condition", lambda *_: everything)
    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.clearing._PAGE", 1)
    found = await both(memory).arecall("tea", user="alice", kind="semantic")
    assert [one.text for one in found] == ["tea alice semantic"]
    listed = await both(memory).alist_memories(user="bob", kind="episodic")
    assert [one.text for one in listed] == ["tea bob episodic"]
    assert await both(memory).aclear(user="bob", kind="episodic") == 1
    assert len(await both(memory).alist_memories(user="alice")) == 2


async def test_a_filter_the_server_cannot_parse_is_an_error(memory: LongTermMemory, both: Both) -> None:
    with pytest.raises(StoreError, match="Syntax error"):
        await both(memory).arecall("tea", user="alice", filter=FilterExpression("@created_ts:[a b]"))


HOSTILE = [
    "@text:(will|there|interview)",
    "will there interview",
    "the",
    "*",
    "* | *",
    "@user:{*}",
    ")) | (@user:{*}",
    "=>[KNN 5 @embedding $vector]",
    '"', "'", "\\", "\x00", "-", "%%%", "~", "{}", "()", "[", "$", "w'x'", "(" * 500, "a" * 4096, "😀", "\ufeff",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_no_query_hurts_the_server(memory: LongTermMemory, bare: redis.Redis, query: str) -> None:
    memory.remember("green tea", user="alice")
    started = bare.info("server")["run_id"]
    memory.recall(query, user="alice", distance_threshold=None)
    memory.remember(query, user="alice")
    memory.recall(query, user=query)
    assert bare.info("server")["run_id"] == started
    assert "green tea" in {one.text for one in memory.list_memories(user="alice")}


async def test_round_trips(make: Make, counting: Counting, both: Both) -> None:
    memory = make()

    async def cost(call: Awaitable[Any]) -> int:
        before = counting.round_trips
        await call
        return counting.round_trips - before

    assert await cost(both(memory).aremember("green tea", user="alice")) in (4, 5, 6), (
        "looks, makes, may look again, may wait, tells others, stores"
    )
    assert await cost(both(memory).aremember("green tea", user="alice")) == 1
    assert await cost(both(memory).aremember("red car", user="alice")) == 1
    assert await cost(both(memory).arecall("tea", user="alice")) == 1
    assert (
        await cost(both(memory).aremember_many([f"text {n}" for n in range(10)], user="alice", batch_size=4))
        == 3
    )
    assert await cost(both(memory).aget("m1")) == 1
    assert await cost(both(memory).adelete_memory("m1")) == 1
    assert await cost(both(memory).alist_memories(user="alice")) == 2
    assert await cost(both(memory).aforget_user("alice")) == 2
    other = make()
    before = counting.round_trips
    await both(other).arecall("tea", user="alice")
    assert counting.round_trips - before == 1, "another object of the connection need not look at the index"


async def test_an_embedding_that_is_given_spares_the_model(make: Make, both: Both) -> None:
    words = WordEmbeddings(256)
    memory = make(embeddings=words)
    vector = WordEmbeddings(256).embed_query("green tea")
    await both(memory).aremember("green tea", user="alice", embedding=vector)
    assert len(await both(memory).arecall("", user="alice", embedding=vector)) == 1
    await both(memory).aremember_many(["a", "b"], user="alice", embeddings=[vector, vector])
    assert words.embedded == 0


@pytest.mark.parametrize("storage", ["json", "hash"])
async def test_an_embedding_that_another_memory_has_checked_is_taken_as_any_other(
    make: Make, both: Both, storage: str
) -> None:
    memory = make(storage=storage)
    other = make(vector_type="float16", index_name="other", key_prefix="other:")
    vector = other.check_embedding(memory.embeddings.embed_query("green tea"))
    await both(memory).aremember("green tea", user="alice", embedding=vector)
    (found,) = await both(memory).arecall("green tea", user="alice", embedding=vector)
    assert found.text == "green tea"


async def test_operations_can_be_run_beside_others(memory: LongTermMemory) -> None:
    from langchain_agentmem.core.operations import gather

    recalled, stored = memory.transport.run(
        gather(
            [
                memory.recall_op("green tea", user="alice"),
                memory.remember_op("green tea", user="alice"),
            ]
        )
    )
    assert recalled == []
    assert not stored.deduped


async def test_the_index_is_described_and_dropped(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory).acreate_index()
    await both(memory).acreate_index()
    await both(memory).aremember("green tea", user="alice")
    info = await both(memory).aindex_info()
    assert (info["name"], info["dimensions"], info["documents"]) == ("agentmem:idx", 256, 1)
    assert info["mismatch"] is None
    other = LongTermMemory(transport=memory.transport, storage="hash")
    assert "storage: is JSON, wanted HASH" in (await both(other).aindex_info())["mismatch"]
    await both(memory).adrop_index()
    await both(memory).adrop_index()
    assert bare.execute_command("FT._LIST") == []
    assert len(await both(memory).arecall("tea", user="alice")) == 1, "made again, over what is there"
    await both(memory).adrop_index(delete_documents=True)
    assert bare.keys("*") == []
