"""An index and documents of another program, as the Redis documentation's guide to agent memory makes them."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
import redis

from integration_tests.conftest import Both, before_each_batch
from integration_tests.longterm.conftest import Make
from integration_tests.longterm.guide import Guide
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.redisearch.rebuild import rebuild

ODD = ["Alice Smith", "smith, alice", " alice ", "ALICE", "café", "#alice", 'a"b\\c', "a\nb", "x" * 200]


@pytest.fixture
def memory(make: Make, guide: Guide) -> LongTermMemory:
    return make(storage=guide.storage)


@pytest.mark.parametrize("algorithm", ["HNSW", "FLAT"])
async def test_rebuilt_the_guides_memories_are_recalled_known_listed_and_forgotten(
    memory: LongTermMemory, guide: Guide, both: Both, algorithm: str
) -> None:
    guide.create_index(algorithm=algorithm)
    guide.remember("m1", "green tea", "alice", source_thread="t1")
    guide.remember("m2", "red car", "bob", kind="semantic")
    before = guide.documents()
    done = await both(memory).arebuild_index()
    assert (done.documents, done.failures, done.unreadable, done.rewritten) == (2, 0, 0, 0)
    assert done.digested == 2
    assert guide.without("same") == before
    (found,) = await both(memory).arecall("tea", user="alice")
    assert (found.id, found.text, found.user, found.namespace, found.kind, found.source_thread) == (
        *("m1", "green tea", "alice", "default", "episodic", "t1"),
    )
    assert (found.hit_count, found.created_ts, found.metadata) == (3, 1715990400.12, {})
    assert (await both(memory).aremember("green tea", user="alice")).id == "m1"
    assert (await both(memory).aget("m1")).ttl_seconds > 5000
    assert [one.id for one in await both(memory).alist_memories(user="bob")] == ["m2"]
    assert await both(memory).aforget_user("alice") == 1
    assert await both(memory).adelete_memory("m2", user="bob")


async def test_memories_of_odd_users_are_found_once_they_are_rewritten(
    memory: LongTermMemory, guide: Guide, bare: redis.Redis, both: Both
) -> None:
    guide.create_index()
    for number, user in enumerate(["alice", *ODD]):
        guide.remember(f"m{number}", "green tea", user, namespace=user, source_thread=user, kind=user)
    done = await both(memory).arebuild_index()
    assert (done.documents, done.failures, done.unreadable) == (10, 0, 0)
    assert done.rewritten == 8, "ALICE stands as it is"
    again = await both(memory).arebuild_index()
    assert (again.documents, again.rewritten, again.digested) == (10, 0, 0)
    for number, user in enumerate(["alice", *ODD]):
        scope = {"user": user, "namespace": user, "kind": user}
        (found,) = await both(memory).arecall("tea", **scope)
        assert (found.id, found.source_thread, found.hit_count) == (f"m{number}", user, 3)
        assert 4900 < bare.ttl(f"agent:mem:m{number}") <= 5000
        assert (await both(memory).aremember("green tea", **scope)).id == f"m{number}"
        assert await both(memory).aforget_user(user) == 1


async def test_what_is_ours_stays_as_it_is_beside_the_guides(
    memory: LongTermMemory, guide: Guide, both: Both
) -> None:
    ours = await both(memory).aremember("green tea", user="Alice Smith", source_thread="a b")
    before = guide.documents()
    guide.remember("m1", "red car", "alice", namespace="at work")
    done = await both(memory).arebuild_index()
    assert (done.documents, done.rewritten) == (2, 1)
    assert guide.documents().items() >= before.items()
    (found,) = await both(memory).arecall("tea", user="Alice Smith")
    assert (found.id, found.source_thread) == (ours.id, "a b")
    (found,) = await both(memory).arecall("car", user="alice", namespace="at work")
    assert found.id == "m1"


async def test_until_then_no_scope_meets_what_the_guide_wrote_for_another(
    memory: LongTermMemory, guide: Guide, bare: redis.Redis, both: Both, searches_in_scripts: bool
) -> None:
    """The index splits raw values at commas and trims them, so that they look like others' there."""
    await both(memory).acreate_index()
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    for number, user in enumerate(ODD):
        newest = {"created_ts": 4e9 + number}
        guide.remember(f"m{number}", "green tea", user, **newest)
        guide.remember(f"n{number}", "green tea", "alice", namespace=f"default,{user}", **newest)
        guide.remember(f"k{number}", "green tea", "alice", kind=f"episodic,{user}", **newest)
    before = guide.documents()
    scope = {"user": "alice", "kind": "episodic"}
    assert await both(memory).arecall("tea", **scope) == []
    result = await both(memory).aremember("green tea", **scope)
    assert not result.deduped
    assert [one.id for one in await both(memory).arecall("tea", k=1, **scope)] == [result.id]
    assert [one.id for one in await both(memory).alist_memories(limit=1, **scope)] == [result.id]
    again = await both(memory).aremember("green tea", **scope)
    assert (again.id, again.deduped) == (result.id, True)
    assert guide.documents().items() >= before.items()
    assert await both(memory).aforget_user("alice") >= 1
    assert guide.documents().keys() >= {f"agent:mem:m{number}".encode() for number in range(len(ODD))}


