"""Workers that are killed at any step: each exchange is extracted from, no fact is there twice, no message missing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from langchain_core.messages import BaseMessage

from integration_tests.conftest import before_each_batch
from integration_tests.processes import FORKING
from integration_tests.waiting import wait_until
from integration_tests.worker.conftest import converse, enqueue, listing, memory_of, texts, waiting
from langchain_agentmem import Add, AgentMemory, Exchange, MemoryWorker

WORKERS, EXCHANGES, THREADS, USERS = 4, 500, 50, 4


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def facts_of(exchange: Exchange) -> list[Add]:
    return [Add(message.text) for message in exchange.messages if message.type == "human"]


def places(memory: AgentMemory, thread: str) -> list[str]:
    """The texts of a session's messages: in the summary, waiting, in the window."""
    state = memory.working.load(thread)
    assert state is not None
    left = memory.transport.run(memory.working.waiting_op(thread)).messages
    texts = [message.text for message in left if message is not None]
    return [*state.summary.splitlines(), *texts, *(str(turn.content) for turn in state.recent_turns)]


def check(memory: AgentMemory, said: dict[tuple[str, str], list[str]]) -> None:
    """Fail unless what was said, by user and thread, is remembered once and stands in its session once."""
    for user in {user for user, _ in said}:
        found = memory.long_term.list_memories(user=user, limit=10_000)
        wanted = sorted(words for (whose, _), every in said.items() if whose == user for words in every)
        assert sorted(one.text for one in found) == wanted
        assert {one.hit_count for one in found} == {0}
    for (_, thread), every in said.items():
        assert places(memory, thread) == [text for words in every for text in (words, f"So {words}")]


# One worker, killed before each of its steps.


