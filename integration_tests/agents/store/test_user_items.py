"""A user's items are forgotten and exported with everything else of the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from integration_tests.agents.store.conftest import EVERY_SERVER
from integration_tests.conftest import Both
from langchain_agentmem import AgentMemory, Forgotten
from langchain_agentmem.errors import InvalidInputError


def user_of(namespace: tuple[str, ...]) -> str | None:
    return namespace[1] if namespace[0] == "users" else None


@EVERY_SERVER
async def test_forgetting_reaches_a_users_items_and_nobody_elses(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=user_of)
    for user in ("alice", "alice2", "böb ☃"):
        for kind in ("facts", "notes"):
            await both(store).aput(("users", user, kind), "k1", {"of": user})
            await both(store).aput(("users", user, kind), "k2", {"of": user}, ttl=5)
    await both(store).aput(("shared",), "k", {})
    told = await both(memory).aforget_user("alice", dry_run=True)
    assert told == Forgotten([], 0, 0, items=4)
    assert len(await both(store).asearch(("users", "alice"))) == 4
    assert await both(memory).aforget_user("alice") == told
    assert await both(store).asearch(("users", "alice")) == []
    assert len(await both(store).asearch((), limit=100)) == 9
    assert not server_client.exists("agent:store:user:alice")
    assert (await both(memory).aforget_user("alice")).items == 0
    assert (await both(memory).aforget_user("böb ☃")).items == 4
    assert (await both(memory).aforget_user("alice2")).items == 4
    assert await both(store).alist_namespaces() == [("shared",)]


@EVERY_SERVER
async def test_an_export_has_a_users_items(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False, user_of=user_of)
    await both(store).aput(("users", "alice"), "k1", {"float": 0.1 + 0.2, "big": 2**100})
    await both(store).aput(("users", "alice"), "k2", {}, ttl=5)
    await both(store).aput(("users", "bob"), "k", {})
    item = await both(store).aget(("users", "alice"), "k1")
    assert item is not None
    lines = [line async for line in both(memory).aexport_user("alice", tiers=["store"])]
    assert {line["key"]: line.get("ttl_minutes") for line in lines} == {"k1": None, "k2": 5}
    (first,) = [line for line in lines if line["key"] == "k1"]
    assert first == {
        "namespace": ["users", "alice"],
        "key": "k1",
        "value": {"float": 0.1 + 0.2, "big": 2**100},
        "user": "alice",
        "created_ts": item.created_at.timestamp(),
        "updated_ts": item.updated_at.timestamp(),
    }
    assert [line async for line in both(memory).aexport_user("alice")] == lines
    assert [line async for line in both(memory).aexport_user("alice", thread_id="t")] == []
    report = await both(memory).aimport_lines(lines)
    assert [one.line for one in report.refused] == [1, 2]
    assert "LangGraph store" in report.refused[0].error


async def test_items_that_a_store_without_users_put_there_go_with_the_namespace(
    memory: AgentMemory, both: Both
) -> None:
    knowing, other = memory.store(index=False, user_of=user_of), memory.store(index=False)
    await both(other).aput(("users", "alice"), "before", {})
    assert (await both(memory).aforget_user("alice")).items == 0
    await both(knowing).aput(("users", "alice"), "k", {})
    await both(other).aput(("users", "alice"), "after", {})
    assert (await both(memory).aforget_user("alice")).items == 3
    assert await both(other).alist_namespaces() == []


async def test_an_item_of_another_user_stays_whatever_its_namespace(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    alices: Callable[..., Any] = lambda _: "alice"  # noqa: E731
    bobs: Callable[..., Any] = lambda _: "bob"  # noqa: E731
    await both(memory.store(index=False, user_of=alices)).aput(("team",), "hers", {})
    await both(memory.store(index=False, user_of=bobs)).aput(("team",), "his", {})
    for user, key in (("alice", "hers"), ("bob", "his")):
        for thorough in (False, True):
            exported = memory.export_user(user, tiers=["store"], thorough=thorough)
            assert [line["key"] for line in exported] == [key]
    assert (await both(memory).aforget_user("alice")).items == 1
    (left,) = await both(memory.store(index=False)).asearch(("team",))
    assert left.key == "his"
    assert (await both(memory).aforget_user("bob")).items == 1
    assert (await both(memory).aforget_user("alice")).items == 0
    assert server_client.keys() == []


@EVERY_SERVER
async def test_an_item_of_nobody_in_a_namespace_of_two_users_stays_until_one_is_left(
    memory: AgentMemory, both: Both
) -> None:
    for user in ("alice", "bob"):
        whose: Callable[..., Any] = lambda _, user=user: user  # noqa: E731
        await both(memory.store(index=False, user_of=whose)).aput(("team",), user, {})
    nobodys = both(memory.store(index=False))
    await nobodys.aput(("team",), "nobody's", {})
    for thorough in (False, True):
        lines = memory.export_user("alice", tiers=["store"], thorough=thorough)
        assert [line["key"] for line in lines] == ["alice"]
    assert (await both(memory).aforget_user("alice", dry_run=True)).items == 1
    assert (await both(memory).aforget_user("alice", thorough=True)).items == 1
    assert {one.key for one in await nobodys.asearch(("team",))} == {"bob", "nobody's"}
    assert {line["key"] for line in memory.export_user("bob", tiers=["store"])} == {"bob", "nobody's"}
    assert (await both(memory).aforget_user("bob")).items == 2


async def test_thorough_finds_what_the_record_has_lost(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=user_of)
    await both(store).aput(("users", "alice"), "k", {})
    await both(store).aput(("users", "bob"), "k", {})
    server_client.delete("agent:store:user:alice")
    assert (await both(memory).aforget_user("alice")).items == 0
    lines = [line async for line in both(memory).aexport_user("alice", tiers=["store"], thorough=True)]
    assert [line["key"] for line in lines] == ["k"]
    assert (await both(memory).aforget_user("alice", thorough=True, dry_run=True)).items == 1
    assert (await both(memory).aforget_user("alice", thorough=True)).items == 1
    assert await both(store).alist_namespaces() == [("users", "bob")]


async def test_what_cannot_be_removed_is_reported_and_found_again(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=user_of)
    await both(store).aput(("users", "alice"), "good", {})
    await both(store).aput(("users", "alice"), "bad", {})
    key = store._items.keys.item(("users", "alice"), "bad")
    server_client.delete(key)
    server_client.rpush(key, "foreign")
    gone = await both(memory).aforget_user("alice")
    assert gone.items == 1
    assert [key in one for one in gone.unreached] == [True]
    server_client.delete(key)
    assert (await both(memory).aforget_user("alice")).unreached == []
    assert server_client.keys() == []


async def test_what_user_of_returns_has_to_be_a_user(memory: AgentMemory, both: Both) -> None:
    for wrong in ("", 5, "x" * 5000):
        store = memory.store(index=False, user_of=lambda _, wrong=wrong: wrong)  # type: ignore[misc]
        with pytest.raises(InvalidInputError, match="user"):
            await both(store).aput(("a",), "k", {})


async def test_a_namespace_that_user_of_does_not_expect_is_named(memory: AgentMemory, both: Both) -> None:
    await both(memory.store(index=False)).aput(("users",), "k", {}, ttl=5)
    store = memory.store(index=False, user_of=lambda namespace: namespace[1])
    for call in (both(store).aput(("users",), "k", {}), both(store).aget(("users",), "k")):
        with pytest.raises(InvalidInputError, match=r"user_of cannot tell whose \('users',\) is: IndexError"):
            await call


@EVERY_SERVER
async def test_a_search_over_such_a_namespace_finds_all_and_leaves_that_ttl(
    memory: AgentMemory, both: Both, server_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for namespace in (("users",), ("users", "alice")):
        await both(memory.store(index=False)).aput(namespace, "k", {}, ttl=5)
    store = memory.store(index=False, user_of=lambda namespace: namespace[1])
    keys = [store._items.keys.item(namespace, "k") for namespace in (("users",), ("users", "alice"))]
    for key in keys:
        server_client.pexpire(key, 60_000)
    assert len(await both(store).asearch(())) == 2
    assert "user_of cannot tell whose ('users',) is" in caplog.text
    left, extended = map(server_client.pttl, keys)
    assert left <= 60_000 < extended
