"""Changes of memories take the tasks that gave rise to them off their queue, in the same step: exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from integration_tests.conftest import Counting, before_each_batch
from integration_tests.tasks.conftest import PLACE, check_signals, dumps, task
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import (
    Add,
    AgentMemory,
    Delete,
    LongTermMemory,
    Supersede,
    Update,
    UpstashLongTermMemory,
)
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import StoreFullError, WrongKeyTypeError
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue
from langchain_agentmem.tasks.task import Queued, Taking
from langchain_agentmem.transport.connections import SharedConnection

GROUP = "agentmem"
FACTS = [
    f"Fact number {number} is about {topic}" for number, topic in enumerate(("tea", "cars", "dogs", "rome"))
]
REDIS = ("json", "hash")
IN_ONE_STEP = (*REDIS, "near", "upstash")
IN_STEPS = ("steps", "lock", "upstash near")
Make = Callable[[str], BaseLongTermMemory]


@pytest.fixture
def make(request: pytest.FixtureRequest, transport: SharedConnection) -> Make:
    def memory(how: str) -> BaseLongTermMemory:
        if how.startswith("upstash"):
            emulator = request.getfixturevalue("emulator")
            connection = SharedConnection(emulator.url, token=emulator.token)
            request.addfinalizer(connection.close)
            dedup: Any = "near" if how.endswith("near") else "same"
            return UpstashLongTermMemory(transport=connection, dedup=dedup)
        made = LongTermMemory(
            transport=transport,
            embeddings=WordEmbeddings(256),
            storage="hash" if how == "hash" else "json",
            dedup="near" if how in ("near", "lock") else "same",
        )
        made.create_index()
        made.index.knowledge.spans_slots = how != "steps"
        made.index.knowledge.searches_in_scripts = how != "lock"
        return made

    return memory


def put(memory: BaseLongTermMemory, queue: TaskQueue, *names: str) -> list[Queued]:
    return [memory.transport.run(queue.enqueue_op(PLACE, task(name))) for name in names]


def apply(memory: BaseLongTermMemory, changes: list[Any], taking: Taking) -> list[Any] | None:
    op = memory.apply_op(changes, user="alice", source_thread="t", taking=taking)
    return memory.transport.run(op)


@pytest.mark.parametrize("how", [*IN_ONE_STEP, *IN_STEPS])
def test_changes_are_made_once_for_a_task(make: Make, queue: TaskQueue, bare: redis.Redis, how: str) -> None:
    memory = make(how)
    first, second, third = put(memory, queue, "a", "b", "c")
    (signal,) = memory.transport.run(queue.next_op(GROUP, "w"))
    taking = queue.taking(PLACE, [first, second], signal_id=signal.id, group=GROUP)
    made = apply(memory, [Add(FACTS[0]), Add(FACTS[1])], taking)
    assert made is not None
    assert [one.outcome for one in made] == ["stored", "stored"]
    assert memory.transport.run(queue.read_op(PLACE, 5)) == [third]
    check_signals(bare)
    before = dumps(bare)
    assert apply(memory, [Add(FACTS[0]), Delete(made[1].id), Add(FACTS[2])], taking) is None
    both = queue.taking(PLACE, [second, third])
    assert apply(memory, [Delete(made[1].id)], both) is None  # one of the two is gone
    assert dumps(bare) == before
    rest = queue.taking(PLACE, [third], signal_id=signal.id, group=GROUP)
    assert apply(memory, [Add(FACTS[2])], rest) is not None
    assert memory.transport.run(queue.waiting_op()) == TaskCounts(0, 0)
    assert bare.xpending("agent:tasks:stream", GROUP)["pending"] == 0
    wait_until(lambda: {one.hit_count for one in memory.list_memories(user="alice")} == {0})  # once indexed


@pytest.mark.parametrize("how", [*IN_ONE_STEP, *IN_STEPS])
def test_a_task_that_gives_rise_to_nothing_is_taken_off(
    make: Make, queue: TaskQueue, bare: redis.Redis, how: str
) -> None:
    memory = make(how)
    taking = queue.taking(PLACE, put(memory, queue, "a"))
    assert apply(memory, [], taking) == []
    assert apply(memory, [], taking) is None
    check_signals(bare)


@pytest.mark.parametrize("how", IN_ONE_STEP)
def test_of_workers_that_do_the_same_tasks_at_once_one_makes_its_changes(
    make: Make, queue: TaskQueue, bare: redis.Redis, how: str
) -> None:
    memory, rounds, workers = make(how), 12, 4
    tasks = put(memory, queue, *map(str, range(rounds)))
    together = threading.Barrier(workers)

    def work(worker: int) -> list[int]:
        done = []
        for at, one in enumerate(tasks):
            together.wait(10)
            taking = queue.taking(PLACE, [one], group=GROUP)
            fact = f"{FACTS[at % 4]} in year {at}"  # each four times, the same of all
            if apply(memory, [Add(fact), Add(f"Worker said {fact}")], taking) is not None:
                done.append(at)
        return done

    with ThreadPoolExecutor(workers) as pool:
        done = [at for each in pool.map(work, range(workers)) for at in each]
    assert sorted(done) == list(range(rounds))
    assert memory.transport.run(queue.waiting_op()) == TaskCounts(0, 0)

    def counted() -> int:  # by nearness some facts are the same
        return sum(1 + one.hit_count for one in memory.list_memories(user="alice", limit=1000))

    wait_until(lambda: counted() >= 2 * rounds)  # once indexed
    assert counted() == 2 * rounds


def test_it_is_one_round_trip(make: Make, queue: TaskQueue, counting: Counting) -> None:
    memory = make("json")
    taking = queue.taking(PLACE, put(memory, queue, "a"))
    apply(memory, [Add(FACTS[0])], queue.taking(PLACE, put(memory, queue, "b")))  # knows the index
    before = counting.round_trips
    assert apply(memory, [Add(FACTS[1])], taking) is not None
    assert counting.round_trips == before + 1


@pytest.mark.parametrize("how", REDIS)
def test_a_task_that_is_taken_while_keys_are_asked_for_leaves_nothing_written(
    make: Make, queue: TaskQueue, bare: redis.Redis, how: str
) -> None:
    memory = make(how)
    tea = memory.remember(FACTS[0], user="alice", kind="episodic").id  # another kind than is supposed
    (one,) = put(memory, queue, "a")
    batches: list[Batch] = []
    before: dict[bytes, Any] = {}

    def act(batch: Batch) -> None:
        batches.append(batch)
        if len(batches) == 2:
            assert memory.transport.run(queue.take_off_op(queue.taking(PLACE, [one])))
            before.update(dumps(bare))

    changes: list[Any] = [Supersede(tea, FACTS[1]), Update(tea, FACTS[2]), Add(FACTS[3])]
    op = memory.apply_op(changes, user="alice", taking=queue.taking(PLACE, [one]))
    assert memory.transport.run(before_each_batch(op, act)) is None
    assert len(batches) == 2
    assert dumps(bare) == before


@pytest.mark.parametrize("at", range(3), ids=["queue", "signal", "stream"])
@pytest.mark.parametrize("how", ["json", "near", "upstash"])
def test_a_key_that_holds_something_else_is_an_error_before_anything_is_written(
    make: Make, queue: TaskQueue, bare: redis.Redis, how: str, at: int
) -> None:
    memory = make(how)
    taking = queue.taking(PLACE, put(memory, queue, "a"))
    bare.delete(taking.keys[at])
    bare.hset(taking.keys[at], "some", "thing")
    before = dumps(bare)
    with pytest.raises(WrongKeyTypeError):
        apply(memory, [Add(FACTS[0])], taking)
    assert dumps(bare) == before


@pytest.mark.parametrize("how", REDIS)
def test_on_a_full_server_the_task_stays_with_what_it_gives_rise_to(
    make: Make, queue: TaskQueue, bare: redis.Redis, how: str
) -> None:
    memory = make(how)
    taking = queue.taking(PLACE, put(memory, queue, "a"))
    before = dumps(bare)
    bare.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFullError):
            apply(memory, [Add(FACTS[0]), Add(FACTS[1])], taking)
        with pytest.raises(StoreFullError):
            memory.transport.run(queue.enqueue_op(PLACE, task("b")))
        assert dumps(bare) == before
        assert apply(memory, [], taking) == []
    finally:
        bare.config_set("maxmemory", 0)


async def test_what_a_forgotten_users_task_gives_rise_to_does_not_come_back(
    url: str, bare: redis.Redis
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        queue, long_term = memory.tasks, memory.long_term
        await long_term.aremember(FACTS[0], user="alice")
        put(long_term, queue, "a")
        (signal,) = await memory.transport.arun(queue.next_op(GROUP, "w"))
        in_hand = await memory.transport.arun(queue.read_op(signal.place, 5))
        told = await memory.aforget_user("alice", dry_run=True)
        gone = await memory.aforget_user("alice")
        assert told == gone
        assert (gone.tasks, gone.memories) == (1, 1)
        taking = queue.taking(signal.place, in_hand, signal_id=signal.id, group=GROUP)
        assert apply(long_term, [Add(FACTS[1])], taking) is None
        assert await memory.transport.arun(queue.done_op(GROUP, signal))
        assert await long_term.alist_memories(user="alice") == []
        assert (await memory.aforget_user("alice")).tasks == 0


@pytest.mark.parametrize("how", REDIS)
def test_a_user_who_is_forgotten_while_workers_apply_has_no_memory_left(
    url: str, bare: redis.Redis, how: Any
) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings(), storage=how) as memory:
        queue, count = memory.tasks, 40
        memory.long_term.create_index()
        tasks = put(memory.long_term, queue, *map(str, range(count)))
        began = threading.Event()

        def work() -> int:
            made = 0
            for at, one in enumerate(tasks):
                taking = queue.taking(PLACE, [one], group=GROUP)
                made += apply(memory.long_term, [Add(f"{FACTS[at % 4]}, {at}")], taking) is not None
                began.set()
            return made

        with ThreadPoolExecutor(2) as pool:
            working = pool.submit(work)
            assert began.wait(10)
            gone = memory.forget_user("alice")
            assert working.result(30) == gone.memories
        assert gone.memories + gone.tasks == count
        assert memory.long_term.list_memories(user="alice") == []
        wait_until(lambda: not bare.keys("agent:mem:*"), 5)
