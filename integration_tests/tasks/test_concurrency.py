"""Many put tasks in and take them off at once: none is lost, none is done twice, and none is left unsignalled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.tasks.conftest import FOLD, PLACE, Run, check_signals, task
from langchain_agentmem.core.operations import Op
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue
from langchain_agentmem.tasks.task import Queued, Signal
from langchain_agentmem.transport.connections import SharedConnection

GROUP = "agentmem"
WRITERS, EACH, TAKERS = 8, 60, 4


class Taker:
    """Work like a worker: be given signals, claim those of others, take tasks off, end what is empty."""

    def __init__(self, queue: TaskQueue, run: Run, name: str, writing: threading.Event) -> None:
        self.queue, self.run, self.name, self.writing = queue, run, name, writing
        self.taken: list[str] = []

    def work(self) -> None:
        while True:
            still_writing = not self.writing.is_set()
            found = self.run(self.queue.next_op(GROUP, self.name, 1))
            found = found or self.run(self.queue.claim_op(GROUP, self.name, 0, 1))
            for signal in found:
                self.serve(signal)
            if not (found or still_writing or self.run(self.queue.waiting_op()).queues):
                return

    def serve(self, signal: Signal) -> None:
        while True:
            read = self.run(self.queue.read_op(signal.place, 3))
            taking = self.queue.taking(signal.place, read, signal_id=signal.id, group=GROUP)
            if not read:
                if self.run(self.queue.done_op(GROUP, signal)):
                    return
            elif self.run(self.queue.take_off_op(taking)):
                self.taken += [one.task.id for one in read]


def test_writers_and_takers_lose_nothing_and_do_nothing_twice(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    places = [PLACE, PLACE._replace(thread_id="t 2")]
    written, checked = threading.Event(), threading.Event()

    def write(writer: int) -> None:
        for number in range(EACH):
            run(queue.enqueue_op(places[number % 2], task(f"{writer}:{number:03}")))

    def look() -> None:
        while not checked.is_set():
            check_signals(bare)

    takers = [Taker(queue, run, f"w{number}", written) for number in range(TAKERS)]
    with ThreadPoolExecutor(WRITERS + TAKERS + 1) as pool:
        looking = pool.submit(look)
        working = [pool.submit(one.work) for one in takers]
        try:
            for writing in [pool.submit(write, number) for number in range(WRITERS)]:
                writing.result()
        finally:
            written.set()
        try:
            for one in working:
                one.result(30)
        finally:
            checked.set()
        looking.result()
    taken = [name for one in takers for name in one.taken]
    assert sorted(taken) == sorted(f"{w}:{n:03}" for w in range(WRITERS) for n in range(EACH))
    assert run(queue.waiting_op()) == TaskCounts(0, 0)
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 0


def test_the_order_in_which_a_writer_puts_tasks_in_is_that_in_which_they_come_out(
    queue: TaskQueue, run: Run
) -> None:
    def write(writer: int) -> None:
        for number in range(EACH):
            run(queue.enqueue_op(PLACE, task(f"{writer}:{number:03}")))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    names = [one.task.id for one in run(queue.read_op(PLACE, 1000))]
    assert len(names) == WRITERS * EACH
    for writer in range(WRITERS):
        own = [name for name in names if name.startswith(f"{writer}:")]
        assert own == sorted(own)


steps = st.lists(
    st.tuples(
        st.sampled_from(["enqueue", "take", "fail", "aside", "replay", "next", "done", "forget", "claim"]),
        st.sampled_from([PLACE, FOLD, PLACE._replace(user="bob")]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@given(steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_steps_in_whatever_order_leave_a_queue_without_its_signal(
    queue: TaskQueue, run: Run, bare: redis.Redis, todo: list[Any]
) -> None:
    bare.flushall()
    seen: dict[Any, list[Queued]] = {}  # read at some time, perhaps stale
    held: list[Signal] = []
    for at, (what, place, index) in enumerate(todo):
        known = seen.setdefault(place, [])
        op = _step(queue, what, place, str(at), known[index : index + 2], held[index:])
        result = None if op is None else run(op)
        held += result if isinstance(result, list) else []
        known += run(queue.read_op(place, 5))
        check_signals(bare)


def _step(
    queue: TaskQueue, what: str, place: Any, name: str, known: list[Queued], held: list[Signal]
) -> Op[Any] | None:
    match what:
        case "enqueue":
            return queue.enqueue_op(place, task(name))
        case "take":
            return queue.take_off_op(queue.taking(place, known, group=GROUP))
        case "fail" | "aside":
            return _failing(queue, place, known[0], set_aside=what == "aside") if known else None
        case "replay":
            return queue.replay_op()
        case "next":
            return queue.next_op(GROUP, "w", 1)
        case "claim":
            return queue.claim_op(GROUP, "v", 0, 2)
        case "done":
            return queue.done_op(GROUP, held[0]) if held else None
    return queue.forget_op(place.user)


def _failing(queue: TaskQueue, place: Any, one: Queued, *, set_aside: bool) -> Any:
    return queue.fail_op(place, one, reason="a", message="b", not_before=1, set_aside=set_aside)


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_read_the_same(queue: TaskQueue, url: str, protocol: int) -> None:
    connection = SharedConnection(f"{url}&protocol={protocol}")
    run = connection.run
    put = run(queue.enqueue_op(PLACE, task("a", b"\xff\x00", b"\n")))
    (signal,) = run(queue.next_op(GROUP, "w", 5, block_ms=10))
    assert run(queue.claim_op(GROUP, "v", 0, 5)) == [signal._replace(deliveries=2)]
    assert run(queue.read_op(PLACE, 5)) == [put]
    assert run(queue.next_op(GROUP, "w", 5, block_ms=1)) == []
    assert run(_failing(queue, PLACE, put, set_aside=True))
    assert [one.task for one in run(queue.failed_op())] == [put.task]
    connection.close()
