"""What a worker does with what turns have left to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.conftest import Both
from integration_tests.transport.conftest import Server, binary_of_embedded
from integration_tests.upstash.emulator import Emulator
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from integration_tests.worker.conftest import (
    Facts,
    converse,
    enqueue,
    listing,
    memory_of,
    place,
    said,
    texts,
    waiting,
)
from langchain_agentmem import Add, AgentMemory, Exchange, MemoryWorker, Supersede, WorkerMetrics
from langchain_agentmem.errors import (
    ConfigurationError,
    ExtractionError,
    InvalidInputError,
    StoreConnectionError,
)
from langchain_agentmem.longterm.consolidation import Judgement
from langchain_agentmem.longterm.types import MemoryRecord
from langchain_agentmem.tasks.entries import FailedTask
from langchain_agentmem.tasks.task import Task
from langchain_agentmem.worker.consolidating import Consolidating


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what failed be tried again without waiting."""
    monkeypatch.setattr("langchain_agentmem.worker.attending.backoff", lambda *_, **__: 0.01)


@contextmanager
def running(worker: MemoryWorker) -> Iterator[MemoryWorker]:
    """Let a worker work in a thread, until it is stopped from this one."""
    ended: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised by the test
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()
        assert ended == []


def failed(memory: AgentMemory) -> list[FailedTask]:
    return memory.transport.run(memory.tasks.failed_op())


def actions(memory: AgentMemory, thread: str = "t1") -> list[tuple[str, str]]:
    return [(event.action, event.detail) for event in reversed(memory.events.recent(thread, 100))]


def pending(bare: redis.Redis) -> int:
    return int(bare.xpending("agent:tasks:stream", "agentmem")["pending"])  # type: ignore[index]


# What it does.


def test_it_extracts_and_folds(memory: AgentMemory, bare: redis.Redis) -> None:
    for number in range(3):
        converse(memory, f"fact {number}")
    converse(memory, "a fact of Bob's", thread="t2", user="bob")
    worker = MemoryWorker(memory, extractor=Facts())
    metrics = worker.run(once=True)
    assert texts(memory) == ["fact 0", "fact 1", "fact 2"]
    assert texts(memory, "bob") == ["a fact of Bob's"]
    state = memory.working.load("t1")
    assert state is not None
    assert state.summary.splitlines() == ["fact 0", "So fact 0", "fact 1", "So fact 1"]
    assert (metrics.exchanges, metrics.folded_messages, metrics.changes) == (4, 4, {"stored": 4})
    assert (metrics.waiting, metrics.failed, metrics.stale, metrics.signals) == (0, 0, 0, 4)
    assert metrics.model_calls == 3
    assert metrics == worker.metrics
    assert metrics.as_dict()["changes"] == {"stored": 4}
    assert bare.xinfo_consumers("agent:tasks:stream", "agentmem") == []


def test_it_works_as_things_come_until_it_is_stopped(memory: AgentMemory) -> None:
    seen: list[WorkerMetrics] = []
    worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0, on_progress=seen.append)
    with running(worker):
        for number in range(3):
            converse(memory, f"fact {number}", thread=f"t{number}")
            wait_until(lambda n=number: worker.metrics.exchanges == n + 1)
    assert seen[-1] == worker.metrics
    assert texts(memory) == ["fact 0", "fact 1", "fact 2"]


def test_it_waits_out_a_server_that_refuses_writes(memory: AgentMemory, bare: redis.Redis) -> None:
    worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)
    with running(worker):
        wait_until(lambda: bare.exists("agent:tasks:stream"))
        bare.execute_command("REPLICAOF", "127.0.0.1", "1")  # as while another server takes its place
        try:
            time.sleep(3)  # longer than the first attempts
        finally:
            bare.execute_command("REPLICAOF", "NO", "ONE")
        enqueue(memory, "a fact")
        wait_until(lambda: worker.metrics.exchanges == 1)
    assert texts(memory) == ["a fact"]


def test_an_extractor_is_given_the_exchange_with_what_is_known(memory: AgentMemory) -> None:
    remember = memory.long_term.remember
    old = remember("I live in Oslo.", user="alice", kind="profile")
    new = remember("I live in Porto.", user="alice", kind="profile", replaces=old.id)
    name = remember("My name is Alice.", user="alice", kind="profile")
    tram = remember("The tram in Porto is slow.", user="alice", kind="semantic")
    remember("I live in Porto, too.", user="bob", kind="profile")
    facts = Facts()
    stored = [*said(memory, "Is the tram in Porto slow"), *said(memory, "Porto")]
    history = (("user", "Hello."), ("assistant", "Hi!"))
    task = Task("1", 150.0, tuple(stored), history)
    memory.transport.run(memory.tasks.enqueue_op(place(), task))
    MemoryWorker(memory, extractor=facts).run(once=True)
    (exchange,) = facts.asked
    assert [one.text for one in exchange.history] == ["Hello.", "Hi!"]
    assert exchange.times == [memory.working.said_at(one) for one in stored]
    assert (exchange.user, exchange.namespace, exchange.thread_id) == ("alice", "default", "t1")
    assert exchange.memories[0].id == tram.id
    assert sorted(one.id for one in exchange.memories) == sorted([tram.id, name.id, new.id])


