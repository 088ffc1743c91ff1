"""What the store promises on every server: exact places, whole values, lists of namespaces, batches."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, cast

import pytest
import redis
from langgraph.store.base import GetOp, InvalidNamespaceError, PutOp, SearchOp

from integration_tests.agents.store.conftest import EVERY_SERVER, WITHOUT_SEARCH
from integration_tests.conftest import Both, Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, MemoryStore
from langchain_agentmem.errors import (
    ConfigurationError,
    EmbeddingError,
    IndexMismatchError,
    InvalidInputError,
    SearchUnavailableError,
    WrongKeyTypeError,
)

VALUE: dict[str, Any] = {
    "float": 0.1 + 0.2,
    "tiny": 5e-324,
    "big": 2**200,
    "text": 'ünï "quoted" \\ \x00 \u2028 😀',
    "lone": "\ud800",
    "nested": {"list": [1, [2, {"empty": {}, "none": None}], []], "": True},
    "__agentmem__": "bytes",
}


@EVERY_SERVER
async def test_values_come_back_whole(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    await both(store).aput(("users", "1"), "all", VALUE)
    item = await both(store).aget(("users", "1"), "all")
    assert item is not None
    assert item.value == VALUE
    assert json.dumps(item.value) == json.dumps(VALUE)
    (found,) = await both(store).asearch(("users",))
    assert (found.namespace, found.key, found.value) == (("users", "1"), "all", VALUE)


@pytest.mark.parametrize(
    "value",
    [
        {"at": datetime.now(timezone.utc)},
        {"deep": [{"set": {1}}]},
        {"nan": float("nan")},
        {"inf": [float("inf")]},
        {"bytes": b"x"},
        {1: "number as a name"},
        {"deep": {2: 3}},
        [1],
        {"long": 10**5000},
    ],
    ids=["datetime", "set", "nan", "infinity", "bytes", "number as a name", "deep", "list", "long number"],
)
async def test_what_is_no_json_is_refused_before_anything_is_written(
    memory: AgentMemory, both: Both, server_client: redis.Redis, value: Any
) -> None:
    store = memory.store()
    for place in ("first", "last"):
        puts = [PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", value)]
        with pytest.raises(InvalidInputError):
            await both(store).abatch(puts if place == "last" else puts[::-1])
    assert server_client.keys() == []


async def test_a_namespace_may_be_a_list(memory: AgentMemory, both: Both) -> None:
    store, labels = both(memory.store(index=False)), cast("tuple[str, ...]", ["a", "b"])
    await store.aput(labels, "k", {"n": 1})
    item = await store.aget(labels, "k")
    assert item is not None
    assert (item.namespace, item.value) == (("a", "b"), {"n": 1})
    await store.adelete(labels, "k")
    assert await store.aget(("a", "b"), "k") is None


async def test_a_value_in_a_circle_or_too_deep_is_refused(memory: AgentMemory) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    deep: Any = {}
    for _ in range(100_000):
        deep = {"in": deep}
    for value in (circle, deep):
        with pytest.raises(InvalidInputError, match="no JSON"):
            memory.store(index=False).put(("a",), "k", value)


@EVERY_SERVER
async def test_a_namespace_is_itself_alone(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    places = [
        ("users", "1"),
        ("users", "10"),
        ("users",),
        ("users", "1", "x"),
        ("users,1",),
        ("Users", "1"),
        ("*",),
    ]
    for namespace in places:
        await both(store).aput(namespace, "k", {"of": list(namespace)})
    for namespace in places:
        item = await both(store).aget(namespace, "k")
        assert item is not None
        assert item.value == {"of": list(namespace)}
        below = [one for one in places if one[: len(namespace)] == namespace]
        found = await both(store).asearch(namespace, limit=100)
        assert sorted(one.namespace for one in found) == sorted(below)
    assert await both(store).aget(("users", "2"), "k") is None
    assert len(await both(store).asearch((), limit=100)) == len(places)


async def test_langgraphs_rules_for_labels_hold_for_batches_too(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    for namespace in ((), ("a.b",), ("",), ("langgraph", "x"), (1,)):
        with pytest.raises(InvalidNamespaceError):
            await both(store).aput(namespace, "k", {})  # type: ignore[arg-type]
    bad: list[Any] = [PutOp((), "k", {}), GetOp(("",), "k"), SearchOp((1,)), GetOp("users", "k")]  # type: ignore[arg-type]
    for op in bad:
        with pytest.raises(InvalidNamespaceError) as caught:
            await both(store).abatch([op])
        assert isinstance(caught.value, InvalidInputError)
    with pytest.raises(InvalidInputError, match="lone surrogate"):
        await both(store).aput(("\ud800",), "k", {})
    with pytest.raises(InvalidInputError, match="does not know"):
        await both(store).abatch(["get"])


@EVERY_SERVER
async def test_an_item_keeps_when_it_was_created(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "k", {"n": 1})
    first = await both(store).aget(("a",), "k")
    await both(store).aput(("a",), "k", {"n": 2})
    second = await both(store).aget(("a",), "k")
    assert first is not None
    assert second is not None
    assert first.created_at == first.updated_at == second.created_at < second.updated_at
    assert abs((second.updated_at - datetime.now(timezone.utc)).total_seconds()) < 60
    await both(store).adelete(("a",), "k")
    await both(store).aput(("a",), "k", {"n": 3})
    third = await both(store).aget(("a",), "k")
    assert third is not None
    assert third.created_at > second.created_at


@EVERY_SERVER
async def test_nothing_is_left_when_all_is_deleted(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False, user_of=lambda namespace: namespace[-1])
    for namespace in (("a", "u1"), ("a", "u2"), ("b", "u1")):
        for key in ("k1", "k2"):
            await both(store).aput(namespace, key, {})
    assert await both(store).alist_namespaces() == [("a", "u1"), ("a", "u2"), ("b", "u1")]
    other = memory.store(index=False)
    for namespace in (("a", "u1"), ("a", "u2"), ("b", "u1")):
        await both(store).adelete(namespace, "k1")
        assert namespace in await both(store).alist_namespaces()
        await both(other).adelete(namespace, "k2")  # which does not know the user
        assert namespace not in await both(store).alist_namespaces()
        await both(store).adelete(namespace, "k2")
    assert server_client.keys() == []


async def test_namespaces_are_listed_by_prefix_suffix_and_depth(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    for path in ("a b c", "a b d e", "a b d i", "a b f", "a c f", "b a c f", "users 1 f", "users 2 f"):
        await both(store).aput(tuple(path.split()), "k", {})

    async def listed(**options: Any) -> list[str]:
        return [" ".join(one) for one in await both(store).alist_namespaces(**options)]

    assert await listed(prefix=("a", "b"), max_depth=3) == ["a b c", "a b d", "a b f"]
    assert await listed(suffix=("f",)) == ["a b f", "a c f", "b a c f", "users 1 f", "users 2 f"]
    assert await listed(prefix=("users", "*"), suffix=("f",)) == ["users 1 f", "users 2 f"]
    assert await listed(prefix=("a", "*", "f")) == ["a b f", "a c f"]
    assert await listed(suffix=("*", "f"), prefix=("b",)) == ["b a c f"]
    assert await listed(limit=2, offset=1) == ["a b d e", "a b d i"]
    for wrong in ({"max_depth": 0}, {"limit": -1}, {"offset": -1}):
        with pytest.raises(InvalidInputError):
            await listed(**wrong)


@EVERY_SERVER
async def test_a_batch_reads_before_it_writes(memory: AgentMemory, both: Both) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "k", {"n": 0})
    found = await both(store).abatch(
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "k"),
            PutOp(("a",), "k", {"n": 2}),
            SearchOp(("a",)),
            PutOp(("a",), "new", {}),
            PutOp(("a",), "new", None),
        ]
    )
    assert [found[at] for at in (0, 2, 4, 5)] == [None] * 4
    assert found[1].value == found[3][0].value == {"n": 0}
    (left,) = await both(store).asearch(("a",))
    assert (left.key, left.value) == ("k", {"n": 2})


async def test_each_operation_is_one_round_trip(memory: AgentMemory, both: Both) -> None:
    store = memory.store(user_of=lambda namespace: namespace[0])
    await both(store).aput(("a",), "k", {"text": "tea"})  # makes the index
    counting = Counting(memory.transport)

    async def trips(call: Callable[[], Any]) -> int:
        before = counting.round_trips
        await call()
        return counting.round_trips - before

    assert await trips(lambda: both(store).aput(("a",), "k", {"text": "milk"})) == 1
    assert await trips(lambda: both(store).aput(("a",), "k2", {"text": "milk"}, ttl=5)) == 1
    assert await trips(lambda: both(store).aget(("a",), "k2")) == 1
    assert await trips(lambda: both(store).asearch(("a",), query="tea", refresh_ttl=False)) == 1
    assert await trips(lambda: both(store).asearch(("a",), query="tea")) == 2  # one of them has a TTL
    assert await trips(lambda: both(store).adelete(("a",), "k2")) == 1
    assert await trips(lambda: both(store).asearch(("a",), query="tea")) == 1
    assert await trips(lambda: both(store).asearch(("a",), filter={"text": "milk"})) == 1
    assert await trips(lambda: both(store).alist_namespaces()) == 1
    many = [PutOp(("a",), str(number), {"text": "rain"}) for number in range(50)]
    assert await trips(lambda: both(store).abatch(many)) == 1
    assert await trips(lambda: both(store).abatch([GetOp(("a",), str(number)) for number in range(50)])) == 1


def test_a_thousand_puts_by_many_threads_are_all_there(memory: AgentMemory) -> None:
    store = memory.store(index=False)

    def put(thread: int) -> None:
        for number in range(100):
            store.put(("many", str(thread % 3)), f"{thread}-{number}", {"n": number})
            store.put(("one",), "same", {"by": thread})

    threads = [threading.Thread(target=put, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.search(("many",), limit=2000)) == 1000
    assert store.list_namespaces() == [("many", "0"), ("many", "1"), ("many", "2"), ("one",)]
    (same,) = store.search(("one",))
    assert same.created_at < same.updated_at


@pytest.mark.parametrize("memory", ["redis", "plain"], indirect=True)
async def test_a_foreign_key_is_an_error_and_left_as_it_is(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "k", {"n": 1})
    (key,) = server_client.scan_iter("agent:store:item:*")
    server_client.delete(key)
    server_client.rpush(key, "foreign")
    for call in (
        lambda: both(store).aput(("a",), "k", {}),
        lambda: both(store).aget(("a",), "k"),
        lambda: both(store).adelete(("a",), "k"),
    ):
        with pytest.raises(WrongKeyTypeError):
            await call()
    assert server_client.lrange(key, 0, -1) == [b"foreign"]
    server_client.delete("agent:store:namespaces")
    server_client.set("agent:store:namespaces", "foreign")
    with pytest.raises(WrongKeyTypeError):
        await both(store).aput(("a",), "other", {})
    assert len(list(server_client.scan_iter("agent:store:item:*"))) == 1


@WITHOUT_SEARCH
async def test_without_search_values_are_not_found_by_meaning_and_everything_else_works(
    memory: AgentMemory, both: Both
) -> None:
    store = memory.store()
    await both(store).aput(("a",), "k", {"text": "tea"}, ttl=10)
    await both(store).aput(("a",), "k2", {"text": "milk"})
    item = await both(store).aget(("a",), "k")
    assert item is not None
    assert [one.key for one in await both(store).asearch(("a",))] == ["k2", "k"]
    assert [one.key for one in await both(store).asearch((), filter={"text": {"$ne": "milk"}})] == ["k"]
    assert isinstance(store.embeddings, WordEmbeddings)
    embedded = store.embeddings.embedded
    await both(store).aput(("a",), "k3", {"text": "rain"})
    assert store.embeddings.embedded == embedded  # for nothing
    with pytest.raises(SearchUnavailableError):
        await both(store).asearch(("a",), query="tea")
    assert len(await both(memory.store(index=False)).asearch(("a",), query="ignored")) == 3


@pytest.mark.parametrize("memory", ["upstash"], indirect=True)
async def test_over_rest_queries_are_refused_unless_the_store_has_no_vectors(
    memory: AgentMemory, both: Both
) -> None:
    store = memory.store()
    await both(store).aput(("a",), "k", {"text": "tea"})
    with pytest.raises(SearchUnavailableError, match="index=False"):
        await both(store).asearch(("a",), query="tea")
    assert len(await both(memory.store(index=False)).asearch(("a",), query="tea")) == 1
    with pytest.raises(ConfigurationError, match="no vectors"):
        memory.store(index={"dims": 3, "embed": lambda texts: [[0.0] * 3 for _ in texts]})


async def test_a_server_that_has_got_json_takes_over_what_it_held_before(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = memory.store(index=False)
    await both(store).aput(("a",), "k", {"n": 1})
    (key,) = server_client.scan_iter("agent:store:item:*")
    members = server_client.execute_command("JSON.GET", key, "$['created','updated','ttl','user','item']")
    server_client.delete(key)
    server_client.set(key, members)
    first = await both(store).aget(("a",), "k")
    assert first is not None
    await both(store).aput(("a",), "k", {"n": 2})
    second = await both(store).aget(("a",), "k")
    assert second is not None
    assert (second.value, second.created_at) == ({"n": 2}, first.created_at)
    assert server_client.type(key) == b"ReJSON-RL"


async def test_another_model_is_refused_before_anything_is_written(memory: AgentMemory, url: str) -> None:
    memory.store().put(("a",), "k", {"text": "tea"})
    with AgentMemory(url, embeddings=WordEmbeddings(32)) as other:
        store = other.store()
        with pytest.raises((EmbeddingError, IndexMismatchError)) as caught:
            store.put(("a",), "k2", {"text": "milk"})
        assert "FT.DROPINDEX agentmem:store" in str(caught.value)
        assert store.get(("a",), "k2") is None
        with pytest.raises(EmbeddingError, match="dims"):
            MemoryStore(other, index={"dims": 64}).put(("a",), "k2", {"text": "milk"})


async def test_another_memory_on_the_same_server_has_another_store(memory: AgentMemory, url: str) -> None:
    memory.store().put(("a",), "k", {"text": "tea"})
    with AgentMemory(
        url, memory_prefix="other:mem:", index_name="other", embeddings=WordEmbeddings()
    ) as other:
        store = other.store()
        assert store.search((), query="tea") == store.search(()) == store.list_namespaces() == []
        store.put(("b",), "k", {"text": "tea"})
        assert [one.namespace for one in store.search((), query="tea")] == [("b",)]
    assert [one.namespace for one in memory.store().search((), query="tea")] == [("a",)]