async def test_what_the_new_index_cannot_take_is_counted_named_and_left(
    memory: LongTermMemory, guide: Guide, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    guide.create_index()
    guide.remember("good", "green tea", "alice")
    guide.remember("short", "green tea", "alice", embedding=[1.0, 2.0])
    guide.remember("countless", "green tea", "alice", hit_count="many")
    before = guide.documents()
    with caplog.at_level(logging.WARNING):
        done = await both(memory).arebuild_index()
    assert (done.documents, done.failures, done.unreadable) == (1, 2, 1)
    assert "agent:mem:countless" in caplog.text
    assert guide.without("same") == before
    assert [one.id for one in await both(memory).arecall("tea", user="alice")] == ["good"]


@pytest.mark.parametrize("other", ["prefix", "storage"])
async def test_an_index_over_other_documents_is_never_rebuilt(
    make: Make, guide: Guide, bare: redis.Redis, both: Both, other: str
) -> None:
    guide.create_index(prefix="theirs:" if other == "prefix" else "agent:mem:")
    guide.remember("m1", "green tea", "Alice Smith")
    before = (guide.documents(), guide.fields())
    storage = guide.storage if other == "prefix" else {"json": "hash", "hash": "json"}[guide.storage]
    with pytest.raises(IndexMismatchError, match=f"{other}: is "):
        await both(make(storage=storage)).arebuild_index()
    assert (guide.documents(), guide.fields()) == before
    assert not bare.exists("agentmem:idx:filling")


@pytest.mark.parametrize("algorithm", ["HNSW", "FLAT"])
async def test_an_index_of_either_algorithm_and_with_further_fields_serves_as_it_is(
    make: Make, guide: Guide, bare: redis.Redis, both: Both, algorithm: str
) -> None:
    guide.create_index(algorithm=algorithm, exact=True)
    guide.remember("m1", "green tea", "alice")
    for ours in ("hnsw", "flat"):
        memory = make(storage=guide.storage, algorithm=ours, dedup="near")
        assert [one.id for one in await both(memory).arecall("tea", user="alice")] == ["m1"]
        assert (await both(memory).aremember("green tea", user="alice")).id == "m1"
        assert algorithm in (await both(memory).aindex_info())["schema"]["embedding"]
    other = {"HNSW": "flat", "FLAT": "hnsw"}[algorithm]
    await both(make(storage=guide.storage, algorithm=other)).arebuild_index()
    assert other.upper() in (await both(memory).aindex_info())["schema"]["embedding"]
    assert [one.id for one in await both(memory).arecall("tea", user="alice")] == ["m1"]


async def test_without_an_index_one_is_made(memory: LongTermMemory, guide: Guide, both: Both) -> None:
    guide.remember("m1", "green tea", "Alice Smith")
    done = await both(memory).arebuild_index()
    assert (done.documents, done.rewritten) == (1, 1)
    assert [one.id for one in await both(memory).arecall("tea", user="Alice Smith")] == ["m1"]


@pytest.mark.timeout(100)
def test_others_wait_while_the_index_is_rebuilt(url: str, bare: redis.Redis) -> None:
    guide = Guide(bare, "hash")
    guide.create_index(dim=64)
    numbers = np.random.default_rng(5).normal(size=(4000, 64)).astype(np.float32)
    with bare.pipeline() as pipe:
        for at, vector in enumerate(numbers):
            document = {"user": "u", "namespace": "default", "kind": "episodic", "source_thread": ""}
            document |= {"text": f"fact {at}", "created_ts": 5, "hit_count": 0}
            pipe.hset(f"agent:mem:m{at}", mapping={**document, "embedding": vector.tobytes()})
        pipe.execute()
    words = WordEmbeddings(64)
    with (
        LongTermMemory(url, storage="hash", embeddings=words, dedup="near") as first,
        redis.Redis.from_url(url) as client,
        LongTermMemory(client=client, storage="hash", embeddings=words, dedup="near") as second,
    ):
        rebuilding = threading.Thread(target=first.rebuild_index)
        rebuilding.start()
        wait_until(lambda: bare.exists("agentmem:idx:filling"))
        again = [second.remember("x", user="u", embedding=numbers[at].tolist()) for at in (9, 1999, 3999)]
        assert [result.id for result in again] == ["m9", "m1999", "m3999"]
        rebuilding.join()
        assert not bare.exists("agentmem:idx:filling")
        assert second.index_info()["documents"] == 4000


async def test_a_memory_that_changes_meanwhile_is_left_for_the_next_time(make: Make, guide: Guide) -> None:
    guide.remember("m1", "green tea", "Alice Smith")
    memory = make(storage=guide.storage)
    seen: list[Batch] = []

    def act(batch: Batch) -> None:
        if any("Alice Smith" in command.args for command in batch):
            seen.append(batch)
            guide.remember("m1", "green tea", "bob")

    op = rebuild([(memory.store, memory.index)], 256, memory.drafting.digest)
    assert memory.transport.run(before_each_batch(op, act)).rewritten == 0
    assert seen
    assert [one.id for one in memory.recall("tea", user="bob")] == ["m1"]
