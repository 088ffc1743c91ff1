"""The nearest memory that says something else is a hint, in the same round trip."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

LISBON, PORTO = "I live in Lisbon", "I live in Porto"


@pytest.fixture
def memory(make: Make, layout: dict[str, Any]) -> LongTermMemory:
    memory = make(**layout)
    memory.create_index()
    return memory


async def test_it_is_told_with_its_distance_and_not_merged(
    memory: LongTermMemory, counting: Counting, both: Both
) -> None:
    first = await both(memory).aremember(LISBON, user="alice", near=True)
    assert (first.near, first.existing_distance) == (None, None)
    await both(memory).aremember("green tea and much else", user="alice")
    before = counting.round_trips
    second = await both(memory).aremember(PORTO, user="alice", near=True)
    assert counting.round_trips - before == 1
    assert not second.deduped
    assert (second.near.id, second.near.text) == (first.id, LISBON)
    assert 0.1 < second.near.distance < 0.4
    assert second.existing_distance == second.near.distance


async def test_what_says_the_same_is_none_nor_is_what_is_superseded(
    memory: LongTermMemory, both: Both
) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember(LISBON, user="alice", id="x")
    again = await both(memory).aremember(f"{LISBON}!", user="alice", near=True)
    assert (again.deduped, again.near) == (True, None)
    new = await both(memory).aremember(PORTO, user="alice", near=True, replaces=old.id)
    assert (new.replaced, new.near.id) == (old.id, "x")
    third = await both(memory).aremember(f"{LISBON} again", user="alice", near=True)
    assert third.near.id == "x"


@pytest.mark.parametrize(
    ("other", "told"),
    [({"user": "bob"}, False), ({"namespace": "work"}, False), ({"kind": "semantic"}, True)],
)
async def test_it_is_of_the_same_user_and_namespace(
    memory: LongTermMemory, both: Both, other: dict[str, str], told: bool
) -> None:
    await both(memory).aremember(LISBON, **{"user": "alice", **other})
    result = await both(memory).aremember(PORTO, user="alice", near=True)
    assert (result.near is not None) == told


async def test_it_comes_from_what_was_just_recalled_without_a_search(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    first = memory.remember(LISBON, user="alice")
    memory.remember("green tea", user="alice")
    recalled = memory.recall(PORTO, user="alice", mode="vector", distance_threshold=None)
    bare.config_resetstat()
    result = memory.transport.run(memory.remember_op(PORTO, user="alice", known=recalled))
    assert (result.deduped, result.near.id, result.existing_distance) == (  # type: ignore[union-attr]
        *(False, first.id),
        recalled[0].distance,
    )
    assert "cmdstat_FT.SEARCH" not in bare.info("commandstats")
    result = memory.transport.run(
        memory.remember_op("by the way, I live in Lisbon", user="alice", known=recalled)
    )
    assert (result.id, result.deduped) == (first.id, True)
    assert result.near is not None
    assert result.near.text == "green tea"


async def test_without_an_index_there_is_none(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    await both(memory).aremember(LISBON, user="alice")
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    result = await both(memory).aremember(PORTO, user="alice", near=True)
    assert (result.deduped, result.near) == (False, None)


async def test_by_nearness_it_is_told_too(make: Make, both: Both) -> None:
    memory = make(dedup="near", dedup_threshold=0.1)
    first = await both(memory).aremember(LISBON, user="alice")
    second = await both(memory).aremember(PORTO, user="alice", near=True)
    assert (second.deduped, second.near.id) == (False, first.id)
    assert second.existing_distance == pytest.approx(second.near.distance, abs=1e-6)
