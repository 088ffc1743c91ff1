"""What one object has found out about the index, the others of its connection need not ask again."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from integration_tests.conftest import Both, Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import EmbeddingError, IndexMismatchError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.transport import connections
from langchain_agentmem.transport.connections import CallerSuppliedClients, SharedConnection, Transport


def memory_on(transport: Transport, **options: Any) -> LongTermMemory:
    return LongTermMemory(transport=transport, embeddings=WordEmbeddings(options.pop("size", 256)), **options)


def looks(bare: redis.Redis) -> int:
    """How often the index was asked about since the counters were reset."""
    return int(bare.info("commandstats").get("cmdstat_FT.INFO", {"calls": 0})["calls"])


async def test_a_second_object_of_a_url_recalls_in_one_round_trip(url: str, both: Both) -> None:
    async with LongTermMemory(url, embeddings=WordEmbeddings()) as first:
        await both(first).aremember("green tea", user="alice")
        calls: list[Callable[[LongTermMemory], Awaitable[Any]]] = [
            lambda second: both(second).arecall("tea", user="alice"),
            lambda second: both(second).aremember("red car", user="alice"),
            lambda second: both(second).aremember_many(["blue sky"], user="alice"),
        ]
        for call in calls:
            counting = Counting(SharedConnection(url))
            await call(LongTermMemory(transport=counting.transport, embeddings=WordEmbeddings()))
            assert counting.round_trips == 1
            await counting.transport.aclose()


async def test_a_memory_for_each_request_never_asks_about_the_index(
    url: str, bare: redis.Redis, both: Both
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as kept:
        await both(kept.long_term).aremember("green tea", user="alice")
        bare.config_resetstat()
        for _ in range(5):
            async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
                assert len(await both(memory.long_term).arecall("tea", user="alice")) == 1
                assert len(await both(memory.long_term).alist_memories(user="alice")) == 1
        assert looks(bare) == 0


async def test_objects_on_the_same_clients_or_pool_share_it_too(url: str, bare: redis.Redis) -> None:
    pool = redis.ConnectionPool.from_url(url)
    with redis.Redis(connection_pool=pool) as client, redis.Redis(connection_pool=pool) as other:
        memory_on(CallerSuppliedClients(client)).remember("green tea", user="alice")
        bare.config_resetstat()
        assert memory_on(CallerSuppliedClients(client)).recall("tea", user="alice")
        assert memory_on(CallerSuppliedClients(other)).recall("tea", user="alice")
        assert looks(bare) == 0
    pool.disconnect()
    async with redis.asyncio.Redis.from_url(url) as theirs:
        assert await memory_on(CallerSuppliedClients(async_client=theirs)).arecall("tea", user="alice")
        assert looks(bare) == 1
        assert await memory_on(CallerSuppliedClients(async_client=theirs)).arecall("tea", user="alice")
        assert looks(bare) == 1


def test_it_is_gone_with_the_connection(url: str, bare: redis.Redis) -> None:
    for _ in range(2):
        bare.config_resetstat()
        with LongTermMemory(url, embeddings=WordEmbeddings(256)) as memory:
            memory.recall("tea", user="alice")
            assert looks(bare) > 0
    before = len(connections._known_to_clients)
    for _ in range(5):
        with redis.Redis.from_url(url) as client:
            memory_on(CallerSuppliedClients(client)).recall("tea", user="alice")
    del client
    gc.collect()
    assert len(connections._known_to_clients) <= before


@pytest.mark.parametrize("how", ["flushed", "dropped by another program", "dropped by another object"])
async def test_an_index_that_is_gone_is_noticed(
    transport: SharedConnection, bare: redis.Redis, both: Both, how: str
) -> None:
    first = memory_on(transport)
    await both(first).aremember("green tea", user="alice")
    if how == "flushed":
        bare.flushall()
    elif how == "dropped by another program":
        bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    else:
        await both(memory_on(transport)).adrop_index()
    found = await both(memory_on(transport)).arecall("tea", user="alice")
    assert len(found) == (how != "flushed")
    await both(first).aremember("green tea", user="alice")
    assert len(await both(memory_on(transport)).arecall("tea", user="alice")) == 1


async def test_after_a_flush_another_model_is_welcome(
    transport: SharedConnection, bare: redis.Redis, both: Both
) -> None:
    await both(memory_on(transport)).aremember("green tea", user="alice")
    bare.flushall()
    other = memory_on(transport, size=8)
    assert not (await both(other).aremember("green tea", user="alice")).deduped
    assert (await both(other).aindex_info())["dimensions"] == 8
    with pytest.raises(EmbeddingError, match="takes 8"):
        await both(other).aremember("tea", user="alice", embedding=[1.0])


async def test_another_model_and_other_settings_are_checked_all_the_same(
    transport: SharedConnection, both: Both
) -> None:
    first = memory_on(transport)
    await both(first).aremember("green tea", user="alice")
    for options in ({"size": 8}, {"storage": "hash"}, {"key_prefix": "x:"}, {"vector_type": "float16"}):
        with pytest.raises(IndexMismatchError):
            await both(memory_on(transport, **options)).arecall("tea", user="alice")
    assert await both(first).arecall("tea", user="alice")
    assert await both(memory_on(transport, index_name="y:idx", key_prefix="y:")).arecall("a", user="b") == []


@pytest.mark.parametrize("dropped_here", [True, False])
@pytest.mark.parametrize("made_here", [True, False])
async def test_an_index_that_was_made_anew_is_looked_at_again(
    transport: SharedConnection, url: str, bare: redis.Redis, both: Both, dropped_here: bool, made_here: bool
) -> None:
    await both(memory_on(transport)).aremember("green tea", user="alice")
    other = memory_on(transport, storage="hash")
    if dropped_here:
        await both(other).adrop_index()
    else:
        bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    if made_here:
        await both(other).aremember("red car", user="alice")
    elif dropped_here:
        with redis.Redis.from_url(url) as elsewhere:
            memory_on(CallerSuppliedClients(elsewhere), storage="hash").create_index()
    else:
        return  # nobody of this process can know
    with pytest.raises(IndexMismatchError, match="is HASH, wanted JSON"):
        await both(memory_on(transport)).aremember("green tea", user="alice")