def test_a_namespace_stays_by_itself(memory: AgentMemory) -> None:
    for namespace in ("default", "work"):
        memory.long_term.remember(f"My {namespace} desk is blue.", user="alice", namespace=namespace)
    facts = Facts()
    task = Task("1", 150.0, tuple(said(memory, "My desk is red.")))
    memory.transport.run(memory.tasks.enqueue_op(place(namespace="work"), task))
    MemoryWorker(memory, extractor=facts).run(once=True)
    (exchange,) = facts.asked
    assert [one.text for one in exchange.memories] == ["My work desk is blue."]
    assert exchange.namespace == "work"
    found = memory.long_term.list_memories(user="alice", namespace="work")
    assert sorted((one.text, one.source_thread) for one in found) == [
        ("My desk is red.", "t1"),
        ("My work desk is blue.", ""),
    ]
    assert texts(memory) == ["My default desk is blue."]


def test_one_that_has_failed_is_done_alone(memory: AgentMemory) -> None:
    facts = Facts()
    for words, attempts in (("fact 0", 0), ("fact 1", 1), ("fact 2", 0)):
        enqueue(memory, words, attempts=attempts)
    MemoryWorker(memory, extractor=facts).run(once=True)
    assert [one.messages[0].text for one in facts.asked] == ["fact 0", "fact 1", "fact 2"]


def test_of_a_burst_the_history_is_what_was_said_before_it(memory: AgentMemory) -> None:
    facts = Facts()
    for number in range(2):
        enqueue(memory, f"fact {number}", history=(("user", f"before {number}"),))
    MemoryWorker(memory, extractor=facts).run(once=True)
    (exchange,) = facts.asked
    assert [one.text for one in exchange.history] == ["before 0"]


def test_one_that_is_not_due_is_not_done_with_those_before_it(memory: AgentMemory) -> None:
    """A turn's own process may be asking an extractor about it."""
    facts = Facts()
    enqueue(memory, "now")
    enqueue(memory, "later", not_before=time.time() + 60)
    metrics = MemoryWorker(memory, extractor=facts).run(once=True)
    assert (metrics.exchanges, metrics.waiting, texts(memory)) == (1, 1, ["now"])


def test_an_exchange_of_many_messages_is_not_done_with_others(memory: AgentMemory) -> None:
    facts = Facts()
    for number in range(2):
        stored = [one for at in range(15) for one in said(memory, f"fact {number} {at}")]
        enqueue(memory, "", messages=tuple(stored))
    assert MemoryWorker(memory, extractor=facts).run(once=True).exchanges == 2
    assert [len(one.messages) for one in facts.asked] == [30, 30]


def test_an_exchange_of_a_user_without_memories_meets_no_index(memory: AgentMemory) -> None:
    facts = Facts()
    enqueue(memory, "the first one")
    MemoryWorker(memory, extractor=facts).run(once=True)
    assert [list(one.memories) for one in facts.asked] == [[]]
    assert texts(memory) == ["the first one"]


def test_what_changes_is_told_as_events(memory: AgentMemory) -> None:
    old = memory.long_term.remember("I live in Oslo.", user="alice", kind="profile")

    def extract(exchange: Exchange) -> list[Any]:
        return [Add("I like tea."), Add("I like tea."), Supersede(old.id, "I live in Porto.")]

    enqueue(memory, "I moved to Porto, and like tea.")
    MemoryWorker(memory, extractor=extract).run(once=True)
    told = [("remember", "I like tea."), ("merge", "I like tea."), ("supersede", "I live in Porto.")]
    assert actions(memory) == told
    superseding = memory.events.recent("t1", 1)[0]
    assert old.id in superseding.memory_ids
    assert superseding.user == "alice"


