"""Changes of memories on Upstash, all of them in one atomic step; and their histories."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting, before_each_batch
from integration_tests.longterm.single_calls import compare_with_single_calls
from integration_tests.upstash.conftest import Make, stored_by_others
from langchain_agentmem import Add, ChangeResult, Delete, Supersede, Update
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

SEA = "Moved to a house by the sea"  # not near, for any rule
LISBON, PORTO, ROME = "I live in Lisbon", "I live in Porto", "I live in Rome"


@pytest.fixture(params=["same", "near"])
def memory(make: Make, request: pytest.FixtureRequest) -> UpstashLongTermMemory:
    """What finds duplicates by a search makes changes one after the other."""
    return make(dedup=request.param)


async def test_each_change_is_made_and_said(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    tea, car = [
        (await both(memory).aremember(text, user="alice", kind="semantic")).id for text in ("Tea", "A car")
    ]
    lisbon = (await both(memory).aremember(LISBON, user="alice")).id
    dog, merged, porto, updated, deleted = await both(memory).aapply(
        [
            Add("A dog", metadata={"a": 1}),
            Add("tea."),
            Supersede(lisbon, SEA),
            Update(tea, "Coffee at noon"),
            Delete(car),
        ],
        user="alice",
        source_thread="t 1",
    )
    assert dog.outcome == "stored"
    assert merged == ChangeResult("merged", tea)
    assert (porto.outcome, porto.replaced) == ("stored", lisbon)
    assert (updated, deleted) == (ChangeResult("updated", tea), ChangeResult("deleted", car))
    added, kept = await both(memory).aget(dog.id), await both(memory).aget(porto.id)
    assert (added.metadata, added.source_thread, added.kind) == ({"a": 1}, "t 1", "semantic")
    assert (kept.kind, kept.ttl_seconds is None) == ("episodic", False)
    assert (await both(memory).aget(lisbon)).superseded_by == porto.id
    assert await both(memory).aforget_user("alice") == 4
    assert bare.keys("memory:*") == []


async def test_what_cannot_be_changed_is_refused_and_the_rest_is_made(
    memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
) -> None:
    bobs = (await both(memory).aremember(LISBON, user="bob")).id
    old = (await both(memory).aremember(PORTO, user="alice")).id
    new = (await both(memory).aremember(ROME, user="alice", replaces=old)).id
    stored_by_others(bare, "alice:odd", hitCount="many")
    before = {key: bare.json().get(key) for key in bare.keys("memory:*")}
    changes = [
        *(Update(bobs, "Tea"), Supersede(bobs, "Tea"), Delete(bobs), Update("alice:gone", "Tea")),
        *(
            Delete("alice:gone"),
            Update(old, "Tea"),
            Update(new, "Tea", if_text=PORTO),
            Update("alice:odd", "Tea"),
        ),
    ]
    results = await both(memory).aapply(changes, user="alice")
    assert [one.reason for one in results] == [
        *("foreign", "foreign", "foreign", "missing", "missing", "superseded", "text_changed", "unreadable"),
    ]
    assert {key: bare.json().get(key) for key in bare.keys("memory:*")} == before
    (updated,) = await both(memory).aapply([Update(new, "Tea", if_text=ROME)], user="alice")
    assert updated == ChangeResult("updated", new)
    assert (await both(memory).aapply([Update(new, "Tea", if_text=ROME)], user="alice")) == [updated]


async def test_of_those_who_update_what_they_have_read_one_does(memory: UpstashLongTermMemory) -> None:
    old = (await memory.aremember(LISBON, user="alice")).id
    results = await asyncio.gather(
        *(memory.aapply([Update(old, f"Fact {n}", if_text=LISBON)], user="alice") for n in range(6))
    )
    assert sorted(one.outcome for (one,) in results) == ["refused"] * 5 + ["updated"]


class Killed(BaseException):
    """Stands for the end of a process."""


def test_who_is_killed_has_made_all_or_nothing_or_by_nearness_the_first_changes_and_repeats_them(
    memory: UpstashLongTermMemory, bare: redis.Redis
) -> None:
    made = set()
    for step in range(20):
        bare.flushall()
        memory.index.share({})
        old = memory.remember(LISBON, user="alice").id
        changes = [Supersede(old, PORTO), Add("Tea"), Update(old, "no"), Delete(old)]
        steps = iter(range(100))

        def kill(batch: Batch, at: int = step, steps: object = steps) -> None:
            if next(steps) == at:  # type: ignore[call-overload]
                raise Killed

        try:
            memory.transport.run(before_each_batch(memory.apply_op(changes, user="alice"), kill))
        except Killed:
            made.add(len(bare.keys("memory:alice:*")))
        memory.apply(changes, user="alice")
        memory.wait_indexing()
        assert {one.text for one in memory.list_memories(user="alice", include_superseded=True)} == {
            PORTO,
            "Tea",
        }
    assert made == ({1} if memory.config.dedup == "same" else {1, 2, 3})


@pytest.mark.parametrize("rule", ["same", "near", "exact", None])
@pytest.mark.parametrize("seed", range(6))
def test_changes_of_one_call_end_as_single_calls_do(
    make: Make, seed: int, rule: Any, bare: redis.Redis
) -> None:
    one = make(dedup=rule)
    other = make(dedup=rule, key_prefix="other:", index_name="others")
    compare_with_single_calls(one, other, random.Random(seed))
    assert not [*bare.keys("memory:*"), *bare.keys("other:*")]


def test_one_round_trip_and_one_more_for_what_is_not_known(make: Make, counting: Counting) -> None:
    memory = make()
    lisbon = memory.remember(LISBON, user="alice", kind="semantic").id
    tea = memory.remember("Tea", user="alice").id

    def cost(*changes: Any) -> int:
        before = counting.round_trips
        memory.apply(changes, user="alice")
        return counting.round_trips - before

    assert cost(Add("A dog"), Supersede(lisbon, PORTO)) == 1
    assert cost(Update(tea, "Coffee")) == 2, "it is episodic"
    assert cost(Add("Coffee", kind="episodic")) == 2, "it says so under another id"
    assert cost(Delete(tea)) == 2, "its pointer goes with it"


@pytest.mark.parametrize("at", ["memory", "pointer"])
def test_a_key_that_holds_something_else_is_an_error_before_anything_is_written(
    make: Make, bare: redis.Redis, at: str
) -> None:
    memory = make()
    digest = memory.drafting.draft("A car", user="alice", kind="semantic").id
    key = f"memory:alice:{digest}" + (":same" if at == "pointer" else "")
    bare.rpush(key, "x")
    with pytest.raises(WrongKeyTypeError):
        memory.apply([Add("Tea"), Add("A car")], user="alice")
    assert bare.keys("memory:*") == [key.encode()]


async def test_a_memory_that_was_superseded_has_a_history(memory: UpstashLongTermMemory, both: Both) -> None:
    first = (await both(memory).aremember(LISBON, user="alice", kind="semantic")).id
    (second,) = await both(memory).aapply([Supersede(first, PORTO)], user="alice")
    (third,) = await both(memory).aapply([Supersede(second.id, ROME)], user="alice")
    await both(memory).aremember("Tea", user="alice")
    memory.wait_indexing()
    for one in (first, second.id, third.id):
        found = await both(memory).ahistory(one, user="alice")
        assert [record.text for record in found] == [LISBON, PORTO, ROME]
    assert await both(memory).ahistory(first, user="bob") == []


def test_there_are_no_namespaces(memory: UpstashLongTermMemory) -> None:
    with pytest.raises(InvalidInputError, match="namespace"):
        memory.apply([Add("Tea")], user="alice", namespace="work")
