"""The store of a demo: an empty one is filled, any other is opened as it is, and several demos share one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import redis

from integration_tests.demo.conftest import StartDemo
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.demo.samples import ResetRefusedError, Samples


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


async def count(memory: AgentMemory, user: str) -> int:
    return len(await memory.long_term.alist_memories(user=user, namespace=None))


async def test_an_empty_store_is_filled(memory: AgentMemory) -> None:
    assert "sample memories" in await Samples(memory, may_reset=True).open(reset=False)
    assert await count(memory, "alice") == 8


@pytest.mark.parametrize("tier", ["memory", "session"])
async def test_a_store_that_is_used_is_opened_as_it_is(
    memory: AgentMemory, bare: redis.Redis, tier: str
) -> None:
    if tier == "memory":
        await memory.long_term.aremember("I sing.", user="carol")
    else:
        await memory.working.astart("t1", user="carol")
    before = {key: bare.dump(key) for key in bare.scan_iter()}
    assert await Samples(memory, may_reset=False).open(reset=False) == "opened as it was"
    assert {key: bare.dump(key) for key in bare.scan_iter()} == before


async def test_a_store_that_is_not_the_demos_own_is_not_reset(memory: AgentMemory, bare: redis.Redis) -> None:
    samples = Samples(memory, may_reset=False)
    await samples.open(reset=False)
    before = {key: bare.dump(key) for key in bare.scan_iter()}
    with pytest.raises(ResetRefusedError, match="--allow-reset"):
        await samples.reset("alice")
    assert {key: bare.dump(key) for key in bare.scan_iter()} == before
    assert (await samples.would_reset("alice"))["memories"] == 8


async def test_a_reset_removes_one_user_from_every_tier_and_namespace(
    memory: AgentMemory, bare: redis.Redis
) -> None:
    samples = Samples(memory, may_reset=True)
    await samples.open(reset=False)
    empty = sorted(bare.keys())
    await memory.long_term.aremember("I sing.", user="alice", namespace="choir")
    await memory.working.aappend_turn("t1", "user", "hello", user="alice")
    await memory.events.arecord("t1", "hello", user="alice")
    await memory.store(index=False, user_of=lambda namespace: namespace[0]).aput(("alice",), "k", {})
    await memory.long_term.aremember("I dance.", user="carol")
    await memory.working.aappend_turn("t2", "user", "hello", user="carol")
    lines, removed = await samples.reset("alice")
    assert removed == {"threads": 1, "memories": 9, "events": 1, "items": 1, "unreadable": 0}
    assert len([line for line in lines if "text" in line]) == 9
    assert await count(memory, "alice") == 8
    assert await count(memory, "carol") == 1
    assert await memory.working.aload("t2") is not None
    await samples.reset("carol")
    assert sorted(bare.keys()) == empty


async def test_demos_that_open_an_empty_store_at_once_fill_it_once(url: str, memory: AgentMemory) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as other:
        each = [Samples(one, may_reset=True) for one in (memory, other) * 2]
        await asyncio.gather(*(one.open(reset=False) for one in each))
        await asyncio.gather(*(one.reset("alice") for one in each))
    found = await memory.long_term.alist_memories(user="alice")
    assert sorted(one.hit_count for one in found) == [0] * 8


def memories(url: str, user: str = "alice") -> int:
    return int(httpx.get(f"{url}/memories", params={"user": user}).json()["total"])


def say(url: str, words: str) -> None:
    exchange = {"user": "alice", "thread": "t", "text": words}
    httpx.post(f"{url}/exchange", json=exchange).raise_for_status()


def test_a_second_demo_joins_the_first(start: StartDemo) -> None:
    first = start()
    say(first.url, "The zoo has a new elephant.")
    second = start()
    wait_until(lambda: "opened as it was" in second.said)
    assert memories(second.url) == 9
    say(second.url, "The museum is closed on Mondays.")
    assert memories(first.url) == 10
    first.end()
    say(second.url, "The park has a lake.")
    assert memories(second.url) == 11


def test_a_restart_keeps_what_is_there_until_reset_is_given(start: StartDemo) -> None:
    demo = start()
    say(demo.url, "something entirely new")
    assert memories(demo.url) == 9
    demo.end()
    demo = start()
    wait_until(lambda: "opened as it was" in demo.said)
    assert memories(demo.url) == 9
    session = httpx.get(f"{demo.url}/state", params={"user": "alice", "thread": "t"}).json()["session"]
    assert session["turns"][0]["content"] == "something entirely new"
    demo.end()
    demo = start("--reset")
    wait_until(lambda: "everything of alice was removed" in demo.said)
    assert memories(demo.url) == 8


def test_another_users_memories_survive_a_reset_at_the_start(start: StartDemo, url: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings(384)) as memory:
        memory.long_term.remember("I sing.", user="carol")
    demo = start()
    assert (memories(demo.url), memories(demo.url, "carol")) == (0, 1)
    assert httpx.post(f"{demo.url}/reset", json={"user": "carol"}).status_code == 409
    demo.end()
    demo = start("--reset")
    assert (memories(demo.url), memories(demo.url, "carol")) == (8, 1)