@pytest.mark.parametrize("storage", ["hash", "list"])
def test_a_message_that_cannot_be_read_is_left_out(url: str, storage: Any) -> None:
    with memory_of(url, session_storage=storage) as memory:
        stored = (b"no message", *said(memory, "readable"), b'{"role":"user"}')
        memory.transport.run(memory.tasks.enqueue_op(place(), Task("1", 5.0, stored)))
        memory.transport.run(memory.tasks.enqueue_op(place("t2"), Task("2", 5.0, (b"none",))))
        facts = Facts()
        metrics = MemoryWorker(memory, extractor=facts).run(once=True)
        assert [[one.text for one in exchange.messages] for exchange in facts.asked] == [
            ["readable", "So readable"]
        ]
        assert texts(memory) == ["readable"]
        assert (metrics.unreadable_messages, metrics.exchanges) == (3, 2)
        assert waiting(memory) == (0, 0)


def test_a_worker_may_bring_its_own_summariser(url: str) -> None:
    def never(summary: str, messages: Sequence[BaseMessage]) -> str:
        raise AssertionError

    with memory_of(url, summarise=never) as memory:
        for number in range(2):
            converse(memory, f"fact {number}")
        MemoryWorker(memory, extractor=Facts(), summarise=listing).run(once=True)
        state = memory.working.load("t1")
        assert state is not None
        assert state.summary.splitlines() == ["fact 0", "So fact 0"]


@pytest.mark.usefixtures("at_once")
def test_a_worker_that_gives_back_what_waits_is_no_death(memory: AgentMemory) -> None:
    def shy(_: Exchange) -> list[Add]:
        raise TimeoutError

    enqueue(memory, "a fact")
    for _ in range(4):
        MemoryWorker(memory, extractor=shy).run(once=True)
        time.sleep(0.02)
    told = [detail[:37] for _, detail in actions(memory)]
    assert len(told) >= 4  # more, if noting a failure took longer than the next attempt is put off
    assert told == [f"attempt {number}: The extractor raised Timeo" for number in range(1, len(told) + 1)]


# Bursts.


def test_a_burst_is_extracted_from_as_one_exchange(memory: AgentMemory) -> None:
    facts = Facts()
    with running(MemoryWorker(memory, extractor=facts, debounce_seconds=0.4)):
        for number in range(3):
            enqueue(memory, f"fact {number}")
        wait_until(lambda: len(texts(memory)) == 3)
    assert [[m.text for m in one.messages if m.type == "human"] for one in facts.asked] == [
        ["fact 0", "fact 1", "fact 2"]
    ]


def test_a_thread_that_is_never_quiet_is_not_put_off_for_ever(memory: AgentMemory) -> None:
    with running(MemoryWorker(memory, extractor=Facts(), debounce_seconds=0.1)):
        began = time.monotonic()
        while not texts(memory):
            enqueue(memory, f"fact {time.monotonic()}")
            assert time.monotonic() < began + 10


def test_a_long_burst_is_taken_in_parts(memory: AgentMemory) -> None:
    facts = Facts()
    for number in range(20):
        enqueue(memory, f"fact {number}")
    metrics = MemoryWorker(memory, extractor=facts, debounce_seconds=60).run(once=True)
    assert [len(one.messages) for one in facts.asked] == [16, 16, 8]
    assert metrics.exchanges == 20
    assert texts(memory) == sorted(f"fact {number}" for number in range(20))


def test_one_that_is_not_due_is_waited_for(memory: AgentMemory) -> None:
    enqueue(memory, "later", not_before=time.time() + 0.5)
    metrics = MemoryWorker(memory, extractor=Facts()).run(once=True)
    assert (metrics.exchanges, metrics.waiting) == (0, 1)
    began = time.time()
    with running(MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)):
        wait_until(lambda: texts(memory) == ["later"])
    assert time.time() - began < 5


# Failures.


def test_one_that_is_due_by_a_clock_that_is_far_ahead_is_not_waited_for_as_long(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.worker.attending.LONGEST_WAIT_SECONDS", 0.5)
    enqueue(memory, "a fact", ts=time.time() + 86_400, not_before=time.time() + 86_460)
    worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)
    begin = time.monotonic()
    with running(worker):
        wait_until(lambda: worker.metrics.exchanges == 1)
    assert time.monotonic() - begin >= 0.5


