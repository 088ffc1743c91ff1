"""A memory's versions, whichever of them is asked for."""

from __future__ import annotations

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from langchain_agentmem import Add, Supersede, Update
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

CITIES = ["I live in Lisbon", "I live in Porto", "I live in Rome", "I live in Paris"]


@pytest.fixture(params=["json", "hash"])
def memory(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    return make(storage=request.param)


async def chain(memory: LongTermMemory, both: Both, **about: str) -> list[str]:
    ids: list[str] = []
    for city in CITIES:
        replaces = ids[-1] if ids else None
        result = await both(memory).aremember(city, user="alice", replaces=replaces, **about)
        ids.append(result.id)
    return ids


async def test_every_version_leads_to_all_of_them_oldest_first(memory: LongTermMemory, both: Both) -> None:
    ids = await chain(memory, both, namespace="a space", kind="semantic")
    await both(memory).aremember("green tea", user="alice", namespace="a space")
    await chain(memory, both)
    for one in ids:
        found = await both(memory).ahistory(one, user="alice")
        assert [record.id for record in found] == ids
        assert [record.text for record in found] == CITIES
        assert [record.superseded_by for record in found] == [*ids[1:], None]
        times = [record.superseded_ts for record in found[:-1]]
        assert times == sorted(times)
        assert found[-1].superseded_ts is None


async def test_what_one_call_has_superseded_is_in_the_order_of_its_changes(
    memory: LongTermMemory, both: Both
) -> None:
    ids = [memory.drafting.draft(city, user="alice", kind="semantic").id for city in CITIES]
    changes = [Add(CITIES[0]), *(Supersede(one, city) for one, city in zip(ids, CITIES[1:], strict=False))]
    results = await both(memory).aapply(changes, user="alice")
    assert [result.replaced for result in results] == [None, *ids[:-1]]
    assert [record.text for record in await both(memory).ahistory(ids[1])] == CITIES


async def test_several_that_one_superseded_are_all_its_versions(memory: LongTermMemory, both: Both) -> None:
    lisbon = (await both(memory).aremember(CITIES[0], user="alice")).id
    porto = (await both(memory).aremember(CITIES[1], user="alice")).id
    rome = (await both(memory).aremember(CITIES[2], user="alice", replaces=porto)).id
    assert (await both(memory).aremember(CITIES[2], user="alice", replaces=lisbon)).id == rome
    found = [await both(memory).ahistory(one) for one in (lisbon, porto, rome)]
    *before, newest = [record.id for record in found[0]]
    assert ({*before}, newest) == ({lisbon, porto}, rome)
    assert found == [found[0]] * 3


async def test_a_memory_that_was_changed_in_place_says_when_and_not_what_it_said(
    memory: LongTermMemory, both: Both
) -> None:
    old = (await both(memory).aremember("green tea", user="alice", kind="semantic")).id
    await both(memory).aapply([Update(old, "white coffee")], user="alice")
    (record,) = await both(memory).ahistory(old)
    assert (record.text, record.updated_ts is not None) == ("white coffee", True)


async def test_what_is_not_there_or_is_another_users_has_no_history(
    memory: LongTermMemory, both: Both
) -> None:
    ids = await chain(memory, both)
    assert await both(memory).ahistory("gone") == []
    assert await both(memory).ahistory(ids[0], user="bob") == []
    with pytest.raises(InvalidInputError):
        await both(memory).ahistory("")


async def test_versions_that_were_deleted_are_missing_and_hide_no_others(
    memory: LongTermMemory, both: Both
) -> None:
    ids = await chain(memory, both)
    await both(memory).adelete_memory(ids[3])
    assert [one.id for one in await both(memory).ahistory(ids[0])] == ids[:3]
    await both(memory).adelete_memory(ids[1])
    assert [one.id for one in await both(memory).ahistory(ids[2])] == ids[2:3]
    assert [one.id for one in await both(memory).ahistory(ids[0])] == ids[:1]


async def test_a_version_that_is_no_memory_hides_no_others(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    ids = await chain(memory, both)
    if memory.config.storage == "hash":
        bare.hdel(f"agent:mem:{ids[1]}", "hit_count")
    else:
        bare.execute_command("JSON.DEL", f"agent:mem:{ids[1]}", "$.hit_count")
    assert [one.id for one in await both(memory).ahistory(ids[2])] == [ids[0], *ids[2:]]


async def test_a_history_takes_three_round_trips_and_two_of_one_version(
    memory: LongTermMemory, counting: Counting, both: Both
) -> None:
    ids = await chain(memory, both)
    other = (await both(memory).aremember("green tea", user="alice")).id
    await both(memory).alist_memories(user="alice")

    async def cost(one: str) -> int:
        before = counting.round_trips
        assert await both(memory).ahistory(one)
        return counting.round_trips - before

    assert [await cost(one) for one in (ids[0], ids[3], other)] == [3, 3, 2]