def work_until_killed(url: str, steps: int) -> None:
    """Work, until it is killed before a step: a round trip, a call of the model, what follows it."""
    left = [steps]

    def step(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            kill()

    def extract(exchange: Exchange) -> list[Add]:
        step()
        found = facts_of(exchange)
        step()
        return found

    def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
        step()
        told = listing(summary, messages)
        step()
        return told

    with memory_of(url, summarise=summarise) as memory:
        run = memory.transport._arun
        vars(memory.transport)["_arun"] = lambda op: run(before_each_batch(op, step))
        MemoryWorker(memory, extractor=extract, concurrency=1, claim_idle_seconds=0.02).run(once=True)


def test_killed_before_any_step_a_worker_leaves_what_the_next_one_finishes(
    url: str, bare: redis.Redis
) -> None:
    said = {("alice", "t1"): ["fact 0", "fact 1", "fact 2"], ("bob", "t2"): ["fact 3", "fact 4"]}
    steps = 0
    while True:
        bare.flushall()
        with memory_of(url) as memory:
            memory.long_term.create_index()
            for (user, thread), every in said.items():
                for words in every:
                    converse(memory, words, thread=thread, user=user)
            process = FORKING.Process(target=work_until_killed, args=(url, steps))
            process.start()
            process.join()
            if process.exitcode != 0:
                assert process.exitcode == -signal.SIGKILL
                worker = MemoryWorker(memory, extractor=facts_of, claim_idle_seconds=0.02)
                deadline = time.monotonic() + 10
                while waiting(memory) != (0, 0):
                    worker.run(once=True)
                    assert time.monotonic() < deadline
            assert waiting(memory) == (0, 0)
            check(memory, said)
        if process.exitcode == 0:
            break
        steps += 1
    print(f"killed before each of {steps} steps")
    assert steps > 25


# Several, killed at random and started again, while turns go on.


def work(url: str, seed: int) -> None:
    """Work until SIGTERM, with a model that takes its time."""
    chance = random.Random(seed)

    async def extract(exchange: Exchange) -> list[Add]:
        await asyncio.sleep(chance.uniform(0, 0.04))
        return facts_of(exchange)

    def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
        time.sleep(chance.uniform(0, 0.02))
        return listing(summary, messages)

    with memory_of(url, summarise=summarise) as memory:
        # No task is to blame here, however often its worker dies.
        options: Any = {
            "concurrency": 4,
            "debounce_seconds": 0.02,
            "claim_idle_seconds": 0.4,
            "max_attempts": 10**6,
        }
        MemoryWorker(memory, extractor=extract, **options).run()


class Crowd:
    """Workers, of which one is killed now and then, and another one started.

    Attributes:
        killed: How many were killed.
    """

    def __init__(self, url: str) -> None:
        self.killed = 0
        self._url = url
        self._seeds = iter(range(10**6))
        self._processes = [self._started() for _ in range(WORKERS)]

    def kill_one(self, chance: random.Random) -> None:
        at = chance.randrange(WORKERS)
        self._processes[at].kill()
        self._processes[at].join()
        self.killed += 1
        self._processes[at] = self._started()

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(20)
        # One that has only just been forked takes no signals yet, and has nothing in hand either.
        assert {process.exitcode for process in self._processes} <= {0, -signal.SIGTERM}

    def _started(self) -> Any:
        process = FORKING.Process(target=work, args=(self._url, next(self._seeds)))
        process.start()
        return process


@contextmanager
def talking(url: str, said: dict[tuple[str, str], list[str]]) -> Iterator[threading.Thread]:
    """Write exchanges of all threads, in a thread of its own."""

    def talk() -> None:
        with memory_of(url) as memory:
            for number in range(EXCHANGES):
                at = number % THREADS
                user, thread, words = f"user {at % USERS}", f"t{at}", f"fact {number} of thread {at}"
                converse(memory, words, thread=thread, user=user)
                said.setdefault((user, thread), []).append(words)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


@pytest.mark.timeout(120)
def test_workers_killed_at_random_do_everything_once(url: str, bare: redis.Redis) -> None:
    chance, said = random.Random(14), dict[tuple[str, str], list[str]]()
    began = time.monotonic()
    with memory_of(url) as memory:
        memory.long_term.create_index()
        crowd = Crowd(url)
        try:
            with talking(url, said) as talk:
                while talk.is_alive() or (waiting(memory) != (0, 0) and time.monotonic() < began + 15):
                    time.sleep(chance.uniform(0.05, 0.3))
                    crowd.kill_one(chance)
            left = waiting(memory)
            wait_until(lambda: waiting(memory) == (0, 0), 40)
        finally:
            crowd.end()
        assert sum(map(len, said.values())) == EXCHANGES
        check(memory, said)
        folded = sum(int(bare.hget(f"agent:session:t{n}", "folded_count") or 0) for n in range(THREADS))
    seconds = time.monotonic() - began
    print(
        f"{EXCHANGES} exchanges of {THREADS} threads and {USERS} users, {WORKERS} workers, {crowd.killed} killed "
        f"in {seconds:.1f} s; {left[0]} queues were not empty when the last was killed; {folded} messages folded"
    )
    assert crowd.killed >= 10
    assert folded == EXCHANGES * 2 - THREADS * 2


# One that dies of a task.


def work_and_die(url: str) -> None:
    def extract(exchange: Exchange) -> list[Add]:
        facts = facts_of(exchange)
        if "poison" in [fact.text for fact in facts]:
            kill()
        return facts

    with memory_of(url) as memory:
        options: Any = {"concurrency": 1, "claim_idle_seconds": 0.02, "max_attempts": 3}
        MemoryWorker(memory, extractor=extract, **options).run(once=True)


def test_a_task_of_which_workers_die_is_set_aside(url: str) -> None:
    with memory_of(url) as memory:
        for number, words in enumerate(("fact 0", "poison", "fact 2")):
            enqueue(memory, words, thread=f"t{number}")
        for _ in range(10):
            process = FORKING.Process(target=work_and_die, args=(url,))
            process.start()
            process.join()
            if process.exitcode == 0:
                break
        assert process.exitcode == 0
        assert texts(memory) == ["fact 0", "fact 2"]
        (failed,) = memory.tasks.failed()
        assert (failed.place.thread_id, failed.reason) == ("t1", "claimed")
        assert memory.tasks.waiting() == (0, 1)