def test_a_failing_task_is_tried_again_then_set_aside_and_can_be_replayed(
    memory: AgentMemory, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    facts = Facts(failing="poison")
    enqueue(memory, "poison")
    worker = MemoryWorker(memory, extractor=facts, debounce_seconds=0, max_attempts=3)
    with running(worker):
        wait_until(lambda: waiting(memory) == (0, 1))
        wait_until(lambda: worker.metrics.set_aside == 1)
    assert len(facts.asked) == 3
    assert worker.metrics.failures == {"failed": 3}
    (one,) = failed(memory)
    assert (one.place, one.reason, one.attempts) == (place(), "failed", 3)
    assert "TimeoutError: no answer" in one.message
    assert [action for action, _ in actions(memory)] == ["extract_error"] * 3
    assert "attempt 3, set aside: The extractor raised TimeoutError" in actions(memory)[-1][1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    facts.failing = ""
    assert memory.transport.run(memory.tasks.replay_op([one.id])) == 1
    MemoryWorker(memory, extractor=facts).run(once=True)
    assert texts(memory) == ["poison"]
    assert waiting(memory) == (0, 0)


def test_a_task_is_tried_once_by_a_worker_that_runs_once(memory: AgentMemory) -> None:
    facts = Facts(failing="poison", times=1)
    enqueue(memory, "poison")
    metrics = MemoryWorker(memory, extractor=facts).run(once=True)
    assert (len(facts.asked), metrics.waiting, metrics.failed) == (1, 1, 0)
    with running(MemoryWorker(memory, extractor=facts, debounce_seconds=60)):
        wait_until(lambda: texts(memory) == ["poison"])  # after its second, whatever the debounce


def test_a_poisoned_exchange_does_not_drag_others_along(memory: AgentMemory, at_once: None) -> None:
    facts = Facts(failing="poison")
    for words in ("fact 0", "fact 1", "poison", "fact 2"):
        enqueue(memory, words)
    enqueue(memory, "elsewhere", thread="t2")
    with running(MemoryWorker(memory, extractor=facts, debounce_seconds=0, max_attempts=2)):
        wait_until(lambda: waiting(memory) == (0, 1))
    assert texts(memory) == ["elsewhere", "fact 0", "fact 1", "fact 2"]
    (one,) = failed(memory)
    assert one.task is not None
    assert b"poison" in one.task.messages[0]


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ExtractionError("It declined.", reason="refused"), "refused"),
        (ExtractionError("No JSON.", reason="malformed"), "malformed"),
        (KeyError("x"), "failed"),
        (InvalidInputError("no"), "invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_an_extractor_raises_is_counted_by_its_reason(
    memory: AgentMemory, raised: Exception, reason: str
) -> None:
    def extract(exchange: Exchange) -> list[Any]:
        raise raised

    enqueue(memory, "a fact")
    metrics = MemoryWorker(memory, extractor=extract, max_attempts=1).run(once=True)
    assert (metrics.failures, metrics.set_aside, metrics.failed) == ({reason: 1}, 1, 1)
    assert failed(memory)[0].reason == reason


def test_changes_that_cannot_be_made_fail_the_task(memory: AgentMemory) -> None:
    enqueue(memory, "a fact")
    worker = MemoryWorker(memory, extractor=lambda exchange: [Add("")], max_attempts=1)
    assert worker.run(once=True).failures == {"invalid": 1}


def test_embeddings_that_fail_fail_the_task(url: str) -> None:
    class Failing(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            if text == "a fact":
                raise OSError("no model")
            return super().embed_query(text)

    with AgentMemory(url, embeddings=Failing()) as memory:
        enqueue(memory, "a fact")
        metrics = MemoryWorker(memory, extractor=Facts(), max_attempts=1).run(once=True)
        assert metrics.failures == {"error": 1}
        assert "OSError: no model" in failed(memory)[0].message


def test_a_summariser_that_fails_is_tried_again(url: str, at_once: None) -> None:
    left = [1]

    def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
        if left:
            left.pop()
            raise TimeoutError("no answer")
        return listing(summary, messages)

    with memory_of(url, summarise=summarise) as memory:
        for number in range(2):
            converse(memory, f"fact {number}")
        worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)
        with running(worker):
            wait_until(lambda: waiting(memory) == (0, 0))
        assert worker.metrics.failures == {"summary": 1}
        assert worker.metrics.folded_messages == 2
        assert "summarise_error" in [action for action, _ in actions(memory)]


def test_work_that_nobody_was_named_for_is_left_to_others(
    memory: AgentMemory, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        enqueue(memory, f"fact {number}", thread=f"t{number}")
    metrics = MemoryWorker(memory, summarise=listing, max_attempts=1).run(once=True)
    assert (metrics.failures, metrics.waiting, metrics.failed) == ({}, 3, 0)
    assert caplog.text.count("this worker has no extractor") == 1
    assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == 3


def test_workers_that_do_one_kind_of_work_each_share_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_agentmem.worker.shift._MINDING_SECONDS", 0.1)
    with memory_of(url, summarise=None) as extracting, memory_of(url) as memory:
        workers = [
            MemoryWorker(extracting, extractor=Facts(), debounce_seconds=0),
            MemoryWorker(memory, debounce_seconds=0),
        ]
        with running(workers[0]), running(workers[1]):
            for number in range(12):
                converse(memory, f"fact {number}", thread=f"t{number % 3}")
            wait_until(lambda: waiting(memory) == (0, 0), 20)
        assert texts(memory) == sorted(f"fact {number}" for number in range(12))
        assert [worker.metrics.failures for worker in workers] == [{}, {}]
        assert workers[1].metrics.folded_messages == 18


def test_a_message_about_a_failure_holds_no_secret(memory: AgentMemory) -> None:
    def extract(exchange: Exchange) -> list[Any]:
        raise ValueError("api_key=sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")

    enqueue(memory, "a fact")
    MemoryWorker(memory, extractor=extract, max_attempts=1).run(once=True)
    assert "abcdefgh" not in failed(memory)[0].message
    assert "abcdefgh" not in actions(memory)[0][1]


def test_a_user_that_is_forgotten_meanwhile_stays_forgotten(memory: AgentMemory) -> None:
    def extract(exchange: Exchange) -> list[Add]:
        memory.transport.run(memory.tasks.forget_op("alice"))
        return [Add("a fact")]

    enqueue(memory, "a fact")
    metrics = MemoryWorker(memory, extractor=extract).run(once=True)
    assert (metrics.stale, metrics.exchanges, metrics.changes) == (1, 0, {})
    assert texts(memory) == []
    assert actions(memory) == []


# Several workers.


def test_several_workers_share_the_work(url: str, memory: AgentMemory) -> None:
    together = threading.Barrier(3)

    class Meeting(Facts):
        def __call__(self, exchange: Exchange) -> list[Add]:
            if not self.asked:
                together.wait(20)  # each of them has some in hand at the same time
            return super().__call__(exchange)

    for number in range(30):
        enqueue(memory, f"fact {number}", thread=f"t{number % 10}")
    extractors = [Meeting() for _ in range(3)]
    memories = [memory_of(url) for _ in range(3)]
    workers = [
        MemoryWorker(one, extractor=facts, concurrency=1, debounce_seconds=0)
        for one, facts in zip(memories, extractors, strict=True)
    ]
    with running(workers[0]), running(workers[1]), running(workers[2]):
        wait_until(lambda: waiting(memory) == (0, 0), 30)
    assert texts(memory) == sorted(f"fact {number}" for number in range(30))
    metrics = [worker.metrics for worker in workers]
    assert sum(one.exchanges for one in metrics) == 30
    assert sum(len(facts.asked) for facts in extractors) == 10, metrics
    for one in memories:
        one.close()


def test_what_a_dead_worker_had_in_hand_is_taken_over(memory: AgentMemory) -> None:
    enqueue(memory, "a fact")
    memory.transport.run(memory.tasks.create_group_op("agentmem"))
    assert len(memory.transport.run(memory.tasks.next_op("agentmem", "dead", 10))) == 1
    assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == 0  # it may be alive
    worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0, claim_idle_seconds=0.2)
    with running(worker):
        wait_until(lambda: texts(memory) == ["a fact"])
        wait_until(lambda: waiting(memory) == (0, 0))
    assert worker.metrics.claimed == 1


def test_what_takes_long_is_not_taken_over(url: str, memory: AgentMemory) -> None:
    facts = Facts()

    async def slowly(exchange: Exchange) -> list[Add]:
        await asyncio.sleep(1.5)
        return facts(exchange)

    enqueue(memory, "a fact")
    enqueue(memory, "held", thread="t2", not_before=time.time() + 1.5)
    options: Any = {"debounce_seconds": 0, "claim_idle_seconds": 0.5}
    with memory_of(url) as other:
        workers = [MemoryWorker(one, extractor=slowly, **options) for one in (memory, other)]
        with running(workers[0]), running(workers[1]):
            wait_until(lambda: waiting(memory) == (0, 0))
    assert len(facts.asked) == 2
    assert sum(worker.metrics.claimed for worker in workers) == 0


def test_what_is_held_goes_to_others_at_once_when_a_worker_ends(
    memory: AgentMemory, bare: redis.Redis
) -> None:
    enqueue(memory, "a fact")
    worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=60)
    with running(worker):
        wait_until(lambda: worker.metrics.signals == 1)
    assert (texts(memory), pending(bare)) == ([], 1)
    metrics = MemoryWorker(memory, extractor=Facts()).run(once=True)
    assert (texts(memory), metrics.claimed, pending(bare)) == (["a fact"], 1, 0)


