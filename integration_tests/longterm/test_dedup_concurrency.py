"""Processes that learn the same facts at the same time store each once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from multiprocessing.pool import Pool
from typing import Any

import pytest
import redis

from integration_tests.processes import FORKING
from integration_tests.words import WordEmbeddings
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

WRITERS = 8
FACTS = [f"fact{n} about{n * 7} something{n * 13}" for n in range(15)]


@pytest.fixture(scope="module")
def writers() -> Iterator[Pool]:
    with FORKING.Pool(WRITERS) as pool:
        yield pool
        pool.close()
        pool.join()


@pytest.fixture
def patient(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, socket_timeout=60) as client:
        yield client


def memory_of(url: str, storage: str, way: str) -> LongTermMemory:
    rule: Any = "near" if way in ("near", "lock") else "same"
    memory = LongTermMemory(url, embeddings=WordEmbeddings(512), storage=storage, dedup=rule)  # type: ignore[arg-type]
    memory.index.knowledge.searches_in_scripts = way != "lock"
    memory.index.knowledge.spans_slots = way != "steps"
    return memory


def learn(url: str, storage: str, way: str, seed: int) -> list[tuple[str, bool]]:
    """Learn all facts, in an order of one's own; in a process of its own."""
    facts = random.Random(seed).sample(FACTS, len(FACTS))
    with (
        redis.Redis.from_url(url, socket_timeout=60) as bare,
        memory_of(url, storage, way) as memory,
    ):
        bare.rpush("ready", seed)
        assert bare.blpop(["go"], 30), "nobody said go"
        if seed % 2:
            results = [memory.remember(fact, user="alice") for fact in facts]
        else:
            results = memory.remember_many(facts, user="alice", batch_size=4)
    return [(result.id, result.deduped) for result in results]


@pytest.mark.parametrize("storage", ["json", "hash"])
def test_every_fact_is_stored_once_and_every_other_time_is_a_duplicate(
    url: str, patient: redis.Redis, writers: Pool, storage: str, way: str
) -> None:
    arguments = [(url, storage, way, seed) for seed in range(WRITERS)]
    running = writers.starmap_async(learn, arguments, chunksize=1)
    for _ in range(WRITERS):
        assert patient.blpop(["ready"], 50), "a process did not start"
    patient.rpush("go", *range(WRITERS))  # the index is made by whoever comes first
    learnt = running.get(60)
    with LongTermMemory(url, embeddings=WordEmbeddings(512), storage=storage) as memory:  # type: ignore[arg-type]
        stored = memory.list_memories(user="alice", limit=1000)
    assert sorted(one.text for one in stored) == sorted(FACTS)
    assert [one.hit_count for one in stored] == [WRITERS - 1] * len(FACTS)
    assert sum(not deduped for results in learnt for _, deduped in results) == len(FACTS)
    assert {known for results in learnt for known, _ in results} == {one.id for one in stored}
    assert all(one.ttl_seconds for one in stored)
    assert not list(patient.scan_iter("agentmem:idx:*")), "a lock was left"


async def test_tasks_of_one_process_do_the_same(url: str, way: str) -> None:
    async with memory_of(url, "json", way) as memory:
        facts = FACTS[:5] * 6
        results = await asyncio.gather(*(memory.aremember(fact, user="alice") for fact in facts))
        assert sum(not result.deduped for result in results) == 5
        assert [one.hit_count for one in await memory.alist_memories(user="alice")] == [5] * 5
