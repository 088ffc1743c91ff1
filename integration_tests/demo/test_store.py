"""Whose the store is: what the demo did not write stays, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.demo.store import DemoStore, NotTheDemosError, marker_key

EMPTIED = {"alice": 8, "carol": 0}


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


async def counts(memory: AgentMemory) -> dict[str, int]:
    return {
        user: len(await memory.long_term.alist_memories(user=user, namespace=None))
        for user in ("alice", "carol")
    }


async def opened(memory: AgentMemory, *, may_empty: bool = False) -> DemoStore:
    store = DemoStore(memory, may_empty=may_empty)
    await store.open()
    return store


async def test_an_empty_store_is_filled(memory: AgentMemory) -> None:
    assert (await opened(memory)).is_own
    assert await counts(memory) == EMPTIED


async def test_its_own_store_is_emptied_and_filled_again_when_it_is_reset(memory: AgentMemory) -> None:
    store = await opened(memory)
    (sample, *_) = await memory.long_term.alist_memories(user="alice")
    await memory.long_term.aupdate(sample.id, "changed")
    told = await memory.long_term.aremember("I sing.", user="carol")
    await store.note_exchange("t1", told.id, begins=True)
    await memory.working.astart("t1", user="carol")
    await memory.events.arecord("t1", "hello")
    await store.reset()
    assert await counts(memory) == EMPTIED
    assert sample.text in [one.text for one in await memory.long_term.alist_memories(user="alice")]
    assert await memory.working.aload("t1") is None
    assert await memory.events.alength("t1") == 0


async def test_a_reset_leaves_nothing_that_is_kept_beside_a_memory(
    memory: AgentMemory, bare: redis.Redis
) -> None:
    store = await opened(memory)
    sample = (await memory.long_term.alist_memories(user="alice"))[0]
    before = sorted(bare.keys())
    changed = await memory.long_term.aremember(f"No longer: {sample.text}", user="alice", replaces=sample.id)
    again = await memory.long_term.aremember(sample.text, user="alice", kind=sample.kind)
    assert again.id not in (sample.id, changed.id)
    await store.note_exchange("t1", changed.id, begins=False)
    await store.note_memory(again.id)
    assert bare.keys("agent:same:*")
    await store.reset()
    assert sorted(bare.keys()) == before


async def test_a_restart_leaves_what_the_demo_wrote(memory: AgentMemory) -> None:
    store = await opened(memory)
    told = await memory.long_term.aremember("I sing.", user="carol")
    await store.note_exchange("t1", told.id, begins=True)
    await memory.working.astart("t1", user="carol")
    assert (await opened(memory)).is_own
    assert await memory.working.aload("t1") is not None
    assert await counts(memory) == {"alice": 8, "carol": 1}


@pytest.mark.parametrize("tier", ["memory", "session", "events"])
@pytest.mark.parametrize("when", ["before the demo", "after the demo filled it"])
async def test_what_others_wrote_keeps_the_whole_store_as_it_is(
    memory: AgentMemory, bare: redis.Redis, tier: str, when: str
) -> None:
    if when == "after the demo filled it":
        await opened(memory)
    if tier == "memory":
        await memory.long_term.aremember("I sing.", user="carol")
    elif tier == "session":
        await memory.working.astart("t1", user="carol")
    else:
        await memory.events.arecord("t1", "hello")
    before = sorted(bare.keys())
    store = await opened(memory)
    assert not store.is_own
    with pytest.raises(NotTheDemosError, match="--reset"):
        await store.reset()
    assert sorted(bare.keys()) == before


async def test_reset_is_refused_once_others_wrote_into_the_store(memory: AgentMemory) -> None:
    store = await opened(memory)
    await memory.working.astart("t1", user="carol")
    with pytest.raises(NotTheDemosError):
        await store.reset()
    assert await memory.working.aload("t1") is not None


async def test_resets_at_once_fill_in_the_samples_once(memory: AgentMemory) -> None:
    store = await opened(memory)
    await asyncio.gather(*(store.reset() for _ in range(4)))
    samples = await memory.long_term.alist_memories(user="alice")
    assert [one.hit_count for one in samples] == [0] * 8


async def test_a_thread_noted_and_not_yet_written_is_nobody_elses(memory: AgentMemory) -> None:
    store = await opened(memory)
    await store.note_exchange("t1", "m1", begins=True)
    await store.reset()  # forgets no note: the exchange still goes on
    await memory.working.astart("t1", user="carol")
    await memory.long_term.aremember_many(["I sing."], user="carol", ids=["m1"])
    await store.reset()
    assert await counts(memory) == EMPTIED
    assert await memory.working.aload("t1") is None


async def test_what_is_noted_and_written_while_a_reset_looks_is_nobody_elses(memory: AgentMemory) -> None:
    store = await opened(memory)
    looking, busy = memory.transport.arun, False

    async def arun(op: Any) -> Any:
        nonlocal busy
        result = await looking(op)
        if not busy:  # after each look, an exchange begins another thread
            busy = True
            thread = memory.working.new_thread_id()
            await store.note_exchange(thread, thread, begins=True)
            await memory.working.astart(thread, user="carol")
            busy = False
        return result

    memory.transport.arun = arun  # type: ignore[method-assign]
    await store.reset()


async def test_a_store_that_may_be_emptied_is(memory: AgentMemory, bare: redis.Redis) -> None:
    await memory.long_term.aremember("I sing.", user="carol")
    await memory.working.astart("t1", user="carol")
    await memory.events.arecord("t1", "hello")
    bare.set("another:program", "untouched")
    store = await opened(memory, may_empty=True)
    assert await counts(memory) == EMPTIED
    assert bare.exists("agent:session:t1", "agent:events:t1") == 0
    await memory.long_term.aremember("I sing.", user="carol")
    await store.reset()
    assert await counts(memory) == EMPTIED
    assert bare.get("another:program") == b"untouched"


def elsewhere(url: str) -> AgentMemory:
    """A memory with other prefixes in the same database; the records of threads are shared."""
    prefixes = {f"{tier}_prefix": f"x:{tier}:" for tier in ("session", "memory", "events")}
    return AgentMemory(url, embeddings=WordEmbeddings(), index_name="x:idx", **prefixes)


async def test_a_marker_of_other_prefixes_gives_no_right_to_these(url: str, memory: AgentMemory) -> None:
    await memory.long_term.aremember("I sing.", user="carol")
    async with elsewhere(url) as other:
        await opened(other)
        assert not (await opened(memory)).is_own
    assert await counts(memory) == {"alice": 0, "carol": 1}


@pytest.mark.parametrize("may_empty", [False, True])
async def test_demos_of_other_prefixes_leave_each_other_alone(
    url: str, memory: AgentMemory, may_empty: bool
) -> None:
    store = await opened(memory)
    await store.note_thread("t1")
    await memory.working.astart("t1", user="alice")
    async with elsewhere(url) as other:
        another = await opened(other, may_empty=may_empty)
        await another.reset()
        assert await counts(other) == EMPTIED
    assert await counts(memory) == EMPTIED
    assert await memory.working.aload("t1") is not None
    assert [one.thread_id for one in (await memory.alist_sessions(user="alice")).sessions] == ["t1"]
    await store.reset()  # which still knows what it wrote


@pytest.mark.parametrize("may_empty", [False, True])
async def test_a_reset_takes_its_threads_out_of_the_users_records(
    url: str, memory: AgentMemory, bare: redis.Redis, may_empty: bool
) -> None:
    store = await opened(memory, may_empty=may_empty)
    for thread, user in [("t1", "alice"), ("t2", "bob")]:
        await store.note_thread(thread)
        await memory.working.aappend_turn(thread, "user", "hello", user=user)
        await memory.events.arecord(thread, "hello", user=user)
    async with elsewhere(url) as other:
        await other.working.astart("theirs", user="bob")
        await store.reset()
        page = await other.alist_sessions(user="bob")
    assert not bare.exists("agent:threads:alice", "agent:threads:bob")
    assert [session.thread_id for session in page.sessions] == ["theirs"]


async def test_everything_the_demo_writes_is_noted(memory: AgentMemory, bare: redis.Redis) -> None:
    await opened(memory)
    marker = marker_key(memory.settings.memory_prefix)
    assert {key for key in bare.scan_iter() if key != marker.encode()} == bare.smembers(marker)