# Starting and stopping.


def test_stopping_finishes_what_is_in_hand(memory: AgentMemory) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(exchange: Exchange) -> list[Add]:
        begun.set()
        assert go_on.wait(20)
        return [Add("a fact")]

    enqueue(memory, "a fact")
    worker = MemoryWorker(memory, extractor=slowly, debounce_seconds=0)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert begun.wait(20)
    worker.stop()
    go_on.set()
    thread.join(20)
    assert (thread.is_alive(), texts(memory), waiting(memory)) == (False, ["a fact"], (0, 0))


def test_a_worker_that_is_stopped_before_it_runs_ends_at_once(memory: AgentMemory) -> None:
    enqueue(memory, "a fact")
    worker = MemoryWorker(memory, extractor=Facts())
    worker.stop()
    assert worker.run().exchanges == 0
    assert worker.run(once=True).exchanges == 1  # and can be run again


async def test_inside_a_running_loop_run_is_refused(memory: AgentMemory) -> None:
    worker = MemoryWorker(memory, extractor=Facts())
    with pytest.raises(ConfigurationError, match=r"await arun\(\)"):
        worker.run()
    enqueue(memory, "a fact")
    assert (await worker.arun(once=True)).exchanges == 1


async def test_one_worker_does_not_run_twice_at_a_time(memory: AgentMemory) -> None:
    worker = MemoryWorker(memory, extractor=Facts())
    first = asyncio.create_task(worker.arun())
    await asyncio.sleep(0)
    with pytest.raises(ConfigurationError, match="runs already"):
        await worker.arun()
    worker.stop()
    await first


