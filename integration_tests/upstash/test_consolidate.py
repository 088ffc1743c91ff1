"""Duplicates that are there already, made one, on Upstash."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, before_each_batch
from integration_tests.upstash.conftest import Make, stored_by_others
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem import Judgement
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

SAID = ("Likes tea", "By the way, likes tea", "Likes tea.")


@pytest.fixture
def memory(make: Make, emulator: Emulator) -> UpstashLongTermMemory:
    memory = make()
    memory.create_index()
    return memory


def dump(bare: redis.Redis) -> dict[bytes, object]:
    return {key: bare.dump(key) for key in bare.keys("memory:*")}


def add(bare: redis.Redis, name: str, text: str, seconds: int, **members: Any) -> str:
    """Store a text as the tutorial's program does; return its id."""
    stored_by_others(
        bare, f"alice:{name}", text=text, createdAt=1_700_000_000_000 + 1000 * seconds, **members
    )
    return f"alice:{name}"


async def test_duplicates_become_the_oldest_one(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    second = add(bare, "b", SAID[1], 2, hitCount=3, metadata='{"a":2,"b":2}')
    first = add(bare, "c", SAID[0], 1, metadata='{"a":1}')
    third = add(bare, "a", SAID[2], 3, metadata={"c": 1.5})
    other = add(bare, "d", SAID[0], 4, kind="note")
    bare.expire(f"memory:{first}", 100)
    bare.expire(f"memory:{second}", 1000)
    before = dump(bare)
    told = await both(memory).aconsolidate(user="alice")
    assert dump(bare) == before
    made = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert told.pairs == made.pairs
    assert [(one.kept, one.other, one.because) for one in made.pairs] == [
        (first, second, "same"),
        (first, third, "same"),
    ]
    kept = memory.get(first)
    assert kept is not None
    assert (kept.text, kept.hit_count, kept.ttl_seconds) == (SAID[0], 5, None)
    assert kept.metadata == {"a": 1, "b": 2, "c": 1.5}
    assert memory.get(other) is not None
    again = memory.remember(SAID[1], user="alice", kind="fact")
    assert (again.id, again.deduped) == (first, True)
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs == []
    assert memory.forget_user("alice") == 2
    assert bare.keys("memory:*") == []


async def test_the_one_with_the_digest_may_stay_or_go(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    named = memory.remember(SAID[0], user="alice", kind="fact").id
    late = add(bare, "late", SAID[1], 10**9)
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs[0].kept == named
    assert memory.get(late) is None
    early = add(bare, "early", SAID[1], 0)
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs[0].kept == early
    assert memory.remember(SAID[2], user="alice", kind="fact").id == early
    assert memory.delete_memory(early)
    assert bare.keys("memory:*") == []


async def test_what_is_superseded_follows_the_one_that_stays(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    past = memory.remember("Likes coffee", user="alice", kind="fact").id
    other = memory.remember(SAID[0], user="alice", kind="fact", replaces=past).id
    kept = add(bare, "early", SAID[1], 0)
    (pair,) = (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs
    assert (pair.kept, pair.other) == (kept, other)
    assert memory.get(past).superseded_by == kept  # type: ignore[union-attr]


async def test_what_cannot_be_read_stays(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    add(bare, "a", SAID[0], 1)
    add(bare, "b", SAID[0], 2, hitCount="many")
    bare.set("memory:alice:c", "no document")
    before = dump(bare)
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (found.scanned, found.merged, found.unreadable) == (1, 0, 2)
    assert dump(bare) == before


async def test_what_is_changed_meanwhile_is_skipped(memory: UpstashLongTermMemory, bare: redis.Redis) -> None:
    first, second = add(bare, "a", SAID[0], 1), add(bare, "b", SAID[1], 2)

    def act(batch: Batch) -> None:
        if batch[0].args[0] == "EVALSHA":
            memory.update(second, metadata={"new": 1})

    found = memory.transport.run(before_each_batch(memory.consolidate_op(user="alice", dry_run=False), act))
    assert (found.merged, found.skipped) == (0, 1)
    assert memory.consolidate(user="alice", dry_run=False).merged == 1
    assert memory.get(first).metadata == {"new": 1}  # type: ignore[union-attr]


async def test_consolidations_at_once_count_once(memory: UpstashLongTermMemory, bare: redis.Redis) -> None:
    for n in range(12):
        add(bare, str(n), f"fact{n % 3}", n)
    await asyncio.gather(*(memory.aconsolidate(user="alice", dry_run=False) for _ in range(3)))
    found = [memory.get(f"alice:{n}") for n in range(12)]
    assert [one and one.hit_count for one in found] == [3, 3, 3, *[None] * 9]


async def test_a_consolidator_is_refused(memory: UpstashLongTermMemory, both: Both) -> None:
    with pytest.raises(InvalidInputError, match="no vectors"):
        await both(memory).aconsolidate(user="alice", consolidator=lambda group: Judgement())
    with pytest.raises(InvalidInputError, match="namespace"):
        await both(memory).aconsolidate(user="alice", namespace="work")
