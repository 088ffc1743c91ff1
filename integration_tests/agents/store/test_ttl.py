"""Items expire after so many minutes without a read or write, and leave nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from langgraph.store.base import GetOp, PutOp

from integration_tests.agents.store.conftest import EVERY_SERVER
from integration_tests.conftest import Both
from integration_tests.waiting import wait_until
from langchain_agentmem import AgentMemory, MemoryStore
from langchain_agentmem.errors import InvalidInputError

SOON = 0.25 / 60  # minutes


def ttl_of(client: redis.Redis, store: MemoryStore, key: str, namespace: tuple[str, ...] = ("a",)) -> float:
    """How many minutes an item has left; -1 for no TTL."""
    left = int(client.pttl(store._items.keys.item(namespace, key)))
    return left / 60_000 if left >= 0 else left


@EVERY_SERVER
async def test_reading_begins_the_ttl_again_unless_it_is_told_not_to(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "k", {"n": 1}, ttl=10)

    async def after(call: Any) -> float:
        server_client.pexpire(store._items.keys.item(("a",), "k"), 60_000)
        await call
        return round(ttl_of(server_client, store, "k"))

    assert round(ttl_of(server_client, store, "k")) == 10
    assert await after(both(store).aget(("a",), "k", refresh_ttl=False)) == 1
    assert await after(both(store).aget(("a",), "k")) == 10
    assert await after(both(store).asearch(("a",), refresh_ttl=False)) == 1
    assert await after(both(store).asearch(("a",), filter={"n": 2})) == 1
    assert await after(both(store).asearch(("a",))) == 10
    calm = memory.store(index=False, ttl={"refresh_on_read": False})
    assert await after(both(calm).aget(("a",), "k")) == 1
    assert await after(both(calm).asearch(("a",))) == 1
    assert await after(both(calm).aget(("a",), "k", refresh_ttl=True)) == 10


async def test_a_put_sets_the_ttl_anew(memory: AgentMemory, both: Both, server_client: redis.Redis) -> None:
    store = memory.store(index=False, ttl={"default_ttl": 5, "sweep_interval_minutes": 1})
    await both(store).aput(("a",), "k", {})
    assert round(ttl_of(server_client, store, "k")) == 5
    await both(store).aput(("a",), "k", {}, ttl=None)
    assert ttl_of(server_client, store, "k") == -1
    await both(store).aput(("a",), "k", {}, ttl=0.5)
    assert round(ttl_of(server_client, store, "k"), 1) == 0.5
    await both(store).abatch([PutOp(("a",), "k", {})])
    assert ttl_of(server_client, store, "k") == -1


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "5", True, 1e9])
async def test_what_is_no_ttl_is_refused(memory: AgentMemory, both: Both, ttl: Any) -> None:
    with pytest.raises(InvalidInputError, match="ttl"):
        await both(memory.store(index=False)).aput(("a",), "k", {}, ttl=ttl)


@EVERY_SERVER
async def test_what_has_expired_leaves_nothing_behind(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=lambda namespace: namespace[0])
    for key in ("k1", "k2"):
        await both(store).aput(("u", "a"), key, {}, ttl=SOON)
    await both(store).aput(("v", "b"), "k", {}, ttl=SOON * 2)
    assert len(await both(store).alist_namespaces()) == 2
    wait_until(lambda: store.list_namespaces() == [])
    assert await both(store).asearch(()) == []
    assert await both(store).aget(("u", "a"), "k1") is None
    wait_until(lambda: server_client.keys() == [])


async def test_a_namespace_is_listed_as_long_as_its_last_item_is_there(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "short", {}, ttl=SOON)
    await both(store).aput(("a",), "long", {})
    await both(store).aput(("b",), "short", {}, ttl=SOON)
    wait_until(lambda: store.list_namespaces() == [("a",)])
    await both(store).aput(("c",), "k", {}, ttl=SOON)
    assert server_client.zcard("agent:store:namespaces") == 2  # the next write has dropped what expired
    await both(store).aput(("a",), "short", {}, ttl=SOON)
    await both(store).adelete(("a",), "long")
    wait_until(lambda: store.list_namespaces() == [])
    wait_until(lambda: server_client.keys() == [])


async def test_reads_keep_a_namespace_alive_in_the_records_too(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=lambda namespace: namespace[0])
    other = memory.store(index=False)  # does not know whose it is, and must not let the record expire
    await both(store).aput(("u",), "k", {}, ttl=SOON)
    record = store._items.keys.user_namespaces("u")
    times: list[int] = []

    def expiry() -> int:
        return int(server_client.pexpiretime(record))

    for reading in (store, other, other):
        times.append(expiry())
        assert await both(reading).aget(("u",), "k") is not None
        wait_until(lambda: store.get(("u",), "k") is not None)
    assert times == sorted(times)
    await both(other).abatch([GetOp(("u",), "k")])
    assert expiry() >= times[-1]
    await both(other).aput(("u",), "k", {})  # keeps its user
    assert expiry() == -1
    assert memory.forget_user("u").items == 1


async def test_what_has_expired_is_not_found_by_meaning_either(memory: AgentMemory, both: Both) -> None:
    store = memory.store()
    for number in range(5):
        await both(store).aput(("a",), str(number), {"text": "tea"}, ttl=SOON)
    await both(store).aput(("a",), "kept", {"text": "a cup of tea"})
    wait_until(lambda: store.get(("a",), "4", refresh_ttl=False) is None)
    found = await both(store).asearch(("a",), query="tea", limit=3)
    assert [one.key for one in found] == ["kept"]
    assert [one.key for one in await both(store).asearch(("a",), limit=3)] == ["kept"]