async def test_a_worker_that_is_cancelled_gives_back_what_it_has(
    memory: AgentMemory, bare: redis.Redis
) -> None:
    begun = asyncio.Event()

    async def slowly(exchange: Exchange) -> list[Add]:
        begun.set()
        await asyncio.sleep(60)
        raise AssertionError

    enqueue(memory, "a fact")
    task = asyncio.create_task(MemoryWorker(memory, extractor=slowly, debounce_seconds=0).arun())
    await asyncio.wait_for(begun.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await MemoryWorker(memory, extractor=Facts()).arun(once=True)).claimed == 1
    assert texts(memory) == ["a fact"]


def test_what_a_progress_callback_raises_ends_the_run(memory: AgentMemory) -> None:
    def stop(metrics: WorkerMetrics) -> None:
        if metrics.exchanges:
            raise RuntimeError("enough")

    enqueue(memory, "a fact")
    with pytest.raises(RuntimeError, match="enough"):
        MemoryWorker(memory, extractor=Facts(), debounce_seconds=0, on_progress=stop).run()
    assert texts(memory) == ["a fact"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "nothing for a worker to do"),
        ({"extractor": "model"}, "extractor must be a function"),
        ({"extractor": Facts(), "summarise": "model"}, "summarise must be a function"),
        ({"extractor": Facts(), "group": ""}, "group is empty"),
        ({"extractor": Facts(), "name": ""}, "name is empty"),
        ({"extractor": Facts(), "concurrency": 0}, "concurrency must be"),
        ({"extractor": Facts(), "debounce_seconds": -1}, "debounce_seconds must be"),
        ({"extractor": Facts(), "claim_idle_seconds": 0}, "claim_idle_seconds must be"),
        ({"extractor": Facts(), "max_attempts": 0}, "max_attempts must be"),
        ({"extractor": Facts(), "consolidate": "model"}, "consolidate must be"),
    ],
)
def test_options_that_are_not_usable_are_refused(url: str, options: dict[str, Any], error: str) -> None:
    refused = pytest.raises((ConfigurationError, InvalidInputError), match=error)
    with memory_of(url, summarise=None) as memory, refused:
        MemoryWorker(memory, **options)


# Consolidation.


def test_a_user_s_memories_are_consolidated_on_request(memory: AgentMemory) -> None:
    def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        return Judgement(same=[[one.id for one in memories]])

    for user in ("alice", "bob"):
        memory.long_term.remember("I live in Porto, Portugal.", user=user, kind="semantic")
        memory.long_term.remember("I live in Porto now.", user=user, kind="semantic")
    enqueue(memory, "I live in Porto.")
    metrics = MemoryWorker(memory, extractor=Facts(), consolidate=judge).run(once=True)
    assert metrics.consolidated == 2
    assert len(texts(memory)) == 1
    assert len(texts(memory, "bob")) == 2  # nothing of his was changed


