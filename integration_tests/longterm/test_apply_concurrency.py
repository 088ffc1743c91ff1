"""Changes that several make at the same time, and that are broken off between any two steps."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import redis

from integration_tests.conftest import before_each_batch
from integration_tests.longterm.conftest import Make
from integration_tests.longterm.single_calls import FACTS, compare_with_single_calls, snapshot
from langchain_agentmem import Add, Delete, Supersede, Update
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.longterm.changes import Change

CITIES = ["I live in Lisbon", "I live in Porto", "I live in Rome", "I live in Paris"]


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_appliers_of_the_same_fact_store_it_once(make_so: Make, storage: str) -> None:
    memory = make_so(storage=storage)
    results = await asyncio.gather(*(memory.aapply(list(map(Add, FACTS)), user="alice") for _ in range(6)))
    made = [one for applied in results for one in applied]
    assert sum(one.outcome == "stored" for one in made) == len(FACTS)
    assert {one.outcome for one in made} == {"stored", "merged"}
    stored = await memory.alist_memories(user="alice")
    assert sorted(one.text for one in stored) == sorted(FACTS)
    assert {one.hit_count for one in stored} == {5}


async def test_of_those_who_supersede_the_same_memory_one_does(make_so: Make, storage: str) -> None:
    memory = make_so(storage=storage)
    old = (await memory.aremember(CITIES[0], user="alice", kind="semantic")).id
    results = await asyncio.gather(
        *(memory.aapply([Supersede(old, f"{FACTS[n]}")], user="alice") for n in range(6))
    )
    (winner,) = [one for (one,) in results if one.replaced == old]
    kept = await memory.aget(old)
    assert kept is not None
    assert kept.superseded_by == winner.id


async def test_of_those_who_update_what_they_have_read_one_does(make_so: Make, storage: str) -> None:
    memory = make_so(storage=storage)
    old = (await memory.aremember(CITIES[0], user="alice", kind="semantic")).id
    results = await asyncio.gather(
        *(memory.aapply([Update(old, fact, if_text=CITIES[0])], user="alice") for fact in FACTS)
    )
    made = [one for (one,) in results]
    assert sorted(one.outcome for one in made) == ["refused"] * (len(FACTS) - 1) + ["updated"]
    assert {one.reason for one in made} == {None, "text_changed"}
    kept = await memory.aget(old)
    assert kept is not None
    assert kept.text == FACTS[[one.outcome for one in made].index("updated")]


def changes_of(ids: list[str]) -> list[Change]:
    return [
        Supersede(ids[0], FACTS[4]),
        Update(ids[1], FACTS[5]),
        Delete(ids[2]),
        Add(FACTS[6]),
        Add(FACTS[3]),
    ]


def test_who_is_killed_at_any_step_has_made_all_or_nothing_and_repeats_it(
    make: Make, storage: str, bare: redis.Redis
) -> None:
    step = 0
    while True:
        bare.flushall()
        memory = make(storage=storage)
        memory.index.knowledge.exists = memory.index.knowledge.checked = False
        ids = [memory.remember(fact, user="alice").id for fact in FACTS[:4]]
        memory.apply([Update(ids[2], CITIES[2])], user="alice")  # so that a pointer leads to it
        before = snapshot(memory)
        steps = iter(range(1000))

        def kill(batch: Batch, at: int = step, steps: Any = steps) -> None:
            if next(steps) == at:
                raise Killed

        op = memory.apply_op(changes_of(ids), user="alice")
        try:
            memory.transport.run(before_each_batch(op, kill))
        except Killed:
            assert snapshot(memory) == before
        else:
            break
        results = memory.apply(changes_of(ids), user="alice")
        assert [one.outcome for one in results] == ["stored", "updated", "deleted", "stored", "stored"]
        step += 1
    assert step == 2, "one to learn what has to be passed, and one for all changes"


@pytest.mark.parametrize("seed", range(12))
def test_changes_of_one_call_end_as_single_calls_do(
    make_so: Make, storage: str, seed: int, bare: redis.Redis
) -> None:
    one = make_so(storage=storage)
    other = make_so(storage=storage, key_prefix="other:", index_name="other:idx")
    compare_with_single_calls(one, other, random.Random(seed))
    assert not [key for key in bare.keys("*") if b"idx" not in key]
