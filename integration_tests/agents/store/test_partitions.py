"""A store in partitions answers as one without, and keeps to one partition where it can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from integration_tests.agents.store.test_like_in_memory import (  # noqa: F401 - they run here on partitions
    test_any_batches_where_there_is_an_index,
    test_any_searches_by_meaning,
)
from integration_tests.conftest import Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.core.keys import Keys
from tests.twins import Both

USERS = [f"user {number}" for number in range(12)]


def user_of(namespace: tuple[str, ...]) -> str | None:
    return namespace[1] if namespace[0] == "users" else None


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), partitions=16) as memory:
        yield memory


@pytest.fixture
def emptied(memory: AgentMemory, bare: redis.Redis) -> Any:
    return bare.flushdb


async def test_what_is_of_a_user_is_in_the_users_partition_and_searched_there(
    memory: AgentMemory, both: Both, bare: redis.Redis
) -> None:
    store = memory.store(user_of=user_of)
    for user in USERS:
        await both(store).aput(("users", user), "k", {"text": "tea"})
        await both(store).aput(("users", user, "notes"), "k", {"text": "tea and milk"})
    prefix = Keys(partitions=16).of(USERS[3]).store_prefix
    assert bare.exists(f"{prefix}user:{USERS[3]}")
    counting = Counting(memory.transport)
    found = await both(store).asearch(("users", USERS[3]), query="milk", limit=5)
    assert [one.namespace for one in found] == [("users", USERS[3], "notes"), ("users", USERS[3])]
    assert counting.round_trips == 1
    found = await both(store).asearch(("users",), query="milk", limit=30)
    assert len(found) == 24
    assert {one.namespace[2:] for one in found[:12]} == {("notes",)}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(bare.execute_command("FT._LIST")) == len({Keys(partitions=16).of(one) for one in USERS})
    assert len(await both(store).alist_namespaces(prefix=("users",))) == 24
    assert len(await both(store).alist_namespaces(prefix=("users", USERS[3]))) == 2


async def test_pages_of_all_partitions_fit_together(memory: AgentMemory, both: Both) -> None:
    store = memory.store(user_of=user_of)
    for at in range(30):
        await both(store).aput(("users", USERS[at % 12]), f"k{at}", {"n": at, "text": "tea " * (1 + at % 3)})
    for query in (None, "tea"):
        whole = await both(store).asearch((), query=query, filter={"n": {"$gte": 4}}, limit=100)
        assert len(whole) == 26
        paged: list[Any] = []
        while page := await both(store).asearch(
            (), query=query, filter={"n": {"$gte": 4}}, limit=4, offset=len(paged)
        ):
            paged += page
        assert [one.key for one in paged] == [one.key for one in whole]
        if query is None:
            assert [one.key for one in whole] == [f"k{at}" for at in range(29, 3, -1)]


async def test_a_user_that_only_deeper_labels_tell_is_looked_for_everywhere(
    memory: AgentMemory, both: Both
) -> None:
    store = memory.store(index=False, user_of=lambda namespace: namespace[-1])
    for user in USERS:
        await both(store).aput(("all", user), "k", {})
    assert len(await both(store).asearch(("all",), limit=50)) == 12
    assert len(await both(store).alist_namespaces(prefix=("all",))) == 12


async def test_a_user_is_forgotten_and_exported_and_so_is_everybody(
    memory: AgentMemory, both: Both, bare: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=user_of)
    for user in USERS:
        await both(store).aput(("users", user), "k", {"of": user})
    await both(store).aput(("docs",), "k", {})
    bare.delete(Keys(partitions=16).of(USERS[1]).user_namespaces(USERS[1]))
    assert (await both(memory).aforget_user(USERS[0])).items == 1
    assert (await both(memory).aforget_user(USERS[1])).items == 0
    assert (await both(memory).aforget_user(USERS[1], thorough=True)).items == 1
    lines = [line async for line in both(memory).aexport_user(USERS[2], tiers=["store"])]
    assert [line["value"] for line in lines] == [{"of": USERS[2]}]
    bare.delete(Keys(partitions=16).of(USERS[4]).namespaces)  # only a scan names them now
    everybody = memory._tiers.store.export_op(None, thorough=True)
    keys = [line["namespace"][-1] for line in memory.transport.run(everybody)]  # type: ignore[index]
    assert sorted(keys) == sorted(["docs", *USERS[2:]])


async def test_reading_begins_the_ttl_again_in_each_partition(
    memory: AgentMemory, both: Both, bare: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=user_of, ttl={"default_ttl": 60, "refresh_on_read": True})
    for user in USERS:
        await both(store).aput(("users", user), "k", {})
    items = bare.keys("agent:store:*item:*")
    for key in items:
        bare.pexpire(key, 1_000_000)
    assert len(await both(store).asearch((), limit=100)) == 12
    assert min(map(bare.pttl, items)) > 1_000_000