def test_it_waits_until_the_user_is_quiet(memory: AgentMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_agentmem.worker.shift._MINDING_SECONDS", 0.1)
    quiet = Consolidating.due
    monkeypatch.setattr(Consolidating, "due", lambda self: quiet(self, 0.3))
    asked: list[float] = []

    def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        asked.append(time.monotonic())
        raise TimeoutError("no answer")

    memory.long_term.remember("I live in Porto now.", user="alice", kind="semantic")
    worker = MemoryWorker(memory, extractor=Facts(), consolidate=judge, debounce_seconds=0)
    with running(worker):
        began = time.monotonic()
        enqueue(memory, "I live in Porto.")
        wait_until(lambda: worker.metrics.model_calls > 1)
    assert asked[0] - began > 0.3
    assert len(texts(memory)) == 2


# Any connection.


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("timeout", [0.2, None])
def test_a_sync_client_will_do(url: str, protocol: int, timeout: float | None) -> None:
    with redis.Redis.from_url(url, protocol=protocol, socket_timeout=timeout) as client:
        memory = AgentMemory(client=client, embeddings=WordEmbeddings())
        worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)
        with running(worker):
            enqueue(memory, "a fact")
            wait_until(lambda: worker.metrics.exchanges == 1)
        assert (texts(memory), worker.metrics.failures) == (["a fact"], {})


async def test_an_async_client_will_do(url: str, memory: AgentMemory) -> None:
    enqueue(memory, "a fact")
    async with redis.asyncio.Redis.from_url(url) as client:
        worker = MemoryWorker(
            AgentMemory(async_client=client, embeddings=WordEmbeddings()), extractor=Facts()
        )
        assert (await worker.arun(once=True)).exchanges == 1
    assert texts(memory) == ["a fact"]


def test_only_with_an_async_client_run_is_refused(url: str) -> None:
    memory = AgentMemory(async_client=redis.asyncio.Redis.from_url(url), embeddings=WordEmbeddings())
    with pytest.raises(ConfigurationError, match="only an async client"):
        MemoryWorker(memory, extractor=Facts()).run()


def test_over_rest_it_asks_from_time_to_time(emulator: Emulator) -> None:
    with AgentMemory(emulator.url, token=emulator.token, summarise=listing, max_turns=2) as memory:
        worker = MemoryWorker(memory, extractor=Facts(), debounce_seconds=0.1)
        with running(worker):
            for number in range(2):
                converse(memory, f"fact {number}")
            wait_until(lambda: waiting(memory) == (0, 0), 30)
        assert (worker.metrics.exchanges, worker.metrics.folded_messages) == (2, 2)
        wait_until(lambda: texts(memory) == ["fact 0", "fact 1"])


async def test_what_waits_and_what_failed_is_told_and_replayed(
    memory: AgentMemory, both: Both, at_once: None
) -> None:
    enqueue(memory, "I live in Porto.")
    tasks = both(memory.tasks)
    assert await tasks.awaiting() == (1, 0)

    def broken(exchange: Exchange) -> Sequence[Any]:
        raise OSError("no network")

    await MemoryWorker(memory, extractor=broken, max_attempts=1).arun(once=True)
    assert await tasks.awaiting() == (0, 1)
    (failed,) = await tasks.afailed()
    assert await tasks.afailed(cursor=failed.id) == []
    assert await tasks.areplay([failed.id]) == 1
    assert await tasks.awaiting() == (1, 0)
    await MemoryWorker(memory, extractor=broken, max_attempts=1).arun(once=True)
    assert await tasks.adrop_failed() == 1
    assert await tasks.awaiting() == (0, 0)


# A store that goes away.


