"""Signals lead workers to queues: each to one of them, to another one if it dies, and none is ever missing."""

from __future__ import annotations

import redis

from integration_tests.conftest import ON_EVERY_BACKEND
from integration_tests.tasks.conftest import FOLD, PLACE, Run, check_signals, task
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue

pytestmark = ON_EVERY_BACKEND
GROUP = "agentmem"


def test_workers_of_a_group_share_the_signals(queue: TaskQueue, run: Run) -> None:
    run(queue.enqueue_op(PLACE, task("a")))
    run(queue.enqueue_op(FOLD, task("b")))
    first, second, none = (run(queue.next_op(GROUP, name)) for name in ("v", "w", "x"))
    assert [one.place for one in (*first, *second)] == [PLACE, FOLD]
    assert none == []
    assert [one.place for one in run(queue.next_op("another group", "v", 5))] == [PLACE, FOLD]


def test_a_group_is_created_once_and_again_if_it_is_gone(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    run(queue.create_group_op(GROUP))
    run(queue.create_group_op(GROUP))
    assert run(queue.next_op(GROUP, "w")) == []
    bare.flushall()
    assert run(queue.claim_op(GROUP, "w", 0)) == []
    bare.flushall()
    assert run(queue.keep_op(GROUP, "w", ["1-1"])) == []
    bare.flushall()
    run(queue.enqueue_op(PLACE, task("a")))
    assert [one.place for one in run(queue.next_op(GROUP, "w"))] == [PLACE]


def test_a_dead_workers_signals_are_claimed_and_a_living_ones_are_not(queue: TaskQueue, run: Run) -> None:
    for place in (PLACE, FOLD):
        run(queue.enqueue_op(place, task("a")))
    first, second = run(queue.next_op(GROUP, "v", 5))
    assert run(queue.claim_op(GROUP, "w", 600_000, 5)) == []
    assert run(queue.release_op(GROUP, "v", [first.id])) == [first.id]
    assert run(queue.claim_op(GROUP, "w", 600_000, 5)) == [first]  # what is given back was no delivery
    # Whoever has lost it neither keeps nor releases it.
    assert run(queue.keep_op(GROUP, "v", [first.id, second.id])) == [second.id]
    assert run(queue.release_op(GROUP, "v", [first.id])) == []
    assert run(queue.claim_op(GROUP, "x", 600_000, 5)) == []
    assert run(queue.release_op(GROUP, "w", [first.id])) == [first.id]
    assert run(queue.keep_op(GROUP, "w", [first.id])) == [first.id]
    assert run(queue.claim_op(GROUP, "x", 600_000, 5)) == []
    assert run(queue.keep_op(GROUP, "w", [])) == []


def test_a_claim_looks_at_all_that_is_in_hand(queue: TaskQueue, run: Run) -> None:
    places = [PLACE._replace(thread_id=str(number)) for number in range(60)]
    for place in places:
        run(queue.enqueue_op(place, task("a")))
    signals = run(queue.next_op(GROUP, "v", 100))
    run(queue.release_op(GROUP, "v", [signals[-1].id]))
    assert run(queue.claim_op(GROUP, "w", 600_000, 1)) == [signals[-1]]


def test_a_worker_leaves_unless_it_has_something_in_hand(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    put = run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w"))
    assert not run(queue.leave_op(GROUP, "w"))
    assert run(queue.take_off_op(queue.taking(PLACE, [put], signal_id=signal.id, group=GROUP)))
    assert run(queue.leave_op(GROUP, "w"))
    assert bare.xinfo_consumers(queue.keys_of(PLACE)[2], GROUP) == []


def test_a_task_that_comes_before_the_signal_is_ended_keeps_it(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    put = run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w"))
    # Another worker takes it off, without the group; then there is a new task, and a new signal.
    assert run(queue.take_off_op(queue.taking(PLACE, [put])))
    check_signals(bare)
    run(queue.enqueue_op(PLACE, task("b")))
    assert run(queue.done_op(GROUP, signal))  # the old one
    check_signals(bare)
    (new,) = run(queue.next_op(GROUP, "w"))
    assert not run(queue.done_op(GROUP, new))
    check_signals(bare)
    assert run(queue.take_off_op(queue.taking(PLACE, run(queue.read_op(PLACE, 5)))))
    assert run(queue.done_op(GROUP, new))
    assert run(queue.done_op(GROUP, new))
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 0


def test_a_queue_that_lost_its_signal_gets_one(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    queue_key, signal_key, stream = queue.keys_of(PLACE)
    run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w"))
    bare.delete(signal_key)
    assert not run(queue.done_op(GROUP, signal))  # it leads there still
    check_signals(bare)
    bare.delete(stream)
    run(queue.enqueue_op(PLACE, task("b")))
    check_signals(bare)
    bare.set(signal_key, "nonsense")
    assert not run(queue.done_op(GROUP, signal))
    run(queue.enqueue_op(PLACE, task("c")))
    assert bare.llen(queue_key) == 3
    leading = {one.place for one in run(queue.next_op(GROUP, "w", 5))}
    assert leading == {PLACE}


def test_a_forgotten_users_signal_is_gone_from_a_workers_hand_when_it_is_done(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w"))
    assert run(queue.forget_op("alice")).count == 1
    assert run(queue.done_op(GROUP, signal))
    assert run(queue.waiting_op()) == TaskCounts(0, 0)
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 0
