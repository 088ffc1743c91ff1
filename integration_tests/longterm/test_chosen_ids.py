"""A memory whose id was given is written, whatever else is known."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory


@pytest.fixture
def memory(make_so: Make, layout: dict[str, Any]) -> LongTermMemory:
    memory = make_so(**layout)
    memory.create_index()
    return memory


async def contents(memory: LongTermMemory, both: Both, **scope: Any) -> dict[str, tuple[str, int]]:
    listed = await both(memory).alist_memories(**{"user": "alice", **scope})
    return {one.id: (one.text, one.hit_count) for one in listed}


async def test_a_given_id_is_written_beside_a_memory_that_is_the_same(
    memory: LongTermMemory, both: Both
) -> None:
    known = await both(memory).aremember("green tea", user="alice")
    await both(memory).aremember("red car", user="alice", id="x")
    result = await both(memory).aremember("green tea", user="alice", id="x")
    assert (result.id, result.deduped, result.existing_distance) == ("x", False, None)
    assert await contents(memory, both) == {known.id: ("green tea", 0), "x": ("green tea", 0)}
    (result,) = await both(memory).aremember_many(["Green tea"], user="alice", ids=["y"])
    assert (result.id, result.deduped) == ("y", False)
    assert (await contents(memory, both))["y"] == ("Green tea", 0)


async def test_what_a_given_id_replaces_is_gone_with_its_metadata_hits_and_life(
    memory: LongTermMemory, both: Both
) -> None:
    await both(memory).aremember("green tea", user="alice", id="x", metadata={"a": 1}, source_thread="t 1")
    assert (await both(memory).aremember("green tea", user="alice")).id == "x"
    await both(memory).aremember("blue sky", user="alice", id="x", ttl_seconds=None)
    stored = await both(memory).aget("x")
    assert (stored.text, stored.metadata, stored.source_thread) == ("blue sky", {}, "")
    assert (stored.hit_count, stored.ttl_seconds) == (0, None)
    await both(memory).aremember("blue sky", user="alice", id="x", ttl_seconds=500)
    assert 490 < (await both(memory).aget("x")).ttl_seconds <= 500
    assert await both(memory).arecall("tea", user="alice") == []


async def test_the_others_of_a_call_are_each_stored_once_also_beside_those_with_ids(
    memory: LongTermMemory, both: Both
) -> None:
    texts = ["green tea", "green tea", "red car", "green tea", "red car"]
    results = await both(memory).aremember_many(texts, user="alice", ids=[None, "x", "y", None, None])
    assert [result.deduped for result in results] == [False, False, False, True, True]
    assert [result.id for result in results[1:3]] == ["x", "y"]
    assert results[3].id in ("x", results[0].id)
    assert results[4].id == "y"
    assert len(await contents(memory, both)) == 3


async def test_of_the_same_id_twice_the_last_one_counts(memory: LongTermMemory, both: Both) -> None:
    texts = ["green tea", "red car", "green tea", "blue sky"]
    for batch_size in (64, 1):
        results = await both(memory).aremember_many(
            texts, user="alice", ids=["x", "x", "y", "x"], batch_size=batch_size
        )
        assert [(result.id, result.deduped) for result in results] == [
            *(("x", False), ("x", False), ("y", False), ("x", False)),
        ]
        assert await contents(memory, both) == {"x": ("blue sky", 0), "y": ("green tea", 0)}


@pytest.mark.parametrize("differing", [{"user": "bob"}, {"namespace": "work"}, {"kind": "semantic"}])
async def test_an_id_of_another_scope_is_refused_and_nothing_of_it_changes(
    memory: LongTermMemory, bare: redis.Redis, both: Both, differing: dict[str, str]
) -> None:
    await both(memory).aremember("green tea", user="alice", id="x", ttl_seconds=500)
    before = (bare.dump("agent:mem:x"), bare.keys("*"))
    scope = {"user": "alice", **differing}
    for text in ("red car", "green tea"):
        with pytest.raises(InvalidInputError, match="another user"):
            await both(memory).aremember(text, id="x", ttl_seconds=None, **scope)
        with pytest.raises(InvalidInputError, match="another user"):
            await both(memory).aremember_many([text], ids=["x"], **scope)
    assert (bare.dump("agent:mem:x"), bare.keys("*")) == before
    assert 490 < bare.ttl("agent:mem:x") <= 500
    assert await contents(memory, both, **scope) == {}


async def test_an_index_that_vanished_is_made_again(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    await both(memory).aremember("green tea", user="alice", id="x")
    assert await contents(memory, both) == {"x": ("green tea", 0)}
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    results = await both(memory).aremember_many(["green tea", "red car"], user="alice", ids=[None, "y"])
    assert [result.id for result in results] == ["x", "y"]
    assert set(await contents(memory, both)) == {"x", "y"}


async def test_it_costs_one_round_trip(make: Make, counting: Counting, both: Both) -> None:
    memory = make()
    await both(memory).acreate_index()
    before = counting.round_trips
    await both(memory).aremember("green tea", user="alice", id="x")
    await both(memory).aremember_many(["a", "b", "c"], user="alice", ids=["x", None, "y"])
    assert counting.round_trips - before == 2


async def test_an_operation_beside_others_takes_an_id_too(memory: LongTermMemory) -> None:
    vector = memory.embeddings.embed_query("green tea")
    for _ in range(2):
        result = memory.transport.run(memory.remember_op("tea", embedding=vector, user="alice", id="x"))
        assert (result.id, result.deduped) == ("x", False)