def test_while_the_store_is_away_a_worker_keeps_trying(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(binary_of_embedded(), "--appendonly", "yes", "--appendfsync", "always")
    try:
        with memory_of(server.url) as memory:
            task = Task("1", time.time(), not_before=time.time() + 1.0)
            for thread in ("t1", "t2"):
                memory.working.append(thread, [HumanMessage(f"{thread}.{n}") for n in range(3)], user="alice")
                memory.transport.run(memory.tasks.enqueue_op(place(thread, what="fold"), task))
            worker = MemoryWorker(memory, debounce_seconds=0)
            with running(worker):
                wait_until(lambda: worker.metrics.signals == 2)
                server.kill()
                wait_until(lambda: "the worker keeps trying" in caplog.text)
                wait_until(lambda: time.time() > task.not_before)
                server.start()
                memory.working.append("t3", [HumanMessage(f"t3.{n}") for n in range(3)], user="alice")
                memory.transport.run(
                    memory.tasks.enqueue_op(place("t3", what="fold"), Task("2", time.time()))
                )
                wait_until(lambda: waiting(memory) == (0, 0), 20)
                wait_until(lambda: "goes on" in caplog.text)
            assert [memory.working.load(f"t{n}").summary for n in (1, 2, 3)] == [  # type: ignore[union-attr]
                f"t{n}.0" for n in (1, 2, 3)
            ]
    finally:
        server.close()
    assert caplog.text.count("keeps trying") == 1
    assert (worker.metrics.folded_messages, worker.metrics.failed) == (3, 0)


def test_a_server_that_has_lost_everything_gets_its_group_again(
    memory: AgentMemory, bare: redis.Redis
) -> None:
    with running(MemoryWorker(memory, extractor=Facts(), debounce_seconds=0)):
        enqueue(memory, "before")
        wait_until(lambda: texts(memory) == ["before"])
        bare.flushall()
        memory.long_term.create_index()
        enqueue(memory, "after")
        wait_until(lambda: texts(memory) == ["after"])


def test_without_a_store_once_is_an_error(impatient: None) -> None:
    with memory_of("redis://127.0.0.1:1") as memory, pytest.raises(StoreConnectionError):
        MemoryWorker(memory, extractor=Facts()).run(once=True)


# With turns as chains and agents write them.


@pytest.mark.parametrize("storage", ["hash", "list"])
def test_what_chains_leave_to_it_is_done(url: str, storage: Any) -> None:
    with memory_of(url, session_storage=storage) as memory:
        chain = memory.wrap(
            RunnableLambda(lambda inputs: f"So {inputs['input']}"), remember_when="background"
        )
        for number in range(3):
            config: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}
            chain.invoke({"input": f"fact {number}"}, config)
        facts = Facts()
        metrics = MemoryWorker(memory, extractor=facts).run(once=True)
        assert texts(memory) == [f"fact {number}" for number in range(3)]
        assert [len(exchange.messages) for exchange in facts.asked] == [6]
        state = memory.working.load("t1")
        assert state is not None
        assert state.summary.splitlines() == ["fact 0", "So fact 0", "fact 1", "So fact 1"]
        assert (metrics.exchanges, metrics.folded_messages, metrics.waiting) == (3, 4, 0)


def test_what_failed_inline_is_done_by_a_worker(memory: AgentMemory) -> None:
    failing = Facts(failing="fact", times=1)
    chain = memory.wrap(RunnableLambda(lambda inputs: "Nice!"), remember=lambda exchange: failing(exchange))
    chain.invoke({"input": "a fact"}, {"configurable": {"session_id": "t1", "user_id": "alice"}})
    assert texts(memory) == []
    with running(MemoryWorker(memory, extractor=failing, debounce_seconds=0)):
        wait_until(lambda: texts(memory) == ["a fact"])
    assert len(failing.asked) == 2


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), SystemExit(1), type("OwnError", (BaseException,), {})()],
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_what_would_end_the_worker_is_a_failure_of_the_task(
    memory: AgentMemory, at_once: None, error: BaseException, asynchronous: bool
) -> None:
    async def poisoned(exchange: Exchange) -> Sequence[Any]:
        if exchange.messages[0].text == "poison":
            raise error
        return [Add(exchange.messages[0].text)]

    def poisoned_too(exchange: Exchange) -> Sequence[Any]:
        return asyncio.run(poisoned(exchange))

    for number, words in enumerate(("poison", "fact 1", "fact 2")):
        enqueue(memory, words, thread=f"t{number}")
    extractor = poisoned if asynchronous else poisoned_too
    metrics = MemoryWorker(memory, extractor=extractor, max_attempts=1, concurrency=1).run(once=True)
    assert texts(memory) == ["fact 1", "fact 2"]
    assert (metrics.set_aside, metrics.failed) == (1, 1)


def test_a_message_that_is_too_long_to_be_looked_for_is_extracted_from(memory: AgentMemory) -> None:
    enqueue(memory, "a long letter " * 10_000)
    extract = Facts()
    worker = MemoryWorker(memory, extractor=lambda exchange: extract(exchange) and [Add("I write letters.")])
    assert worker.run(once=True).failures == {}
    assert texts(memory) == ["I write letters."]


def test_a_memory_is_dated_by_what_was_said(memory: AgentMemory) -> None:
    long_ago = time.time() - 86_400
    stored = said(memory, "I live in Oslo.", long_ago)
    memory.transport.run(memory.tasks.enqueue_op(place(), Task("1", long_ago, tuple(stored))))
    MemoryWorker(memory, extractor=Facts()).run(once=True)
    (record,) = memory.long_term.list_memories(user="alice")
    assert record.created_ts == pytest.approx(long_ago, abs=1)
    assert record.ttl_seconds is None


def test_a_list_of_ids_is_wanted(memory: AgentMemory) -> None:
    for call in (memory.tasks.replay, memory.tasks.drop_failed):
        with pytest.raises(InvalidInputError, match="must be a list of ids"):
            call("1-0")
