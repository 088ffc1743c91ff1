"""What a memory that is known already, or cannot be read, does to others."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest
import redis

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory


def corrupt(bare: redis.Redis, storage: str, one: str, member: str) -> None:
    key = f"agent:mem:{one}"
    if storage == "hash":
        bare.hdel(key, member)
    else:
        bare.execute_command("JSON.DEL", key, f"$.{member}")


@pytest.mark.parametrize("storage", ["json", "hash"])
@pytest.mark.parametrize("member", ["text", "hit_count", "source_thread", "created_ts"])
async def test_what_cannot_be_read_takes_no_place_and_swallows_nothing(
    make: Make, bare: redis.Redis, both: Both, storage: str, member: str, searches_in_scripts: bool
) -> None:
    memory = make(storage=storage, dedup="near")
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    vectors = [[1.0, n / 1000] + [0.0] * 254 for n in range(7)]
    ids = [f"m{n}" for n in range(7)]
    batches = memory.write_batches(ids, user="alice", kind="semantic", embeddings=vectors, ids=ids)
    memory.transport.run(memory.store_all_op(batches))
    for one in ids[:6]:
        corrupt(bare, storage, one, member)
    about: dict[str, Any] = {"user": "alice", "embedding": vectors[0]}
    assert [one.id for one in await both(memory).arecall("", k=1, **about)] == ["m6"]
    assert [one.id for one in await both(memory).alist_memories(user="alice", limit=1)] == ["m6"]
    result = await both(memory).aremember("m0", kind="semantic", **about)
    assert (result.id, result.deduped) == ("m6", True)
    corrupt(bare, storage, "m6", member)
    result = await both(memory).aremember("m0", kind="semantic", **about)
    assert not result.deduped
    assert [one.id for one in await both(memory).arecall("", k=1, **about)] == [result.id]


@pytest.mark.parametrize("storage", ["json", "hash"])
@pytest.mark.parametrize(
    ("before", "given", "after"),
    [(None, 500, None), (None, None, None), (5000, 500, 5000), (100, 500, 500), (100, None, None)],
)
async def test_learning_again_never_shortens_a_life(
    make_so: Make,
    both: Both,
    storage: str,
    before: int | None,
    given: int | None,
    after: int | None,
) -> None:
    memory = make_so(storage=storage)
    known = await both(memory).aremember("green tea", user="alice", ttl_seconds=before)
    assert (await both(memory).aremember("green tea", user="alice", ttl_seconds=given)).deduped
    left = (await both(memory).aget(known.id)).ttl_seconds
    assert left == after or after - 10 <= left <= after


async def test_a_threshold_of_zero_is_the_same_vector(
    make: Make, both: Both, layout: dict[str, Any], searches_in_scripts: bool
) -> None:
    memory = make(**layout, embeddings=WordEmbeddings(384), dedup="near", dedup_threshold=0)
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    numbers = random.Random(5)
    vectors = [[numbers.gauss(0, 1) for _ in range(384)] for _ in range(100)]
    texts = [f"n{n}" for n in range(100)]
    for known in (False, True):
        results = await both(memory).aremember_many(texts, user="alice", embeddings=vectors)
        assert [result.deduped for result in results] == [known] * 100
    for text, vector in zip(texts, vectors, strict=True):
        found = await both(memory).arecall("", user="alice", embedding=vector, distance_threshold=0.0)
        assert [one.text for one in found] == [text]


@pytest.mark.parametrize("storage", ["json", "hash"])
async def test_an_id_that_is_there_is_replaced_by_a_small_correction(
    make_so: Make, both: Both, storage: str
) -> None:
    memory = make_so(storage=storage)
    for text in ("the museum opens at nine", "The museum opens at nine!"):
        (result,) = await both(memory).aremember_many([text], user="alice", ids=["opening"])
        assert (result.id, result.deduped, result.existing_distance) == ("opening", False, None)
    assert [one.text for one in await both(memory).alist_memories(user="alice")] == [text]
    result = await both(memory).aremember("the museum opens at nine", user="alice")
    assert (result.id, result.deduped) == ("opening", True), "another id still makes it known"


@pytest.mark.timeout(100)
def test_others_wait_for_an_index_that_is_being_backfilled(url: str, bare: redis.Redis) -> None:
    numbers = np.random.default_rng(5).normal(size=(4000, 64))
    facts = [f"fact {number}" for number in range(4000)]
    with (
        LongTermMemory(url, storage="hash", dedup="near") as first,
        LongTermMemory(url, storage="hash", dedup="near") as second,
    ):
        first.remember_many(facts, user="u", embeddings=numbers.tolist(), batch_size=500)
        second.recall("x", user="u", embedding=numbers[0].tolist())
        bare.execute_command("FT.DROPINDEX", "agentmem:idx")
        maker = threading.Thread(
            target=first.remember, args=(facts[0],), kwargs={"user": "u", "embedding": numbers[0].tolist()}
        )
        maker.start()
        wait_until(lambda: bare.exists("agentmem:idx:filling"))
        again = [second.remember(facts[n], user="u", embedding=numbers[n].tolist()) for n in (9, 1999, 3999)]
        assert [result.deduped for result in again] == [True] * 3
        maker.join()
        found = second.recall("x", user="u", k=1, mode="vector", embedding=numbers[3998].tolist())
        assert [record.text for record in found] == [facts[3998]]
        assert not bare.exists("agentmem:idx:filling")
        assert len(list(bare.scan_iter("agent:mem:*", count=1000))) == 4000


def test_a_flag_whose_maker_died_is_taken_away(url: str, bare: redis.Redis) -> None:
    with LongTermMemory(url, dedup="near") as memory:
        memory.remember("x", user="u", embedding=[1.0, 2.0])
        bare.set("agentmem:idx:filling", 1, ex=60)
        assert memory.remember("x", user="u", embedding=[1.0, 2.0]).deduped
        assert not bare.exists("agentmem:idx:filling")
        bare.set("agentmem:idx:filling", 1, ex=60)
        assert memory.recall("x", user="u", mode="vector", embedding=[1.0, 2.0])
        assert not bare.exists("agentmem:idx:filling")
