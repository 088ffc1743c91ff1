"""Servers, indexes and documents that are not as they should be."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import redis

from integration_tests.conftest import Both, Call, Counting
from integration_tests.longterm.conftest import Make, expire_unnoticed
from integration_tests.words import WordEmbeddings
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import (
    EmbeddingError,
    IndexMismatchError,
    IndexMissingError,
    SearchUnavailableError,
    StoreError,
    StoreFullError,
    WrongKeyTypeError,
)
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory


async def test_an_index_with_another_schema_is_an_error_and_nothing_is_written(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    await both(make()).acreate_index()
    for options in (
        {"embeddings": WordEmbeddings(8)},
        {"storage": "hash"},
        {"vector_type": "float16"},
        {"key_prefix": "other:"},
    ):
        other = make(**options)
        with pytest.raises(IndexMismatchError, match="another schema"):
            await both(other).aremember("tea", user="alice")
        with pytest.raises(IndexMismatchError, match="another schema"):
            await both(other).arecall("tea", user="alice")
        with pytest.raises(IndexMismatchError, match="another schema"):
            await both(other).acreate_index()
    assert bare.keys("*") == []
    assert bare.execute_command("FT._LIST") == [b"agentmem:idx"], "and it was not dropped"


async def test_a_vector_of_another_length_is_refused_and_nothing_is_written(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    memory = make()
    await both(memory).acreate_index()
    with pytest.raises(EmbeddingError, match=r"has 2 numbers.*takes 256"):
        await both(memory).aremember("tea", user="alice", embedding=[1.0, 2.0])
    with pytest.raises(EmbeddingError, match=r"has 2 numbers.*takes 256"):
        await both(memory).aremember_many(["a", "b"], user="alice", embeddings=[[1.0] * 256, [1.0, 2.0]])
    assert bare.keys("*") == []


@pytest.mark.parametrize("call", ["remember", "recall", "remember_many", "list_memories", "clear"])
async def test_an_index_that_vanished_is_made_again(
    make: Make, bare: redis.Redis, both: Both, call: str
) -> None:
    memory = make()
    await both(memory).aremember("green tea", user="alice")
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    if call == "remember":
        assert (await both(memory).aremember("green tea", user="alice")).deduped
    elif call == "recall":
        assert len(await both(memory).arecall("tea", user="alice")) == 1
    elif call == "remember_many":
        results = await both(memory).aremember_many(["green tea", "red car"], user="alice")
        assert [result.deduped for result in results] == [True, False]
    elif call == "list_memories":
        assert len(await both(memory).alist_memories(user="alice")) == 1
    else:
        assert await both(memory).aclear(user="alice") == 1


async def test_an_index_made_over_many_documents_holds_them_all(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    memory = make(storage="hash", embeddings=WordEmbeddings(4), dedup_threshold=0)
    vectors = [[1.0, n % 40, n // 40, 0.0] for n in range(1600)]
    texts = [f"n{n}" for n in range(1600)]
    await both(memory).aremember_many(texts, user="alice", embeddings=vectors, batch_size=400)
    count = len(await both(memory).alist_memories(user="alice", limit=10_000))
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    assert len(await both(memory).alist_memories(user="alice", limit=10_000)) == count > 500


async def test_reading_and_clearing_before_anything_was_stored(memory: LongTermMemory, both: Both) -> None:
    with pytest.raises(IndexMissingError):
        await both(memory).aindex_info()
    assert await both(memory).alist_memories(user="alice") == []
    assert await both(memory).aforget_user("alice") == 0
    assert await both(memory).aclear() == 0
    assert await both(memory).aget("m1") is None
    assert await both(memory).adelete_memory("m1") is False
    assert await both(memory).arecall("tea", user="alice") == []


@pytest.mark.usefixtures("lazy")
async def test_expired_memories_neither_show_nor_hide_others(
    make: Make, bare: redis.Redis, counting: Counting, both: Both
) -> None:
    memory = make(storage="hash", dedup="near")
    memory.config = replace(memory.config, dedup_threshold=0.0)
    old = [(await both(memory).aremember(f"tea x{n}", user="alice")).id for n in range(6)]
    alive = await both(memory).aremember("tea and much else besides", user="alice")
    expire_unnoticed(bare, old)
    found = await both(memory).arecall("tea", user="alice", k=2, distance_threshold=None)
    assert [one.id for one in found] == [alive.id]
    assert [one.id for one in await both(memory).alist_memories(user="alice")] == [alive.id]
    memory.config = replace(memory.config, dedup_threshold=0.2)
    assert not (await both(memory).aremember("tea x1", user="alice")).deduped


@pytest.mark.usefixtures("lazy")
@pytest.mark.parametrize("storage", ["json", "hash"])
async def test_an_expired_memory_is_no_longer_known(
    make_so: Make, bare: redis.Redis, both: Both, storage: str
) -> None:
    memory = make_so(storage=storage)
    old = [(await both(memory).aremember(text, user="alice")).id for text in ("green tea", "red car")]
    expire_unnoticed(bare, old)
    result = await both(memory).aremember("green tea", user="alice")
    assert (result.deduped, result.existing_distance) == (False, None)
    assert [one.id for one in await both(memory).alist_memories(user="alice")] == [result.id]


@pytest.mark.usefixtures("lazy")
async def test_expired_memories_do_not_save_others_from_being_cleared(
    make: Make, bare: redis.Redis, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.clearing._PAGE", 3)
    memory = make(dedup_threshold=0)
    ids = [(await both(memory).aremember(f"tea x{n} y{n}", user="alice")).id for n in range(14)]
    expire_unnoticed(bare, ids[:2] + ids[5:6])
    assert await both(memory).aforget_user("alice") == 11
    assert list(bare.scan_iter("agent:mem:*")) == []


@pytest.fixture
def full(bare: redis.Redis) -> Iterator[None]:
    yield
    bare.config_set("maxmemory", 0)


@pytest.mark.usefixtures("full")
async def test_a_full_server_stores_nothing_by_half(
    make_so: Make, bare: redis.Redis, both: Both, layout: dict[str, Any]
) -> None:
    memory = make_so(**layout)
    known = await both(memory).aremember("green tea", user="alice", ttl_seconds=500)
    keys = set(bare.keys("*"))
    before = await both(memory).aget(known.id)
    bare.config_set("maxmemory", 1)
    with pytest.raises(StoreFullError):
        await both(memory).aremember("red car", user="alice")
    hits = 0
    with suppress(StoreFullError):  # a hit may need no memory
        hits += (await both(memory).aremember("green tea", user="alice", ttl_seconds=5000)).deduped
    assert set(bare.keys("*")) == keys
    assert len(await both(memory).arecall("tea", user="alice")) == 1, "reading still works"
    bare.config_set("maxmemory", 0)
    after = await both(memory).aget(known.id)
    assert (after.hit_count, after.ttl_seconds > 1000) == (before.hit_count + hits, bool(hits))
    assert not (await both(memory).aremember("red car", user="alice")).deduped


async def test_a_script_flush_goes_unnoticed(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    first = await both(memory).aremember("green tea", user="alice")
    bare.script_flush()
    assert (await both(memory).aremember("green tea", user="alice")).deduped
    bare.script_flush()
    assert await both(memory).adelete_memory(first.id)


@pytest.mark.parametrize("storage", ["json", "hash"])
async def test_documents_that_are_no_memories_are_reported_left_and_hide_nothing(
    make: Make, bare: redis.Redis, both: Both, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory = make(storage=storage)
    result = await both(memory).aremember("green tea", user="alice")
    vector = [1.0] * 256
    good: dict[str, Any] = {"text": "tea", "user": "alice", "namespace": "default", "kind": "episodic"}
    good |= {"source_thread": "", "created_ts": 5, "hit_count": 0}
    bad = {
        "no-text": {name: value for name, value in good.items() if name != "text"},
        "no-thread": {name: value for name, value in good.items() if name != "source_thread"},
        "no-count": {name: value for name, value in good.items() if name != "hit_count"},
        "metadata": {**good, "metadata": "{"},
    }
    for name, document in bad.items():
        if storage == "json":
            bare.execute_command(
                "JSON.SET", f"agent:mem:{name}", "$", json.dumps({**document, "embedding": vector})
            )
        else:
            embedding = np.array(vector, "float32").tobytes()
            bare.hset(f"agent:mem:{name}", mapping={**document, "embedding": embedding})
    bare.set("agent:mem:string", "x")
    with caplog.at_level(logging.WARNING):
        found = await both(memory).arecall("tea", user="alice", mode="vector", distance_threshold=None, k=10)
        assert [one.id for one in found] == [result.id]
        assert all(f"agent:mem:{name}" in caplog.text for name in bad)
        caplog.clear()
        assert [one.id for one in await both(memory).alist_memories(user="alice")] == [result.id]
        assert all(f"agent:mem:{name}" in caplog.text for name in bad)
    for name in bad:
        with pytest.raises(StoreError, match=f"agent:mem:{name}"):
            await both(memory).aget(name)
    with pytest.raises(WrongKeyTypeError):
        await both(memory).aget("string")
    with pytest.raises(WrongKeyTypeError):
        await both(memory).adelete_memory("string")
    assert bare.exists(*(f"agent:mem:{name}" for name in [*bad, "string"])) == len(bad) + 1


async def test_more_than_ten_thousand_memories_are_listed_and_cleared(make: Make, bare: redis.Redis) -> None:
    memory = make(storage="hash", embeddings=WordEmbeddings(4))
    count = 10_500
    batches = memory.write_batches(
        [f"n{n}" for n in range(count)],
        user="alice",
        kind="semantic",
        embeddings=[[1.0, n, 2.0, 3.0] for n in range(count)],
        batch_size=2000,
    )
    memory.transport.run(memory.store_all_op(batches))
    memory.remember("tea", user="bob")
    listed = memory.list_memories(user="alice", limit=count + 5)
    assert [one.text for one in listed] == [f"n{n}" for n in reversed(range(count))]
    assert (
        len(memory.recall("", user="alice", embedding=[1.0, 1, 1, 1], k=count, distance_threshold=None))
        == count
    )
    assert memory.forget_user("alice") == count
    assert len(list(bare.scan_iter("agent:mem:*", count=1000))) == 1
    memory.transport.run(memory.store_all_op(batches))
    assert memory.clear() == count + 1
    assert bare.keys("agent:mem:*") == []


@pytest.fixture(scope="module")
def plain_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(search=False) as server:
        yield server


async def test_a_server_without_search_is_an_error_that_says_what_to_use(
    plain_server: EmbeddedRedis, both: Both
) -> None:
    async with LongTermMemory(plain_server.url, embeddings=WordEmbeddings()) as memory:
        calls: list[Call] = [
            lambda: both(memory).aremember("tea", user="alice"),
            lambda: both(memory).arecall("tea", user="alice"),
            lambda: both(memory).aremember_many(["tea"], user="alice"),
            lambda: both(memory).alist_memories(user="alice"),
            lambda: both(memory).aget("m1"),
            lambda: both(memory).adelete_memory("m1"),
            lambda: both(memory).aforget_user("alice"),
            lambda: both(memory).acreate_index(),
        ]
        for call in calls:
            with pytest.raises(SearchUnavailableError, match="Redis 8"):
                await call()
    with redis.Redis.from_url(plain_server.url) as bare:
        assert bare.keys("*") == []
