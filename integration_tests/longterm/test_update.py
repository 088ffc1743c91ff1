"""A memory is changed in place: what it says, and what it is known by."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from langchain_agentmem.errors import EmbeddingError, InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

LISBON, PORTO = "I live in Lisbon", "I live in Porto"
ANY: dict[str, Any] = {"mode": "vector", "distance_threshold": None}


@pytest.fixture
def memory(make: Make, layout: dict[str, Any]) -> LongTermMemory:
    memory = make(**layout)
    memory.create_index()
    return memory


async def test_a_new_text_is_recalled_and_everything_else_stays(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember(
        "green tea", user="alice", metadata={"a": 1}, context="what do you drink?", source_thread="t 1"
    )
    await both(memory).aremember("green tea", user="alice")
    before = await both(memory).aget(old.id)
    assert (before.updated_ts, before.context) == (None, "what do you drink?")
    assert await both(memory).aupdate(old.id, "red wine", user="alice")
    after = await both(memory).aget(old.id)
    assert after.text == "red wine"
    assert time.time() - 5 < after.updated_ts < time.time() + 1
    for name in ("metadata", "context", "source_thread", "created_ts", "hit_count"):
        assert getattr(after, name) == getattr(before, name)
    assert after.ttl_seconds > 600_000
    (found,) = await both(memory).arecall("red wine", user="alice", **ANY)
    assert (found.id, found.text, found.distance < 0.01) == (old.id, "red wine", True)


async def test_metadata_and_ttl_are_replaced_and_the_text_stays(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember("green tea", user="alice", metadata={"a": 1})
    assert await both(memory).aupdate(old.id, metadata={"b": [1.1, None]}, ttl_seconds=500)
    after = await both(memory).aget(old.id)
    assert (after.text, after.metadata, after.updated_ts) == ("green tea", {"b": [1.1, None]}, None)
    assert 490 < after.ttl_seconds <= 500
    assert await both(memory).aupdate(old.id, metadata={}, ttl_seconds=None)
    after = await both(memory).aget(old.id)
    assert (after.metadata, after.ttl_seconds) == ({}, None)


async def test_it_is_known_by_what_it_says_now(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aupdate(old.id, PORTO)
    again = await both(memory).aremember(f"{PORTO}.", user="alice")
    assert (again.id, again.deduped) == (old.id, True)
    other = await both(memory).aremember(LISBON, user="alice")
    assert (other.deduped, other.id != old.id) == (False, True)
    assert (await both(memory).aremember(LISBON, user="alice")).id == other.id
    await both(memory).aupdate(old.id, "I live in Rome")
    assert not (await both(memory).aremember(PORTO, user="alice")).deduped
    await both(memory).aupdate(old.id, LISBON)
    assert (await both(memory).aremember(LISBON, user="alice")).id in (old.id, other.id)
    assert await both(memory).aforget_user("alice") == 3
    assert bare.keys("agent:*") == []


async def test_its_pointer_lives_as_long_as_it_does(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    old = await both(memory).aremember(LISBON, user="alice", ttl_seconds=100)
    await both(memory).aupdate(old.id, PORTO)
    (pointer,) = bare.keys("agent:same:*")
    assert 90 < bare.ttl(pointer) <= 100
    await both(memory).aupdate(old.id, ttl_seconds=None)
    assert bare.ttl(pointer) == -1
    await both(memory).aupdate(old.id, ttl_seconds=50)
    assert 40 < bare.ttl(pointer) <= 50
    await both(memory).aremember(PORTO, user="alice", ttl_seconds=5000)
    assert 4990 < bare.ttl(pointer) <= 5000
    assert 4990 < bare.ttl(f"agent:mem:{old.id}") <= 5000


async def test_many_updates_leave_nothing_behind(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    old = await both(memory).aremember("fact", user="alice", kind="semantic")
    for number in range(25):
        assert await both(memory).aupdate(old.id, f"fact {number}")
    assert len(bare.keys("agent:same:*")) <= 17
    assert (await both(memory).aremember("fact 24", user="alice", kind="semantic")).id == old.id
    assert await both(memory).adelete_memory(old.id)
    assert bare.keys("agent:*") == []


async def test_a_memory_that_is_gone_or_of_another_user_is_not_changed(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    assert await both(memory).aupdate("gone", PORTO) is False
    assert await both(memory).aupdate("gone", ttl_seconds=5) is False
    old = await both(memory).aremember(LISBON, user="alice")
    before = bare.dump(f"agent:mem:{old.id}")
    for change in ({"text": PORTO}, {"metadata": {"a": 1}}, {"ttl_seconds": 5}):
        assert await both(memory).aupdate(old.id, user="bob", **change) is False
    assert bare.dump(f"agent:mem:{old.id}") == before
    assert len(bare.keys("agent:*")) == 1


async def test_what_cannot_be_is_refused_and_nothing_is_changed(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    before = bare.dump(f"agent:mem:{old.id}")
    wrong: list[dict[str, Any]] = [
        {},
        {"text": " "},
        {"text": "x" * 40_000},
        {"ttl_seconds": 0},
        {"metadata": {"a": float("nan")}},
        {"text": PORTO, "user": ""},
        {"embedding": [1.0] * 256},
    ]
    for change in wrong:
        with pytest.raises(InvalidInputError):
            await both(memory).aupdate(old.id, **change)
    with pytest.raises(EmbeddingError):
        await both(memory).aupdate(old.id, PORTO, embedding=[1.0, 2.0])
    assert bare.dump(f"agent:mem:{old.id}") == before


async def test_a_document_that_is_no_memory_is_an_error(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory).aremember(LISBON, user="alice", id="x")
    if memory.config.storage == "hash":
        bare.hdel("agent:mem:x", "hit_count")
    else:
        bare.execute_command("JSON.DEL", "agent:mem:x", "$.hit_count")
    for change in ({"text": PORTO}, {"ttl_seconds": 5}):
        with pytest.raises(StoreError, match="no memory"):
            await both(memory).aupdate("x", **change)


async def test_a_given_embedding_spares_the_model_and_the_costs_are_counted(
    make: Make, counting: Counting, both: Both
) -> None:
    memory = make()
    old = await both(memory).aremember(LISBON, user="alice")
    memory.embeddings.embed_documents = None  # type: ignore[method-assign, assignment]

    async def cost(*args: Any, **change: Any) -> int:
        before = counting.round_trips
        assert await both(memory).aupdate(old.id, *args, **change)
        return counting.round_trips - before

    assert await cost(metadata={"a": 1}) == 1
    assert await cost(ttl_seconds=5000) == 1
    assert await cost(PORTO, embedding=[1.0] * 256) == 3


@pytest.mark.parametrize("rule", [None, "near"])
async def test_by_a_rule_without_digests_it_stands_for_none_afterwards(
    make: Make, both: Both, rule: Any
) -> None:
    old = await both(make()).aremember(LISBON, user="alice")
    assert await both(make(dedup=rule)).aupdate(old.id, "green tea")
    result = await both(make()).aremember(LISBON, user="alice")
    assert (result.deduped, result.id != old.id) == (False, True)
    assert await both(make()).aforget_user("alice") == 2
